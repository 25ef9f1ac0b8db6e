//! Tiny-ImageNet-200 as its archive unpacks:
//!
//! ```text
//! wnids.txt                        200 WordNet ids, one a line: the classes
//! words.txt                        id, tab, names: of all of WordNet
//! train/WNID/images/*.JPEG         500 a class, 64×64
//! val/val_annotations.txt          file, tab, id, tab, a box
//! val/images/*.JPEG                10,000
//! ```
//!
//! Labels follow the order of the ids, as `ImageFolder` numbers folders. The archive's `test/`
//! has no labels; its validation split serves as the test set, as everywhere in the literature. Many
//! sort that into `val/WNID/`, with or without `images/`, which is as good.

use super::dataset::Kind;
use super::error::DataError;
use super::scan::{File, Part, Passed, Scan, class_folders, is_clutter, list};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder that the archive unpacks to.
const FOLDER: &str = "tiny-imagenet-200";
/// Images of the archive's two labelled splits.
const TRAIN: usize = 100_000;
const TEST: usize = 10_000;

/// The folder of the data set, `path` itself or the archive's within it.
pub(super) fn recognise(path: &Path) -> Option<PathBuf> {
    [path.to_owned(), path.join(FOLDER)]
        .into_iter()
        .find(|folder| folder.join("wnids.txt").is_file())
}

/// Lists the files of both splits.
pub(super) fn scan(root: &Path) -> Result<Scan, DataError> {
    let mut problems = Vec::new();
    let wnids_path = root.join("wnids.txt");
    let text = read(&wnids_path)?;
    let mut wnids: Vec<&str> = lines(&text).map(|(_, line)| line).collect();
    wnids.sort_unstable();
    wnids.dedup();
    // Each is the name of a folder, and no path to anywhere.
    let odd = |(_, id): &(usize, &str)| !id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if let Some((line, id)) = lines(&text).find(odd) {
        return Err(DataError::Annotation {
            path: wnids_path,
            line,
            reason: format!("`{id}` is no WordNet id"),
        });
    }
    if wnids.is_empty() {
        return Err(DataError::NoClasses { path: wnids_path });
    }
    let train = train(root, &wnids, &mut problems)?;
    let test = test(root, &wnids, &mut problems)?;
    for (part, name, usual) in [(&train, "train", TRAIN), (&test, "val", TEST)] {
        let found = part.files.len();
        if found != usual {
            problems.push(format!(
                "{name} holds {found} images, not the usual {usual}"
            ));
        }
    }
    Ok(Scan {
        root: root.to_owned(),
        kind: Kind::TinyImagenet,
        classes: names(root, &wnids, &mut problems)?,
        train,
        test,
        problems,
    })
}

fn train(root: &Path, wnids: &[&str], problems: &mut Vec<String>) -> Result<Part, DataError> {
    let folder = root.join("train");
    let (mut files, mut passed) = (Vec::new(), Passed::default());
    for (wnid, label) in wnids.iter().zip(0..) {
        let images = folder.join(wnid).join("images");
        if !images.is_dir() {
            return Err(missing(images));
        }
        let before = files.len();
        list(&images, label, &mut files, &mut passed)?;
        if files.len() == before {
            return Err(DataError::EmptyClass { path: images });
        }
    }
    let known: HashSet<&str> = wnids.iter().copied().collect();
    problems.extend(passed.problem(root));
    let strays: Vec<String> = class_folders(&folder)?
        .into_keys()
        .filter(|name| !known.contains(name.as_str()))
        .collect();
    if let Some(first) = strays.first() {
        problems.push(format!(
            "{} folders of train are not in wnids.txt and were left out, the first is {first}",
            strays.len()
        ));
    }
    Ok(Part { folder, files })
}

fn test(root: &Path, wnids: &[&str], problems: &mut Vec<String>) -> Result<Part, DataError> {
    let folder = root.join("val");
    let images = folder.join("images");
    let annotations = folder.join("val_annotations.txt");
    if wnids.iter().any(|wnid| folder.join(wnid).is_dir()) {
        return sorted(root, folder, wnids, problems);
    }
    if !images.is_dir() {
        return Err(missing(images));
    }
    let labels: HashMap<&str, u32> = wnids.iter().copied().zip(0..).collect();
    let text = read(&annotations)?;
    let mut files = Vec::new();
    let mut named = HashSet::new();
    for (line, text) in lines(&text) {
        let mut fields = text.split('\t').map(str::trim);
        let bad = |reason: String| DataError::Annotation {
            path: annotations.clone(),
            line,
            reason,
        };
        let (Some(name), Some(wnid)) = (fields.next(), fields.next()) else {
            return Err(bad("a file name, a tab and a class id are expected".into()));
        };
        // Names are names, not paths to anywhere.
        if name.is_empty() || name.contains(['/', '\\']) || name == ".." {
            return Err(bad(format!("`{name}` is no file name")));
        }
        let Some(&label) = labels.get(wnid) else {
            return Err(bad(format!("class `{wnid}` is not in wnids.txt")));
        };
        if !named.insert(name) {
            return Err(bad(format!("`{name}` is named a second time")));
        }
        files.push(File::at(images.join(name), label));
    }
    let failed = |source| DataError::Io {
        path: images.clone(),
        source,
    };
    let mut strays = 0;
    for entry in fs::read_dir(&images).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        strays += usize::from(!is_clutter(&name) && !named.contains(name.as_ref()));
    }
    if strays > 0 {
        problems.push(format!(
            "{strays} files of val/images are not in val_annotations.txt and were left out"
        ));
    }
    if files.is_empty() {
        return Err(DataError::EmptyClass { path: images });
    }
    Ok(Part { folder, files })
}

/// The test images where somebody has sorted them into a folder for each class.
fn sorted(
    root: &Path,
    folder: PathBuf,
    wnids: &[&str],
    problems: &mut Vec<String>,
) -> Result<Part, DataError> {
    let (mut files, mut passed) = (Vec::new(), Passed::default());
    for (wnid, label) in wnids.iter().zip(0..) {
        let class = folder.join(wnid);
        if class.is_dir() {
            list(&class, label, &mut files, &mut passed)?;
        }
    }
    problems.extend(passed.problem(root));
    match files.is_empty() {
        true => Err(DataError::EmptyClass { path: folder }),
        false => Ok(Part { folder, files }),
    }
}

/// What `words.txt` calls the classes: the first of a class's names, with its id behind where
/// two classes share it. Without that file, the ids.
fn names(
    root: &Path,
    wnids: &[&str],
    problems: &mut Vec<String>,
) -> Result<Vec<String>, DataError> {
    let path = root.join("words.txt");
    let text = match path.is_file() {
        true => read(&path)?,
        false => {
            problems.push("words.txt is missing: classes go by their WordNet ids".into());
            String::new()
        }
    };
    let words: HashMap<&str, &str> = lines(&text)
        .filter_map(|(_, line)| line.split_once('\t'))
        .map(|(wnid, names)| (wnid, names.split(',').next().unwrap_or(names).trim()))
        .filter(|(_, name)| !name.is_empty())
        .collect();
    let name = |wnid: &str| words.get(wnid).copied().unwrap_or(wnid).to_owned();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for wnid in wnids {
        *counts.entry(name(wnid)).or_default() += 1;
    }
    let unique = |wnid: &&str| match name(wnid) {
        name if counts[&name] > 1 => format!("{name} ({wnid})"),
        name => name,
    };
    Ok(wnids.iter().map(unique).collect())
}

/// The lines with content, each with its number from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate();
    numbered
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty())
}

fn read(path: &Path) -> Result<String, DataError> {
    if !path.is_file() {
        return Err(missing(path.to_owned()));
    }
    let bytes = fs::read(path).map_err(|source| DataError::Io {
        path: path.to_owned(),
        source,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn missing(path: PathBuf) -> DataError {
    DataError::MissingFile {
        path,
        kind: Kind::TinyImagenet,
    }
}
