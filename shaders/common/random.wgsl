{# Gives      random(seed, epoch, image, purpose) and random_below(bits, bound).
   Asks for   nothing
   Used by    augment, dropout #}
// Counter-based random bits, the same on host and device: twin src/reference/random.rs.
//
// A number is a hash of what it is for, so any invocation can draw any number of any stream
// and nothing is kept between steps. The hash is PCG's RXS-M-XS output permutation over one
// step of its generator, nested once per word of the key: "pcg" in Jarzynski & Olano, "Hash
// functions for GPU rendering", JCGT 9(3), 2020, which finds it among the best 32-bit ones.
fn pcg(word: u32) -> u32 {
    let state = word * 747796405u + 2891336453u;
    let mixed = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (mixed >> 22u) ^ mixed;
}

fn random(seed: u32, epoch: u32, image: u32, purpose: u32) -> u32 {
    return pcg(purpose + pcg(image + pcg(epoch + pcg(seed))));
}

// A whole number in 0..bound, for bounds up to 65,536; biased by less than bound/65,536.
fn random_below(bits: u32, bound: u32) -> u32 {
    return ((bits >> 16u) * bound) >> 16u;
}
