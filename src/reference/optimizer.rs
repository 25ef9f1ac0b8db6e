//! Twin of `shaders/optimizer.wgsl`.

/// Elements that share a parameter group.
const BLOCK: usize = 256;

/// What both optimisers need: rates and decays per parameter group, the group of every
/// block, and the factor of clipping.
#[derive(Debug, Clone)]
pub struct Groups<'a> {
    /// Learning rate per group.
    pub rate: [f64; 4],
    /// Weight decay per group.
    pub decay: [f64; 4],
    /// Group of each block of 256 elements.
    pub kinds: &'a [u32],
    /// Multiplies the gradient; 0 takes it for zero even where it is not finite.
    pub factor: f64,
}

impl Groups<'_> {
    /// Rate and decay of element `i`.
    fn of(&self, i: usize) -> (f64, f64) {
        let kind = self.kinds[i / BLOCK] as usize;
        (self.rate[kind], self.decay[kind])
    }

    fn clipped(&self, gradient: f64) -> f64 {
        if self.factor == 0.0 {
            0.0
        } else {
            gradient * self.factor
        }
    }
}

/// One step of SGD with momentum μ, as `torch.optim.SGD`.
pub fn sgd(
    groups: &Groups,
    (momentum, nesterov): (f64, bool),
    params: &mut [f64],
    grads: &[f64],
    velocity: &mut [f64],
) {
    for (i, p) in params.iter_mut().enumerate() {
        let (rate, decay) = groups.of(i);
        let g = groups.clipped(grads[i]) + decay * *p;
        velocity[i] = momentum * velocity[i] + g;
        *p -= rate
            * if nesterov {
                g + momentum * velocity[i]
            } else {
                velocity[i]
            };
    }
}

/// Constants of Adam.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// 1 − β₁ᵗ.
    pub correction1: f64,
    /// 1 − β₂ᵗ.
    pub correction2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Whether the decay goes past the moments (AdamW).
    pub decoupled: bool,
}

/// One step of Adam, as `torch.optim.Adam` and `AdamW`.
pub fn adam(
    groups: &Groups,
    adam: &Adam,
    params: &mut [f64],
    grads: &[f64],
    first: &mut [f64],
    second: &mut [f64],
) {
    for (i, p) in params.iter_mut().enumerate() {
        let (rate, decay) = groups.of(i);
        let mut g = groups.clipped(grads[i]);
        if adam.decoupled {
            *p -= rate * decay * *p;
        } else {
            g += decay * *p;
        }
        first[i] = adam.beta1 * first[i] + (1.0 - adam.beta1) * g;
        second[i] = adam.beta2 * second[i] + (1.0 - adam.beta2) * g * g;
        let mean = first[i] / adam.correction1;
        let spread = (second[i] / adam.correction2).sqrt() + adam.epsilon;
        *p -= rate * mean / spread;
    }
}

/// Global norm of the gradient, and the factor that brings it to `clip` (0: off).
pub fn gradient_norm(grads: &[f64], clip: f64) -> (f64, f64) {
    let norm = grads.iter().map(|g| g * g).sum::<f64>().sqrt();
    let factor = if !norm.is_finite() {
        0.0
    } else if clip == 0.0 {
        1.0
    } else {
        (clip / norm).min(1.0)
    };
    (norm, factor)
}

/// Pulls the slow weights by `pull` towards the fast ones, and sets the fast ones back.
pub fn lookahead(pull: f64, params: &mut [f64], slow: &mut [f64]) {
    if pull == 0.0 {
        return;
    }
    for (fast, slow) in params.iter_mut().zip(slow) {
        *slow += pull * (*fast - *slow);
        *fast = *slow;
    }
}

/// Moves the averaged weights by `weight` towards the newest.
pub fn average(weight: f64, params: &[f64], averaged: &mut [f64]) {
    for (average, p) in averaged.iter_mut().zip(params) {
        *average += weight * (p - *average);
    }
}
