//! Maximum over windows: `shaders/max_pool.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Size, Stream, Template, template};
use super::family::{Family, Table};
use super::window::Windows;
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("max_pool.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "max_pool",
    templates: &[TEMPLATE],
    permutations,
};

/// Shape of a max-pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Planes, images times channels.
    pub planes: usize,
    /// Input height H.
    pub height: usize,
    /// Input width W.
    pub width: usize,
    /// Window height and width, at most H and W with the padding.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Pixels around the input that never win; less than `kernel`.
    pub padding: usize,
}

impl Shape {
    /// Output height.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Output width.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.planes * self.height * self.width
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.planes * self.out_height() * self.out_width()
    }

    /// Cost of a pass that touches all of `y` or `dy`, and so many elements besides.
    fn cost(&self, flops: usize, touched: usize) -> Cost {
        Cost {
            flops: flops as f64,
            bytes: 4.0 * (touched + self.output_len()) as f64,
        }
    }

    /// Windows along an axis of `size` pixels.
    fn windows(&self, size: usize) -> Windows {
        Windows {
            size,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
        }
    }
}

/// `y` = maximum of each window. Arguments: `x` N×C×H×W, `y` N×C×H'×W' (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn forward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    let both = |of: fn(Windows) -> usize| {
        shape.planes * of(shape.windows(shape.height)) * of(shape.windows(shape.width))
    };
    let (comparisons, touched) = (both(Windows::products), both(Windows::pixels));
    let cost = shape.cost(comparisons, touched);
    let (x, y) = (shape.input_len(), shape.output_len());
    pass(compiler, shape, "forward", cost, &[x, y])
}

/// Gradient of [`forward`]: a window's goes to its first maximum in reading order, as in
/// PyTorch. Arguments: `dy` N×C×H'×W', `x` N×C×H×W, `dx` N×C×H×W (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn backward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    // What a window gets goes to one pixel.
    let (x, y) = (shape.input_len(), shape.output_len());
    let cost = shape.cost(y, 2 * x);
    pass(compiler, shape, "backward", cost, &[y, x, x])
}

/// A pass with arguments of these lengths, of which it writes the last.
fn pass(
    compiler: &Compiler,
    shape: &Shape,
    entry: &'static str,
    cost: Cost,
    lengths: &[usize],
) -> Result<Recipe, GpuError> {
    let results = lengths.last().copied().unwrap_or(0);
    let stream = Stream::over(compiler.tiling, results);
    let constants = stream.with(context! {
        entry,
        planes => shape.planes,
        height => shape.height, in_width => shape.width,
        out_height => shape.out_height(), out_width => shape.out_width(),
        kernel => shape.kernel, stride => shape.stride, padding => shape.padding,
    });
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, entry, constants)?,
        grid: stream.grid(),
        cost,
    };
    let arguments = lengths.iter().map(|&length| Size::words(length));
    Ok(Recipe::single(kernel, arguments.collect()))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for (planes, side, padding) in [(6, 7, 0), (8192, 112, 1)] {
        let shape = Shape {
            planes,
            height: side,
            width: side,
            kernel: 3,
            stride: 2,
            padding,
        };
        let name = format!("{planes}×{side}×{side}, 3×3 stride 2 padding {padding}");
        table.push("max_pool forward", &name, move |c| forward(c, &shape));
        table.push("max_pool backward", name, move |c| backward(c, &shape));
    }
}
