use crate::harness::*;
use autorep::{kernels, reference};

#[test]
fn add_matches_its_twin() {
    on_every_engine(|compiler| {
        for length in [1, 3, 4, 63, 64, 257, 4096, 70_001] {
            let (a, b) = (noise(1, length), noise(2, length));
            let recipe = kernels::add::add(compiler, length).unwrap();
            let out = run(compiler, &recipe, &[Data::InOut(&a), Data::In(&b)]);
            let want = reference::add::add(&wide(&a), &wide(&b));
            assert_close(&format!("add of {length}"), &out[0], &want, 1e-6);
            let recipe = kernels::add::copy(compiler, length).unwrap();
            let out = run(compiler, &recipe, &[Data::Out(length), Data::In(&b)]);
            assert_eq!(out[0], b, "copy of {length}");
        }
    });
}
