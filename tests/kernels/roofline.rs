use crate::harness::*;
use autorep::kernels::roofline::{self, CHAINS, ROUNDS, VECTORS};
use autorep::reference;

#[test]
fn chains_of_multiply_adds_match_their_twin() {
    // A factor that leaves a fifth of where a chain began: all of it shows in the sum.
    let (m, b) = (1.0f32 - 1.0 / 1280.0, 0.01f32);
    on_every_engine(|compiler| {
        for chains in CHAINS {
            let grid = [5, 3];
            let length = roofline::invocations(compiler, grid);
            let recipe = roofline::multiply_add(compiler, chains, grid).unwrap();
            let factors = [m, b, f32::NAN, f32::NAN];
            let out = run(compiler, &recipe, &[Data::In(&factors), Data::Out(length)]);
            let one = |i| {
                reference::roofline::multiply_add(i, chains, ROUNDS, f64::from(m), f64::from(b))
            };
            // The chains repeat every 64 invocations.
            let period: Vec<f64> = (0..64).map(one).collect();
            let want: Vec<f64> = period.into_iter().cycle().take(length).collect();
            assert_close(&format!("{chains} chains"), &out[1], &want, 2e-4);
        }
    });
}

#[test]
fn the_copy_copies() {
    on_every_engine(|compiler| {
        for vectors in VECTORS {
            let grid = [3, 2];
            let length = 4 * vectors * roofline::invocations(compiler, grid);
            let x = noise(3, length);
            let recipe = roofline::copy(compiler, vectors, grid).unwrap();
            let out = run(compiler, &recipe, &[Data::In(&x), Data::Out(length)]);
            assert_eq!(out[1], x, "{vectors} vectors an invocation");
        }
    });
}
