//! The permutation of each kernel that is worth reading first.
//!
//! The [table of permutations](super::permutations) begins with odd shapes, which take every arm
//! of every template. The rows here are what networks run most: a step of ResNet-18 on CIFAR-10
//! with 128 images, where it has the kernel. `autorep shaders NAME` prints their expansions, and
//! `shaders/expanded/` keeps them: whoever reads on the web sees plain WGSL, whoever reviews a
//! template sees what a change does to it. `tests/shaders` holds the files to the rows, and
//! demands a row for every kernel.

use super::conv2d::grouped;
use super::gate::{Activation, Residual};
use super::indicator::Rule;
use super::metrics::Prices;
use super::{
    Compiler, Recipe, Tiling, add, augment, batch_norm, conv2d, dapa, dropout, gate, indicator,
    linear, loss, max_pool, metrics, optimizer, plane, pool, roofline, scale, sigmoid, squares,
    threshold,
};
use crate::gpu::{Gpu, GpuError, Pipeline};
use std::collections::HashSet;

/// What writes the kept expansions, for whoever finds them wrong.
pub const COMMAND: &str = "autorep shaders --typical --write shaders/expanded";

/// A recipe in a shape and with options that are usual.
pub struct Typical {
    /// What it computes: family and function, as in the table of permutations.
    pub name: &'static str,
    /// Shape and options, as a reader would write them.
    pub shape: String,
    /// The tilings whose kernels it shows.
    pub tilings: &'static [Tiling],
    build: Box<Build>,
}

type Build = dyn Fn(&Compiler) -> Result<Recipe, GpuError>;

/// Most kernels are the same for every tiling but for the size of workgroups.
const ANY_TILING: &[Tiling] = &[Tiling::Large];

impl Typical {
    /// The recipe under the compiler's tiling: its pipelines hold the expansions.
    ///
    /// # Errors
    /// [`GpuError::Compile`] where the driver refuses the shader.
    pub fn build(&self, compiler: &Compiler) -> Result<Recipe, GpuError> {
        (self.build)(compiler)
    }
}

fn row(
    name: &'static str,
    shape: &str,
    build: impl Fn(&Compiler) -> Result<Recipe, GpuError> + 'static,
) -> Typical {
    Typical {
        name,
        shape: shape.to_owned(),
        tilings: ANY_TILING,
        build: Box::new(build),
    }
}

/// A kernel with its template expanded, and what it was expanded for.
pub struct Expansion {
    /// The kernel.
    pub pipeline: Pipeline,
    /// Function, shape and options.
    pub what: String,
    /// The tiling.
    pub tiling: Tiling,
}

impl Expansion {
    /// The WGSL under a line that says what it comes from.
    pub fn text(&self) -> String {
        format!("{}//\n{}", self.origin(), self.pipeline.source())
    }

    /// The same as it is kept: it also says what writes it.
    pub fn kept(&self) -> String {
        let source = self.pipeline.source();
        format!(
            "{}// Written by `{COMMAND}`: change the template.\n//\n{source}",
            self.origin()
        )
    }

    /// Where it is kept, below `shaders/expanded/`.
    pub fn file(&self) -> String {
        format!("{}.wgsl", self.pipeline.name())
    }

    fn origin(&self) -> String {
        let Self {
            pipeline,
            what,
            tiling,
        } = self;
        let file = super::file_of(pipeline).unwrap_or_else(|| pipeline.kernel());
        format!("// Expanded from shaders/{file}\n// for {what} (tiling {tiling}).\n")
    }
}

/// The typical expansion of each kernel, in the tilings of its row or in those of `tilings`; of
/// rows that run the same kernel the first one's. `wanted` is asked for each row, by function,
/// shape and options.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn expansions(
    tilings: Option<&[Tiling]>,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Expansion>, GpuError> {
    let gpu = Gpu::null();
    let first = Compiler::new(&gpu, Tiling::Portable);
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for row in rows() {
        let what = format!("{}: {}", row.name, row.shape);
        if !wanted(&what) {
            continue;
        }
        for &tiling in tilings.unwrap_or(row.tilings) {
            for (kernel, _) in row.build(&first.with_tiling(tiling))?.stages {
                if seen.insert(kernel.pipeline.name().to_owned()) {
                    found.push(Expansion {
                        pipeline: kernel.pipeline,
                        what: what.clone(),
                        tiling,
                    });
                }
            }
        }
    }
    Ok(found)
}

/// Activations of the first stage of ResNet-18.
const EARLY: plane::Shape = plane::Shape {
    batch: 128,
    channels: 64,
    pixels: 32 * 32,
};

/// About the parameters of ResNet-18, and the elements of its masks.
const PARAMETERS: usize = 11_173_888;
const ELEMENTS: usize = 491_520;

/// Values between the layers of a squeeze-excite of EfficientNet-B0.
const FACTORS: usize = 128 * 96;

/// The end of a block with an identity shortcut, under search.
const BLOCK_END: gate::Spec = gate::Spec {
    shape: EARLY,
    normalized: true,
    residual: Residual::Plain,
    activation: Activation::Gate,
    bounded: true,
};

const FIT: dapa::Fit = dapa::Fit {
    degree: 2,
    form: dapa::Form::Exact { limit: 2.0 },
};

/// A 3×3 convolution within the first stage.
const WITHIN: conv2d::Shape = conv2d::Shape {
    batch: 128,
    in_channels: 64,
    out_channels: 64,
    height: 32,
    width: 32,
    kernel: 3,
    stride: 1,
    padding: 1,
};

/// The 3×3 convolution that begins the second stage.
const HALVING: conv2d::Shape = conv2d::Shape {
    out_channels: 128,
    stride: 2,
    ..WITHIN
};

/// The convolution of the image.
const STEM: conv2d::Shape = conv2d::Shape {
    in_channels: 3,
    ..WITHIN
};

/// Whose maps have rows that are no whole vec4s: the last stage on ImageNet.
const RAGGED: conv2d::Shape = conv2d::Shape {
    height: 7,
    width: 7,
    in_channels: 512,
    out_channels: 512,
    ..WITHIN
};

/// A depthwise 3×3 convolution of EfficientNet-B0.
const DEPTHWISE: grouped::Shape = grouped::Shape {
    whole: conv2d::Shape {
        in_channels: 96,
        out_channels: 96,
        height: 112,
        width: 112,
        stride: 2,
        ..WITHIN
    },
    groups: 96,
};

/// All rows, family by family.
pub fn rows() -> Vec<Typical> {
    let mut rows = convolutions();
    rows.extend(activations());
    rows.extend(layers());
    rows.extend(ends());
    rows.extend(updates());
    rows
}

/// Convolutions, tiled on a GPU and by subgroups on a CPU.
fn convolutions() -> Vec<Typical> {
    const BOTH: &[Tiling] = &[Tiling::Large, Tiling::Cpu { lanes: 8 }];
    const CPU: &[Tiling] = &[Tiling::Cpu { lanes: 8 }];
    let within = "128×64×32×32 → 64, 3×3";
    let on = |tilings, row: Typical| Typical { tilings, ..row };
    vec![
        on(
            BOTH,
            row("conv2d forward", within, |c| conv2d::forward(c, &WITHIN)),
        ),
        on(
            BOTH,
            row("conv2d weight_gradient", within, |c| {
                conv2d::weight_gradient(c, &WITHIN)
            }),
        ),
        on(
            CPU,
            row(
                "conv2d data_gradient",
                "128×64×32×32 → 128, 3×3 stride 2",
                |c| conv2d::data_gradient(c, &HALVING, false),
            ),
        ),
        on(
            CPU,
            row(
                "conv2d weight_gradient",
                "128×3×32×32 → 64, 3×3",
                |c| conv2d::weight_gradient(c, &STEM),
            ),
        ),
        on(
            CPU,
            row("conv2d forward", "128×512×7×7 → 512, 3×3", |c| {
                conv2d::forward(c, &RAGGED)
            }),
        ),
        on(
            CPU,
            row("conv2d forward", "128×3×32×32 → 64, 5×5", |c| {
                let unfolded = conv2d::Shape {
                    kernel: 5,
                    padding: 2,
                    ..STEM
                };
                conv2d::forward(c, &unfolded)
            }),
        ),
        row(
            "conv2d/grouped forward",
            "128×96×112×112, 3×3 stride 2",
            |c| grouped::forward(c, &DEPTHWISE),
        ),
        row(
            "conv2d/grouped data_gradient",
            "128×96×112×112, 3×3 stride 2",
            |c| grouped::data_gradient(c, &DEPTHWISE, false),
        ),
        row(
            "conv2d/grouped weight_gradient",
            "128×96×112×112, 3×3 stride 2",
            |c| grouped::weight_gradient(c, &DEPTHWISE),
        ),
    ]
}

/// What lies between convolutions: norm, gate and polynomials.
fn activations() -> Vec<Typical> {
    let main = batch_norm::NormSlot::Main;
    vec![
        row(
            "batch_norm statistics",
            "128×64×32×32, main operand",
            move |c| batch_norm::statistics(c, EARLY, main, 3),
        ),
        row(
            "batch_norm running",
            "64 channels, main operand",
            move |c| batch_norm::running(c, EARLY.channels, main),
        ),
        row(
            "batch_norm parameter_gradients",
            "128×64×32×32, main operand",
            move |c| {
                let (_, partials) = gate::backward(c, &BLOCK_END)?;
                batch_norm::parameter_gradients(c, EARLY, main, partials, 3)
            },
        ),
        row("batch_norm data_gradient", "128×64×32×32", |c| {
            batch_norm::data_gradient(c, EARLY, false)
        }),
        row("dapa finish", "128×64×32×32, degree 2, limit 2", |c| {
            let (_, partials) = gate::forward(c, &BLOCK_END, true)?;
            dapa::finish(c, EARLY, partials, FIT, 3)
        }),
        row("dapa finish_hermite", "128×64×32×32, Hermite", |c| {
            let (_, partials) = gate::moments(c, &BLOCK_END)?;
            let hermite = dapa::Fit {
                degree: 2,
                form: dapa::Form::Hermite,
            };
            dapa::finish(c, EARLY, partials, hermite, 3)
        }),
        row(
            "gate forward",
            "128×64×32×32, normalized, residual, gate, moments",
            |c| Ok(gate::forward(c, &BLOCK_END, true)?.0),
        ),
        row(
            "gate backward",
            "128×64×32×32, normalized, residual, gate",
            |c| Ok(gate::backward(c, &BLOCK_END)?.0),
        ),
        row(
            "gate coefficient_gradients",
            "128×64×32×32, degree 2",
            |c| {
                let (_, partials) = gate::backward(c, &BLOCK_END)?;
                gate::coefficient_gradients(c, EARLY.channels, partials, 2)
            },
        ),
        row(
            "gate moments",
            "128×64×32×32, normalized, residual",
            |c| Ok(gate::moments(c, &BLOCK_END)?.0),
        ),
    ]
}

/// Smaller layers.
fn layers() -> Vec<Typical> {
    let early = EARLY.len();
    let stem = max_pool::Shape {
        planes: 128 * 64,
        height: 112,
        width: 112,
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    let halved = pool::Shape {
        planes: 128 * 64,
        height: 8,
        width: 8,
        kernel: 2,
        stride: 2,
    };
    let dropped = dropout::Spec {
        batch: 128,
        length: 128 * 1280,
        share: 1,
        rate: 0.2,
        layer: 0,
    };
    vec![
        row("add", "128×64×32×32", move |c| add::add(c, early)),
        row("add copy", "128×64×32×32", move |c| add::copy(c, early)),
        row(
            "dropout",
            "128×1280, each element by itself, rate 0.2",
            move |c| dropout::dropout(c, &dropped, false),
        ),
        row(
            "max_pool forward",
            "128×64×112×112, 3×3 stride 2 padding 1",
            move |c| max_pool::forward(c, &stem),
        ),
        row(
            "max_pool backward",
            "128×64×112×112, 3×3 stride 2 padding 1",
            move |c| max_pool::backward(c, &stem),
        ),
        row("pool average", "128×64×8×8, 2×2 stride 2", move |c| {
            pool::average(c, &halved)
        }),
        row(
            "pool average_backward",
            "128×64×8×8, 2×2 stride 2",
            move |c| pool::average_backward(c, &halved),
        ),
        row("pool global", "128×512×4×4", |c| {
            pool::global(c, 128 * 512, 16)
        }),
        row("pool global_backward", "128×512×4×4", |c| {
            pool::global_backward(c, 128 * 512, 16, false)
        }),
        row("scale forward", "128×96×112×112", |c| {
            scale::forward(c, FACTORS, 112 * 112)
        }),
        row("scale backward", "128×96×112×112", |c| {
            scale::backward(c, FACTORS, 112 * 112)
        }),
        row("sigmoid forward", "128×96", |c| {
            sigmoid::forward(c, FACTORS)
        }),
        row("sigmoid backward", "128×96", |c| {
            sigmoid::backward(c, FACTORS)
        }),
    ]
}

/// The ends of a step, from images to its record; and what measures the adapter.
fn ends() -> Vec<Typical> {
    let batch = augment::Spec {
        batch: 128,
        height: 32,
        width: 32,
        chunk: 0..40_000,
        first_chunk: true,
        mean: [0.4914, 0.4822, 0.4465],
        std: [0.2470, 0.2435, 0.2616],
        pad: 4,
        flip: true,
        cutout: 8,
    };
    let flattened = linear::Shape {
        batch: 128,
        in_features: 512,
        out_features: 10,
    };
    let distilled = loss::Spec {
        batch: 128,
        classes: 10,
        distill: true,
        gradient: true,
    };
    vec![
        row(
            "augment",
            "128×3×32×32, pad 4, flip, cutout 8",
            move |c| augment::augment(c, &batch),
        ),
        row("linear forward", "128×512 → 10", move |c| {
            linear::forward(c, &flattened)
        }),
        row("loss", "128×10, distillation, gradient", move |c| {
            loss::loss(c, &distilled)
        }),
        row("metrics", "128 samples, training, 16 sites", |c| {
            metrics::record(c, 128, true, 16, Prices::COUNT)
        }),
        row("roofline multiply_add", "4 chains", |c| {
            roofline::multiply_add(c, 4, [1024, 1])
        }),
        row("roofline copy", "4 vectors an invocation", |c| {
            roofline::copy(c, 4, [1024, 1])
        }),
    ]
}

/// What changes parameters, scores and masks.
fn updates() -> Vec<Typical> {
    // Channels of the first stage's masks.
    let groups: Vec<squares::Group> = (0..64)
        .map(|channel| squares::Group {
            first_element: 1024 * channel,
            elements: 1024,
            first_coefficient: channel,
            channels: 1,
            first_moment: channel,
            site: 0,
            padding: [0; 2],
        })
        .collect();
    let prices = Prices {
        relu: 184.0,
        square: 8.0,
        relu_site: 0.0,
        square_site: 0.0,
    };
    // One copy for each row that needs it.
    let [counted, measured, applied, held] = std::array::from_fn(|_| groups.clone());
    fn search(groups: &[squares::Group]) -> squares::Search<'_> {
        squares::Search {
            groups,
            sites: 16,
            fit: FIT,
            rule: Rule::Taylor,
        }
    }
    vec![
        row("indicator", "491,520 elements, taylor", |c| {
            indicator::update(c, ELEMENTS, Rule::Taylor)
        }),
        row("indicator share", "3,840 groups of 491,520", |c| {
            indicator::share(c, 3_840, ELEMENTS)
        }),
        row(
            "threshold",
            "491,520 elements, 16 sites, 64 groups of squares",
            move |c| threshold::select(c, ELEMENTS, 16, prices, &counted),
        ),
        row("optimizer sgd", "11,173,888 parameters, momentum", |c| {
            optimizer::sgd(c, PARAMETERS, false)
        }),
        row("optimizer adam", "11,173,888 parameters", |c| {
            optimizer::adam(c, PARAMETERS, false)
        }),
        row("optimizer gradient_norm", "11,173,888 parameters", |c| {
            optimizer::gradient_norm(c, PARAMETERS)
        }),
        row("optimizer norm", "491,520 elements", |c| {
            optimizer::norm(c, ELEMENTS)
        }),
        row("optimizer lookahead", "11,173,888 parameters", |c| {
            optimizer::lookahead(c, PARAMETERS)
        }),
        row("optimizer average", "11,173,888 parameters", |c| {
            optimizer::average(c, PARAMETERS)
        }),
        row(
            "squares update",
            "64 channels of 32×32, 16 sites, hysteresis",
            move |c| {
                let search = squares::Search {
                    rule: Rule::Hysteresis,
                    ..search(&groups)
                };
                squares::update(c, &search)
            },
        ),
        row(
            "squares measure",
            "64 channels of 32×32, 16 sites, taylor",
            move |c| squares::measure(c, &search(&measured)),
        ),
        row(
            "squares apply",
            "64 channels of 32×32, 16 sites",
            move |c| squares::apply(c, &search(&applied)),
        ),
        row("squares hold", "64 channels of 32×32", move |c| {
            squares::hold(c, &held)
        }),
    ]
}
