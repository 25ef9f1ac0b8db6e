//! The memory where a plan meets what comes before and after it.

use crate::gpu::{Buffer, View};

/// The memory that a plan shares with what comes before and after it.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Images `f32[N,3,H,W]`, normalised.
    pub input: View,
    /// Logits `f32[N,K]`.
    pub logits: View,
    /// dL/dlogits `f32[N,K]`; read by the backward pass.
    pub logit_gradient: View,
    /// Scalars of the step, a uniform buffer.
    pub step: View,
    /// First bad layer forward, last bad layer backward + 1.
    pub health: View,
    /// Buffers that hold nothing while the plan runs: those of a plan that has run by then. It
    /// takes those that fit and allocates the rest.
    pub lent: Vec<Buffer>,
}
