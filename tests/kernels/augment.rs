use crate::harness::*;
use autorep::gpu::Pipeline;
use autorep::kernels::augment::{self, Spec};
use autorep::kernels::step::StepScalars;
use autorep::kernels::{Compiler, Cost, Kernel, Recipe, Size};
use autorep::reference::augment as twin;
use autorep::reference::random;

const IMAGES: u32 = 23;

struct Case {
    spec: Spec,
    step: StepScalars,
    order: Vec<u32>,
    /// All images of the data set.
    bytes: Vec<u8>,
}

impl Case {
    fn new(batch: usize, (height, width): (usize, usize), pad: u32, cutout: u32) -> Self {
        let bytes = 3 * height * width * IMAGES as usize;
        Self {
            spec: Spec {
                batch,
                height,
                width,
                chunk: 0..IMAGES,
                first_chunk: true,
                mean: [0.4914, 0.0, 0.4465],
                std: [0.2023, 1.0, 0.2010],
                pad,
                flip: true,
                cutout,
            },
            step: StepScalars {
                first: 2,
                count: batch as u32,
                augment: 1,
                seed: 0xdead_beef,
                epoch: 5,
                ..Default::default()
            },
            order: (0..batch as u32 + 9).map(|i| i * 5 % IMAGES).collect(),
            bytes: noise(9, bytes)
                .iter()
                .map(|v| (v * 127.0 + 128.0) as u8)
                .collect(),
        }
    }

    fn image_len(&self) -> usize {
        3 * self.spec.height * self.spec.width
    }

    /// Runs the kernel of images `chunk` on a batch that holds `x`, or poison.
    fn run(&self, compiler: &Compiler, chunk: std::ops::Range<u32>, x: Option<&[f32]>) -> Vec<f32> {
        let spec = Spec {
            first_chunk: chunk.start == 0,
            chunk: chunk.clone(),
            ..self.spec.clone()
        };
        let held = chunk.start as usize * self.image_len()..chunk.end as usize * self.image_len();
        let mut bytes = self.bytes[held].to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0xff);
        let words: Vec<u32> = bytes
            .chunks(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect();
        let recipe = augment::augment(compiler, &spec).unwrap();
        let arguments = [
            Data::Uniform(bytemuck::bytes_of(&self.step)),
            Data::Words(&self.order),
            Data::Words(&words),
            match x {
                Some(x) => Data::InOut(x),
                None => Data::Out(spec.batch * self.image_len()),
            },
        ];
        run(compiler, &recipe, &arguments).swap_remove(3)
    }

    fn want(&self) -> Vec<f64> {
        let spec = twin::Spec {
            size: (self.spec.height, self.spec.width),
            mean: self.spec.mean.map(f64::from),
            std: self.spec.std.map(f64::from),
            pad: self.spec.pad as usize,
            flip: self.spec.flip,
            alternate: self.step.augment == 2,
            cutout: self.spec.cutout as usize,
        };
        let step = &self.step;
        (0..self.spec.batch)
            .flat_map(|n| {
                if n >= step.count as usize {
                    return vec![0.0; self.image_len()];
                }
                let image = self.order[step.first as usize + n];
                let drawn = match step.augment {
                    0 => twin::Drawn::nothing(&spec),
                    _ => twin::Drawn::new(&spec, step.seed, step.epoch, image),
                };
                let bytes = &self.bytes[image as usize * self.image_len()..][..self.image_len()];
                twin::augment(&spec, &drawn, bytes)
            })
            .collect()
    }

    fn check(&self, compiler: &Compiler) {
        let got = self.run(compiler, 0..IMAGES, None);
        let what = format!("{:?} ({})", self.spec, compiler.tiling);
        assert_close(&what, &got, &self.want(), 1e-6);
    }
}

#[test]
fn augment_matches_its_twin() {
    on_every_engine(|compiler| {
        for (batch, size, pad, cutout, count) in [
            (1, (1, 1), 0, 0, 1),
            (3, (5, 7), 2, 3, 2),
            (4, (7, 4), 1, 4, 4),
            (13, (32, 32), 4, 8, 11),
            (2, (6, 9), 12, 1, 0),
            (2, (70, 61), 4, 16, 2),
        ] {
            let mut case = Case::new(batch, size, pad, cutout);
            case.step.count = count;
            case.check(compiler);
            case.step.augment = 0;
            case.check(compiler);
            case.step.augment = 2;
            case.check(compiler);
            case.step.augment = 1;
            case.spec.flip = false;
            case.check(compiler);
        }
    });
}

#[test]
fn chunks_fill_the_batch_together() {
    on_every_engine(|compiler| {
        // 105 bytes an image: every alignment to words occurs.
        let mut case = Case::new(12, (5, 7), 2, 2);
        case.step.count = 10;
        // The first image that the earlier chunk does not hold.
        case.order[3] = 8;
        // The later chunk first: no chunk may touch what belongs to another.
        let x = case.run(compiler, 8..IMAGES, None);
        assert!(x.iter().any(|value| value.to_bits() == POISON));
        let x = case.run(compiler, 0..8, Some(&x));
        assert_close("two chunks", &x, &case.want(), 1e-6);
    });
}

#[test]
fn an_epoch_draws_anew_and_a_seed_repeats() {
    on_every_engine(|compiler| {
        let mut case = Case::new(8, (16, 16), 4, 0);
        let once = case.run(compiler, 0..IMAGES, None);
        assert_eq!(once, case.run(compiler, 0..IMAGES, None));
        case.step.epoch += 1;
        assert_ne!(once, case.run(compiler, 0..IMAGES, None));
    });
}

#[test]
fn two_alternating_epochs_show_every_image_both_ways() {
    on_every_engine(|compiler| {
        let mut case = Case::new(12, (6, 5), 0, 0);
        case.step.augment = 2;
        let mirrored = |x: &[f32]| -> Vec<f32> {
            x.chunks(5)
                .flat_map(|row| row.iter().rev().copied())
                .collect()
        };
        let once = case.run(compiler, 0..IMAGES, None);
        case.step.epoch += 1;
        assert_eq!(case.run(compiler, 0..IMAGES, None), mirrored(&once));
        case.step.epoch += 1;
        assert_eq!(case.run(compiler, 0..IMAGES, None), once);
        // By a coin, some would look the same in both epochs; nor are all turned the same way.
        case.step.augment = 0;
        let plain = case.run(compiler, 0..IMAGES, None);
        assert!(once != plain && once != mirrored(&plain));
    });
}

#[test]
fn random_bits_are_those_of_the_host() {
    const ENTRY: &str = "
        @group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(64)
        fn draw(@builtin(global_invocation_id) id: vec3u) {
            out[2u * id.x] = random(id.x * 77u, 4294967295u - id.x, id.x, id.x % 5u);
            out[2u * id.x + 1u] = random_below(pcg(id.x), 1u + id.x * 1000u);
        }";
    // Without what it says of itself to those who include it.
    let file = include_str!("../../shaders/common/random.wgsl");
    let (_, functions) = file.split_once("#}").expect("a head");
    let source = [functions, ENTRY].concat();
    for gpu in gpus() {
        let compiler = Compiler::new(gpu, autorep::kernels::Tiling::Portable);
        let kernel = Kernel {
            pipeline: Pipeline::new("random", &source, "draw"),
            grid: [1, 1, 1],
            cost: Cost::default(),
        };
        let got = run(
            &compiler,
            &Recipe::single(kernel, vec![Size::Open]),
            &[Data::Out(128)],
        );
        for (i, pair) in (0u32..).zip(got[0].chunks(2)) {
            let want = random::random(i * 77, u32::MAX - i, i, i % 5);
            assert_eq!(pair[0].to_bits(), want);
            let want = random::below(random::pcg(i), 1 + i * 1000);
            assert_eq!(pair[1].to_bits(), want);
        }
    }
}
