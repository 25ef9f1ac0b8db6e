//! Average pooling over windows and over whole planes: `shaders/pool.wgsl`.

use super::compile::{
    Compiler, Cost, Kernel, Recipe, Size, Stream, Template, Tiling, template, vector_width,
};
use super::family::{Family, Table};
use super::window::Windows;
use crate::gpu::GpuError;
use minijinja::{Value, context};

const TEMPLATE: Template = template!("pool.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "pool",
    templates: &[TEMPLATE],
    permutations,
};

/// Shape of an average pool without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Planes, images times channels.
    pub planes: usize,
    /// Input height H.
    pub height: usize,
    /// Input width W.
    pub width: usize,
    /// Window height and width, at most H and W.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
}

impl Shape {
    /// Output height.
    pub fn out_height(&self) -> usize {
        (self.height - self.kernel) / self.stride + 1
    }

    /// Output width.
    pub fn out_width(&self) -> usize {
        (self.width - self.kernel) / self.stride + 1
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.planes * self.height * self.width
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.planes * self.out_height() * self.out_width()
    }

    /// Elements of the input that lie in a window.
    fn visited_len(&self) -> usize {
        let [height, width] = [self.height, self.width].map(|size| {
            let windows = Windows {
                size,
                kernel: self.kernel,
                stride: self.stride,
                padding: 0,
            };
            windows.pixels()
        });
        self.planes * height * width
    }

    /// Flops that add up all windows.
    fn sums(&self) -> usize {
        self.output_len() * self.kernel * self.kernel
    }
}

/// Average over windows. Arguments: `x` N×C×H×W, `y` N×C×H'×W' (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn average(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    let (y, x) = (shape.output_len(), shape.visited_len());
    let arguments = [shape.input_len(), y];
    windows(compiler, shape, "average", y, x, arguments)
}

/// Gradient of [`average`]. Arguments: `dy` N×C×H'×W', `dx` N×C×H×W (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn average_backward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    let x = shape.input_len();
    let arguments = [shape.output_len(), x];
    windows(compiler, shape, "average_backward", x, x, arguments)
}

/// A pass that touches so many elements of `x` or `dx`, and divides every output; its arguments by their
/// lengths.
fn windows(
    compiler: &Compiler,
    shape: &Shape,
    pass: &'static str,
    outputs: usize,
    touched: usize,
    arguments: [usize; 2],
) -> Result<Recipe, GpuError> {
    let stream = Stream::over(compiler.tiling, outputs);
    let constants = stream.with(context! {
        pass, width => 1, planes => shape.planes,
        height => shape.height, in_width => shape.width,
        out_height => shape.out_height(), out_width => shape.out_width(),
        kernel => shape.kernel, stride => shape.stride,
    });
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, pass, constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: (shape.sums() + outputs) as f64,
            bytes: 4.0 * (touched + shape.output_len()) as f64,
        },
    };
    Ok(Recipe::single(kernel, arguments.map(Size::words).to_vec()))
}

/// How invocations are laid over whole planes that each yield a sum.
pub(super) struct PlaneSplit {
    /// Workgroups along x, y and z.
    pub grid: [u32; 3],
    /// Sums of vectors, one each, and of their parts within a plane.
    sums: usize,
    parts: usize,
    width: usize,
    /// What a template asks for: the elements of a vector, the invocations that share a plane, and
    /// how workgroups are laid over them.
    pub constants: Value,
}

impl PlaneSplit {
    /// For `planes` planes of `pixels` values.
    pub fn new(tiling: Tiling, planes: usize, pixels: usize) -> Self {
        let width = vector_width(pixels);
        if let Tiling::Cpu { .. } = tiling {
            // One invocation takes a whole plane.
            let stream = Stream::over(tiling, planes);
            return Self {
                grid: stream.grid(),
                sums: planes,
                parts: 0,
                width,
                constants: stream.with(context! { width, parts => 1 }),
            };
        }
        // Enough invocations on a plane that neighbours read neighbouring memory, hardly more
        // than there are values.
        let parts = (pixels / width).next_power_of_two().clamp(2, 16) as u32;
        let workgroup = tiling.workgroup();
        let blocks = (planes as u32).div_ceil(workgroup / parts);
        let along = blocks.min(32_768);
        let grid = [along, blocks.div_ceil(along), 1];
        Self {
            grid,
            // Invocations past the last plane have a sum of nothing.
            sums: (grid[0] * grid[1] * workgroup) as usize,
            parts: parts as usize,
            width,
            constants: context! { width, parts, workgroup, grid },
        }
    }

    /// Flops that make one number of each of `planes` planes, once every invocation has its vector.
    pub fn flops_of_sums(&self, planes: usize) -> f64 {
        (self.sums * (self.width - 1) + planes * self.parts) as f64
    }
}

/// Average over each of `planes` planes of `pixels` values. Arguments: `x` N×C×H×W,
/// `y` N×C (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn global(compiler: &Compiler, planes: usize, pixels: usize) -> Result<Recipe, GpuError> {
    let split = PlaneSplit::new(compiler.tiling, planes, pixels);
    let sums = split.flops_of_sums(planes);
    let constants = context! { pass => "global", planes, pixels, ..split.constants };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "global", constants)?,
        grid: split.grid,
        cost: Cost {
            flops: (planes * (pixels + 1)) as f64 + sums,
            bytes: 4.0 * (planes * (pixels + 1)) as f64,
        },
    };
    let arguments = [planes * pixels, planes].map(Size::words);
    Ok(Recipe::single(kernel, arguments.to_vec()))
}

/// Gradient of [`global`]. Arguments: `dy` N×C, `dx` N×C×H×W (written in full, or with
/// `accumulate` added to).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn global_backward(
    compiler: &Compiler,
    planes: usize,
    pixels: usize,
    accumulate: bool,
) -> Result<Recipe, GpuError> {
    let width = vector_width(pixels);
    let stream = Stream::over(compiler.tiling, planes * pixels / width);
    let constants = stream.with(context! {
        pass => "global_backward", width, planes, pixels, accumulate,
    });
    let visits = if accumulate { 2 } else { 1 };
    // The share of a pixel, for each vector; and its addition.
    let flops = planes * pixels / width + usize::from(accumulate) * planes * pixels;
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "global_backward", constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: flops as f64,
            bytes: 4.0 * (planes * (visits * pixels + 1)) as f64,
        },
    };
    let arguments = [planes, planes * pixels].map(Size::words);
    Ok(Recipe::single(kernel, arguments.to_vec()))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for (planes, height, width, kernel, stride) in [(6, 5, 7, 3, 2), (8192, 8, 8, 2, 2)] {
        let shape = Shape {
            planes,
            height,
            width,
            kernel,
            stride,
        };
        let name = format!("{planes}×{height}×{width}, {kernel}×{kernel} stride {stride}");
        table.push("pool average", &name, move |c| average(c, &shape));
        table.push("pool average_backward", name, move |c| {
            average_backward(c, &shape)
        });
    }
    for (planes, pixels) in [(6, 1), (6, 49), (65_536, 16), (3, 1024)] {
        let name = format!("{planes}×{pixels}");
        table.push("pool global", &name, move |c| global(c, planes, pixels));
        for accumulate in [false, true] {
            let name = format!("{name} accumulate {accumulate}");
            table.push("pool global_backward", name, move |c| {
                global_backward(c, planes, pixels, accumulate)
            });
        }
    }
}
