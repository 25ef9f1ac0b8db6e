//! The presets: each can be read, builds its network, and says what it is.

use autorep::models::ModelSpec;
use autorep::search::budget::Budget;
use autorep::train::config::Layers;
use autorep::train::presets::{PRESETS, find};
use std::collections::BTreeSet;

#[test]
fn every_file_is_a_preset() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/presets");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let listed = PRESETS.iter().map(|preset| format!("{}.toml", preset.name));
    assert_eq!(files, listed.collect());
}

#[test]
fn every_preset_is_read_and_its_network_built() {
    for preset in PRESETS {
        let about = preset.about().unwrap();
        let mut layers = Layers::default();
        layers.preset(preset).unwrap();
        let settings = layers.finish().unwrap();
        let spec = ModelSpec {
            name: settings.model,
            width: settings.width,
            input: (about.side, about.side),
            classes: about.classes,
        };
        let network = spec
            .build()
            .unwrap_or_else(|e| panic!("{}: {e}", preset.name));
        let budget: Budget = settings.search.budget.parse().unwrap();
        let budget = budget.resolve(network.relu_total()).unwrap();
        // The name says what is in the file.
        if let Some((_, end)) = preset.name.rsplit_once('-') {
            assert_eq!(Ok(Budget::Count(budget)), end.parse(), "{}", preset.name);
            assert!(preset.name.contains(&network.name), "{}", preset.name);
            assert!(preset.name.contains(&about.data), "{}", preset.name);
        }
    }
}

#[test]
fn the_official_fit_ends_at_step_500() {
    let settings = |name: &str| {
        let mut layers = Layers::default();
        layers.preset(find(name).unwrap()).unwrap();
        layers.finish().unwrap()
    };
    for preset in PRESETS.iter().filter(|p| p.name.starts_with("official")) {
        let settings = settings(preset.name);
        let images = preset.about().unwrap().images as f64 * (1.0 - settings.validation);
        let steps = settings.search.epochs as u64 * (images as u64 / settings.batch as u64);
        let refits = autorep::search::dapa::refit_steps(&settings.search, steps);
        assert!((495..=505).contains(&refits), "{}: {refits}", preset.name);
    }
}
