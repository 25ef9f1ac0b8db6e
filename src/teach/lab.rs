//! The network's own kernels on small data: what a visitor may change and run in the lab. `lab_update` has those
//! around the network.
//!
//! A row is a recipe in a shape that the emulator runs in a moment. Its pipelines hold the WGSL that the
//! shape's constants make of the template; any of its stages may be changed.

use super::bench::{Bench, Built, scalars, words};
use super::case::{CaseBuffer, noise, wide};
use crate::kernels::conv2d::grouped;
use crate::kernels::gate::{self, Activation, Residual};
use crate::kernels::{
    Compiler, add, batch_norm, conv2d, linear, max_pool, plane, pool, scale, sigmoid,
};
use crate::reference as twin;

/// All of them, in the order of a network.
pub const BENCHES: &[Bench] = &[
    Bench {
        what: "convolution, 1×8×8×8 → 16, 3×3",
        build: convolution,
    },
    Bench {
        what: "weight gradient, 1×8×8×8 → 16, 3×3",
        build: weight_gradient,
    },
    Bench {
        what: "depthwise convolution, 1×8×8×8, 3×3",
        build: depthwise,
    },
    Bench {
        what: "statistics of 4×3×64",
        build: statistics,
    },
    Bench {
        what: "constants of 40 channels",
        build: running,
    },
    Bench {
        what: "gate, 4×3×64, normalised, residual",
        build: gate_forward,
    },
    Bench {
        what: "gate backward, 4×3×64, normalised",
        build: gate_backward,
    },
    Bench {
        what: "powers of 4×3×64 about a centre",
        build: gate_moments,
    },
    Bench {
        what: "residual, 1,024 elements",
        build: add_up,
    },
    Bench {
        what: "copy, 1,024 elements",
        build: copy,
    },
    Bench {
        what: "maximum of 2×2 windows, 6 planes of 8×8",
        build: largest,
    },
    Bench {
        what: "mean of 2×2 windows, 6 planes of 8×8",
        build: average,
    },
    Bench {
        what: "mean of 16 planes of 64",
        build: global,
    },
    Bench {
        what: "its gradient",
        build: global_backward,
    },
    Bench {
        what: "fully connected, 8×32 → 10",
        build: fully_connected,
    },
    Bench {
        what: "sigmoid of 256",
        build: sigmoid_forward,
    },
    Bench {
        what: "its gradient",
        build: sigmoid_backward,
    },
    Bench {
        what: "8 planes of 64 times their factors",
        build: scale_forward,
    },
    Bench {
        what: "its gradients",
        build: scale_backward,
    },
];

const SHAPE: conv2d::Shape = conv2d::Shape {
    batch: 1,
    in_channels: 8,
    out_channels: 16,
    height: 8,
    width: 8,
    kernel: 3,
    stride: 1,
    padding: 1,
};

fn twin_of(shape: &conv2d::Shape) -> twin::conv2d::Shape {
    twin::conv2d::Shape {
        batch: shape.batch,
        in_channels: shape.in_channels,
        out_channels: shape.out_channels,
        size: (shape.height, shape.width),
        kernel: shape.kernel,
        stride: shape.stride,
        padding: shape.padding,
    }
}

fn convolution(compiler: &Compiler) -> Built {
    let (x, w) = (noise(1, 8 * 64), noise(2, 16 * 8 * 9));
    let y = twin::conv2d::forward(&twin_of(&SHAPE), &wide(&x), &wide(&w));
    let buffers = vec![
        CaseBuffer::given("x", &[1, 8, 8, 8], &x),
        CaseBuffer::given("w", &[16, 8, 3, 3], &w),
        CaseBuffer::wanted("y", &[1, 16, 8, 8], y),
    ];
    Ok((conv2d::forward(compiler, &SHAPE)?, buffers))
}

fn weight_gradient(compiler: &Compiler) -> Built {
    let (x, dy) = (noise(1, 8 * 64), noise(3, 16 * 64));
    let dw = twin::conv2d::weight_gradient(&twin_of(&SHAPE), &wide(&x), &wide(&dy));
    let buffers = vec![
        CaseBuffer::given("x", &[1, 8, 8, 8], &x),
        CaseBuffer::given("dy", &[1, 16, 8, 8], &dy),
        CaseBuffer::wanted("dw", &[16, 8, 3, 3], dw),
    ];
    Ok((conv2d::weight_gradient(compiler, &SHAPE)?, buffers))
}

fn depthwise(compiler: &Compiler) -> Built {
    let whole = conv2d::Shape {
        out_channels: 8,
        ..SHAPE
    };
    let shape = grouped::Shape { whole, groups: 8 };
    let twin_shape = twin::conv2d::grouped::Shape {
        whole: twin_of(&whole),
        groups: 8,
    };
    let (x, w) = (noise(1, 8 * 64), noise(2, 8 * 9));
    let y = twin::conv2d::grouped::forward(&twin_shape, &wide(&x), &wide(&w));
    let buffers = vec![
        CaseBuffer::given("x", &[1, 8, 8, 8], &x),
        CaseBuffer::given("w", &[8, 1, 3, 3], &w),
        CaseBuffer::wanted("y", &[1, 8, 8, 8], y),
    ];
    Ok((grouped::forward(compiler, &shape)?, buffers))
}

/// Images, channels and pixels of what lies between convolutions.
const PLANES: plane::Shape = plane::Shape {
    batch: 4,
    channels: 3,
    pixels: 64,
};
const EXTENTS: [usize; 3] = [4, 3, 64];

fn statistics(compiler: &Compiler) -> Built {
    let u = noise(4, PLANES.len());
    let (gamma, beta) = (noise(5, 3), noise(6, 3));
    let (mean, variance) = twin::batch_norm::moments(&wide(&u), 4, 3);
    let count = PLANES.count() as f64;
    let step = crate::kernels::step::StepScalars::default();
    let mut norm = Vec::new();
    let (mut means, mut variances) = (Vec::new(), Vec::new());
    for c in 0..3 {
        let (gamma, beta) = (f64::from(gamma[c]), f64::from(beta[c]));
        norm.extend(twin::batch_norm::norm(
            mean[c],
            variance[c],
            gamma,
            beta,
            batch_norm::EPSILON,
        ));
        let begun = twin::batch_norm::Running {
            mean: 0.0,
            variance: 1.0,
        };
        let batch = twin::batch_norm::Running {
            mean: mean[c],
            variance: variance[c] * count / (count - 1.0),
        };
        let after = begun.towards(batch, f64::from(step.momentum), 0.0);
        means.push(after.mean);
        variances.push(after.variance);
    }
    // Slot 1 is another operand's.
    norm.extend([0.0; 12]);
    let buffers = vec![
        scalars(step),
        CaseBuffer::given("u", &EXTENTS, &u),
        CaseBuffer::given("gamma", &[3], &gamma),
        CaseBuffer::given("beta", &[3], &beta),
        CaseBuffer::changed("running mean", &[3], &[0.0; 3], means),
        CaseBuffer::changed("running variance", &[3], &[1.0; 3], variances),
        CaseBuffer::changed("norm", &[2, 3, 4], &[0.0; 24], norm),
        words("health", &[2], vec![u32::MAX; 2]),
    ];
    let slot = batch_norm::NormSlot::Main;
    Ok((batch_norm::statistics(compiler, PLANES, slot, 3)?, buffers))
}

fn running(compiler: &Compiler) -> Built {
    const CHANNELS: usize = 40;
    let [gamma, beta, mean] = [7, 8, 9].map(|seed| noise(seed, CHANNELS));
    let variance: Vec<f32> = noise(10, CHANNELS).iter().map(|v| 1.1 + v).collect();
    let mut norm = Vec::new();
    for c in 0..CHANNELS {
        let [gamma, beta, mean, variance] =
            [gamma[c], beta[c], mean[c], variance[c]].map(f64::from);
        norm.extend(twin::batch_norm::norm(
            mean,
            variance,
            gamma,
            beta,
            batch_norm::EPSILON,
        ));
    }
    norm.extend([0.0; 4 * CHANNELS]);
    let buffers = vec![
        CaseBuffer::given("gamma", &[CHANNELS], &gamma),
        CaseBuffer::given("beta", &[CHANNELS], &beta),
        CaseBuffer::given("running mean", &[CHANNELS], &mean),
        CaseBuffer::given("running variance", &[CHANNELS], &variance),
        CaseBuffer::changed("norm", &[2, CHANNELS, 4], &[0.0; 8 * CHANNELS], norm),
    ];
    let slot = batch_norm::NormSlot::Main;
    Ok((batch_norm::running(compiler, CHANNELS, slot)?, buffers))
}

/// What a gate reads.
struct Gate {
    u: Vec<f32>,
    r: Vec<f32>,
    norm: Vec<f32>,
    mask: Vec<f32>,
    coefficients: Vec<f32>,
    /// Normalised, with the residual added where there is one.
    z: Vec<f64>,
}

impl Gate {
    fn new(residual: bool) -> Self {
        let (u, r) = (noise(11, PLANES.len()), noise(12, PLANES.len()));
        let norm = noise(13, 24);
        let z = (0..PLANES.len()).map(|i| {
            let row = 4 * (i / PLANES.pixels % PLANES.channels);
            let [scale, shift, u, r] = [norm[row], norm[row + 1], u[i], r[i]].map(f64::from);
            scale * u + shift + if residual { r } else { 0.0 }
        });
        let mask = noise(14, 3 * 64);
        let coefficients = noise(15, 12).into_iter().enumerate();
        Self {
            z: z.collect(),
            u,
            r,
            norm,
            mask: mask.iter().map(|&v| f32::from(u8::from(v > 0.0))).collect(),
            coefficients: coefficients
                .map(|(i, v)| if i % 4 == 3 { 0.0 } else { v })
                .collect(),
        }
    }

    fn spec(residual: Residual) -> gate::Spec {
        gate::Spec {
            shape: PLANES,
            normalized: true,
            residual,
            activation: Activation::Gate,
            bounded: false,
        }
    }

    fn twin<T>(&self, run: impl FnOnce(twin::gate::Activation) -> T) -> T {
        let rows = self.coefficients.chunks_exact(4);
        let coefficients: Vec<[f64; 4]> = rows
            .map(|row| std::array::from_fn(|k| f64::from(row[k])))
            .collect();
        run(twin::gate::Activation::Gate {
            mask: &wide(&self.mask),
            coefficients: &coefficients,
        })
    }

    fn operands(&self) -> [CaseBuffer; 3] {
        [
            CaseBuffer::given("norm", &[2, 3, 4], &self.norm),
            CaseBuffer::given("mask", &[3, 64], &self.mask),
            CaseBuffer::given("coefficients", &[3, 4], &self.coefficients),
        ]
    }
}

fn gate_forward(compiler: &Compiler) -> Built {
    let gate = Gate::new(true);
    let y = gate.twin(|activation| twin::gate::forward(&gate.z, activation, 4, 3));
    let mut buffers = vec![
        CaseBuffer::given("u", &EXTENTS, &gate.u),
        CaseBuffer::given("r", &EXTENTS, &gate.r),
    ];
    buffers.extend(gate.operands());
    buffers.push(CaseBuffer::wanted("y", &EXTENTS, y));
    let (recipe, _) = gate::forward(compiler, &Gate::spec(Residual::Plain), false)?;
    Ok((recipe, buffers))
}

fn gate_backward(compiler: &Compiler) -> Built {
    let gate = Gate::new(false);
    let dy = noise(16, PLANES.len());
    let slopes =
        gate.twin(|activation| twin::gate::backward(&wide(&dy), &gate.z, activation, 4, 3));
    let (recipe, partials) = gate::backward(compiler, &Gate::spec(Residual::None))?;
    let mut buffers = vec![
        CaseBuffer::changed("dy", &EXTENTS, &dy, slopes.z),
        CaseBuffer::given("u", &EXTENTS, &gate.u),
    ];
    buffers.extend(gate.operands());
    buffers.push(CaseBuffer::wanted("mask_gradient", &[3, 64], slopes.mask));
    buffers.push(CaseBuffer::scratch("partials", partials.bytes as usize / 4));
    Ok((recipe, buffers))
}

fn gate_moments(compiler: &Compiler) -> Built {
    let gate = Gate::new(false);
    let (recipe, partials) = gate::moments(compiler, &Gate::spec(Residual::None))?;
    let centre = [0.1, -0.2, 0.3];
    let mut sums = vec![0.0; 12];
    for (i, &z) in gate.z.iter().enumerate() {
        let c = i / PLANES.pixels % PLANES.channels;
        let d = z - f64::from(centre[c] as f32);
        (0..4).for_each(|k| sums[4 * c + k] += d.powi(k as i32 + 1));
    }
    // In these small shapes each channel is one part.
    let whole = partials.parts == 1;
    let running: Vec<f32> = centre.iter().flat_map(|&c| [c as f32, 1.0]).collect();
    let mut buffers = vec![CaseBuffer::given("u", &EXTENTS, &gate.u)];
    let [norm, ..] = gate.operands();
    buffers.extend([norm, CaseBuffer::given("running", &[3, 2], &running)]);
    buffers.push(match whole {
        true => CaseBuffer::wanted("partials", &[3, 4], sums),
        false => CaseBuffer::scratch("partials", partials.bytes as usize / 4),
    });
    Ok((recipe, buffers))
}

fn add_up(compiler: &Compiler) -> Built {
    let (a, b) = (noise(17, 1024), noise(18, 1024));
    let sum = twin::add::add(&wide(&a), &wide(&b));
    let buffers = vec![
        CaseBuffer::changed("a", &[32, 32], &a, sum),
        CaseBuffer::given("b", &[32, 32], &b),
    ];
    Ok((add::add(compiler, 1024)?, buffers))
}

fn copy(compiler: &Compiler) -> Built {
    let b = noise(18, 1024);
    let buffers = vec![
        CaseBuffer::wanted("a", &[32, 32], wide(&b)),
        CaseBuffer::given("b", &[32, 32], &b),
    ];
    Ok((add::copy(compiler, 1024)?, buffers))
}

fn largest(compiler: &Compiler) -> Built {
    let shape = max_pool::Shape {
        planes: 6,
        height: 8,
        width: 8,
        kernel: 2,
        stride: 2,
        padding: 0,
    };
    let twin_shape = twin::max_pool::Shape {
        planes: 6,
        size: (8, 8),
        kernel: 2,
        stride: 2,
        padding: 0,
    };
    let x = noise(19, 6 * 64);
    let y = twin::max_pool::forward(&twin_shape, &wide(&x));
    let buffers = vec![
        CaseBuffer::given("x", &[6, 8, 8], &x),
        CaseBuffer::wanted("y", &[6, 4, 4], y),
    ];
    Ok((max_pool::forward(compiler, &shape)?, buffers))
}

fn average(compiler: &Compiler) -> Built {
    let shape = pool::Shape {
        planes: 6,
        height: 8,
        width: 8,
        kernel: 2,
        stride: 2,
    };
    let twin_shape = twin::pool::Shape {
        planes: 6,
        size: (8, 8),
        kernel: 2,
        stride: 2,
    };
    let x = noise(19, 6 * 64);
    let y = twin::pool::average(&twin_shape, &wide(&x));
    let buffers = vec![
        CaseBuffer::given("x", &[6, 8, 8], &x),
        CaseBuffer::wanted("y", &[6, 4, 4], y),
    ];
    Ok((pool::average(compiler, &shape)?, buffers))
}

fn global(compiler: &Compiler) -> Built {
    let x = noise(20, 16 * 64);
    let y = twin::pool::global(64, &wide(&x));
    let buffers = vec![
        CaseBuffer::given("x", &[16, 64], &x),
        CaseBuffer::wanted("y", &[16], y),
    ];
    Ok((pool::global(compiler, 16, 64)?, buffers))
}

fn global_backward(compiler: &Compiler) -> Built {
    let dy = noise(21, 16);
    let dx = twin::pool::global_backward(64, &wide(&dy));
    let buffers = vec![
        CaseBuffer::given("dy", &[16], &dy),
        CaseBuffer::wanted("dx", &[16, 64], dx),
    ];
    Ok((pool::global_backward(compiler, 16, 64, false)?, buffers))
}

fn fully_connected(compiler: &Compiler) -> Built {
    let shape = linear::Shape {
        batch: 8,
        in_features: 32,
        out_features: 10,
    };
    let twin_shape = twin::linear::Shape {
        batch: 8,
        in_features: 32,
        out_features: 10,
    };
    let [x, w, b] = [(22, 8 * 32), (23, 320), (24, 10)].map(|(seed, length)| noise(seed, length));
    let y = twin::linear::forward(&twin_shape, &wide(&x), &wide(&w), &wide(&b));
    let buffers = vec![
        CaseBuffer::given("x", &[8, 32], &x),
        CaseBuffer::given("w", &[10, 32], &w),
        CaseBuffer::given("b", &[10], &b),
        CaseBuffer::wanted("y", &[8, 10], y),
    ];
    Ok((linear::forward(compiler, &shape)?, buffers))
}

fn sigmoid_forward(compiler: &Compiler) -> Built {
    let x = noise(25, 256);
    let y = twin::sigmoid::forward(&wide(&x));
    let buffers = vec![
        CaseBuffer::given("x", &[16, 16], &x),
        CaseBuffer::wanted("y", &[16, 16], y),
    ];
    Ok((sigmoid::forward(compiler, 256)?, buffers))
}

fn sigmoid_backward(compiler: &Compiler) -> Built {
    let (dy, y) = (noise(26, 256), noise(27, 256));
    let dx = twin::sigmoid::backward(&wide(&dy), &wide(&y));
    let buffers = vec![
        CaseBuffer::changed("dy", &[16, 16], &dy, dx),
        CaseBuffer::given("y", &[16, 16], &y),
    ];
    Ok((sigmoid::backward(compiler, 256)?, buffers))
}

fn scale_forward(compiler: &Compiler) -> Built {
    let (x, f) = (noise(28, 512), noise(29, 8));
    let y = twin::scale::forward(64, &wide(&x), &wide(&f));
    let buffers = vec![
        CaseBuffer::given("x", &[8, 64], &x),
        CaseBuffer::given("f", &[8], &f),
        CaseBuffer::wanted("y", &[8, 64], y),
    ];
    Ok((scale::forward(compiler, 8, 64)?, buffers))
}

fn scale_backward(compiler: &Compiler) -> Built {
    let (dy, x, f) = (noise(30, 512), noise(28, 512), noise(29, 8));
    let (dx, df) = twin::scale::backward(64, &wide(&dy), &wide(&x), &wide(&f));
    let buffers = vec![
        CaseBuffer::changed("dy", &[8, 64], &dy, dx),
        CaseBuffer::given("x", &[8, 64], &x),
        CaseBuffer::given("f", &[8], &f),
        CaseBuffer::wanted("df", &[8], df),
    ];
    Ok((scale::backward(compiler, 8, 64)?, buffers))
}
