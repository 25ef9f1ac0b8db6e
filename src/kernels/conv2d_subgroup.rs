//! Convolution in the registers of one subgroup: `shaders/conv2d_subgroup.wgsl` and, for the
//! data gradient of stride 2, `shaders/conv2d_subgroup_scatter.wgsl`.
//!
//! Made for software Vulkan, where a subgroup is a SIMD register of the CPU. Kernels are 3×3
//! with padding 1 or 1×1 without, stride 1 or 2; every other shape goes to
//! [`super::conv2d_tiled`]. The kernels want rows of whole vec4s: see [`Fit`].

use super::conv2d::Shape;
use super::{Arg, Compiler, Cost, Kernel, Recipe};
use crate::gpu::{GpuError, Texture};
use minijinja::{Value, context};

/// How a shape is presented to the kernels, which want rows of whole vec4s and, at stride 2, an
/// even number of them.
///
/// What lacks is padded with zeros, as a tensor is copied to a texture; what a kernel computes
/// beyond the end of a row of its result it does not store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fit {
    /// The convolution as it is, or one of the same tensors that is the same.
    pub real: Shape,
    /// The padded one.
    pub padded: Shape,
}

impl Fit {
    /// `None` where the kernels do not know kernel, stride or padding, or something is too large
    /// for a texture.
    pub fn of(shape: &Shape) -> Option<Self> {
        let known = matches!((shape.kernel, shape.padding), (3, 1) | (1, 0)) && shape.stride <= 2;
        // Packed weights lie in a texture, four in a texel, some of them padding.
        if !known || shape.weight_len() as u64 > Texture::MAX_TEXELS {
            return None;
        }
        let real = unrolled(shape);
        let padded = Shape {
            height: real.out_height() * real.stride,
            width: real.out_width().next_multiple_of(4) * real.stride,
            ..real
        };
        let fit = Self { real, padded };
        let fits =
            |maps: Maps| maps.is_whole() || maps.padded_vectors() as u64 <= Texture::MAX_TEXELS;
        (fits(fit.input()) && fits(fit.output())).then_some(fit)
    }

    /// Whether the forward pass fits a grid.
    pub fn has_forward(&self, lanes: u32) -> bool {
        Gather::forward(self).groups(lanes) <= MAX_GRID
    }

    /// Whether the data gradient fits a grid.
    pub fn has_data_gradient(&self, lanes: u32) -> bool {
        let groups = match self.real.stride {
            1 => Gather::data_gradient(self).groups(lanes),
            _ => Scatter::new(self).groups(lanes),
        };
        groups <= MAX_GRID
    }

    /// The maps of x.
    pub fn input(&self) -> Maps {
        Maps {
            count: self.real.batch * self.real.in_channels,
            size: (self.real.height, self.real.width),
            padded: (self.padded.height, self.padded.width),
        }
    }

    /// The maps of y.
    pub fn output(&self) -> Maps {
        Maps {
            count: self.real.batch * self.real.out_channels,
            size: (self.real.out_height(), self.real.out_width()),
            padded: (self.padded.out_height(), self.padded.out_width()),
        }
    }
}

/// A 1×1 convolution does not know where rows end: where they are not whole vec4s, a map is taken
/// as two long rows, or one, of which little is padded.
fn unrolled(shape: &Shape) -> Shape {
    if shape.kernel > 1 || shape.stride > 1 || shape.width.is_multiple_of(4) {
        return *shape;
    }
    let pixels = shape.height * shape.width;
    let height = strip(pixels);
    Shape {
        height,
        width: pixels / height,
        ..*shape
    }
}

/// The maps of a tensor, N·C of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Maps {
    count: usize,
    /// Height and width.
    size: (usize, usize),
    /// The same, padded.
    padded: (usize, usize),
}

impl Maps {
    /// Whether nothing is padded.
    fn is_whole(&self) -> bool {
        self.size == self.padded
    }

    fn elements(&self) -> usize {
        self.count * self.size.0 * self.size.1
    }

    fn padded_vectors(&self) -> usize {
        self.count * self.padded.0 * self.padded.1 / 4
    }
}

pub(super) fn forward(compiler: &Compiler, fit: &Fit, lanes: u32) -> Result<Recipe, GpuError> {
    let shape = &fit.real;
    let gather = Gather::forward(fit);
    let channels = (shape.out_channels, shape.in_channels);
    let w = packed(compiler, lanes, &gather.weights, channels, Order::Forward)?;
    let x = Operand::new(compiler, "x", 0, fit.input(), gather.loads())?;
    let cost = shape.forward_cost(w.bytes);
    let kernel = gather.kernel(compiler, lanes, cost, &x, false)?;
    Ok(product(w, x, kernel))
}

pub(super) fn data_gradient(
    compiler: &Compiler,
    fit: &Fit,
    lanes: u32,
    accumulate: bool,
) -> Result<Recipe, GpuError> {
    let shape = &fit.real;
    let channels = (shape.in_channels, shape.out_channels);
    if shape.stride == 1 {
        let gather = Gather::data_gradient(fit);
        let w = packed(compiler, lanes, &gather.weights, channels, Order::Flipped)?;
        let dy = Operand::new(compiler, "dy", 0, fit.output(), gather.loads())?;
        let cost = shape.data_cost(accumulate, w.bytes);
        let kernel = gather.kernel(compiler, lanes, cost, &dy, accumulate)?;
        return Ok(product(w, dy, kernel));
    }
    let scatter = Scatter::new(fit);
    let w = packed(
        compiler,
        lanes,
        &scatter.weights,
        channels,
        Order::Transposed,
    )?;
    let dy = Operand::new(compiler, "dy", 0, fit.output(), scatter.loads())?;
    let cost = shape.data_cost(accumulate, w.bytes);
    let kernel = scatter.kernel(compiler, lanes, cost, &dy, accumulate)?;
    Ok(product(w, dy, kernel))
}

/// Most workgroups along one axis of a grid.
pub(super) const MAX_GRID: usize = 65_535;

/// A convolution by `conv2d_subgroup.wgsl`, whatever pass it stands for.
struct Gather {
    batch: usize,
    in_channels: usize,
    out_channels: usize,
    in_size: (usize, usize),
    out_size: (usize, usize),
    /// Pixels of a row that are stored.
    columns: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    weights: Weights,
    /// Rows of a lane's strip.
    strip: usize,
}

/// Output channels of a tile, and how many input channels' weights fill whole registers.
struct Weights {
    tile: usize,
    step: usize,
    taps: usize,
    /// Whether the layer's own order serves: in a data gradient the weights of a tile lie side
    /// by side for every channel of dy.
    natural: bool,
}

impl Weights {
    /// Tiles of `most` channels, or of all channels where they are fewer.
    fn new(out_channels: usize, in_channels: usize, taps: usize, most: usize) -> Self {
        let tile = out_channels.next_multiple_of(4).min(most);
        // A 3×3 kernel has work enough in one input channel; 1×1 takes several at once.
        let steps: &[usize] = if taps == 1 { &[4, 2] } else { &[] };
        let whole = |&&step: &&usize| in_channels.is_multiple_of(step);
        Self {
            tile,
            step: steps.iter().find(whole).copied().unwrap_or(1),
            taps,
            natural: false,
        }
    }

    /// The same of a data gradient for `out_channels` of dx.
    fn of_gradient(self, out_channels: usize) -> Self {
        Self {
            natural: self.taps > 1 && out_channels.is_multiple_of(4),
            ..self
        }
    }

    /// Registers (a vec4 in every lane) that hold the weights of a step.
    fn registers(&self, lanes: u32) -> usize {
        (self.step * self.taps * self.tile).div_ceil(4 * lanes as usize)
    }
}

impl Gather {
    fn forward(fit: &Fit) -> Self {
        let shape = &fit.padded;
        let out_height = shape.out_height();
        let taps = shape.kernel * shape.kernel;
        let whole_map = (shape.height, shape.width) == (4, 4) && taps > 1;
        let (tile, strip) = if whole_map && shape.stride == 1 {
            // A strip is a map: the driver drops the products with the padding.
            (8, 4)
        } else {
            (16, strip(out_height))
        };
        Self {
            batch: shape.batch,
            in_channels: shape.in_channels,
            out_channels: shape.out_channels,
            in_size: (shape.height, shape.width),
            out_size: (out_height, shape.out_width()),
            columns: fit.real.out_width(),
            kernel: shape.kernel,
            stride: shape.stride,
            padding: shape.padding,
            weights: Weights::new(shape.out_channels, shape.in_channels, taps, tile),
            strip,
        }
    }

    /// Of stride 1, where x and y have the same maps.
    fn data_gradient(fit: &Fit) -> Self {
        let exchanged = |shape: Shape| Shape {
            in_channels: shape.out_channels,
            out_channels: shape.in_channels,
            ..shape
        };
        let gather = Self::forward(&Fit {
            real: exchanged(fit.real),
            padded: exchanged(fit.padded),
        });
        Self {
            weights: gather.weights.of_gradient(fit.real.in_channels),
            ..gather
        }
    }

    /// Times that each vec4 of x is loaded.
    fn loads(&self) -> usize {
        let rows = (self.strip - 1) * self.stride + self.kernel;
        self.out_channels.div_ceil(self.weights.tile) * rows / (self.strip * self.stride)
    }

    fn strips(&self) -> usize {
        self.batch * self.out_size.0 / self.strip * self.out_size.1 / 4
    }

    fn groups(&self, lanes: u32) -> usize {
        self.strips().div_ceil(lanes as usize)
    }

    fn kernel(
        &self,
        compiler: &Compiler,
        lanes: u32,
        cost: Cost,
        x: &Operand,
        accumulate: bool,
    ) -> Result<Kernel, GpuError> {
        let Weights {
            tile,
            step,
            natural,
            ..
        } = self.weights;
        let constants = context! {
            lanes, tile, step, natural, accumulate,
            x_texture => x.is_texture(),
            columns => self.columns,
            ragged => self.columns != self.out_size.1,
            registers => self.weights.registers(lanes),
            strip => self.strip,
            strips => self.strips(),
            rows => (self.strip - 1) * self.stride + self.kernel,
            halo => !(4 * lanes as usize).is_multiple_of(self.out_size.1),
            in_channels => self.in_channels,
            out_channels => self.out_channels,
            in_row => self.in_size.1 / 4,
            in_height => self.in_size.0,
            out_row => self.out_size.1 / 4,
            out_height => self.out_size.0,
            kernel => self.kernel,
            stride => self.stride,
            padding => self.padding,
        };
        let blocks = self.out_channels.div_ceil(tile);
        Ok(Kernel {
            pipeline: compiler.pipeline("conv2d_subgroup.wgsl", "forward", constants)?,
            grid: [blocks as u32, self.groups(lanes) as u32, 1],
            cost,
        })
    }
}

/// Rows of a lane's strip: two where they divide the height.
fn strip(height: usize) -> usize {
    if height.is_multiple_of(2) { 2 } else { 1 }
}

/// The data gradient of a convolution of stride 2, by `conv2d_subgroup_scatter.wgsl`.
struct Scatter<'f> {
    fit: &'f Fit,
    weights: Weights,
    /// Rows of a lane's strip of dy.
    strip: usize,
}

impl<'f> Scatter<'f> {
    fn new(fit: &'f Fit) -> Self {
        let shape = &fit.real;
        let taps = shape.kernel * shape.kernel;
        Self {
            fit,
            weights: Weights::new(shape.in_channels, shape.out_channels, taps, 8)
                .of_gradient(shape.in_channels),
            strip: strip(shape.out_height()),
        }
    }

    /// Times that each vec4 of dy is loaded.
    fn loads(&self) -> usize {
        let shape = &self.fit.real;
        let rows = self.strip + shape.kernel / 2;
        shape.in_channels.div_ceil(self.weights.tile) * rows / self.strip
    }

    fn strips(&self) -> usize {
        let shape = &self.fit.padded;
        shape.batch * shape.out_height() / self.strip * shape.out_width() / 4
    }

    fn groups(&self, lanes: u32) -> usize {
        self.strips().div_ceil(lanes as usize)
    }

    fn kernel(
        &self,
        compiler: &Compiler,
        lanes: u32,
        cost: Cost,
        dy: &Operand,
        accumulate: bool,
    ) -> Result<Kernel, GpuError> {
        let Weights {
            tile,
            step,
            natural,
            ..
        } = self.weights;
        let Fit { real, padded } = self.fit;
        let constants = context! {
            lanes, tile, step, natural, accumulate,
            dy_texture => dy.is_texture(),
            registers => self.weights.registers(lanes),
            strip => self.strip,
            strips => self.strips(),
            columns => real.width,
            ragged => real.width != padded.width,
            halo => !(4 * lanes as usize).is_multiple_of(padded.out_width()),
            in_channels => real.in_channels,
            out_channels => real.out_channels,
            in_height => real.height,
            out_row => padded.out_width() / 4,
            out_height => padded.out_height(),
            kernel => real.kernel,
        };
        let blocks = real.in_channels.div_ceil(tile);
        Ok(Kernel {
            pipeline: compiler.pipeline("conv2d_subgroup_scatter.wgsl", "scatter", constants)?,
            grid: [blocks as u32, self.groups(lanes) as u32, 1],
            cost,
        })
    }
}

/// How the packed weights are taken from the layer's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As they are.
    Forward,
    /// Input and output channels exchanged.
    Transposed,
    /// Channels exchanged and taps counted from the last.
    Flipped,
}

/// The weights in a texture, in the order in which a subgroup reads them.
fn packed(
    compiler: &Compiler,
    lanes: u32,
    weights: &Weights,
    (out_channels, in_channels): (usize, usize),
    order: Order,
) -> Result<Operand, GpuError> {
    let Weights {
        tile,
        step,
        taps,
        natural,
    } = *weights;
    if natural {
        let vectors = out_channels * in_channels * taps / 4;
        // The last register of a tile may load texels past the end, which nobody uses.
        let texels = vectors + tile * taps / 4 + lanes as usize;
        return Operand::in_texture(compiler, "weights", 1, Fill::copy(vectors), texels);
    }
    let registers = weights.registers(lanes);
    let vectors = out_channels.div_ceil(tile) * in_channels / step * registers * lanes as usize;
    let (each, groups) = pieces(lanes, vectors);
    let constants = context! {
        lanes, each, tile, step, taps, registers, vectors, in_channels, out_channels,
        workgroup => lanes,
        transposed => order != Order::Forward,
        flipped => order == Order::Flipped,
    };
    let bytes = 16 * vectors as u64;
    let kernel = Kernel {
        pipeline: compiler.pipeline("conv2d_subgroup_pack.wgsl", "pack", constants)?,
        grid: [groups, 1, 1],
        cost: Cost {
            flops: 0.0,
            bytes: 4.0 * (out_channels * in_channels * taps) as f64 + bytes as f64,
        },
    };
    let texture = Arg::Texture(compiler.texture("weights", vectors as u64)?);
    Ok(Operand {
        arg: texture.clone(),
        copy: Some((kernel, vec![Arg::External(1), texture])),
        bytes,
    })
}

/// Cuts a list of vec4s into pieces for workgroups of one subgroup: how many vec4s each
/// invocation takes, and the number of pieces. Pieces, not a grid-stride loop: what a subgroup
/// reads next lies beside what it has read.
fn pieces(workgroup: u32, vectors: usize) -> (usize, u32) {
    let rows = vectors.div_ceil(workgroup as usize);
    let each = rows.div_ceil(MAX_GRID).max(32);
    (each, rows.div_ceil(each) as u32)
}

/// An operand of a convolution: an argument, or its copy in a texture, perhaps padded.
pub(super) struct Operand {
    pub(super) arg: Arg,
    /// What fills the texture.
    pub(super) copy: Option<(Kernel, Vec<Arg>)>,
    /// Bytes of it, padding included.
    bytes: u64,
}

impl Operand {
    /// Times an element must be loaded for a copy to pay: writing a texel costs as much as
    /// loading four from a buffer, and what a load saves is two thirds of itself.
    const LOADS: usize = 8;

    /// Argument number `index`, the maps of a tensor, each element of which is loaded `loads`
    /// times.
    pub(super) fn new(
        compiler: &Compiler,
        role: &'static str,
        index: usize,
        maps: Maps,
        loads: usize,
    ) -> Result<Self, GpuError> {
        let vectors = maps.padded_vectors();
        if !maps.is_whole() {
            let constants = context! {
                height => maps.size.0,
                width => maps.size.1,
                padded_height => maps.padded.0,
                padded_width => maps.padded.1,
            };
            let bytes = 4.0 * maps.elements() as f64 + 16.0 * vectors as f64;
            let fill = Fill {
                entry: "pad",
                constants,
                bytes,
                vectors,
            };
            return Self::in_texture(compiler, role, index, fill, vectors);
        }
        if loads < Self::LOADS || vectors as u64 > Texture::MAX_TEXELS {
            return Ok(Self {
                arg: Arg::External(index),
                copy: None,
                bytes: 16 * vectors as u64,
            });
        }
        Self::in_texture(compiler, role, index, Fill::copy(vectors), vectors)
    }

    /// What `fill` makes of argument number `index`, in a texture of `texels`.
    fn in_texture(
        compiler: &Compiler,
        role: &'static str,
        index: usize,
        fill: Fill,
        texels: usize,
    ) -> Result<Self, GpuError> {
        let Fill { entry, vectors, .. } = fill;
        let workgroup = compiler.preset.workgroup();
        let (each, groups) = pieces(workgroup, vectors);
        let constants = context! { entry, workgroup, vectors, each, ..fill.constants };
        let kernel = Kernel {
            pipeline: compiler.pipeline("conv2d_subgroup_texture.wgsl", entry, constants)?,
            grid: [groups, 1, 1],
            cost: Cost {
                flops: 0.0,
                bytes: fill.bytes,
            },
        };
        let texture = Arg::Texture(compiler.texture(role, texels as u64)?);
        Ok(Self {
            arg: texture.clone(),
            copy: Some((kernel, vec![Arg::External(index), texture])),
            bytes: 16 * vectors as u64,
        })
    }

    pub(super) fn is_texture(&self) -> bool {
        self.copy.is_some()
    }
}

/// How an entry of `conv2d_subgroup_texture.wgsl` fills a texture.
struct Fill {
    entry: &'static str,
    /// What else the template asks for.
    constants: Value,
    /// Bytes moved.
    bytes: f64,
    /// vec4s written.
    vectors: usize,
}

impl Fill {
    /// With `vectors` vec4s as they are.
    fn copy(vectors: usize) -> Self {
        Self {
            entry: "copy",
            constants: context! {},
            bytes: 32.0 * vectors as f64,
            vectors,
        }
    }
}

/// Fills the operands' textures, then runs `kernel` on `x`, the weights `w` and argument 2.
fn product(w: Operand, x: Operand, kernel: Kernel) -> Recipe {
    let mut stages = Vec::new();
    stages.extend(w.copy);
    stages.extend(x.copy);
    stages.push((kernel, vec![x.arg, w.arg, Arg::External(2)]));
    Recipe {
        stages,
        scratch: Vec::new(),
    }
}
