//! The presets: each can be read, builds its network, says what it is and what memory it takes.

use autorep::data::{Images, Normalization};
use autorep::gpu::{AdapterReport, Gpu, GpuError};
use autorep::graph::{Layout, Network};
use autorep::kernels::{Compiler, Tiling};
use autorep::models::ModelSpec;
use autorep::profile::step::{self, Step, StepSpec};
use autorep::run::mark::Phase;
use autorep::search::budget::Budget;
use autorep::search::phases::{Plan, footprints};
use autorep::settings::Settings;
use autorep::settings::layers::Layers;
use autorep::settings::presets::{About, PRESETS, find};
use autorep::step::account::Need;
use autorep::train::forecast::{self, Cut, Forecast, ForecastError};
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

/// Reads a preset and builds its network.
fn read(name: &str) -> (About, Settings, Network) {
    let preset = find(name).unwrap();
    let about = preset.about().unwrap();
    let mut layers = Layers::default();
    layers.preset(preset).unwrap();
    let settings = layers.finish().unwrap();
    let spec = ModelSpec {
        name: settings.model.clone(),
        width: settings.width,
        input: (about.side, about.side),
        classes: about.classes,
    };
    let network = spec.build().unwrap_or_else(|e| panic!("{name}: {e}"));
    (about, settings, network)
}

#[test]
fn every_preset_is_read_and_its_network_built() {
    for preset in PRESETS {
        let (about, settings, network) = read(preset.name);
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

#[test]
fn the_memory_of_every_preset_is_planned() {
    let gpu = Gpu::planner(&AdapterReport::typical());
    for preset in PRESETS {
        let (about, settings, network) = read(preset.name);
        let plan = Plan::of(
            &gpu,
            about.images,
            (about.side, about.side),
            &settings,
            &network,
        )
        .unwrap();
        assert_eq!(plan.cut.batch, settings.batch, "{}", preset.name);
        assert_eq!(plan.shortage, None);
        let phases: Vec<Phase> = plan.phases.iter().map(|(phase, _)| *phase).collect();
        assert_eq!(phases, Phase::ALL);
        let parameters = 4 * Layout::new(&network).params.len as u64;
        let pixels = (3 * about.images * about.side * about.side) as u64;
        for (phase, memory) in &plan.phases {
            let parts = memory.categories().map(|(_, need)| need);
            let sum = |of: fn(&Need) -> u64| parts.iter().map(of).sum::<u64>();
            let total = memory.total();
            assert_eq!(sum(|need| need.planned), total.planned);
            assert_eq!(sum(|need| need.least), total.least);
            assert!(parts.iter().all(|need| need.least <= need.planned));
            // What can be told without planning: weights, a teacher's beside them, the images.
            let networks = if *phase == Phase::Teacher { 1 } else { 2 };
            assert!(memory.parameters.planned >= networks * parameters);
            assert_eq!(memory.dataset.planned > pixels, plan.resident.is_some());
        }
    }
}

/// A step's memory as `autorep profile` shows it, and what its phase takes.
#[test]
fn a_phase_takes_a_step_and_its_validation() {
    let gpu = Gpu::planner(&AdapterReport::typical());
    let (about, settings, network) = read("cifar10-resnet18-12.9k");
    let plan = Plan::of(
        &gpu,
        about.images,
        (about.side, about.side),
        &settings,
        &network,
    )
    .unwrap();
    let images = vec![0; 3 * 32 * 32 * settings.batch];
    let step = Step::compile(
        &Compiler::new(&gpu, Tiling::for_adapter(&gpu)),
        &StepSpec {
            network: &network,
            phase: step::Phase::Search,
            batch: settings.batch,
            micro_batches: plan.cut.parts,
            recompute: false,
            images: &Images {
                height: 32,
                width: 32,
                pixels: images,
                labels: vec![0; settings.batch],
            },
            pixels: Normalization {
                mean: [0.0; 3],
                std: [1.0; 3],
            },
        },
    )
    .unwrap();
    let (_, phase) = &plan.phases[1];
    let step = step.memory();
    assert_eq!(phase.parameters, step.parameters);
    assert_eq!(phase.optimizer, step.optimizer);
    assert_eq!(phase.scores, step.scores);
    let [phase, step] = [phase, step].map(|memory| memory.activations.planned as f64);
    assert!((1.0..1.02).contains(&(phase / step)), "{phase} {step}");
}

/// A run of a small network whose limit lies at the edge of what a batch takes.
#[test]
fn the_largest_batch_that_is_named_fits_and_one_more_does_not() {
    let gpu = Gpu::planner(&AdapterReport::typical());
    let spec = ModelSpec {
        name: "resnet8".into(),
        width: 1.0,
        input: (32, 32),
        classes: 10,
    };
    let network = spec.build().unwrap();
    let mut settings = Settings::default();
    let footprints = footprints(&settings, Phase::Finish);
    let forecast = |limit| Forecast {
        compiler: Compiler::new(&gpu, Tiling::for_adapter(&gpu)),
        network: &network,
        footprints: &footprints,
        resident: Some(1000),
        limit: Some(limit),
    };
    let cut = |batch, parts| Cut {
        batch,
        parts,
        recompute: false,
    };
    let shortage = |limit, cut| match forecast(limit).check(cut) {
        Err(ForecastError::Shortage(shortage)) => *shortage,
        other => panic!("{other:?}"),
    };
    let need = |cut| {
        let needs = footprints
            .iter()
            .map(|shape| forecast(0).memory(shape, cut).unwrap().total().planned);
        needs.max().unwrap()
    };
    // Exactly the memory of 23 images; one byte less takes one image.
    let limit = need(cut(23, 1));
    let found = shortage(limit, cut(64, 1));
    assert_eq!(found.largest, Some(cut(23, 1)));
    assert_eq!(found.parts, Some(4));
    assert!(forecast(limit).check(cut(23, 1)).is_ok());
    assert!(forecast(limit).check(cut(24, 1)).is_err());
    assert!(forecast(limit).check(cut(64, 4)).is_ok());
    assert!(forecast(limit).check(cut(64, 2)).is_err());
    assert_eq!(shortage(limit - 1, cut(64, 1)).largest, Some(cut(22, 1)));
    let text = found.to_string();
    for words in [
        "the search phase needs",
        "for a batch of 64",
        "`a GPU` has",
        "--batch 23",
        "64 fit with --micro-batches 4",
    ] {
        assert!(text.contains(words), "{text}");
    }
    // A batch that is to be taken in parts stays a multiple of them.
    let found = shortage(need(cut(40, 4)), cut(64, 4));
    assert_eq!(found.largest, Some(cut(40, 4)));
    assert!(found.to_string().contains("--batch 40 --micro-batches 4"));
    // A little more than half is not enough without recomputing, and is with it.
    let again = Cut {
        recompute: true,
        ..cut(64, 1)
    };
    let found = shortage(need(again), cut(64, 1));
    assert!(found.recompute && found.to_string().contains("recompute=true"));
    // Nothing fits into nothing.
    let none = shortage(1 << 20, cut(64, 1));
    assert_eq!((none.largest, none.parts), (None, None));
    assert!(none.to_string().contains("not even one image"));

    // A failed allocation ends in the same words, with what the program had by then.
    let failed = |held| GpuError::OutOfMemory {
        what: "activations".into(),
        bytes: 1 << 20,
        held,
        adapter: "a GPU".into(),
    };
    match forecast(0).explain(cut(64, 1), failed(limit)) {
        ForecastError::Shortage(shortage) => assert_eq!(shortage.largest, Some(cut(23, 1))),
        other => panic!("{other:?}"),
    }
    let unknown = forecast(0).explain(cut(64, 1), failed(0));
    assert!(unknown.to_string().contains("smaller --batch"), "{unknown}");

    // An adapter with small bindings takes a batch in parts of its own accord.
    settings.batch = 64;
    let whole = cut(64, 1);
    assert_eq!(
        forecast::cut(&settings, &network, 64, u64::MAX).unwrap(),
        whole
    );
    let largest = 4 * 16 * 32 * 32;
    let taken = forecast::cut(&settings, &network, 64, 16 * largest).unwrap();
    assert_eq!(taken, cut(64, 4));
}

#[test]
fn a_buffer_that_cannot_be_bound_is_named() {
    let adapter = AdapterReport {
        max_binding_bytes: 1 << 20,
        ..AdapterReport::typical()
    };
    let gpu = Gpu::planner(&adapter);
    let (_, mut settings, network) = read("cifar10-resnet18-12.9k");
    settings.micro_batches = 1;
    let forecast = Forecast {
        compiler: Compiler::new(&gpu, Tiling::for_adapter(&gpu)),
        network: &network,
        footprints: &footprints(&settings, Phase::Teacher),
        resident: None,
        limit: None,
    };
    let cut = forecast::cut(&settings, &network, 128, 1 << 20).unwrap();
    let error = forecast.check(cut).unwrap_err().to_string();
    for words in [
        "in one buffer",
        "not even one image",
        "`a GPU` allows 1.00 MiB",
    ] {
        assert!(error.contains(words), "{error}");
    }
}
