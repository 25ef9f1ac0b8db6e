//! The kernels around the network on small data: images, loss and record of a step, optimisers, scores and
//! thresholds, polynomials. `lab` has those of the network itself.

use super::bench::{Bench, Built, counted, scalars, words};
use super::case::{CaseBuffer, noise, wide};
use crate::kernels::dapa::{Fit, Form};
use crate::kernels::gate::Partials;
use crate::kernels::indicator::Rule;
use crate::kernels::metrics::Prices;
use crate::kernels::squares::Group;
use crate::kernels::step::StepScalars;
use crate::kernels::{
    Compiler, augment, dapa, dropout, indicator, loss, metrics, optimizer, plane, squares,
    threshold,
};
use crate::reference as twin;

/// All of them, in the order of a step.
pub const BENCHES: &[Bench] = &[
    Bench {
        what: "4 of 5 images of 8×8, cropped, mirrored, with a hole",
        build: gathered,
    },
    Bench {
        what: "dropout of a quarter of 4×64",
        build: dropped,
    },
    Bench {
        what: "moments and polynomials of 3 channels, normalised",
        build: polynomials,
    },
    Bench {
        what: "moments and polynomials of 3 channels, least squares",
        build: least_squares,
    },
    Bench {
        what: "loss of 8×10 with a teacher",
        build: compared,
    },
    Bench {
        what: "norm of 512 gradients",
        build: gradient_norm,
    },
    Bench {
        what: "descent of 512 parameters",
        build: descended,
    },
    Bench {
        what: "Adam on 512 parameters",
        build: adapted,
    },
    Bench {
        what: "slow weights of 512 parameters",
        build: looked_ahead,
    },
    Bench {
        what: "averages of 512 parameters",
        build: averaged,
    },
    Bench {
        what: "gradients of 3 groups, shared",
        build: shared,
    },
    Bench {
        what: "scores of 512 elements",
        build: scored,
    },
    Bench {
        what: "the best of 512 elements",
        build: selected,
    },
    Bench {
        what: "squares of 5 channels, with scores of their own",
        build: squared,
    },
    Bench {
        what: "scores of the squares of 5 channels",
        build: measured,
    },
    Bench {
        what: "squares of 5 channels by a threshold",
        build: applied,
    },
    Bench {
        what: "lines among 6 channels",
        build: held,
    },
    Bench {
        what: "record of a step of 8 images, 4 sites",
        build: recorded,
    },
];

fn gathered(compiler: &Compiler) -> Built {
    const SIDE: usize = 8;
    let image = 3 * SIDE * SIDE;
    let bytes: Vec<u8> = noise(40, 5 * image)
        .iter()
        .map(|v| (v * 127.0 + 128.0) as u8)
        .collect();
    let spec = augment::Spec {
        batch: 4,
        height: SIDE,
        width: SIDE,
        chunk: 0..5,
        first_chunk: true,
        mean: [0.5, 0.4, 0.3],
        std: [0.25, 0.2, 0.3],
        pad: 1,
        flip: true,
        cutout: 3,
    };
    let step = StepScalars {
        first: 1,
        count: 4,
        augment: 1,
        seed: 7,
        epoch: 2,
        ..Default::default()
    };
    let order = [0u32, 3, 1, 4, 2];
    let plain = twin::augment::Spec {
        size: (SIDE, SIDE),
        mean: spec.mean.map(f64::from),
        std: spec.std.map(f64::from),
        pad: spec.pad as usize,
        flip: spec.flip,
        alternate: false,
        cutout: spec.cutout as usize,
    };
    let mut x = Vec::new();
    for &number in &order[1..] {
        let drawn = twin::augment::Drawn::new(&plain, step.seed, step.epoch, number);
        let own = &bytes[number as usize * image..][..image];
        x.extend(twin::augment::augment(&plain, &drawn, own));
    }
    let packed = bytemuck::pod_collect_to_vec(&bytes);
    let buffers = vec![
        scalars(step),
        words("order", &[5], order.to_vec()),
        words("images", &[5, 3, SIDE, SIDE / 4], packed),
        CaseBuffer::wanted("x", &[4, 3, SIDE, SIDE], x),
    ];
    Ok((augment::augment(compiler, &spec)?, buffers))
}

fn dropped(compiler: &Compiler) -> Built {
    let spec = dropout::Spec {
        batch: 4,
        length: 256,
        share: 1,
        rate: 0.25,
        layer: 3,
    };
    let step = StepScalars {
        seed: 5,
        step: 3,
        first: 8,
        ..Default::default()
    };
    let x = noise(41, spec.length);
    let y = twin::dropout::Dropout {
        share: spec.share,
        rate: spec.rate.into(),
        seed: step.seed,
        step: step.step,
        before: step.first * spec.draws() as u32,
        purpose: spec.purpose(),
    }
    .apply(&wide(&x));
    let buffers = vec![
        scalars(step),
        CaseBuffer::given("x", &[4, 64], &x),
        CaseBuffer::wanted("y", &[4, 64], y),
    ];
    Ok((dropout::dropout(compiler, &spec, false)?, buffers))
}

/// Channels whose polynomials follow their inputs.
const PLANES: plane::Shape = plane::Shape {
    batch: 4,
    channels: 3,
    pixels: 64,
};
/// Two parts of sums for each of them.
const PARTIALS: Partials = Partials {
    parts: 2,
    stride: 1,
    bytes: 32 * 3,
};

/// Values of a channel, and the sums of `powers` of what `centre` leaves of them, in two halves.
fn halves(seed: u32, centre: f64, powers: [i32; 4]) -> (Vec<f64>, [[f64; 4]; 2]) {
    let values: Vec<f64> = wide(&noise(seed, PLANES.count()))
        .iter()
        .map(|v| 0.3 + v + 2.0 * v * v * v)
        .collect();
    let sums = |half: &[f64]| {
        powers.map(|power| match power {
            0 => 0.0,
            _ => half.iter().map(|v| (v - centre).powi(power)).sum(),
        })
    };
    let (one, other) = values.split_at(values.len() / 3);
    let parts = [sums(one), sums(other)];
    (values, parts)
}

/// The buffers of both forms up to the health, for means and variances `before` and what becomes of them.
fn followed(
    step: StepScalars,
    sums: &[f64],
    before: &[[f64; 2]],
    after: &[twin::dapa::Moments],
    trained: &[f32],
    polynomials: Vec<f64>,
) -> Vec<CaseBuffer> {
    let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let moments = after.iter().flat_map(|m| [m.mean, m.variance]).collect();
    vec![
        scalars(step),
        CaseBuffer::given("partials", &[3, 2, 4], &narrow(sums)),
        CaseBuffer::changed("moments", &[3, 2], &narrow(&before.concat()), moments),
        CaseBuffer::changed("coefficients", &[3, 4], trained, polynomials),
        words("health", &[2], vec![u32::MAX, 0]),
    ]
}

fn polynomials(compiler: &Compiler) -> Built {
    let step = StepScalars {
        momentum: 0.25,
        // Nothing is refitted: what is trained stays, in the basis that moves with its inputs.
        refit: 0,
        ..Default::default()
    };
    let before = [[0.2, 1.0], [0.4, 2.0], [0.0, 0.5]];
    let trained = [0.1f32, 0.4, 0.2, 0.0].repeat(3);
    let kurtosis = [3.0f32, 4.0, 2.0];
    let (mut sums, mut after, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for c in 0..3 {
        let [mean, variance] = before[c].map(|v| f64::from(v as f32));
        let (values, parts) = halves(42 + c as u32, mean, [1, 2, 3, 4]);
        sums.extend(parts.concat());
        let old = twin::dapa::Moments {
            mean,
            variance,
            kurtosis: kurtosis[c].into(),
        };
        let new = old.towards(twin::dapa::Moments::of(&values), step.momentum.into());
        let c = [0.1f32, 0.4, 0.2].map(f64::from);
        expected.extend(new.from_basis(old.to_basis(c)));
        expected.push(0.0);
        after.push(new);
    }
    let mut buffers = followed(step, &sums, &before, &after, &trained, expected);
    let moved = after.iter().map(|m| m.kurtosis).collect();
    buffers.push(CaseBuffer::changed("kurtosis", &[3], &kurtosis, moved));
    buffers.push(CaseBuffer::given("norm", &[3, 3, 4], &[0.0; 36]));
    let fit = Fit {
        degree: 2,
        form: Form::Hermite,
    };
    Ok((dapa::finish(compiler, PLANES, PARTIALS, fit, 0)?, buffers))
}

fn least_squares(compiler: &Compiler) -> Built {
    let step = StepScalars {
        momentum: 0.25,
        refit: 1,
        ..Default::default()
    };
    let before = [[0.2, 1.0], [0.4, 2.0], [0.0, 0.5]];
    let trained = [0.1f32, 0.4, 0.2, 0.0].repeat(3);
    let (mut sums, mut after, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for (c, &[mean, variance]) in before.iter().enumerate() {
        let (values, parts) = halves(45 + c as u32, 0.0, [1, 2, 0, 0]);
        sums.extend(parts.concat());
        let old = twin::dapa::Moments {
            mean,
            variance,
            kurtosis: 3.0,
        };
        let new = old.towards(twin::dapa::Moments::of(&values), step.momentum.into());
        expected.extend(twin::dapa::fit(new.mean, new.variance.sqrt(), 2));
        expected.push(0.0);
        after.push(new);
    }
    let buffers = followed(step, &sums, &before, &after, &trained, expected);
    let fit = Fit {
        degree: 2,
        form: Form::Exact { limit: 0.0 },
    };
    Ok((dapa::finish(compiler, PLANES, PARTIALS, fit, 0)?, buffers))
}

fn compared(compiler: &Compiler) -> Built {
    let spec = loss::Spec {
        batch: 8,
        classes: 10,
        distill: true,
        gradient: true,
    };
    let step = StepScalars {
        first: 2,
        // The last row is padding.
        count: 7,
        kd_weight: 0.5,
        temperature: 4.0,
        smoothing: 0.1,
        ..Default::default()
    };
    let weights = twin::loss::Weights {
        ce: step.ce_weight.into(),
        kd: step.kd_weight.into(),
        temperature: step.temperature.into(),
        smoothing: step.smoothing.into(),
    };
    let logits: Vec<f32> = noise(48, 80).iter().map(|v| 3.0 * v).collect();
    let teacher: Vec<f32> = noise(49, 80).iter().map(|v| 3.0 * v).collect();
    let labels: Vec<u32> = (0..12).map(|i| i * 7 % 10).collect();
    let order: Vec<u32> = (0..12).map(|i| i * 5 % 12).collect();
    let (mut dz, mut samples) = (Vec::new(), Vec::new());
    for n in 0..spec.batch {
        if n >= step.count as usize {
            dz.extend([0.0; 10]);
            samples.extend([0.0; 4]);
            continue;
        }
        let label = labels[order[step.first as usize + n] as usize] as usize;
        let z = wide(&logits[10 * n..][..10]);
        let q = wide(&teacher[10 * n..][..10]);
        let gradient = twin::loss::gradient(&z, Some(&q), label, &weights);
        dz.extend(gradient.iter().map(|g| g / f64::from(step.count)));
        let sample = twin::loss::sample(&z, Some(&q), label, &weights);
        let hit = |hit: bool| f64::from(u8::from(hit));
        samples.extend([sample.ce, sample.kd, hit(sample.top1), hit(sample.top5)]);
    }
    let buffers = vec![
        scalars(step),
        CaseBuffer::given("logits", &[8, 10], &logits),
        CaseBuffer::given("teacher", &[8, 10], &teacher),
        words("labels", &[12], labels),
        words("order", &[12], order),
        CaseBuffer::wanted("dz", &[8, 10], dz),
        CaseBuffer::wanted("samples", &[8, 4], samples),
    ];
    Ok((loss::loss(compiler, &spec)?, buffers))
}

/// Parameters: two blocks, each of a group of its own.
const LENGTH: usize = 2 * optimizer::BLOCK;
const KINDS: [u32; 2] = [0, 1];

fn update() -> StepScalars {
    StepScalars {
        rate: [0.1, 0.02, 0.0, 0.0],
        decay: [0.05, 0.0, 0.0, 0.0],
        correction1: 0.271,
        correction2: 0.002_997,
        epsilon: 1e-4,
        clip: 3.0,
        lookahead: 0.5,
        averaging: 0.2,
        ..Default::default()
    }
}

fn groups(step: &StepScalars, factor: f32) -> twin::optimizer::Groups<'static> {
    twin::optimizer::Groups {
        rate: step.rate.map(f64::from),
        decay: step.decay.map(f64::from),
        kinds: &KINDS,
        factor: factor.into(),
    }
}

/// Norm and factor of clipping, as the kernel before leaves them.
const CLIP: [f32; 4] = [6.0, 0.5, 0.0, 0.0];

fn gradient_norm(compiler: &Compiler) -> Built {
    let step = update();
    let gradients = noise(50, LENGTH);
    let (norm, factor) = twin::optimizer::gradient_norm(&wide(&gradients), step.clip.into());
    let buffers = vec![
        scalars(step),
        CaseBuffer::given("gradients", &[LENGTH], &gradients),
        CaseBuffer::wanted("clip", &[4], vec![norm, factor, 0.0, 0.0]),
        words("kinds", &[2], KINDS.to_vec()),
    ];
    Ok((optimizer::gradient_norm(compiler, LENGTH)?, buffers))
}

fn descended(compiler: &Compiler) -> Built {
    let step = update();
    let [params, gradients, velocity] = [51, 52, 53].map(|seed| noise(seed, LENGTH));
    let (mut moved, mut faster) = (wide(&params), wide(&velocity));
    twin::optimizer::sgd(
        &groups(&step, CLIP[1]),
        (step.beta1.into(), false),
        &mut moved,
        &wide(&gradients),
        &mut faster,
    );
    let buffers = vec![
        scalars(step),
        CaseBuffer::changed("params", &[LENGTH], &params, moved),
        CaseBuffer::given("gradients", &[LENGTH], &gradients),
        CaseBuffer::changed("momentum", &[LENGTH], &velocity, faster),
        words("kinds", &[2], KINDS.to_vec()),
        CaseBuffer::given("clip", &[4], &CLIP),
    ];
    Ok((optimizer::sgd(compiler, LENGTH, false)?, buffers))
}

fn adapted(compiler: &Compiler) -> Built {
    let step = update();
    let [params, gradients, first] = [54, 55, 56].map(|seed| noise(seed, LENGTH));
    let second: Vec<f32> = noise(57, LENGTH).iter().map(|v| v * v).collect();
    let (mut moved, mut one, mut two) = (wide(&params), wide(&first), wide(&second));
    let constants = twin::optimizer::Adam {
        beta1: step.beta1.into(),
        beta2: step.beta2.into(),
        correction1: step.correction1.into(),
        correction2: step.correction2.into(),
        epsilon: step.epsilon.into(),
        decoupled: false,
    };
    twin::optimizer::adam(
        &groups(&step, CLIP[1]),
        &constants,
        &mut moved,
        &wide(&gradients),
        &mut one,
        &mut two,
    );
    let buffers = vec![
        scalars(step),
        CaseBuffer::changed("params", &[LENGTH], &params, moved),
        CaseBuffer::given("gradients", &[LENGTH], &gradients),
        CaseBuffer::changed("m", &[LENGTH], &first, one),
        CaseBuffer::changed("v", &[LENGTH], &second, two),
        words("kinds", &[2], KINDS.to_vec()),
        CaseBuffer::given("clip", &[4], &CLIP),
    ];
    Ok((optimizer::adam(compiler, LENGTH, false)?, buffers))
}

fn looked_ahead(compiler: &Compiler) -> Built {
    let step = update();
    let [params, slow] = [58, 59].map(|seed| noise(seed, LENGTH));
    let (mut fast, mut pulled) = (wide(&params), wide(&slow));
    twin::optimizer::lookahead(step.lookahead.into(), &mut fast, &mut pulled);
    let buffers = vec![
        scalars(step),
        CaseBuffer::changed("params", &[LENGTH], &params, fast),
        CaseBuffer::changed("slow", &[LENGTH], &slow, pulled),
    ];
    Ok((optimizer::lookahead(compiler, LENGTH)?, buffers))
}

fn averaged(compiler: &Compiler) -> Built {
    let step = update();
    let [params, averages] = [60, 61].map(|seed| noise(seed, LENGTH));
    let mut after = wide(&averages);
    twin::optimizer::average(step.averaging.into(), &wide(&params), &mut after);
    let buffers = vec![
        scalars(step),
        CaseBuffer::given("params", &[LENGTH], &params),
        CaseBuffer::changed("averaged", &[LENGTH], &averages, after),
    ];
    Ok((optimizer::average(compiler, LENGTH)?, buffers))
}

fn shared(compiler: &Compiler) -> Built {
    let gradient = noise(62, 256);
    let ranges = [0..100usize, 100..164, 170..256];
    let mut after = wide(&gradient);
    twin::indicator::share(&mut after, &ranges);
    let table = ranges
        .iter()
        .flat_map(|range| [range.start as u32, range.len() as u32]);
    let buffers = vec![
        words("groups", &[3, 2], table.collect()),
        CaseBuffer::changed("mask gradient", &[256], &gradient, after),
    ];
    let elements = ranges.iter().map(|range| range.len()).sum();
    Ok((indicator::share(compiler, 3, elements)?, buffers))
}

/// What a step asks of scores.
fn search() -> StepScalars {
    StepScalars {
        score_rate: 0.2,
        threshold: 0.003,
        penalty: 0.05,
        count: 32,
        budget: 99.0,
        correction1: 0.3,
        correction2: 0.2,
        ..Default::default()
    }
}

fn scored(compiler: &Compiler) -> Built {
    let step = search();
    let narrow =
        |seed: u32, by: f32| -> Vec<f32> { noise(seed, LENGTH).iter().map(|v| v * by).collect() };
    let (scores, gradient, first) = (narrow(63, 0.01), narrow(64, 0.1), narrow(65, 0.1));
    let second: Vec<f32> = narrow(66, 0.01).iter().map(|v| v.abs()).collect();
    // Two sites of a block each; at the second four elements go as one, at twice the price.
    let blocks = [[0u32, 256, 1, 0], [1, 256, 4, 0]];
    let ledger = [100.0f32, 0.0, 1.0, 0.0, 2.0, 0.0];
    let (mut after, mut one, mut two) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..LENGTH {
        let [site, _, together, _] = blocks[i / 256];
        let price = f64::from(step.penalty) * f64::from(ledger[2 + 2 * site as usize]);
        let score = twin::indicator::Score {
            value: scores[i].into(),
            first: first[i].into(),
            second: second[i].into(),
        }
        .taylor(
            gradient[i].into(),
            price,
            step.score_rate.into(),
            f64::from(together * step.count),
        );
        after.push(score.value);
        one.push(score.first);
        two.push(score.second);
    }
    let buffers = vec![
        scalars(step),
        CaseBuffer::changed("scores", &[LENGTH], &scores, after),
        CaseBuffer::given("mask gradient", &[LENGTH], &gradient),
        CaseBuffer::changed("first moment", &[LENGTH], &first, one),
        CaseBuffer::changed("second moment", &[LENGTH], &second, two),
        words("blocks", &[2, 4], blocks.concat()),
        CaseBuffer::given("ledger", &[3, 2], &ledger),
    ];
    Ok((indicator::update(compiler, LENGTH, Rule::Taylor)?, buffers))
}

fn selected(compiler: &Compiler) -> Built {
    const SITES: usize = 2;
    let step = StepScalars {
        budget: 100.0,
        ..Default::default()
    };
    let scores: Vec<f32> = noise(67, LENGTH).iter().map(|v| v * v * v).collect();
    let mask: Vec<f32> = noise(68, LENGTH)
        .iter()
        .map(|&v| f32::from(u8::from(v > 0.0)))
        .collect();
    // The second site has 200 elements; what follows is padding.
    let blocks = [[0u32, 256, 1, 0], [1, 200, 1, 0]];
    let worth: Vec<f64> = scores
        .iter()
        .zip(&mask)
        .map(|(&score, &mask)| {
            // As the device rounds it.
            f64::from(score + if mask > 0.5 { 0.1 } else { -0.1 } * score.abs())
        })
        .collect();
    let own = |i: &usize| i % 256 < blocks[i / 256][1] as usize;
    let items: Vec<twin::threshold::Item> = (0..LENGTH)
        .filter(own)
        .map(|i| twin::threshold::Item {
            worth: worth[i],
            site: i / 256,
            relus: 1,
            squares: 0,
        })
        .collect();
    let prices = twin::metrics::Prices {
        relu: 1.0,
        square: 0.0,
        relu_site: 0.0,
        square_site: 0.0,
    };
    let cut = twin::threshold::threshold(&items, SITES, &prices, step.budget.into());
    let mut kept = [0; SITES];
    let after = (0..LENGTH).map(|i| {
        if !own(&i) {
            return mask[i].into();
        }
        let keep = worth[i] >= cut;
        kept[i / 256] += usize::from(keep);
        f64::from(u8::from(keep))
    });
    let after = after.collect();
    let buffers = vec![
        scalars(step),
        CaseBuffer::given("scores", &[LENGTH], &scores),
        CaseBuffer::changed("mask", &[LENGTH], &mask, after),
        words("blocks", &[2, 4], blocks.concat()),
        counted(
            "counts",
            &[2, SITES],
            vec![0; 2 * SITES],
            vec![kept[0], kept[1], 0, 0],
        ),
        words(
            "cut",
            &[threshold::cut_words(SITES)],
            vec![0; threshold::cut_words(SITES)],
        ),
        words(
            "histogram",
            &[threshold::histogram_words(SITES)],
            vec![0; threshold::histogram_words(SITES)],
        ),
    ];
    let recipe = threshold::select(compiler, LENGTH, SITES, Prices::COUNT, &[])?;
    Ok((recipe, buffers))
}

/// Channels whose squares are searched for: each a group of 16 positions.
struct Squares {
    groups: Vec<Group>,
    params: Vec<f32>,
    gradients: Vec<f32>,
    state: Vec<f32>,
    mask: Vec<f32>,
    /// Score, its moments, 1 where there is a square.
    states: Vec<f32>,
    ledger: Vec<f32>,
}

const CHANNELS: usize = 5;
const POSITIONS: usize = 16;
const FIT: Fit = Fit {
    degree: 2,
    form: Form::Exact { limit: 2.0 },
};

impl Squares {
    fn new() -> Self {
        let group = |c: usize| Group {
            first_element: (POSITIONS * c) as u32,
            elements: POSITIONS as u32,
            first_coefficient: c as u32,
            channels: 1,
            first_moment: c as u32,
            site: (c / 3) as u32,
            padding: [0; 2],
        };
        let rows = |seed: u32| noise(seed, 4 * CHANNELS);
        let states: Vec<f32> = rows(73)
            .chunks_exact(4)
            .flat_map(|s| {
                let has = f32::from(u8::from(s[3] > 0.0));
                // On both sides of both thresholds.
                [
                    0.01 * s[0] + 0.5 * (1.0 - has),
                    0.1 * s[1],
                    0.01 * s[2].abs(),
                    has,
                ]
            })
            .collect();
        let params = rows(69);
        let params = params.chunks_exact(4).zip(states.chunks_exact(4));
        Self {
            groups: (0..CHANNELS).map(group).collect(),
            params: params
                .flat_map(|(c, state)| match state[3] > 0.5 {
                    true => [c[0], c[1], c[2], 0.0],
                    false => [c[0], c[1], 0.0, 1.0],
                })
                .collect(),
            gradients: rows(70)
                .chunks_exact(4)
                .flat_map(|g| [g[0], g[1], g[2], 0.0])
                .collect(),
            state: noise(71, 2 * CHANNELS)
                .chunks_exact(2)
                .flat_map(|m| [m[0], 1.5 + m[1]])
                .collect(),
            mask: noise(72, POSITIONS * CHANNELS)
                .iter()
                .map(|&v| f32::from(u8::from(v > 0.5)))
                .collect(),
            states,
            ledger: vec![100.0, 0.2, 777.0, 2.0, 777.0, 0.5],
        }
    }

    /// A channel as the twin has it.
    fn twin(&self, c: usize) -> twin::squares::Group {
        let [value, first, second, has] =
            std::array::from_fn(|k| f64::from(self.states[4 * c + k]));
        twin::squares::Group {
            score: twin::indicator::Score {
                value,
                first,
                second,
            },
            has_square: has > 0.5,
            coefficients: vec![std::array::from_fn(|k| self.params[4 * c + k].into())],
        }
    }

    /// Elements of a channel without a ReLU.
    fn squares(&self, c: usize) -> usize {
        let own = &self.mask[POSITIONS * c..][..POSITIONS];
        own.iter().filter(|&&m| m < 0.5).count()
    }

    /// Runs `change` on every channel with what the step tells it; parameters, states and counts after.
    fn after(
        &self,
        step: &StepScalars,
        change: impl Fn(&mut twin::squares::Group, &twin::squares::Step, f64),
    ) -> (Vec<f64>, Vec<f64>, Vec<usize>) {
        let (mut params, mut states, mut counts) = (Vec::new(), Vec::new(), vec![0; 4]);
        for c in 0..CHANNELS {
            let price = f64::from(step.penalty * self.ledger[3 + 2 * (c / 3)]);
            let gradients = [std::array::from_fn(|k| self.gradients[4 * c + k].into())];
            let moments = [[self.state[2 * c].into(), self.state[2 * c + 1].into()]];
            let told = twin::squares::Step {
                gradients: &gradients,
                moments: &moments,
                push: price,
                squares: self.squares(c) as f64,
                threshold: step.threshold.into(),
                regain: squares::REGAIN,
                adam: twin::indicator::Adam {
                    rate: step.score_rate.into(),
                    betas: [step.beta1.into(), step.beta2.into()],
                    corrections: [step.correction1.into(), step.correction2.into()],
                    epsilon: step.epsilon.into(),
                },
                official: None,
            };
            let mut group = self.twin(c);
            change(&mut group, &told, price);
            params.extend(group.coefficients[0]);
            let score = group.score;
            let has = f64::from(u8::from(group.has_square));
            states.extend([score.value, score.first, score.second, has]);
            if group.has_square {
                counts[2 + c / 3] += self.squares(c);
            }
        }
        (params, states, counts)
    }

    fn table(&self) -> CaseBuffer {
        let table = bytemuck::cast_slice(&self.groups).to_vec();
        words("groups", &[CHANNELS, 8], table)
    }

    fn given(&self) -> [CaseBuffer; 3] {
        [
            CaseBuffer::given("gradients", &[CHANNELS, 4], &self.gradients),
            CaseBuffer::given("moments", &[CHANNELS, 2], &self.state),
            CaseBuffer::given("mask", &[CHANNELS, POSITIONS], &self.mask),
        ]
    }

    fn search(&self, rule: Rule) -> squares::Search<'_> {
        squares::Search {
            groups: &self.groups,
            sites: 2,
            fit: FIT,
            rule,
        }
    }
}

/// Extents of a row of four for each channel.
const ROWS: [usize; 2] = [CHANNELS, 4];

fn squared(compiler: &Compiler) -> Built {
    let (all, step) = (Squares::new(), search());
    let (params, states, counts) = all.after(&step, |group, told, _| group.step(told));
    let mut buffers = vec![
        scalars(step),
        CaseBuffer::changed("params", &ROWS, &all.params, params),
    ];
    buffers.extend(all.given());
    buffers.extend([
        all.table(),
        CaseBuffer::changed("states", &ROWS, &all.states, states),
        CaseBuffer::given("ledger", &[3, 2], &all.ledger),
        counted("counts", &[2, 2], vec![0; 4], counts),
    ]);
    let recipe = squares::update(compiler, &all.search(Rule::Hysteresis))?;
    Ok((recipe, buffers))
}

fn measured(compiler: &Compiler) -> Built {
    let (all, step) = (Squares::new(), search());
    let images = f64::from(step.count);
    let (_, states, _) = all.after(&step, |group, told, price| {
        let (slope, cost) = (group.slope(told), price * told.squares);
        group.score = group
            .score
            .taylor(slope, cost, step.score_rate.into(), images);
    });
    let mut buffers = vec![
        scalars(step),
        CaseBuffer::given("params", &ROWS, &all.params),
    ];
    buffers.extend(all.given());
    buffers.extend([
        all.table(),
        CaseBuffer::changed("states", &ROWS, &all.states, states),
        CaseBuffer::given("ledger", &[3, 2], &all.ledger),
    ]);
    Ok((
        squares::measure(compiler, &all.search(Rule::Taylor))?,
        buffers,
    ))
}

fn applied(compiler: &Compiler) -> Built {
    let (all, step) = (Squares::new(), search());
    // Squares with a score above it stay, and one that is not there comes back.
    let cut = 0.004f32;
    let (params, states, counts) = all.after(&step, |group, told, _| {
        let worth = twin::threshold::worth(group.score.value, group.has_square);
        group.decide(worth >= cut.into(), told);
    });
    let [_, moments, mask] = all.given();
    let buffers = vec![
        CaseBuffer::changed("params", &ROWS, &all.params, params),
        moments,
        mask,
        all.table(),
        CaseBuffer::changed("states", &ROWS, &all.states, states),
        // θ as a number of the same order: floats are compared by their bits.
        words("cut", &[4], vec![cut.to_bits() ^ (1 << 31), 0, 0, 0]),
        counted("counts", &[2, 2], vec![0; 4], counts),
    ];
    Ok((
        squares::apply(compiler, &all.search(Rule::Taylor))?,
        buffers,
    ))
}

fn held(compiler: &Compiler) -> Built {
    let groups = [
        Group {
            channels: 4,
            first_coefficient: 0,
            ..Squares::new().groups[0]
        },
        Group {
            channels: 2,
            first_coefficient: 4,
            ..Squares::new().groups[1]
        },
    ];
    let lines = noise(74, 24);
    let params: Vec<f32> = lines
        .chunks_exact(4)
        .flat_map(|c| [c[0], c[1], c[2], f32::from(u8::from(c[3] > 0.0))])
        .collect();
    let after = params
        .chunks_exact(4)
        .flat_map(|c| [c[0], c[1], if c[3] > 0.5 { 0.0 } else { c[2] }, c[3]])
        .map(f64::from)
        .collect();
    let table = bytemuck::cast_slice(&groups).to_vec();
    let buffers = vec![
        CaseBuffer::changed("params", &[6, 4], &params, after),
        words("groups", &[2, 8], table),
    ];
    Ok((squares::hold(compiler, &groups)?, buffers))
}

fn recorded(compiler: &Compiler) -> Built {
    const SITES: usize = 4;
    let step = StepScalars {
        step: 67,
        count: 8,
        ..Default::default()
    };
    let prices = Prices {
        relu: 184.0,
        square: 8.0,
        relu_site: 90.0,
        square_site: 10.0,
    };
    // Both; neither; squares alone; ReLUs alone.
    let sites = [(11, 5), (0, 0), (0, 40), (31, 0)];
    let samples = noise(75, 32);
    let norm = [2.5f32, 1.0, 0.0, 0.0];
    let rows: Vec<[f64; 4]> = samples
        .chunks_exact(4)
        .map(|s| std::array::from_fn(|k| f64::from(s[k])))
        .collect();
    let record = twin::metrics::record(
        &rows,
        None,
        &sites,
        &twin::metrics::Prices {
            relu: prices.relu,
            square: prices.square,
            relu_site: prices.relu_site,
            square_site: prices.square_site,
        },
    );
    let width = metrics::row_words(SITES);
    let mut ring = vec![0.0; metrics::ROWS * width];
    let row = &mut ring[step.step as usize % metrics::ROWS * width..][..width];
    row[..4].copy_from_slice(&record.sums);
    row[5] = norm[0].into();
    row[10] = record.cost;
    // Whole numbers, whose bits are those of floats next to nothing.
    let whole = |number: usize| f64::from(f32::from_bits(number as u32));
    row[4] = whole(8);
    row[6] = whole(record.relus);
    (row[7], row[8]) = (whole(4), whole(6));
    row[9] = whole(67);
    row[11] = whole(record.squares);
    for (word, &(relus, _)) in row[16..].iter_mut().zip(&sites) {
        *word = whole(relus);
    }
    let counts = sites.map(|(relus, _)| relus as u32);
    let squares = sites.map(|(_, squares)| squares as u32);
    let mut ledger = vec![record.cost, 0.0];
    ledger.extend(record.prices.concat());
    let buffers = vec![
        scalars(step),
        CaseBuffer::given("samples", &[8, 4], &samples),
        CaseBuffer::changed(
            "ring",
            &[metrics::ROWS, width],
            &vec![0.0; ring.len()],
            ring,
        ),
        CaseBuffer::given("gradient norm", &[4], &norm),
        words("health", &[2], vec![4, 6]),
        counted(
            "counts",
            &[2, SITES],
            [counts, squares].concat(),
            vec![0; 2 * SITES],
        ),
        CaseBuffer::changed("ledger", &[1 + SITES, 2], &[0.0; 2 * (1 + SITES)], ledger),
    ];
    Ok((metrics::record(compiler, 8, true, SITES, prices)?, buffers))
}
