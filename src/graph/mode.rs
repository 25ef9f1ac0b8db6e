//! What a plan is compiled for: so many images, training or not, gates or the network's own
//! nonlinearity.

use crate::kernels::dapa::{Fit, Form};

/// What the activation sites do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activations {
    /// The network's own nonlinearity everywhere, ReLU or SiLU: a teacher.
    Relu,
    /// ReLU or polynomial by the mask.
    Gate {
        /// How polynomials follow the moments of their inputs; `None` leaves them as they are
        /// (the identity of SNL, or an evaluation).
        fit: Option<Fit>,
        /// Highest power whose coefficient is trained.
        degree: usize,
        /// Whether masks are slopes 0…1, which blend ReLU and polynomial (SNL while it
        /// searches), instead of 0 or 1.
        slopes: bool,
    },
}

impl Activations {
    /// Whether polynomials follow what they are about to see, instead of what they have seen.
    pub fn refits_ahead(self) -> bool {
        match self {
            Self::Gate { fit: Some(fit), .. } => fit.form == Form::Hermite,
            Self::Relu | Self::Gate { fit: None, .. } => false,
        }
    }

    /// The same where nothing is trained.
    pub fn evaluated(self) -> Self {
        match self {
            Self::Relu => Self::Relu,
            Self::Gate { slopes, .. } => Self::Gate {
                fit: None,
                degree: 0,
                slopes,
            },
        }
    }
}

/// What a plan is compiled for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mode {
    /// Images of a batch.
    pub batch: usize,
    /// Whether batch norm uses the batch's statistics and there is a backward pass.
    pub training: bool,
    /// What the activation sites do.
    pub activations: Activations,
    /// Whether the backward pass computes what follows a convolution's output (norm, sum,
    /// activation) once more instead of keeping it: one more pass over memory, for half of the
    /// activations or more (Chen et al. 2016, "Training deep nets with sublinear memory cost").
    pub recompute: bool,
}
