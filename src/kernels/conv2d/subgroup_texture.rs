//! How tensors are brought into the form that the subgroup convolutions want, as they are copied
//! to textures: `shaders/conv2d/subgroup_texture.wgsl`.

use super::shape::Shape;
use crate::gpu::{GpuError, Texture};
use crate::kernels::compile::{Arg, Compiler, Cost, Kernel, Stream, Template, template};
use minijinja::{Value, context};

pub(super) const TEMPLATE: Template = template!("conv2d/subgroup_texture.wgsl");

/// How a convolution is presented to the kernels, which know 3×3 with padding 1 and 1×1 without,
/// at stride 1 and 2, and want rows of whole vec4s and, at stride 2, an even number of them.
///
/// What lacks is padded with zeros as x or dy is copied; what a kernel computes beyond the end of a
/// row of its result it does not store. Any other convolution is a 1×1 convolution of
/// C·R² channels, the pixels that each tap meets, its weights as they are: x is unfolded as it is
/// copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lowered {
    /// The convolution that the kernels compute, and its tensors without padding.
    pub real: Shape,
    /// The same with padding.
    pub padded: Shape,
    /// What was asked for, where x must be unfolded.
    unfolded: Option<Shape>,
}

impl Lowered {
    /// For the passes that read x. `None` where something is too large for a texture.
    pub fn of_input(shape: &Shape) -> Option<Self> {
        let lowered = Self::of(shape);
        // A 1×1 kernel of stride 2 that wants a copy of x may as well have that of what it visits.
        let strided = shape.kernel < shape.stride;
        let copied = |lowered: &Self| {
            !lowered.input().is_whole() || shape.out_channels >= 16 * Staged::LOADS
        };
        lowered
            .filter(|lowered| !strided || !copied(lowered))
            .or_else(|| Self::new(in_taps(shape), Some(*shape)))
    }

    /// For all passes. `None` where the kernels do not know kernel, stride or padding, or
    /// something is too large for a texture.
    pub fn of(shape: &Shape) -> Option<Self> {
        let known = matches!((shape.kernel, shape.padding), (3, 1) | (1, 0)) && shape.stride <= 2;
        known.then(|| Self::new(*shape, None)).flatten()
    }

    fn new(shape: Shape, unfolded: Option<Shape>) -> Option<Self> {
        let real = in_long_rows(shape);
        let lowered = Self {
            real,
            padded: Shape {
                height: real.out_height() * real.stride,
                width: real.out_width().next_multiple_of(4) * real.stride,
                ..real
            },
            unfolded,
        };
        let fits = |texels: usize| texels as u64 <= Texture::MAX_TEXELS;
        let (x, dy) = (lowered.input(), lowered.output());
        // Packed weights lie in a texture, four in a texel, some of them padding.
        let all = fits(shape.weight_len())
            && (fits(x.vectors()) || unfolded.is_none() && x.is_whole())
            && (fits(dy.vectors()) || dy.is_whole());
        all.then_some(lowered)
    }

    /// Elements of x as it is given.
    pub fn input_len(&self) -> usize {
        self.unfolded.unwrap_or(self.real).input_len()
    }

    /// Input and output channels exchanged: a data gradient of stride 1 is a convolution of dy.
    pub fn exchanged(&self) -> Self {
        let exchanged = |shape: Shape| Shape {
            in_channels: shape.out_channels,
            out_channels: shape.in_channels,
            ..shape
        };
        Self {
            real: exchanged(self.real),
            padded: exchanged(self.padded),
            ..*self
        }
    }

    fn input(&self) -> Maps {
        Maps {
            count: self.real.batch * self.real.in_channels,
            size: (self.real.height, self.real.width),
            padded: (self.padded.height, self.padded.width),
        }
    }

    fn output(&self) -> Maps {
        Maps {
            count: self.real.batch * self.real.out_channels,
            size: (self.real.out_height(), self.real.out_width()),
            padded: (self.padded.out_height(), self.padded.out_width()),
        }
    }
}

/// The 1×1 convolution of the pixels that each tap meets.
fn in_taps(shape: &Shape) -> Shape {
    Shape {
        in_channels: shape.in_channels * shape.kernel * shape.kernel,
        height: shape.out_height(),
        width: shape.out_width(),
        kernel: 1,
        stride: 1,
        padding: 0,
        ..*shape
    }
}

/// A 1×1 convolution does not know where rows end: where they are not whole vec4s, a map is taken
/// as two long rows, or one, of which little is padded.
fn in_long_rows(shape: Shape) -> Shape {
    if shape.kernel > 1 || shape.stride > 1 || shape.width.is_multiple_of(4) {
        return shape;
    }
    let pixels = shape.height * shape.width;
    let height = strip(pixels);
    Shape {
        height,
        width: pixels / height,
        ..shape
    }
}

/// Rows of a lane's strip: two where they divide the height.
pub(super) fn strip(height: usize) -> usize {
    if height.is_multiple_of(2) { 2 } else { 1 }
}

/// The maps of a tensor, one for each image and channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Maps {
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

    /// vec4s, padding included.
    fn vectors(&self) -> usize {
        self.count * self.padded.0 * self.padded.1 / 4
    }

    fn constants(&self) -> Value {
        context! {
            height => self.size.0,
            width => self.size.1,
            padded_height => self.padded.0,
            padded_width => self.padded.1,
        }
    }
}

/// An operand of a convolution: an argument, or its copy in a texture, perhaps padded.
pub(super) struct Staged {
    pub(super) arg: Arg,
    /// What fills the texture.
    pub(super) copy: Option<(Kernel, Vec<Arg>)>,
    /// Bytes of it, padding included.
    pub(super) bytes: u64,
}

impl Staged {
    /// Times an element must be loaded for a copy to pay: writing a texel costs as much as
    /// loading four from a buffer, and what a load saves is two thirds of itself.
    const LOADS: usize = 8;

    /// Argument number `index`, x, each element of which is loaded `loads` times.
    pub(super) fn input(
        compiler: &Compiler,
        lowered: &Lowered,
        index: usize,
        loads: usize,
    ) -> Result<Self, GpuError> {
        match &lowered.unfolded {
            None => Self::new(compiler, "x", index, lowered.input(), loads),
            Some(shape) => {
                let fill = Fill::unfold(shape, lowered.input());
                let texels = fill.vectors;
                Self::in_texture(compiler, "x", index, fill, texels)
            }
        }
    }

    /// Argument number `index`, dy, each element of which is loaded `loads` times.
    pub(super) fn output(
        compiler: &Compiler,
        lowered: &Lowered,
        index: usize,
        loads: usize,
    ) -> Result<Self, GpuError> {
        Self::new(compiler, "dy", index, lowered.output(), loads)
    }

    fn new(
        compiler: &Compiler,
        role: &'static str,
        index: usize,
        maps: Maps,
        loads: usize,
    ) -> Result<Self, GpuError> {
        let vectors = maps.vectors();
        if !maps.is_whole() {
            return Self::in_texture(compiler, role, index, Fill::pad(maps), vectors);
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
    pub(super) fn in_texture(
        compiler: &Compiler,
        role: &'static str,
        index: usize,
        fill: Fill,
        texels: usize,
    ) -> Result<Self, GpuError> {
        let Fill { entry, vectors, .. } = fill;
        let workgroup = compiler.tiling.workgroup();
        let stream = Stream::in_runs(workgroup, vectors, 32 * workgroup as usize);
        let constants = stream.with(context! { entry, vectors, ..fill.constants });
        let kernel = Kernel {
            pipeline: compiler.pipeline(TEMPLATE, entry, constants)?,
            grid: stream.grid(),
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

    /// Bytes of the rows that a convolution visits, where this is its x: a 1×1 kernel skips those within
    /// its stride.
    pub(super) fn visited(&self, shape: &Shape) -> u64 {
        match shape.kernel < shape.stride {
            true => self.bytes / shape.stride as u64,
            false => self.bytes,
        }
    }

    pub(super) fn is_texture(&self) -> bool {
        self.copy.is_some()
    }
}

/// How an entry of `conv2d/subgroup_texture.wgsl` fills a texture.
pub(super) struct Fill {
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
    pub(super) fn copy(vectors: usize) -> Self {
        Self {
            entry: "copy",
            constants: context! {},
            bytes: 32.0 * vectors as f64,
            vectors,
        }
    }

    /// With maps padded with zeros.
    fn pad(maps: Maps) -> Self {
        Self {
            entry: "pad",
            constants: maps.constants(),
            bytes: 4.0 * maps.elements() as f64 + 16.0 * maps.vectors() as f64,
            vectors: maps.vectors(),
        }
    }

    /// With `maps` of the pixels of x that the taps of `shape` meet.
    fn unfold(shape: &Shape, maps: Maps) -> Self {
        let own = context! {
            x_height => shape.height,
            x_width => shape.width,
            out_width => shape.out_width(),
            kernel => shape.kernel,
            stride => shape.stride,
            padding => shape.padding,
        };
        Self {
            entry: "unfold",
            constants: context! { ..own, ..maps.constants() },
            bytes: 4.0 * shape.visited_len() as f64 + 16.0 * maps.vectors() as f64,
            vectors: maps.vectors(),
        }
    }
}
