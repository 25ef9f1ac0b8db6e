//! What the folder of a sweep says about it: the settings that its searches share, and which searches
//! there are. All who have to do with the sweep, at once or after one another, read it there.

use crate::files::{FileError, is_partial, lock, write_atomic};
use crate::search::sweep::Entry;
use crate::settings::layers::Layers;
use crate::settings::{self, Settings};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Folder of the teacher within that of the sweep.
pub const TEACHER: &str = "teacher";
/// What all searches share.
pub const SETTINGS: &str = "sweep.toml";
/// Which searches there are.
const SEARCHES: &str = "searches.json";
/// Who has this file locked may change the two above.
const LOCK: &str = ".lock";

/// One search of the sweep, and all its settings but the teacher's place.
pub struct Search {
    pub entry: Entry,
    pub settings: Settings,
}

/// What a sweep is.
pub struct Record {
    /// What its searches share.
    pub base: Settings,
    /// Its searches, in the order in which they were asked for.
    pub entries: Vec<Entry>,
}

impl Record {
    /// The teacher, where one was given.
    pub fn teacher(&self) -> Option<&Path> {
        let from = &self.base.teacher.from;
        (!from.as_os_str().is_empty()).then_some(from.as_path())
    }

    /// The searches, each with its settings, checked.
    pub fn searches(&self) -> Result<Vec<Search>> {
        let text = toml::to_string(&self.base).context("the settings have no TOML form")?;
        let mut base = Layers::default();
        base.file(SETTINGS, &text)?;
        let search = |entry: &Entry| {
            let mut layers = base.clone();
            for set in &entry.sets {
                layers.set(set)?;
            }
            Ok(Search {
                entry: entry.clone(),
                settings: layers.finish()?,
            })
        };
        self.entries.iter().map(search).collect()
    }

    /// Reads that of the sweep in `out`.
    pub fn read(out: &Path) -> Result<Self> {
        let path = out.join(SETTINGS);
        ensure!(
            path.is_file(),
            "{} holds no sweep (no {SETTINGS}): name the folder that `autorep sweep --out` made",
            out.display()
        );
        let text = fs::read_to_string(&path).map_err(FileError::on("read", &path))?;
        let mut layers = Layers::default();
        layers.file(&path.display().to_string(), &text)?;
        let path = out.join(SEARCHES);
        let entries = match path.is_file() {
            true => {
                let json = fs::read(&path).map_err(FileError::on("read", &path))?;
                serde_json::from_slice(&json)
                    .with_context(|| format!("cannot understand {}", path.display()))?
            }
            // It was ended between the two.
            false => Vec::new(),
        };
        Ok(Self {
            base: layers.finish()?,
            entries,
        })
    }

    /// Makes `out` the folder of this sweep, or, with `resume`, adds its searches to those of the same
    /// sweep that is there.
    pub fn write(&self, out: &Path, resume: bool) -> Result<()> {
        // Asked before anything is made in a folder of other things.
        if out.exists() {
            admit(out, resume)?;
        }
        fs::create_dir_all(out).map_err(FileError::on("create", out))?;
        let _held = lock(&out.join(LOCK))?;
        let mut entries = Vec::new();
        match admit(out, resume)? {
            true => {
                let there = Self::read(out)?;
                ensure!(
                    shared(&there.base) == shared(&self.base),
                    "the sweep in {} was begun with other settings: only budgets, methods, seeds and \
                     --vary may be added to; choose another --out",
                    out.display()
                );
                entries = there.entries;
            }
            false => {
                let text = toml::to_string(&self.base).context("the settings have no TOML form")?;
                write_atomic(&out.join(SETTINGS), text.as_bytes())?;
            }
        }
        let known: HashSet<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        let added = self
            .entries
            .iter()
            .filter(|entry| !known.contains(&entry.name));
        entries.extend(added.cloned());
        let json = serde_json::to_vec_pretty(&entries)?;
        Ok(write_atomic(&out.join(SEARCHES), &json)?)
    }
}

/// Whether there is a sweep in the folder to which searches may be added, or nothing.
fn admit(out: &Path, resume: bool) -> Result<bool> {
    if out.join(SETTINGS).is_file() {
        ensure!(
            resume,
            "{} holds a sweep already: go on with it with --resume, or choose another --out",
            out.display()
        );
        return Ok(true);
    }
    for entry in fs::read_dir(out).map_err(FileError::on("read", out))? {
        let entry = entry.map_err(FileError::on("read", out))?;
        if entry.file_name() != LOCK && !is_partial(&entry.path()) {
            bail!(
                "{}: the folder is not empty, and holds no sweep; choose another --out",
                out.display()
            );
        }
    }
    Ok(false)
}

/// The settings that all searches of a sweep have in common.
fn shared(settings: &Settings) -> Settings {
    let defaults = Settings::default();
    Settings {
        seed: defaults.seed,
        search: settings::Search {
            method: defaults.search.method,
            budget: defaults.search.budget,
            ..settings.search.clone()
        },
        ..settings.clone()
    }
}
