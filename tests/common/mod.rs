//! What several test programs share.

pub mod host_network;
pub mod program;

/// Values in −1…1 from a counter: the same on every machine.
#[allow(dead_code, reason = "not every test program needs it")]
pub fn noise(seed: u32, length: usize) -> Vec<f32> {
    (0..length as u32)
        .map(|i| {
            let mut x = (i ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
            x ^= x >> 13;
            x = x.wrapping_mul(0xc2b2_ae35);
            x ^= x >> 16;
            x as f32 / u32::MAX as f32 * 2.0 - 1.0
        })
        .collect()
}
