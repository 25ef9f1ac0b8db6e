//! `autorep sweep --gather`: what there is of a sweep, at any time and whoever runs it. Run folders and
//! logs are read, nothing is asked of schedulers.

use super::record::{Record, Search, TEACHER};
use super::standing::{State, Unfinished};
use super::table::{Table, published};
use crate::run::folder::RunFolder;
use crate::run::model_file;
use crate::run::store::RESULT;
use crate::search::sweep::{Finished, rows};
use crate::settings::Settings;
use anyhow::{Context, Result};
use rayon::prelude::*;
use std::path::Path;

/// All that there is of the sweep in `out`.
pub fn gather(out: &Path) -> Result<Table> {
    let record = Record::read(out)?;
    let searches = record.searches()?;
    let looks: Vec<Look> = searches
        .par_iter()
        .map(|search| look(out, search))
        .collect();
    let mut unfinished = Vec::new();
    if record.teacher().is_none() && !RunFolder::is_finished(&out.join(TEACHER)) {
        unfinished.push(Unfinished::of(out, TEACHER));
    }
    let mut finished = Vec::new();
    for look in looks {
        match look {
            Look::Finished(run) => finished.push(*run),
            Look::Unfinished(run) => unfinished.push(run),
        }
    }
    let rows = rows(&finished);
    Ok(Table {
        searches: searches.len(),
        finished: finished.len(),
        published: match finished.first() {
            Some(first) => published(&out.join(&first.entry.name), &first.summary, &rows)?,
            None => Vec::new(),
        },
        unfinished,
        rows,
    })
}

/// What is seen of a search.
enum Look {
    Finished(Box<Finished>),
    Unfinished(Unfinished),
}

fn look(out: &Path, search: &Search) -> Look {
    let name = &search.entry.name;
    let folder = out.join(name);
    let unfinished = |state, last| {
        let name = name.clone();
        Look::Unfinished(Unfinished { name, state, last })
    };
    if !RunFolder::is_finished(&folder) {
        return Look::Unfinished(Unfinished::of(out, name));
    }
    match read(&folder, search) {
        Ok(Some(run)) => Look::Finished(Box::new(run)),
        Ok(None) => unfinished(State::OtherSettings, None),
        // One that cannot be read must not hide the others.
        Err(error) => unfinished(State::Failed, Some(format!("{error:#}"))),
    }
}

/// A run that is complete; `None` where it is another search's.
fn read(folder: &Path, search: &Search) -> Result<Option<Finished>> {
    let run = RunFolder::open(folder)?;
    let text = run.read_config()?.context("config.toml is missing")?;
    let mut settings: Settings = toml::from_str(&text).context("config.toml")?;
    // The sweep may have been moved since, with its teacher.
    settings.teacher.from = search.settings.teacher.from.clone();
    if settings != search.settings {
        return Ok(None);
    }
    let kept = model_file::kept(&run.checkpoints().path(RESULT))?;
    Ok(Some(Finished {
        entry: search.entry.clone(),
        summary: run.read_summary()?,
        kept: kept.into_iter().collect(),
    }))
}
