//! Convolution in groups, above all depthwise: `shaders/conv2d/grouped.wgsl`.

use super::shape;
use crate::gpu::GpuError;
use crate::kernels::compile::{
    Arg, Compiler, Cost, Kernel, MAX_GRID, Recipe, Size, Stream, Template, template,
};
use crate::kernels::family::{Family, Table};
use crate::kernels::window::distinct;
use minijinja::{Value, context};

const TEMPLATE: Template = template!("conv2d/grouped.wgsl");

pub(in crate::kernels) const FAMILY: Family = Family {
    name: "conv2d/grouped",
    templates: &[TEMPLATE],
    permutations,
};

/// Shape of a grouped convolution. Weights are K×(C/groups)×R×R.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The same convolution in one group. Any stride.
    pub whole: shape::Shape,
    /// Number of groups; divides both channel counts.
    pub groups: usize,
}

impl Shape {
    /// Elements of the input N×C×H×W.
    pub fn input_len(&self) -> usize {
        self.whole.input_len()
    }

    /// Elements of the output N×K×H'×W'.
    pub fn output_len(&self) -> usize {
        self.whole.output_len()
    }

    /// Elements of the weights.
    pub fn weight_len(&self) -> usize {
        self.whole.weight_len() / self.groups
    }

    /// Bytes of the weights.
    fn weight_bytes(&self) -> u64 {
        4 * self.weight_len() as u64
    }

    /// Cost of a pass that touches so many elements. Each has as many flops as the whole convolution
    /// has for a group.
    fn cost(&self, touched: usize) -> Cost {
        Cost {
            flops: self.whole.flops() / self.groups as f64,
            bytes: 4.0 * touched as f64,
        }
    }

    /// Elements of `x` that spans of results read: rows under some tap, and of these all columns that a
    /// span reaches, the row's ends in the place of what lies beside it.
    fn touched_input(&self) -> usize {
        let whole = &self.whole;
        let reach = (Self::SPAN - 1) * whole.stride + whole.kernel;
        let firsts = (0..whole.out_width()).step_by(Self::SPAN);
        let spans =
            firsts.map(|first| ((first * whole.stride) as i64 - whole.padding as i64, reach));
        let rows = whole.windows(whole.height).pixels();
        whole.batch * whole.in_channels * rows * columns(spans, whole.width)
    }

    /// Elements of the weights in rows that ever lie on a pixel.
    fn touched_weights(&self) -> usize {
        let rows = self.whole.windows(self.whole.height).taps();
        self.weight_len() / self.whole.kernel * rows
    }

    /// Adjacent results of one invocation where it reads pixels.
    const SPAN: usize = 4;

    /// The same in the data gradient: a multiple of the stride.
    fn gradient_span(&self) -> usize {
        match self.whole.stride {
            stride if Self::SPAN.is_multiple_of(stride) => Self::SPAN,
            stride => stride,
        }
    }

    fn constants(&self, entry: &str, span: usize) -> Value {
        let whole = &self.whole;
        context! {
            entry, span,
            groups => self.groups,
            batch => whole.batch,
            in_channels => whole.in_channels,
            out_channels => whole.out_channels,
            height => whole.height,
            in_width => whole.width,
            out_height => whole.out_height(),
            out_width => whole.out_width(),
            kernel => whole.kernel,
            stride => whole.stride,
            padding => whole.padding,
        }
    }
}

/// Columns of a row of `width` that spans read, each from a place on and so many; what lies beside the
/// row is read at its end.
fn columns(spans: impl Iterator<Item = (i64, usize)>, width: usize) -> usize {
    let last = width as i64 - 1;
    let read = |(from, reach): (i64, usize)| {
        (from..from + reach as i64).map(move |at| at.clamp(0, last) as usize)
    };
    distinct(spans.flat_map(read))
}

/// `y` from `x`. Arguments: `x` N×C×H×W, `w` K×(C/groups)×R×R, `y` N×K×H'×W' (written in
/// full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn forward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    let whole = &shape.whole;
    let row = whole.out_width().div_ceil(Shape::SPAN);
    let spans = whole.batch * whole.out_channels * whole.out_height() * row;
    let stream = Stream::over(compiler.tiling, spans);
    let constants = stream.with(shape.constants("forward", Shape::SPAN));
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "forward", constants)?,
        grid: stream.grid(),
        cost: shape.cost(shape.touched_input() + shape.touched_weights() + shape.output_len()),
    };
    let arguments = [shape.input_len(), shape.weight_len(), shape.output_len()];
    Ok(Recipe::single(kernel, arguments.map(Size::words).to_vec()))
}

/// `dx = dL/dx` from `dy`, or `dx += …` with `accumulate`. Arguments: `dy` N×K×H'×W',
/// `w` K×(C/groups)×R×R, `dx` N×C×H×W (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn data_gradient(
    compiler: &Compiler,
    shape: &Shape,
    accumulate: bool,
) -> Result<Recipe, GpuError> {
    let whole = &shape.whole;
    let span = shape.gradient_span();
    let row = whole.width.div_ceil(span);
    let spans = whole.batch * whole.in_channels * whole.height * row;
    let stream = Stream::over(compiler.tiling, spans);
    // Results that a span of pixels is part of: from the first pixel's last tap to the last
    // pixel's first, relative to the span's own place.
    let (stride, padding) = (whole.stride as i64, whole.padding as i64);
    let first = -(whole.kernel as i64 - 1 - padding).div_euclid(stride);
    let last = (span as i64 - 1 + padding).div_euclid(stride);
    let results = last - first + 1;
    let constants = stream.with(context! {
        accumulate, first, results,
        ..shape.constants("data_gradient", span)
    });
    let lefts = (0..whole.width).step_by(span).map(|at| at as i64 / stride);
    let read = columns(
        lefts.map(|left| (left + first, results as usize)),
        whole.out_width(),
    );
    let rows = whole.windows(whole.height).windows();
    let dy = whole.batch * whole.out_channels * rows * read;
    let dx = (1 + usize::from(accumulate)) * shape.input_len();
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "data_gradient", constants)?,
        grid: stream.grid(),
        cost: shape.cost(dy + shape.touched_weights() + dx),
    };
    let arguments = [shape.output_len(), shape.weight_len(), shape.input_len()];
    Ok(Recipe::single(kernel, arguments.map(Size::words).to_vec()))
}

/// `dw = dL/dw`. Arguments: `x` N×C×H×W, `dy` N×K×H'×W', `dw` K×(C/groups)×R×R (written in
/// full). The sum over N·H'·W' is cut into fixed slices, added in fixed order.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn weight_gradient(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    let whole = &shape.whole;
    let taps = whole.kernel * whole.kernel;
    // The taps of all invocations lie in workgroup memory at the end.
    let room = (16_384 / (4 * taps)).clamp(1, 64);
    let most = 1 << room.ilog2();
    let workgroup = (compiler.tiling.workgroup() as usize).min(most);
    let planes = shape.weight_len() / taps;
    let row = whole.out_width().div_ceil(Shape::SPAN);
    let spans = whole.batch * whole.out_height() * row;
    // Enough workgroups for the adapter, each invocation with at least eight spans, and
    // partial sums that stay below 32 MiB.
    let wanted = (compiler.tiling.target_invocations() as usize).div_ceil(planes * workgroup);
    let slices = wanted
        .min(spans.div_ceil(8 * workgroup))
        .min((32 << 20) / (4 * shape.weight_len()))
        .max(1);
    let slice = spans.div_ceil(slices);
    let slices = spans.div_ceil(slice);
    let groups_x = planes.min(MAX_GRID);
    let constants = context! {
        workgroup, slice, groups_x,
        ..shape.constants("weight_slices", Shape::SPAN)
    };
    let products = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "weight_slices", constants)?,
        grid: [
            groups_x as u32,
            slices as u32,
            planes.div_ceil(groups_x) as u32,
        ],
        cost: shape.cost(shape.touched_input() + shape.output_len() + slices * shape.weight_len()),
    };
    let arguments = [shape.input_len(), shape.output_len(), shape.weight_len()];
    let arguments = arguments.map(Size::words).to_vec();
    if slices == 1 {
        return Ok(Recipe::single(products, arguments));
    }
    let stream = Stream::over(compiler.tiling, shape.weight_len());
    let constants = stream.with(context! {
        slices,
        ..shape.constants("sum_slices", Shape::SPAN)
    });
    let sum = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "sum_slices", constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: (slices * shape.weight_len()) as f64,
            bytes: ((slices as u64 + 1) * shape.weight_bytes()) as f64,
        },
    };
    let partials = Arg::Scratch(0);
    Ok(Recipe {
        stages: vec![
            (
                products,
                vec![Arg::External(0), Arg::External(1), partials.clone()],
            ),
            (sum, vec![partials, Arg::External(2)]),
        ],
        scratch: vec![slices as u64 * shape.weight_bytes()],
        arguments,
    })
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    // N, C, K, groups, side, R, stride: EfficientNet's depthwise layers, then groups of
    // several channels.
    for [n, c, k, groups, side, kernel, stride] in [
        [128, 32, 32, 32, 112, 3, 1],
        [32, 144, 144, 144, 56, 5, 2],
        [128, 1248, 1248, 1248, 7, 5, 1],
        [2, 12, 8, 4, 7, 3, 2],
    ] {
        let shape = Shape {
            whole: shape::Shape {
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
        let name =
            format!("{n}×{c}×{side}×{side} → {k} in {groups}, {kernel}×{kernel} stride {stride}");
        table.push("conv2d_grouped forward", &name, move |c| forward(c, &shape));
        for accumulate in [false, true] {
            let name = format!("{name} accumulate {accumulate}");
            table.push("conv2d_grouped data_gradient", name, move |c| {
                data_gradient(c, &shape, accumulate)
            });
        }
        table.push("conv2d_grouped weight_gradient", name, move |c| {
            weight_gradient(c, &shape)
        });
    }
}
