//! One kernel from adapter to checked result: each plane of a tensor times a factor of its own,
//! as squeeze-excite scales the channels of an image. `cargo run --release --example one_kernel`

use autorep::gpu::{AdapterChoice, Gpu, Tape};
use autorep::kernels::{Compiler, Tiling, scale};
use autorep::reference;

const PLANES: usize = 8;
const PIXELS: usize = 32 * 32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The best adapter there is; software Vulkan will do. Each class of them has a tiling.
    let gpu = Gpu::open(&AdapterChoice::default())?;
    let compiler = Compiler::new(&gpu, Tiling::for_adapter(&gpu));
    println!("{}, tiling {}", gpu.report.name, compiler.tiling);

    // Inputs are copied to the device; the result only needs room there.
    let x: Vec<f32> = (0..PLANES * PIXELS).map(|i| (i as f32).sin()).collect();
    let factors: Vec<f32> = (0..PLANES).map(|plane| 1.0 / (plane + 1) as f32).collect();
    let x_buffer = gpu.upload("x", &x)?;
    let factor_buffer = gpu.upload("factors", &factors)?;
    let y_buffer = gpu.allocate("y", 4 * x.len() as u64)?;

    // A recipe is the WGSL of shaders/scale.wgsl with this shape baked in, its grid and its
    // cost. It knows no buffers: binding it puts them at @binding(0), 1, 2.
    let recipe = scale::forward(&compiler, PLANES, PIXELS)?;
    let arguments = [x_buffer.view(), factor_buffer.view(), y_buffer.view()];
    let no_scratch = [];
    let mut tape = Tape::new();
    for dispatch in recipe.bind(&gpu, &arguments, &no_scratch, "one kernel")? {
        tape.push(dispatch);
    }

    // Submitting only queues the work. Reading waits for it: the one place where the host
    // stands still.
    tape.submit(&gpu)?;
    let y: Vec<f32> = gpu.read(&y_buffer.view())?;

    // The twin computes the same in plain Rust and double precision. One rounding to f32 is all
    // that may lie between the two.
    let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&v| v.into()).collect() };
    let expected = reference::scale::forward(PIXELS, &wide(&x), &wide(&factors));
    let errors = expected
        .iter()
        .zip(&y)
        .map(|(e, &y)| (e - f64::from(y)).abs());
    let worst = errors.fold(0.0, f64::max);
    let (x, y) = (x[PIXELS], y[PIXELS]);
    println!("first of plane 1: {x} times {} is {y}", factors[1]);
    println!("furthest from the twin: {worst:.1e}");
    if worst > 1e-6 {
        return Err("the kernel and its twin disagree".into());
    }
    Ok(())
}
