//! Fully connected layer: forward, data gradient, weight gradient. `shaders/linear.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Size, Template, Tiling, template};
use super::family::{Family, Table};
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("linear.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "linear",
    templates: &[TEMPLATE],
    permutations,
};

/// Shape of a fully connected layer. Weights are K×C as in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Samples N.
    pub batch: usize,
    /// Input features C.
    pub in_features: usize,
    /// Output features K.
    pub out_features: usize,
}

impl Shape {
    /// Elements of the input N×C.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_features
    }

    /// Elements of the output N×K.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_features
    }

    /// Elements of the weights K×C.
    pub fn weight_len(&self) -> usize {
        self.out_features * self.in_features
    }

    /// Bytes of any of the three passes: each operand moved once. The data gradient knows no bias.
    fn bytes(&self, bias: bool) -> f64 {
        let matrices = self.input_len() + self.output_len() + self.weight_len();
        let biases = usize::from(bias) * self.out_features;
        4.0 * (matrices + biases) as f64
    }
}

/// `y = x·wᵀ + b`. Arguments: `x` N×C, `w` K×C, `b` K, `y` N×K (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn forward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    let Shape {
        batch,
        in_features,
        out_features,
    } = *shape;
    let size = [out_features, batch, in_features];
    let (x, y, w) = (shape.input_len(), shape.output_len(), shape.weight_len());
    let lengths = [x, w, out_features, y];
    product(compiler, shape, "forward", ["x", "w"], size, &lengths)
}

/// `dx = dL/dx`. Arguments: `dy` N×K, `w` K×C, `dx` N×C (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn data_gradient(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    let Shape {
        batch,
        in_features,
        out_features,
    } = *shape;
    let size = [batch, in_features, out_features];
    let lengths = [shape.output_len(), shape.weight_len(), shape.input_len()];
    product(
        compiler,
        shape,
        "data_gradient",
        ["dy", "w"],
        size,
        &lengths,
    )
}

/// `dw = dL/dw` and `db = dL/db`, summed over the batch in order. Arguments: `x` N×C,
/// `dy` N×K, `dw` K×C, `db` K (both written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn weight_gradient(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    let Shape {
        batch,
        in_features,
        out_features,
    } = *shape;
    // One column more: the bias is the weight of an input that is always 1.
    let size = [out_features, in_features + 1, batch];
    let (x, dy, dw) = (shape.input_len(), shape.output_len(), shape.weight_len());
    let lengths = [x, dy, dw, out_features];
    product(
        compiler,
        shape,
        "weight_gradient",
        ["x", "dy"],
        size,
        &lengths,
    )
}

/// The product behind all three passes, of `[rows, columns, inner]` elements, with arguments of these
/// lengths.
fn product(
    compiler: &Compiler,
    shape: &Shape,
    pass: &'static str,
    names: [&'static str; 2],
    [rows, columns, inner]: [usize; 3],
    lengths: &[usize],
) -> Result<Recipe, GpuError> {
    // Invocations along columns and rows, outputs of each along columns and rows.
    let (shared, [across, down], [tile_columns, tile_rows]) = match compiler.tiling {
        Tiling::Cpu { lanes } => (false, [lanes as usize, 1], [4, 4]),
        Tiling::Portable => (true, [8, 8], [2, 2]),
        Tiling::Large => (true, [16, 16], [2, 2]),
    };
    let constants = context! {
        pass, names, rows, columns, inner, shared, across, down, tile_columns, tile_rows,
        depth => 32,
    };
    let products = 2.0 * (rows * columns) as f64 * inner as f64;
    // The forward pass adds the bias; that of the weights' gradient is a column of its own.
    let biases = if pass == "forward" { rows * columns } else { 0 };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "linear", constants)?,
        grid: [
            columns.div_ceil(across * tile_columns) as u32,
            rows.div_ceil(down * tile_rows) as u32,
            1,
        ],
        cost: Cost {
            flops: products + biases as f64,
            bytes: shape.bytes(lengths.len() == 4),
        },
    };
    let arguments = lengths.iter().map(|&length| Size::words(length));
    Ok(Recipe::single(kernel, arguments.collect()))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for (batch, in_features, out_features) in [(1, 1, 1), (5, 17, 33), (128, 512, 100)] {
        let shape = Shape {
            batch,
            in_features,
            out_features,
        };
        let name = format!("{batch}×{in_features} → {out_features}");
        table.push("linear forward", &name, move |c| forward(c, &shape));
        table.push("linear data_gradient", &name, move |c| {
            data_gradient(c, &shape)
        });
        table.push("linear weight_gradient", name, move |c| {
            weight_gradient(c, &shape)
        });
    }
}
