//! The fused gate: normalise + residual + ReLU or polynomial + moments, and its backward:
//! `shaders/gate.wgsl`.

use super::compile::{
    Arg, Compiler, Cost, Kernel, Recipe, Size, Stream, Template, Tiling, template, vector_width,
};
use super::family::{Family, Table};
use super::plane::{self, MOST_IMAGES, Walk};
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("gate.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "gate",
    templates: &[TEMPLATE],
    permutations,
};

/// What is added before the activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Residual {
    /// Nothing.
    None,
    /// A tensor as it is.
    Plain,
    /// A convolution output that still wants its own batch norm.
    Normalized,
}

/// What is applied to the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Nothing: the kernel only normalises and adds.
    Identity,
    /// ReLU everywhere: a teacher.
    Relu,
    /// x·sigmoid(x) everywhere: a teacher of EfficientNet's kind.
    Silu,
    /// ReLU where the mask is 1, the channel's polynomial elsewhere.
    Gate,
    /// The mean of ReLU and the channel's polynomial, weighted by a mask of slopes 0…1.
    Blend,
}

impl Activation {
    /// Whether there is a mask and a polynomial.
    pub fn is_gated(self) -> bool {
        matches!(self, Self::Gate | Self::Blend)
    }
}

/// One permutation of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Shape of the operands.
    pub shape: plane::Shape,
    /// Whether `u` wants batch norm.
    pub normalized: bool,
    /// What is added.
    pub residual: Residual,
    /// What is applied.
    pub activation: Activation,
    /// Whether the loss holds what polynomials are given within bounds, in training: beside a mask
    /// of 0 and 1.
    pub bounded: bool,
}

/// Where a recipe's partial sums lie, for the kernel that finishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partials {
    /// Parts of a channel.
    pub parts: usize,
    /// vec4s of a part.
    pub stride: usize,
    /// Size of the buffer in bytes.
    pub bytes: u64,
}

impl Spec {
    fn operands(&self) -> usize {
        1 + usize::from(self.residual != Residual::None)
    }

    fn has_norm(&self) -> bool {
        self.normalized || self.residual == Residual::Normalized
    }

    fn gated(&self) -> bool {
        self.activation.is_gated()
    }

    /// What every pass reads, as arguments: operands; norms, perhaps with bounds; mask and coefficients.
    fn sizes(&self, bounded: bool) -> Vec<Size> {
        let channels = self.shape.channels;
        let mut sizes = vec![Size::words(self.shape.len()); self.operands()];
        if self.has_norm() || bounded {
            sizes.push(Size::words((8 + 4 * usize::from(bounded)) * channels));
        }
        if self.gated() {
            let mask = Size::words(channels * self.shape.pixels);
            sizes.extend([mask, Size::words(4 * channels)]);
        }
        sizes
    }

    /// Flops an element that lead from the operands to z.
    fn flops_to_z(&self) -> usize {
        let residual = match self.residual {
            Residual::None => 0,
            Residual::Plain => 1,
            Residual::Normalized => 3,
        };
        2 * usize::from(self.normalized) + residual
    }

    /// Bytes of everything that is read or written once a channel or once a position: norm, mask
    /// and coefficients.
    fn constant_bytes(&self) -> usize {
        let (channels, positions) = (self.shape.channels, self.shape.channels * self.shape.pixels);
        let norms =
            usize::from(self.normalized) + usize::from(self.residual == Residual::Normalized);
        let gate = usize::from(self.gated()) * (4 * positions + 16 * channels);
        16 * norms * channels + gate
    }

    /// Bytes of the bounds, which the backward pass reads.
    fn bound_bytes(&self) -> usize {
        16 * usize::from(self.bounded) * self.shape.channels
    }

    fn walk(&self, tiling: Tiling) -> Walk {
        // Three tensors at once crowd a CPU's caches with half as many images.
        let images = match self.residual {
            Residual::None => MOST_IMAGES,
            Residual::Plain | Residual::Normalized => MOST_IMAGES / 2,
        };
        Walk::owning(tiling, self.shape, images)
    }

    fn kernel(
        &self,
        compiler: &Compiler,
        walk: &Walk,
        entry: &str,
        partials: bool,
        cost: Cost,
    ) -> Result<Kernel, GpuError> {
        let constants = context! {
            entry, partials,
            bounded => self.bounded && entry == "backward",
            normalized => self.normalized,
            residual => match self.residual {
                Residual::None => "none",
                Residual::Plain => "plain",
                Residual::Normalized => "normalized",
            },
            activation => match self.activation {
                Activation::Identity => "identity",
                Activation::Relu => "relu",
                Activation::Silu => "silu",
                Activation::Gate => "gate",
                Activation::Blend => "blend",
            },
        };
        Ok(Kernel {
            pipeline: compiler.pipeline(TEMPLATE, entry, walk.with(constants))?,
            grid: walk.grid(),
            cost,
        })
    }
}

/// The forward pass. Arguments, those that the permutation has: `u` `[N,C,P]`, `r` `[N,C,P]`, `norm`
/// `vec4[2,C]`, mask `[C,P]`, coefficients `vec4[C]`, `y` `[N,C,P]`, and with `moments` the partials
/// `vec4[C,parts]` of Σz and Σz².
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn forward(
    compiler: &Compiler,
    spec: &Spec,
    moments: bool,
) -> Result<(Recipe, Partials), GpuError> {
    let walk = spec.walk(compiler.tiling);
    let partials = Partials {
        parts: walk.parts(),
        stride: 1,
        bytes: 16 * (spec.shape.channels * walk.parts()) as u64,
    };
    let activation = match spec.activation {
        Activation::Identity => 0,
        Activation::Relu => 1,
        Activation::Silu => 6,
        Activation::Gate => 5,
        Activation::Blend => 9,
    };
    let flops = spec.flops_to_z() + activation + 3 * usize::from(moments);
    let bytes = 4 * spec.shape.len() * (spec.operands() + 1) + spec.constant_bytes();
    let cost = Cost {
        flops: (flops * spec.shape.len()) as f64
            + if moments {
                walk.flops_of_sums(1, 2)
            } else {
                0.0
            },
        bytes: bytes as f64 + if moments { partials.bytes as f64 } else { 0.0 },
    };
    let kernel = spec.kernel(compiler, &walk, "forward", moments, cost)?;
    let mut arguments = spec.sizes(false);
    arguments.push(Size::words(spec.shape.len()));
    arguments.extend(moments.then_some(Size::Bytes(partials.bytes)));
    Ok((Recipe::single(kernel, arguments), partials))
}

/// Powers of the pre-activation about its running mean, before the gate looks at it. Arguments,
/// those that the permutation has: `u` `[N,C,P]`, `r` `[N,C,P]`, `norm` `vec4[2,C]`, then the running
/// moments `vec2[C]` and partials `vec4[C,parts]` of Σd to Σd⁴. Mask and polynomials are not read.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn moments(compiler: &Compiler, spec: &Spec) -> Result<(Recipe, Partials), GpuError> {
    let spec = Spec {
        activation: Activation::Identity,
        ..*spec
    };
    let walk = spec.walk(compiler.tiling);
    let partials = Partials {
        parts: walk.parts(),
        stride: 1,
        bytes: 16 * (spec.shape.channels * walk.parts()) as u64,
    };
    // Of the running moments it reads the mean.
    let constants = spec.constant_bytes() + 4 * spec.shape.channels;
    let bytes = 4 * spec.shape.len() * spec.operands() + constants;
    let cost = Cost {
        flops: ((spec.flops_to_z() + 8) * spec.shape.len()) as f64 + walk.flops_of_sums(1, 4),
        bytes: bytes as f64 + partials.bytes as f64,
    };
    let kernel = spec.kernel(compiler, &walk, "moments", true, cost)?;
    let mut arguments = spec.sizes(false);
    arguments.extend([
        Size::words(2 * spec.shape.channels),
        Size::Bytes(partials.bytes),
    ]);
    Ok((Recipe::single(kernel, arguments), partials))
}

/// The backward pass. Arguments, those that the permutation has: `dy` `[N,C,P]` (becomes dz),
/// `u`, `r`, `norm` (`vec4[3,C]` with bounds), mask, coefficients, mask gradient `[C,P]` (written in full), partials
/// `vec4[C,parts,stride]` (wanted by batch norm's backward and by [`coefficient_gradients`]; left
/// out when the permutation has neither).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn backward(compiler: &Compiler, spec: &Spec) -> Result<(Recipe, Partials), GpuError> {
    let walk = spec.walk(compiler.tiling);
    let gated = spec.gated();
    let with_partials = gated || spec.has_norm();
    let stride = 1 + usize::from(gated);
    let partials = Partials {
        parts: walk.parts(),
        stride,
        bytes: 16 * (spec.shape.channels * walk.parts() * stride) as u64,
    };
    let slices = walk.slices * walk.lanes_n;
    let kernel = {
        let activation = match spec.activation {
            Activation::Identity | Activation::Relu => 0,
            Activation::Silu => 10,
            // p(z) and its slope, dm, and three sums for the coefficients.
            Activation::Gate => 17,
            Activation::Blend => 25,
        };
        let (sums, sum_bytes) = match with_partials {
            true => (
                walk.flops_of_sums(stride, 3 * stride),
                partials.bytes as f64,
            ),
            false => (0.0, 0.0),
        };
        // Twice c₂ is made for a vector at a time.
        let twice = usize::from(gated) * spec.shape.len() / walk.width;
        let normed = 3 * usize::from(spec.normalized);
        let beside = 3 * usize::from(spec.residual == Residual::Normalized);
        let bounds = 9 * usize::from(spec.bounded);
        let to_norms = usize::from(with_partials) + normed + beside;
        let flops = spec.flops_to_z() + activation + bounds + to_norms;
        let mask_gradients = 4 * spec.shape.channels * spec.shape.pixels * slices;
        let bytes = 4 * spec.shape.len() * (spec.operands() + 2)
            + spec.constant_bytes()
            + spec.bound_bytes()
            + usize::from(gated) * mask_gradients;
        let cost = Cost {
            flops: (flops * spec.shape.len() + twice) as f64 + sums,
            bytes: bytes as f64 + sum_bytes,
        };
        spec.kernel(compiler, &walk, "backward", with_partials, cost)?
    };
    let mut arguments = vec![Size::words(spec.shape.len())];
    arguments.extend(spec.sizes(spec.bounded));
    if !gated {
        arguments.extend(with_partials.then_some(Size::Bytes(partials.bytes)));
        return Ok((Recipe::single(kernel, arguments), partials));
    }
    let inputs = arguments.len();
    let length = spec.shape.channels * spec.shape.pixels;
    arguments.extend([Size::words(length), Size::Bytes(partials.bytes)]);
    let (mask_gradient, sums) = (Arg::External(inputs), Arg::External(inputs + 1));
    let mut bindings: Vec<Arg> = (0..inputs).map(Arg::External).collect();
    if slices == 1 {
        bindings.extend([mask_gradient, sums]);
        let stages = vec![(kernel, bindings)];
        return Ok((
            Recipe {
                stages,
                scratch: Vec::new(),
                arguments,
            },
            partials,
        ));
    }
    bindings.extend([Arg::Scratch(0), sums]);
    let add_up = sum_mask_slices(compiler, length, slices)?;
    let recipe = Recipe {
        stages: vec![
            (kernel, bindings),
            (add_up, vec![Arg::Scratch(0), mask_gradient]),
        ],
        scratch: vec![4 * (length * slices) as u64],
        arguments,
    };
    Ok((recipe, partials))
}

fn sum_mask_slices(compiler: &Compiler, length: usize, slices: usize) -> Result<Kernel, GpuError> {
    let width = vector_width(length);
    let stream = Stream::over(compiler.tiling, length / width);
    let constants = stream.with(context! {
        entry => "sum_mask_slices",
        width, slices,
        length => length / width,
    });
    Ok(Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "sum_mask_slices", constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: (length * slices) as f64,
            bytes: 4.0 * (length * (slices + 1)) as f64,
        },
    })
}

/// Gradients of the coefficients up to `degree` from the partials of [`backward`]. Arguments:
/// partials, gradient `vec4[C]` (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn coefficient_gradients(
    compiler: &Compiler,
    channels: usize,
    partials: Partials,
    degree: usize,
) -> Result<Recipe, GpuError> {
    let constants = context! {
        entry => "finish_coefficients",
        channels, degree,
        workgroup => 64,
        parts => partials.parts,
    };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "finish_coefficients", constants)?,
        grid: [(channels as u32).div_ceil(64), 1, 1],
        cost: Cost {
            flops: 4.0 * (channels * (partials.parts + 1)) as f64,
            // One of the two vec4s of a part.
            bytes: 16.0 * (channels * (partials.parts + 1)) as f64,
        },
    };
    let arguments = vec![Size::Bytes(partials.bytes), Size::words(4 * channels)];
    Ok(Recipe::single(kernel, arguments))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for shape in plane::permutation_shapes() {
        for (normalized, residual, activation) in options() {
            let spec = Spec {
                shape,
                normalized,
                residual,
                activation,
                bounded: false,
            };
            let name = format!(
                "{shape} {activation:?}{} residual {residual:?}",
                if normalized { " normalized" } else { "" }
            );
            if activation == Activation::Gate {
                let bounded = Spec {
                    bounded: true,
                    ..spec
                };
                table.push("gate backward", format!("{name} bounded"), move |c| {
                    Ok(backward(c, &bounded)?.0)
                });
            }
            if activation == Activation::Identity {
                table.push("gate moments", &name, move |c| Ok(moments(c, &spec)?.0));
            }
            for moments in [false, true] {
                let name = format!("{name} moments {moments}");
                table.push("gate forward", name, move |c| {
                    Ok(forward(c, &spec, moments)?.0)
                });
            }
            table.push("gate backward", &name, move |c| Ok(backward(c, &spec)?.0));
            if !activation.is_gated() {
                continue;
            }
            for degree in [1, 2] {
                let name = format!("{name} degree {degree}");
                table.push("gate coefficient_gradients", name, move |c| {
                    let (_, partials) = backward(c, &spec)?;
                    coefficient_gradients(c, spec.shape.channels, partials, degree)
                });
            }
        }
    }
}

/// All that a gate can be, for permutations.
fn options() -> impl Iterator<Item = (bool, Residual, Activation)> {
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
