use crate::harness::*;
use autorep::kernels::step::StepScalars;
use autorep::kernels::{Compiler, loss};
use autorep::reference::loss as twin;

/// One batch: logits scaled by `scale`, labels over 50 images, a shuffled order.
struct Case {
    spec: loss::Spec,
    step: StepScalars,
    logits: Vec<f32>,
    teacher: Vec<f32>,
    labels: Vec<u32>,
    order: Vec<u32>,
}

impl Case {
    fn new(batch: usize, classes: usize, count: usize, scale: f32) -> Self {
        let scaled = |seed| -> Vec<f32> {
            let values = noise(seed, batch * classes);
            values.iter().map(|v| v * scale).collect()
        };
        let images = batch as u32 + 7;
        Self {
            spec: loss::Spec {
                batch,
                classes,
                distill: false,
                gradient: true,
            },
            step: StepScalars {
                first: 3,
                count: count as u32,
                ce_weight: 0.7,
                kd_weight: 1.3,
                temperature: 4.0,
                smoothing: 0.1,
                ..Default::default()
            },
            logits: scaled(1),
            teacher: scaled(2),
            labels: (0..images).map(|i| i * 31 % classes as u32).collect(),
            order: (0..images).map(|i| images - 1 - i).collect(),
        }
    }

    fn weights(&self) -> twin::Weights {
        twin::Weights {
            ce: self.step.ce_weight.into(),
            kd: self.step.kd_weight.into(),
            temperature: self.step.temperature.into(),
            smoothing: self.step.smoothing.into(),
        }
    }

    fn count(&self) -> usize {
        self.step.count as usize
    }

    fn row(values: &[f32], n: usize, classes: usize) -> Vec<f64> {
        wide(&values[n * classes..][..classes])
    }

    /// Logits, teacher logits and label of sample `n`.
    fn sample(&self, n: usize) -> (Vec<f64>, Option<Vec<f64>>, usize) {
        let classes = self.spec.classes;
        let image = self.order[self.step.first as usize + n];
        (
            Self::row(&self.logits, n, classes),
            self.spec
                .distill
                .then(|| Self::row(&self.teacher, n, classes)),
            self.labels[image as usize] as usize,
        )
    }

    /// The kernel's `dz` (empty in evaluation) and `samples`.
    fn run(&self, compiler: &Compiler) -> (Vec<f32>, Vec<f32>) {
        let recipe = loss::loss(compiler, &self.spec).unwrap();
        let mut arguments = vec![
            Data::Uniform(bytemuck::bytes_of(&self.step)),
            Data::In(&self.logits),
        ];
        if self.spec.distill {
            arguments.push(Data::In(&self.teacher));
        }
        arguments.extend([Data::Words(&self.labels), Data::Words(&self.order)]);
        if self.spec.gradient {
            arguments.push(Data::Out(self.logits.len()));
        }
        arguments.push(Data::Out(4 * self.spec.batch));
        let mut out = run(compiler, &recipe, &arguments);
        let samples = out.pop().unwrap();
        let dz = if self.spec.gradient {
            out.pop().unwrap()
        } else {
            Vec::new()
        };
        (dz, samples)
    }

    /// Runs the kernel and compares everything it writes with the twin.
    fn check(&self, compiler: &Compiler) {
        let what = format!(
            "{:?}, {} count ({})",
            self.spec,
            self.count(),
            compiler.tiling
        );
        let (dz, samples) = self.run(compiler);
        let mut want = vec![Vec::new(); 4];
        let mut want_dz = Vec::new();
        for n in 0..self.spec.batch {
            if n >= self.count() {
                want.iter_mut().for_each(|column| column.push(0.0));
                want_dz.extend(vec![0.0; self.spec.classes]);
                continue;
            }
            let (z, q, label) = self.sample(n);
            let sample = twin::sample(&z, q.as_deref(), label, &self.weights());
            want[0].push(sample.ce);
            want[1].push(sample.kd);
            want[2].push(f64::from(u8::from(sample.top1)));
            want[3].push(f64::from(u8::from(sample.top5)));
            want_dz.extend(
                twin::gradient(&z, q.as_deref(), label, &self.weights())
                    .iter()
                    .map(|slope| slope / self.count() as f64),
            );
        }
        for (column, name) in ["CE", "KD", "top-1", "top-5"].iter().enumerate() {
            let got: Vec<f32> = samples.iter().skip(column).step_by(4).copied().collect();
            assert_close(&format!("{name} of {what}"), &got, &want[column], 1e-5);
        }
        if self.spec.gradient {
            assert_close(&format!("dz of {what}"), &dz, &want_dz, 1e-5);
        }
    }
}

#[test]
fn loss_matches_its_twin() {
    let shapes = [
        (1, 1, 1),
        (1, 10, 1),
        (3, 2, 2),
        (7, 10, 5),
        (5, 100, 5),
        (4, 333, 3),
        (2, 1000, 2),
        (130, 10, 129),
        (3, 7, 0),
    ];
    on_every_engine(|compiler| {
        for (batch, classes, count) in shapes {
            for (distill, gradient) in [(false, false), (false, true), (true, false), (true, true)]
            {
                let mut case = Case::new(batch, classes, count, 5.0);
                case.spec.distill = distill;
                case.spec.gradient = gradient;
                case.check(compiler);
                case.step.smoothing = 0.0;
                case.check(compiler);
            }
        }
    });
}

#[test]
fn huge_logits_stay_finite() {
    on_every_engine(|compiler| {
        for scale in [1e4, 1e20, 1e33] {
            let mut case = Case::new(6, 10, 6, scale);
            case.spec.distill = true;
            case.check(compiler);
        }
        let mut case = Case::new(6, 10, 6, 3e38);
        case.spec.distill = true;
        let (dz, samples) = case.run(compiler);
        assert!(dz.iter().chain(&samples).all(|value| value.is_finite()));
    });
}

#[test]
fn gradient_matches_finite_differences() {
    on_every_engine(|compiler| {
        let mut case = Case::new(5, 11, 4, 3.0);
        case.spec.distill = true;
        let (dz, _) = case.run(compiler);
        let mean_loss = |logits: &[f64]| -> f64 {
            let rows = logits.chunks(case.spec.classes).take(case.count());
            let sum: f64 = rows
                .enumerate()
                .map(|(n, z)| {
                    let (_, q, label) = case.sample(n);
                    let weights = case.weights();
                    let sample = twin::sample(z, q.as_deref(), label, &weights);
                    weights.ce * sample.ce + weights.kd * sample.kd
                })
                .sum();
            sum / case.count() as f64
        };
        let want = finite_differences(&wide(&case.logits), mean_loss);
        assert_close("dz against finite differences", &dz, &want, 1e-5);
    });
}

#[test]
fn equal_logits_rank_by_class_and_a_nan_hits_nothing() {
    on_every_engine(|compiler| {
        let mut case = Case::new(5, 8, 5, 1.0);
        case.logits.fill(0.25);
        case.labels = (0..case.labels.len() as u32).map(|i| i % 8).collect();
        case.check(compiler);

        // A NaN at the label, elsewhere, everywhere; and an infinity.
        let bad = |index: usize, value: f32| (index, value);
        for (index, value) in [bad(0, f32::NAN), bad(5, f32::NAN), bad(2, f32::INFINITY)] {
            let mut case = Case::new(1, 6, 1, 1.0);
            case.labels.fill(0);
            case.logits[0] = 9.0;
            let (_, samples) = case.run(compiler);
            assert_eq!(samples[2..], [1.0, 1.0]);
            case.logits[index] = value;
            let (_, samples) = case.run(compiler);
            assert_eq!(samples[2..], [0.0, 0.0], "{value} at {index}");
            assert!(!samples[0].is_finite(), "the loss must show the fault");
        }
    });
}
