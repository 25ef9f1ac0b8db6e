//! Whole training steps: micro-batches against the whole batch, tilings against each other, and
//! the same step twice.

use autorep::data::{Normalization, Resident, builtin};
use autorep::gpu::{AdapterChoice, Gpu};
use autorep::graph::{Activations, Arenas, Layout, Loaded, Network, Tensors};
use autorep::kernels::dapa::{Fit, Form};
use autorep::kernels::metrics::Record;
use autorep::kernels::step::StepScalars;
use autorep::kernels::{Compiler, Tiling};
use autorep::models::ModelSpec;
use autorep::settings::Optimizer;
use autorep::step::{AUTOREP, TrainProgram, TrainSpec, Variation};

const SIZE: usize = 16;
const BATCH: usize = 16;

fn network() -> Network {
    let spec = ModelSpec {
        name: "resnet8".into(),
        width: 0.25,
        input: (SIZE, SIZE),
        classes: 10,
    };
    spec.build().unwrap()
}

fn images(gpu: &Gpu) -> Resident {
    let spec = builtin::Spec {
        train: 64,
        test: 10,
        size: SIZE,
        ..Default::default()
    };
    Resident::upload(gpu, &builtin::generate(spec).unwrap().train).unwrap()
}

/// Takes `steps` search steps over the images of `order`, round and round.
fn search(
    compiler: &Compiler,
    images: &Resident,
    micro_batches: usize,
    order: &[u32],
    steps: u32,
) -> (Tensors, Vec<Record>) {
    let gpu = compiler.gpu;
    let network = network();
    let layout = Layout::new(&network);
    let tensors = Tensors::initial(&layout, 3);
    let (student, teacher) = (
        Arenas::upload(gpu, &tensors).unwrap(),
        Arenas::upload(gpu, &Tensors::initial(&layout, 4)).unwrap(),
    );
    let loaded = |arenas| Loaded {
        network: &network,
        layout: &layout,
        arenas,
    };
    let fit = Fit {
        degree: 2,
        form: Form::Exact { limit: 2.0 },
    };
    let spec = TrainSpec {
        student: loaded(&student),
        teacher: Some(loaded(&teacher)),
        activations: Activations::Gate {
            fit: Some(fit),
            degree: 2,
            slopes: false,
        },
        batch: BATCH,
        micro_batches,
        recompute: false,
        images,
        pixels: Normalization {
            mean: [0.5; 3],
            std: [0.25; 3],
        },
        variation: Variation::NONE,
        optimizer: Optimizer::Sgd,
        search: Some(&AUTOREP),
        lines: &[],
        lookahead: false,
        averaging: false,
    };
    let mut program = TrainProgram::compile(compiler, &spec).unwrap();
    program.start_at(0);
    program.set_order(gpu, order);
    let batches = (order.len() / BATCH) as u32;
    let mut records = Vec::new();
    for step in 0..steps {
        let scalars = StepScalars {
            rate: [0.01; 4],
            step,
            seed: 1,
            first: step % batches * BATCH as u32,
            count: BATCH as u32,
            kd_weight: 1.0,
            refit: if step == 0 { 3 } else { 1 },
            budget: network.relu_total() as f32 / 2.0,
            score_rate: 0.01,
            threshold: 0.003,
            penalty: 1e-3,
            ..Default::default()
        };
        program.step(gpu, &scalars).unwrap();
        if (step + 1) % 8 == 0 {
            records.extend(program.exchange_records(gpu, step + 1).unwrap());
        }
    }
    records.extend(program.drain_records(gpu, steps).unwrap());
    // A step that was never taken, as of a device that drops work and calls it done.
    let lost = program
        .drain_records(gpu, steps + 1)
        .unwrap_err()
        .to_string();
    assert!(
        lost.contains(&format!("has not taken step {steps}")),
        "{lost}"
    );
    (student.download(gpu, &layout).unwrap(), records)
}

/// Norm of the difference over the norm of `b`.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: f64| v * v;
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(square).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)))
        / norm(&mut b.iter().map(|&b| f64::from(b)))
}

fn mean_loss(records: &[Record]) -> f64 {
    let sum: f64 = records.iter().map(|r| f64::from(r.ce + r.kd)).sum();
    sum / records.iter().map(|r| f64::from(r.count)).sum::<f64>()
}

#[test]
fn equal_halves_train_as_the_whole_batch() {
    // Both halves of every batch hold the same images, so that batch norm sees the same
    // statistics in a half as in the whole: then nothing may tell the two apart but rounding,
    // and the correction n/(n−1) of running variances.
    let gpu = Gpu::open(&AdapterChoice::default()).unwrap();
    let compiler = Compiler::new(&gpu, Tiling::for_adapter(&gpu));
    let images = images(&gpu);
    let half = BATCH as u32 / 2;
    let order: Vec<u32> = (0..4)
        .flat_map(|b| (0..2).flat_map(move |_| b * half..(b + 1) * half))
        .collect();
    let (whole, whole_records) = search(&compiler, &images, 1, &order, 6);
    let (parts, parts_records) = search(&compiler, &images, 2, &order, 6);
    assert!(distance(&parts.params, &whole.params) < 1e-4);
    assert!(distance(&parts.scores, &whole.scores) < 1e-4);
    assert!(distance(&parts.state, &whole.state) < 5e-3);
    assert_eq!(parts.mask, whole.mask);
    for (part, whole) in parts_records.iter().zip(&whole_records) {
        assert_eq!(
            (part.step, part.count, part.top1),
            (whole.step, whole.count, whole.top1)
        );
        assert!((part.ce - whole.ce).abs() < 1e-3 * whole.ce);
        assert!((part.kd - whole.kd).abs() < 1e-3 * whole.kd);
        assert!((part.gradient_norm - whole.gradient_norm).abs() < 1e-3 * whole.gradient_norm);
    }
    // And with different halves batch norm does tell them apart.
    let order: Vec<u32> = (0..64).collect();
    let (whole, _) = search(&compiler, &images, 1, &order, 6);
    let (parts, _) = search(&compiler, &images, 2, &order, 6);
    assert!(distance(&parts.params, &whole.params) > 1e-4);
}

#[test]
fn tilings_agree_after_fifty_steps_and_each_repeats_itself_to_the_bit() {
    let gpu = Gpu::open(&AdapterChoice::default()).unwrap();
    let images = images(&gpu);
    let order: Vec<u32> = (0..64).collect();
    let own = Compiler::new(&gpu, Tiling::for_adapter(&gpu));
    let (first, first_records) = search(&own, &images, 1, &order, 50);
    let (again, _) = search(&own, &images, 1, &order, 50);
    assert_eq!(first, again);
    let start = Tensors::initial(&Layout::new(&network()), 3);
    let moved = distance(&start.params, &first.params);
    for tiling in [Tiling::Portable, Tiling::Large] {
        let (other, records) = search(&own.with_tiling(tiling), &images, 1, &order, 50);
        let apart = distance(&other.params, &first.params);
        eprintln!("{tiling}: parameters {apart:.1e} apart after moving {moved:.1e}");
        // Other orders of summation, amplified by fifty steps.
        assert!(apart < 0.01 * moved, "{tiling}: {apart:.1e} of {moved:.1e}");
        let (a, b) = (mean_loss(&records), mean_loss(&first_records));
        assert!((a - b).abs() < 1e-3 * b, "{tiling}: loss {a} against {b}");
    }
}
