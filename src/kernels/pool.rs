//! Average pooling over windows and over whole planes: `shaders/pool.wgsl`.

use super::compile::{
    Compiler, Cost, Kernel, Recipe, Stream, Template, Tiling, template, vector_width,
};
use super::family::{Family, Table};
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

    fn cost(&self) -> Cost {
        Cost {
            flops: (self.output_len() * self.kernel * self.kernel) as f64,
            bytes: 4.0 * (self.input_len() + self.output_len()) as f64,
        }
    }
}

/// Average over windows. Arguments: `x` N×C×H×W, `y` N×C×H'×W' (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn average(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    windows(compiler, shape, "average", shape.output_len())
}

/// Gradient of [`average`]. Arguments: `dy` N×C×H'×W', `dx` N×C×H×W (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn average_backward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    windows(compiler, shape, "average_backward", shape.input_len())
}

fn windows(
    compiler: &Compiler,
    shape: &Shape,
    pass: &'static str,
    outputs: usize,
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
        cost: shape.cost(),
    };
    Ok(Recipe::single(kernel, 2))
}

/// How invocations are laid over whole planes that each yield a sum.
pub(super) struct PlaneSplit {
    /// Workgroups along x, y and z.
    pub grid: [u32; 3],
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
            constants: context! { width, parts, workgroup, grid },
        }
    }
}

/// Average over each of `planes` planes of `pixels` values. Arguments: `x` N×C×H×W,
/// `y` N×C (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn global(compiler: &Compiler, planes: usize, pixels: usize) -> Result<Recipe, GpuError> {
    let split = PlaneSplit::new(compiler.tiling, planes, pixels);
    let constants = context! { pass => "global", planes, pixels, ..split.constants };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "global", constants)?,
        grid: split.grid,
        cost: Cost {
            flops: (planes * pixels) as f64,
            bytes: 4.0 * (planes * (pixels + 1)) as f64,
        },
    };
    Ok(Recipe::single(kernel, 2))
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
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "global_backward", constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: planes as f64,
            bytes: 4.0 * (planes * (visits * pixels + 1)) as f64,
        },
    };
    Ok(Recipe::single(kernel, 2))
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
