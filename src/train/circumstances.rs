//! What decides the bits of a run beside its images: settings, adapter, kernels, program. Every rolling
//! checkpoint says under what it was written, and a run that goes on says what has changed since.

use crate::gpu::Gpu;
use crate::kernels::Tiling;
use crate::run::checkpoint::Checkpoint;
use crate::settings::Settings;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Settings that decide nothing but where things lie, or how often they are written.
const NEUTRAL: [&str; 6] = [
    // The images themselves are compared, wherever they lie.
    "data",
    "placement",
    "resident-gib",
    "memory-gib",
    "checkpoint-minutes",
    // Variants of a kernel give the same results.
    "tune",
];

/// Where a checkpoint keeps the settings.
const SETTINGS: &str = "settings";

/// What decides the bits of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Circumstances {
    /// All settings, as TOML.
    settings: String,
    /// Adapter, kernels and program, by the words that messages have for them.
    machine: BTreeMap<&'static str, String>,
}

/// What has changed since a checkpoint was written, each as `search.lambda: 100 → 200`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Settings.
    pub settings: Vec<String>,
    /// The rest. Another machine does not make another experiment, only other roundings.
    pub machine: Vec<String>,
}

impl Circumstances {
    /// Of a run with these settings.
    pub fn new(gpu: &Gpu, settings: &Settings, tiling: Tiling) -> Self {
        let report = &gpu.report;
        Self {
            // Settings are plain values: they always have a TOML form.
            settings: toml::to_string(settings).unwrap_or_default(),
            machine: BTreeMap::from([
                ("adapter", format!("{} ({})", report.name, report.driver)),
                ("kernels", tiling.to_string()),
                ("program", env!("CARGO_PKG_VERSION").to_owned()),
            ]),
        }
    }

    /// Adds them to the metadata of a checkpoint.
    pub(super) fn write(&self, metadata: &mut BTreeMap<String, String>) {
        metadata.insert(SETTINGS.to_owned(), self.settings.clone());
        let machine = self.machine.iter();
        metadata.extend(machine.map(|(what, value)| ((*what).to_owned(), value.clone())));
    }

    /// What is other than `checkpoint` says; checkpoints of earlier versions say nothing.
    pub fn since(&self, checkpoint: &Checkpoint) -> Changes {
        let before = checkpoint.metadata.get(SETTINGS).map(|text| flat(text));
        let now = flat(&self.settings);
        let mut changes = Changes::default();
        for (key, was) in before.unwrap_or_default() {
            let is = now.get(&key).cloned().unwrap_or_default();
            // A setting that this version no longer has is its affair, not the user's.
            if was != is && !is.is_empty() && !NEUTRAL.contains(&key.as_str()) {
                changes.settings.push(format!("{key}: {was} → {is}"));
            }
        }
        for (what, is) in &self.machine {
            let was = checkpoint.metadata.get(*what);
            if let Some(was) = was.filter(|was| *was != is) {
                changes.machine.push(format!("{what}: {was} → {is}"));
            }
        }
        changes
    }
}

/// Settings by their full names, as they are written.
fn flat(text: &str) -> BTreeMap<String, String> {
    fn walk(table: &Table, prefix: &str, into: &mut BTreeMap<String, String>) {
        for (key, value) in table {
            match value {
                Value::Table(inner) => walk(inner, &format!("{prefix}{key}."), into),
                value => {
                    into.insert(format!("{prefix}{key}"), value.to_string());
                }
            }
        }
    }
    let mut settings = BTreeMap::new();
    walk(&text.parse().unwrap_or_default(), "", &mut settings);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circumstances(change: impl Fn(&mut Settings), adapter: &str) -> Circumstances {
        let mut settings = Settings::default();
        change(&mut settings);
        Circumstances {
            settings: toml::to_string(&settings).unwrap(),
            machine: BTreeMap::from([("adapter", adapter.to_owned())]),
        }
    }

    #[test]
    fn what_changed_is_named_and_what_decides_nothing_is_not() {
        let mut checkpoint = Checkpoint::default();
        circumstances(|_| {}, "one").write(&mut checkpoint.metadata);
        assert_eq!(
            circumstances(|_| {}, "one").since(&checkpoint),
            Changes::default()
        );
        let moved = circumstances(
            |settings| {
                settings.data = "/elsewhere".into();
                settings.checkpoint_minutes = 1.0;
            },
            "two",
        );
        let changes = moved.since(&checkpoint);
        assert_eq!(changes.settings, [""; 0]);
        assert_eq!(changes.machine, ["adapter: one → two"]);
        let other = circumstances(|settings| settings.search.lambda = 200.0, "one");
        let changes = other.since(&checkpoint);
        assert_eq!(changes.settings, ["search.lambda: 100.0 → 200.0"]);
        // Checkpoints of earlier versions.
        assert_eq!(other.since(&Checkpoint::default()), Changes::default());
    }
}
