//! Every permutation of every kernel, in one table.
//!
//! A row of the [`table`] is a recipe of a family for one shape and one choice of options; it
//! is expanded for each of [`super::Tiling::ALL`]. The shapes are not those of one network: they are
//! chosen so that every arm of every template is taken by some row, which `tests/shaders`
//! proves, beside what it demands of each expansion. A new arm fails there until a row here
//! takes it. `autorep shaders` lists the table and prints expansions.

use super::gate::{Activation, Residual};
use super::indicator::Rule;
use super::metrics::Prices;
use super::{
    Compiler, Recipe, add, augment, batch_norm, conv2d, dapa, dropout, gate, indicator, linear,
    loss, max_pool, metrics, optimizer, plane, pool, roofline, scale, sigmoid, squares,
};
use crate::gpu::GpuError;

/// One recipe of a family.
pub struct Permutation {
    /// What it computes: family and function.
    pub name: &'static str,
    /// Shape and options, as a reader would write them.
    pub shape: String,
    build: Box<Build>,
}

type Build = dyn Fn(&Compiler) -> Result<Recipe, GpuError>;

impl Permutation {
    /// The recipe under the compiler's tiling: its pipelines hold the expansions.
    ///
    /// # Errors
    /// [`GpuError::Compile`].
    pub fn build(&self, compiler: &Compiler) -> Result<Recipe, GpuError> {
        (self.build)(compiler)
    }
}

/// All permutations, family by family.
pub fn table() -> Vec<Permutation> {
    let mut table = Table(Vec::new());
    table.add();
    table.augment();
    table.batch_norm();
    table.conv2d();
    table.conv2d_grouped();
    table.dapa();
    table.dropout();
    table.gate();
    table.indicator();
    table.linear();
    table.loss();
    table.max_pool();
    table.metrics();
    table.optimizer();
    table.pool();
    table.roofline();
    table.scale();
    table.sigmoid();
    table.squares();
    table.0
}

/// Prices of which none is zero.
const PRICES: Prices = Prices {
    relu: 184.0,
    square: 8.0,
    relu_site: 9.0,
    square_site: 1.0,
};

/// A channel of 64 positions.
const GROUP: squares::Group = squares::Group {
    first_element: 0,
    elements: 64,
    first_coefficient: 0,
    channels: 1,
    first_moment: 0,
    site: 0,
    padding: [0; 2],
};

/// Planes that fill vectors, workgroups and slices, and planes that do not.
const PLANES: [(usize, usize, usize); 6] = [
    (1, 1, 1),
    (5, 3, 49),
    (2, 16, 1024),
    (33, 2, 64),
    (70, 4, 4),
    (128, 64, 256),
];

/// N, C, K, H, W, R, stride, padding: odd sizes and ragged tiles, then what networks are made
/// of, at a small and at a usual batch.
const CONVOLUTIONS: [[usize; 8]; 25] = [
    [1, 1, 1, 1, 1, 1, 1, 0],
    [2, 3, 5, 7, 9, 3, 1, 1],
    [3, 5, 7, 9, 7, 3, 2, 1],
    [2, 3, 2, 8, 8, 5, 2, 2],
    [1, 3, 4, 6, 6, 2, 2, 0],
    [2, 6, 10, 7, 7, 1, 2, 0],
    [2, 17, 33, 5, 5, 1, 1, 0],
    [3, 12, 20, 12, 12, 3, 1, 1],
    [1, 20, 12, 20, 28, 3, 2, 1],
    [3, 6, 5, 10, 24, 3, 2, 1],
    [2, 4, 6, 6, 24, 1, 2, 0],
    [2, 16, 24, 16, 16, 1, 1, 0],
    [5, 64, 64, 4, 4, 3, 1, 1],
    [128, 3, 16, 32, 32, 3, 1, 1],
    [128, 16, 16, 32, 32, 3, 1, 1],
    [128, 16, 32, 32, 32, 3, 2, 1],
    [128, 16, 32, 32, 32, 1, 2, 0],
    [128, 3, 64, 32, 32, 3, 1, 1],
    [128, 64, 64, 32, 32, 3, 1, 1],
    [128, 64, 128, 32, 32, 3, 2, 1],
    [128, 64, 128, 32, 32, 1, 2, 0],
    [128, 128, 128, 16, 16, 3, 1, 1],
    [128, 256, 256, 8, 8, 3, 1, 1],
    [32, 256, 512, 8, 8, 3, 2, 1],
    [32, 512, 512, 4, 4, 3, 1, 1],
];

struct Table(Vec<Permutation>);

impl Table {
    fn push(
        &mut self,
        name: &'static str,
        shape: impl Into<String>,
        build: impl Fn(&Compiler) -> Result<Recipe, GpuError> + 'static,
    ) {
        self.0.push(Permutation {
            name,
            shape: shape.into(),
            build: Box::new(build),
        });
    }

    fn add(&mut self) {
        for length in [3, 4096] {
            let shape = length.to_string();
            self.push("add", &shape, move |c| add::add(c, length));
            self.push("add copy", &shape, move |c| add::copy(c, length));
        }
    }

    fn augment(&mut self) {
        let square = |batch, side, pad, flip, cutout, chunk: std::ops::Range<u32>| augment::Spec {
            batch,
            height: side,
            width: side,
            first_chunk: chunk.start == 0,
            chunk,
            mean: [0.4914, 0.4822, 0.4465],
            std: [0.2470, 0.2435, 0.2616],
            pad,
            flip,
            cutout,
        };
        for spec in [
            square(128, 32, 4, true, 8, 0..40_000),
            square(128, 32, 4, true, 0, 40_000..50_000),
            square(128, 32, 0, false, 0, 0..10_000),
            square(3, 7, 0, false, 3, 0..5),
            square(3, 7, 1, true, 0, 5..9),
        ] {
            let shape = format!(
                "{}×3×{}×{} of {:?}, pad {} flip {} cutout {}",
                spec.batch, spec.height, spec.width, spec.chunk, spec.pad, spec.flip, spec.cutout
            );
            self.push("augment", shape, move |c| augment::augment(c, &spec));
        }
    }

    fn batch_norm(&mut self) {
        use batch_norm::Operand;
        for (shape, name) in planes() {
            for operand in [Operand::Main, Operand::Residual] {
                let shape_and_operand = format!("{name} {operand:?}");
                self.push("batch_norm statistics", &shape_and_operand, move |c| {
                    batch_norm::statistics(c, shape, operand, 3)
                });
                self.push("batch_norm running", &shape_and_operand, move |c| {
                    batch_norm::running(c, shape.channels, operand)
                });
                let spec = gate::Spec {
                    shape,
                    normalized: true,
                    residual: Residual::Normalized,
                    activation: Activation::Gate,
                };
                self.push("batch_norm parameter_gradients", shape_and_operand, {
                    move |c| {
                        let (_, partials) = gate::backward(c, &spec)?;
                        batch_norm::parameter_gradients(c, shape, operand, partials, 3)
                    }
                });
            }
            for in_place in [false, true] {
                let shape_and_place = format!("{name} in_place {in_place}");
                self.push("batch_norm data_gradient", shape_and_place, move |c| {
                    batch_norm::data_gradient(c, shape, in_place)
                });
            }
        }
    }

    fn conv2d(&mut self) {
        for [n, c, k, h, w, r, stride, padding] in CONVOLUTIONS {
            let shape = conv2d::Shape {
                batch: n,
                in_channels: c,
                out_channels: k,
                height: h,
                width: w,
                kernel: r,
                stride,
                padding,
            };
            let name = format!("{n}×{c}×{h}×{w} → {k}, {r}×{r} stride {stride} padding {padding}");
            self.push("conv2d forward", &name, move |c| conv2d::forward(c, &shape));
            for accumulate in [false, true] {
                let name = format!("{name} accumulate {accumulate}");
                self.push("conv2d data_gradient", name, move |c| {
                    conv2d::data_gradient(c, &shape, accumulate)
                });
            }
            self.push("conv2d weight_gradient", name, move |c| {
                conv2d::weight_gradient(c, &shape)
            });
        }
    }

    fn conv2d_grouped(&mut self) {
        // N, C, K, groups, side, R, stride: EfficientNet's depthwise layers, then groups of
        // several channels.
        for [n, c, k, groups, side, kernel, stride] in [
            [128, 32, 32, 32, 112, 3, 1],
            [32, 144, 144, 144, 56, 5, 2],
            [128, 1248, 1248, 1248, 7, 5, 1],
            [2, 12, 8, 4, 7, 3, 2],
        ] {
            let shape = conv2d::grouped::Shape {
                whole: conv2d::Shape {
                    batch: n,
                    in_channels: c,
                    out_channels: k,
                    height: side,
                    width: side,
                    kernel,
                    stride,
                    padding: kernel / 2,
                },
                groups,
            };
            let name = format!(
                "{n}×{c}×{side}×{side} → {k} in {groups}, {kernel}×{kernel} stride {stride}"
            );
            self.push("conv2d_grouped forward", &name, move |c| {
                conv2d::grouped::forward(c, &shape)
            });
            for accumulate in [false, true] {
                let name = format!("{name} accumulate {accumulate}");
                self.push("conv2d_grouped data_gradient", name, move |c| {
                    conv2d::grouped::data_gradient(c, &shape, accumulate)
                });
            }
            self.push("conv2d_grouped weight_gradient", name, move |c| {
                conv2d::grouped::weight_gradient(c, &shape)
            });
        }
    }

    fn dapa(&mut self) {
        let (shape, name) = plane_of((128, 64, 256));
        for degree in [1, 2] {
            for official in [None, Some(0.1)] {
                for limit in [0.0, 2.0] {
                    let fit = dapa::Fit {
                        degree,
                        official,
                        limit,
                    };
                    let name =
                        format!("{name} degree {degree} official {official:?} limit {limit}");
                    self.push("dapa finish", name, move |c| {
                        let spec = gate::Spec {
                            shape,
                            normalized: true,
                            residual: Residual::None,
                            activation: Activation::Gate,
                        };
                        let (_, partials) = gate::forward(c, &spec, true)?;
                        dapa::finish(c, shape, partials, fit, 3)
                    });
                }
            }
        }
    }

    fn dropout(&mut self) {
        for (length, share) in [(128 * 1408, 1), (128 * 88 * 196, 88 * 196), (21, 7)] {
            for in_place in [false, true] {
                let spec = dropout::Spec {
                    batch: 1,
                    length,
                    share,
                    rate: 0.2,
                    layer: 3,
                };
                let name = format!("{length} by {share}, in_place {in_place}");
                self.push("dropout", name, move |c| {
                    dropout::dropout(c, &spec, in_place)
                });
            }
        }
    }

    fn gate(&mut self) {
        for (shape, name) in planes() {
            for (normalized, residual, activation) in gate_options() {
                let spec = gate::Spec {
                    shape,
                    normalized,
                    residual,
                    activation,
                };
                let name = format!(
                    "{name} {activation:?}{} residual {residual:?}",
                    if normalized { " normalized" } else { "" }
                );
                for moments in [false, true] {
                    let name = format!("{name} moments {moments}");
                    self.push("gate forward", name, move |c| {
                        Ok(gate::forward(c, &spec, moments)?.0)
                    });
                }
                self.push("gate backward", &name, move |c| {
                    Ok(gate::backward(c, &spec)?.0)
                });
                if !activation.is_gated() {
                    continue;
                }
                for degree in [1, 2] {
                    let name = format!("{name} degree {degree}");
                    self.push("gate coefficient_gradients", name, move |c| {
                        let (_, partials) = gate::backward(c, &spec)?;
                        gate::coefficient_gradients(c, spec.shape.channels, partials, degree)
                    });
                }
            }
        }
    }

    fn indicator(&mut self) {
        let rules = [Rule::Hysteresis, Rule::Slopes, Rule::Importance];
        for (length, rule) in [256, 16_777_216]
            .into_iter()
            .flat_map(|n| rules.map(|r| (n, r)))
        {
            self.push("indicator", format!("{length} {rule:?}"), move |c| {
                indicator::update(c, length, rule)
            });
        }
        for (groups, rule) in [1, 100_000].into_iter().flat_map(|n| rules.map(|r| (n, r))) {
            self.push(
                "indicator share",
                format!("{groups} groups {rule:?}"),
                move |c| indicator::share(c, groups, 16 * groups, rule),
            );
        }
    }

    fn linear(&mut self) {
        for (batch, in_features, out_features) in [(1, 1, 1), (5, 17, 33), (128, 512, 100)] {
            let shape = linear::Shape {
                batch,
                in_features,
                out_features,
            };
            let name = format!("{batch}×{in_features} → {out_features}");
            self.push("linear forward", &name, move |c| linear::forward(c, &shape));
            self.push("linear data_gradient", &name, move |c| {
                linear::data_gradient(c, &shape)
            });
            self.push("linear weight_gradient", name, move |c| {
                linear::weight_gradient(c, &shape)
            });
        }
    }

    fn loss(&mut self) {
        for (batch, classes) in [(1, 2), (128, 10), (128, 1000)] {
            for distill in [false, true] {
                for gradient in [false, true] {
                    let spec = loss::Spec {
                        batch,
                        classes,
                        distill,
                        gradient,
                    };
                    let name = format!("{batch}×{classes} distill {distill} gradient {gradient}");
                    self.push("loss", name, move |c| loss::loss(c, &spec));
                }
            }
        }
    }

    fn max_pool(&mut self) {
        for (planes, side, padding) in [(6, 7, 0), (8192, 112, 1)] {
            let shape = max_pool::Shape {
                planes,
                height: side,
                width: side,
                kernel: 3,
                stride: 2,
                padding,
            };
            let name = format!("{planes}×{side}×{side}, 3×3 stride 2 padding {padding}");
            self.push("max_pool forward", &name, move |c| {
                max_pool::forward(c, &shape)
            });
            self.push("max_pool backward", name, move |c| {
                max_pool::backward(c, &shape)
            });
        }
    }

    fn metrics(&mut self) {
        for training in [false, true] {
            for (sites, prices) in [(0, Prices::COUNT), (16, Prices::COUNT), (16, PRICES)] {
                let name = format!("128 training {training} sites {sites} {prices:?}");
                self.push("metrics", name, move |c| {
                    metrics::record(c, 128, training, sites, prices)
                });
            }
        }
    }

    fn optimizer(&mut self) {
        for length in [optimizer::BLOCK, 11_173_888] {
            let name = length.to_string();
            for option in [false, true] {
                let nesterov = format!("{length} nesterov {option}");
                self.push("optimizer sgd", nesterov, move |c| {
                    optimizer::sgd(c, length, option)
                });
                let decoupled = format!("{length} decoupled {option}");
                self.push("optimizer adam", decoupled, move |c| {
                    optimizer::adam(c, length, option)
                });
            }
            self.push("optimizer gradient_norm", &name, move |c| {
                optimizer::gradient_norm(c, length)
            });
            self.push("optimizer lookahead", &name, move |c| {
                optimizer::lookahead(c, length)
            });
            self.push("optimizer average", name, move |c| {
                optimizer::average(c, length)
            });
        }
    }

    fn pool(&mut self) {
        for (planes, height, width, kernel, stride) in [(6, 5, 7, 3, 2), (8192, 8, 8, 2, 2)] {
            let shape = pool::Shape {
                planes,
                height,
                width,
                kernel,
                stride,
            };
            let name = format!("{planes}×{height}×{width}, {kernel}×{kernel} stride {stride}");
            self.push("pool average", &name, move |c| pool::average(c, &shape));
            self.push("pool average_backward", name, move |c| {
                pool::average_backward(c, &shape)
            });
        }
        for (planes, pixels) in [(6, 1), (6, 49), (65_536, 16), (3, 1024)] {
            let name = format!("{planes}×{pixels}");
            self.push("pool global", &name, move |c| {
                pool::global(c, planes, pixels)
            });
            for accumulate in [false, true] {
                let name = format!("{name} accumulate {accumulate}");
                self.push("pool global_backward", name, move |c| {
                    pool::global_backward(c, planes, pixels, accumulate)
                });
            }
        }
    }

    fn scale(&mut self) {
        for (planes, pixels) in [(6, 1), (6, 49), (128 * 96, 12_544)] {
            let name = format!("{planes}×{pixels}");
            self.push("scale forward", &name, move |c| {
                scale::forward(c, planes, pixels)
            });
            self.push("scale backward", name, move |c| {
                scale::backward(c, planes, pixels)
            });
        }
    }

    fn sigmoid(&mut self) {
        for length in [3, 128 * 96] {
            let name = length.to_string();
            self.push("sigmoid forward", &name, move |c| {
                sigmoid::forward(c, length)
            });
            self.push("sigmoid backward", name, move |c| {
                sigmoid::backward(c, length)
            });
        }
    }

    fn squares(&mut self) {
        let rules = [Rule::Hysteresis, Rule::Importance];
        for (official, rule) in [None, Some(0.1)]
            .into_iter()
            .flat_map(|o| rules.map(|r| (o, r)))
        {
            let fit = dapa::Fit {
                degree: 2,
                official,
                limit: 2.0,
            };
            let name = format!("2 groups official {official:?} {rule:?}");
            self.push("squares update", name, move |c| {
                squares::update(c, &[GROUP; 2], 16, fit, rule)
            });
        }
        self.push("squares hold", "2 groups", |c| {
            squares::hold(c, &[GROUP; 2])
        });
    }

    fn roofline(&mut self) {
        for chains in roofline::CHAINS {
            let name = format!("{chains} chains");
            self.push("roofline multiply_add", name, move |c| {
                roofline::multiply_add(c, chains, [3, 2])
            });
        }
        for vectors in roofline::VECTORS {
            let name = format!("{vectors} vectors an invocation");
            self.push("roofline copy", name, move |c| {
                roofline::copy(c, vectors, [3, 2])
            });
        }
    }
}

fn plane_of((batch, channels, pixels): (usize, usize, usize)) -> (plane::Shape, String) {
    let shape = plane::Shape {
        batch,
        channels,
        pixels,
    };
    (shape, format!("{batch}×{channels}×{pixels}"))
}

fn planes() -> impl Iterator<Item = (plane::Shape, String)> {
    PLANES.into_iter().map(plane_of)
}

fn gate_options() -> impl Iterator<Item = (bool, Residual, Activation)> {
    let residuals = [Residual::None, Residual::Plain, Residual::Normalized];
    let activations = [
        Activation::Identity,
        Activation::Relu,
        Activation::Silu,
        Activation::Gate,
        Activation::Blend,
    ];
    [false, true].into_iter().flat_map(move |normalized| {
        residuals.into_iter().flat_map(move |residual| {
            activations
                .into_iter()
                .map(move |activation| (normalized, residual, activation))
        })
    })
}
