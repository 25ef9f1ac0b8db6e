//! Twin of `shaders/indicator.wgsl`.

/// ln(1 + eˣ).
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The mask after a step, from the mask before and the score: a 1 stays while `score > −t`, a 0
/// becomes 1 when `score > +t`.
pub fn hysteresis(mask: bool, score: f64, threshold: f64) -> bool {
    score > if mask { -threshold } else { threshold }
}

/// Straight-through gradient of a score from the mask's gradient, with the penalty's share.
pub fn score_gradient(score: f64, mask_gradient: f64, penalty: f64) -> f64 {
    softplus(score) * (mask_gradient + penalty)
}
