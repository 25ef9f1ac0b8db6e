//! Convolution in the registers of one subgroup: `shaders/conv2d/subgroup.wgsl` and, for the
//! data gradient of stride 2, `shaders/conv2d/subgroup_scatter.wgsl`.
//!
//! Made for software Vulkan, where a subgroup is a SIMD register of the CPU. Kernels are 3×3
//! with padding 1 or 1×1 without, stride 1 or 2; [`Lowered`] brings other shapes into this form.

use super::shape::Shape;
use super::subgroup_texture::{Fill, Lowered, Staged, strip};
use crate::gpu::GpuError;
use crate::kernels::compile::{
    Arg, Compiler, Cost, Kernel, MAX_GRID, Recipe, Size, Template, template,
};
use minijinja::context;

pub(super) const GATHER: Template = template!("conv2d/subgroup.wgsl");
pub(super) const SCATTER: Template = template!("conv2d/subgroup_scatter.wgsl");
pub(super) const PACK: Template = template!("conv2d/subgroup_pack.wgsl");

pub(super) fn has_forward(lowered: &Lowered, lanes: u32) -> bool {
    Gather::forward(lowered).groups(lanes) <= MAX_GRID
}

pub(super) fn has_data_gradient(lowered: &Lowered, lanes: u32) -> bool {
    let groups = match lowered.real.stride {
        1 => Gather::data_gradient(lowered).groups(lanes),
        _ => Scatter::new(lowered).groups(lanes),
    };
    groups <= MAX_GRID
}

pub(super) fn forward(
    compiler: &Compiler,
    lowered: &Lowered,
    lanes: u32,
) -> Result<Recipe, GpuError> {
    let shape = &lowered.real;
    let gather = Gather::forward(lowered);
    let channels = (shape.out_channels, shape.in_channels);
    let w = packed(compiler, lanes, &gather.weights, channels, Order::Forward)?;
    let x = Staged::input(compiler, lowered, 0, gather.loads())?;
    let cost = shape.cost(shape.output_len(), x.visited(shape) + w.bytes);
    let kernel = gather.kernel(compiler, lanes, cost, &x, false)?;
    let lengths = [lowered.input_len(), shape.weight_len(), shape.output_len()];
    Ok(product(w, x, kernel, lengths))
}

pub(super) fn data_gradient(
    compiler: &Compiler,
    lowered: &Lowered,
    lanes: u32,
    accumulate: bool,
) -> Result<Recipe, GpuError> {
    let shape = &lowered.real;
    let channels = (shape.in_channels, shape.out_channels);
    let lengths = [shape.output_len(), shape.weight_len(), shape.input_len()];
    if shape.stride == 1 {
        let gather = Gather::data_gradient(lowered);
        let w = packed(compiler, lanes, &gather.weights, channels, Order::Flipped)?;
        let dy = Staged::output(compiler, lowered, 0, gather.loads())?;
        let cost = data_cost(shape, &dy, &w, accumulate);
        let kernel = gather.kernel(compiler, lanes, cost, &dy, accumulate)?;
        return Ok(product(w, dy, kernel, lengths));
    }
    let scatter = Scatter::new(lowered);
    let w = packed(
        compiler,
        lanes,
        &scatter.weights,
        channels,
        Order::Transposed,
    )?;
    let dy = Staged::output(compiler, lowered, 0, scatter.loads())?;
    let cost = data_cost(shape, &dy, &w, accumulate);
    let kernel = scatter.kernel(compiler, lanes, cost, &dy, accumulate)?;
    Ok(product(w, dy, kernel, lengths))
}

/// Cost of a data gradient: it reads dy and the weights as they are staged, and writes all of dx, or adds
/// to all of it.
fn data_cost(shape: &Shape, dy: &Staged, w: &Staged, accumulate: bool) -> Cost {
    let dx = (1 + usize::from(accumulate)) * shape.input_len();
    shape.cost(dx, dy.bytes + w.bytes)
}

/// A convolution by `conv2d/subgroup.wgsl`, whatever pass it stands for.
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
    fn forward(lowered: &Lowered) -> Self {
        let shape = &lowered.padded;
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
            columns: lowered.real.out_width(),
            kernel: shape.kernel,
            stride: shape.stride,
            padding: shape.padding,
            weights: Weights::new(shape.out_channels, shape.in_channels, taps, tile),
            strip,
        }
    }

    /// Of stride 1, where x and y have the same maps.
    fn data_gradient(lowered: &Lowered) -> Self {
        let gather = Self::forward(&lowered.exchanged());
        Self {
            weights: gather.weights.of_gradient(lowered.real.in_channels),
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
        x: &Staged,
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
            pipeline: compiler.pipeline(GATHER, "forward", constants)?,
            grid: [blocks as u32, self.groups(lanes) as u32, 1],
            cost,
        })
    }
}

/// The data gradient of a convolution of stride 2, by `conv2d/subgroup_scatter.wgsl`.
struct Scatter<'f> {
    lowered: &'f Lowered,
    weights: Weights,
    /// Rows of a lane's strip of dy.
    strip: usize,
}

impl<'f> Scatter<'f> {
    fn new(lowered: &'f Lowered) -> Self {
        let shape = &lowered.real;
        let taps = shape.kernel * shape.kernel;
        Self {
            lowered,
            weights: Weights::new(shape.in_channels, shape.out_channels, taps, 8)
                .of_gradient(shape.in_channels),
            strip: strip(shape.out_height()),
        }
    }

    /// Times that each vec4 of dy is loaded.
    fn loads(&self) -> usize {
        let shape = &self.lowered.real;
        let rows = self.strip + shape.kernel / 2;
        shape.in_channels.div_ceil(self.weights.tile) * rows / self.strip
    }

    fn strips(&self) -> usize {
        let shape = &self.lowered.padded;
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
        dy: &Staged,
        accumulate: bool,
    ) -> Result<Kernel, GpuError> {
        let Weights {
            tile,
            step,
            natural,
            ..
        } = self.weights;
        let Lowered { real, padded, .. } = self.lowered;
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
            pipeline: compiler.pipeline(SCATTER, "scatter", constants)?,
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
) -> Result<Staged, GpuError> {
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
        let staged = Staged::in_texture(compiler, "weights", 1, Fill::copy(vectors), texels)?;
        let last = out_channels - (out_channels - 1) / tile * tile;
        let loaded = weights.registers(lanes) * lanes as usize;
        let past = loaded.saturating_sub(last * taps / 4);
        return Ok(Staged {
            bytes: staged.bytes + 16 * past as u64,
            ..staged
        });
    }
    let registers = weights.registers(lanes);
    let (blocks, steps) = (out_channels.div_ceil(tile), in_channels / step);
    let vectors = blocks * steps * registers * lanes as usize;
    let run = 32usize.div_ceil(registers);
    let constants = context! {
        lanes, tile, step, taps, registers, run, in_channels, out_channels,
        transposed => order != Order::Forward,
        flipped => order == Order::Flipped,
    };
    let bytes = 16 * vectors as u64;
    let kernel = Kernel {
        pipeline: compiler.pipeline(PACK, "pack", constants)?,
        grid: [steps.div_ceil(run) as u32, blocks as u32, 1],
        cost: Cost {
            flops: 0.0,
            bytes: 4.0 * (out_channels * in_channels * taps) as f64 + bytes as f64,
        },
    };
    let texture = Arg::Texture(compiler.texture("weights", vectors as u64)?);
    Ok(Staged {
        arg: texture.clone(),
        copy: Some((kernel, vec![Arg::External(1), texture])),
        bytes,
    })
}

/// Fills the operands' textures, then runs `kernel` on `x`, the weights `w` and argument 2; arguments by
/// their elements.
fn product(w: Staged, x: Staged, kernel: Kernel, lengths: [usize; 3]) -> Recipe {
    let mut stages = Vec::new();
    stages.extend(w.copy);
    stages.extend(x.copy);
    stages.push((kernel, vec![x.arg, w.arg, Arg::External(2)]));
    Recipe {
        stages,
        scratch: Vec::new(),
        arguments: lengths.map(Size::words).to_vec(),
    }
}
