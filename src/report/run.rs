//! What the page reads of a run folder.

use super::ReportError;
use crate::cost::SiteCounts;
use crate::files::FileError;
use crate::graph::Model;
use crate::graph::layout::Site;
use crate::run::folder::RunFolder;
use crate::run::metrics::Record;
use crate::run::model_file::{self, Unpacked};
use crate::run::store::{RESULT, TEACHER};
use crate::run::summary::Summary;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A finished run.
pub struct Run {
    /// Its folder, as it was named.
    pub path: PathBuf,
    /// `summary.json`.
    pub summary: Summary,
    /// `config.toml`, where there is one.
    pub config: Option<String>,
    /// `metrics.jsonl`; empty where there is none.
    pub records: Vec<Record>,
    /// The network it made.
    pub model: Model,
}

/// The runs among some folders.
#[derive(Default)]
pub struct Found {
    /// Finished ones.
    pub runs: Vec<Run>,
    /// Those that are not, within folders of runs.
    pub unfinished: Vec<PathBuf>,
}

/// Reads the runs in `paths`: run folders, with the control within, or folders of such.
///
/// # Errors
/// [`ReportError`], where a path holds no finished run or one that cannot be read.
pub fn collect(paths: &[PathBuf]) -> Result<Found, ReportError> {
    let mut found = Found::default();
    let mut seen = Vec::new();
    for path in paths {
        if !path.exists() {
            return Err(ReportError::Missing(path.clone()));
        }
        if !path.is_dir() {
            return Err(ReportError::NotAFolder(path.clone()));
        }
        let is_run = RunFolder::holds_run(path)?;
        if is_run && !RunFolder::is_finished(path) {
            return Err(ReportError::Unfinished(path.clone()));
        }
        let mut folders = Vec::new();
        if is_run {
            folders.push(path.clone());
        }
        for folder in subfolders(path)? {
            if RunFolder::holds_run(&folder)? {
                folders.push(folder);
            }
        }
        if folders.is_empty() {
            return Err(ReportError::NoRuns(path.clone()));
        }
        for folder in folders {
            // A folder may be named twice, and in two ways.
            let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            if seen.contains(&real) {
                continue;
            }
            seen.push(real);
            match RunFolder::is_finished(&folder) {
                true => found.runs.push(Run::read(&folder)?),
                false => found.unfinished.push(folder),
            }
        }
    }
    if found.runs.is_empty() {
        return Err(ReportError::AllUnfinished(found.unfinished));
    }
    Ok(found)
}

/// The folders directly in `path`, by name.
fn subfolders(path: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).map_err(FileError::on("read", path))? {
        let entry = entry.map_err(FileError::on("read", path))?.path();
        if entry.is_dir() {
            folders.push(entry);
        }
    }
    folders.sort();
    Ok(folders)
}

impl Run {
    fn read(path: &Path) -> Result<Self, ReportError> {
        let folder = RunFolder::open(path)?;
        let summary: Summary = folder.read_summary()?;
        let name = match summary.method.as_str() {
            "teacher" => TEACHER,
            _ => RESULT,
        };
        let Unpacked { model, .. } = model_file::unpack(folder.checkpoints().load(name)?)?;
        let kept: usize = model.tensors.kept(&model.layout).iter().sum();
        if kept != summary.relu_count || model.network.relu_total() != summary.relu_total {
            return Err(ReportError::Disagree {
                path: path.to_owned(),
                summary: summary.relu_count,
                checkpoint: kept,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            config: folder.read_config()?,
            records: records(&folder.metrics_path())?,
            summary,
            model,
        })
    }

    /// The name of its folder.
    pub fn name(&self) -> String {
        let real = self.path.canonicalize();
        let path = real.as_deref().unwrap_or(&self.path);
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        match (name.as_str(), path.parent().and_then(Path::file_name)) {
            // Every control is called so: say whose it is.
            ("control", Some(parent)) => format!("{}/control", parent.to_string_lossy()),
            _ => name,
        }
    }

    /// Whether it only trained a teacher.
    pub fn is_teacher(&self) -> bool {
        self.summary.method == "teacher"
    }

    /// Method, polynomial, granularity and objective, in words: what runs of one series share.
    pub fn label(&self) -> String {
        let summary = &self.summary;
        let mut label = summary.method.clone();
        if let Some(polynomial) = &summary.polynomial {
            label += &format!(", {}", word(polynomial));
        }
        if let Some(degree) = summary.degree {
            label += &format!(" degree {degree}");
        }
        if let Some(granularity) = summary.granularity.as_ref().map(word)
            && granularity != "element"
        {
            label += &format!(", by {granularity}");
        }
        if let Some(cost) = summary.cost.as_deref().filter(|cost| *cost != "relu") {
            label += &format!(", priced by {cost}");
        }
        label
    }

    /// The settings but for those that tell seeds apart: runs that agree in it may be averaged.
    pub fn experiment(&self) -> String {
        let config = self.config.as_deref().unwrap_or_default();
        let Ok(mut table) = config.parse::<toml::Table>() else {
            return config.to_owned();
        };
        table.remove("seed");
        if let Some(teacher) = table.get_mut("teacher").and_then(|t| t.as_table_mut()) {
            teacher.remove("from");
        }
        table.to_string()
    }

    /// What each activation site holds.
    pub fn counts(&self) -> Vec<SiteCounts> {
        let (layout, tensors) = (&self.model.layout, &self.model.tensors);
        let kept = tensors.kept(layout).into_iter();
        let counts = layout.sites.iter().zip(kept.zip(tensors.squares(layout)));
        let counts = counts.map(|(site, (relus, squares))| SiteCounts {
            elements: site.shape.len(),
            relus,
            squares,
        });
        counts.collect()
    }

    /// The mask of a site.
    pub fn mask(&self, site: &Site) -> &[f32] {
        &self.model.tensors.mask[site.range()]
    }
}

/// How serde writes an enum's variant.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

/// The records of a log. Lines that are none, such as the last one of a process that was killed,
/// are left out.
fn records(path: &Path) -> Result<Vec<Record>, ReportError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(FileError::on("read", path))?,
    };
    let lines = text.split(|&byte| byte == b'\n');
    let records = lines.filter_map(|line| serde_json::from_slice(line).ok());
    Ok(records.collect())
}
