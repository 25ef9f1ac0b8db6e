//! A network compiled for one batch size and one mode: every buffer, pipeline and bind group a
//! step needs, made once.

use super::arenas::Gradients;
use super::emitter::Emitter;
use super::loaded::Loaded;
use super::lower::lower;
use super::mode::Mode;
use super::ops;
use super::ports::Ports;
use super::schedule::PlannedDispatch;
use crate::gpu::{Buffer, GpuError};
use crate::kernels::Compiler;

/// A compiled network.
pub struct Plan {
    /// Dispatches from the input to the logits.
    pub forward: Vec<PlannedDispatch>,
    /// Dispatches from the logits' gradient to all parameter and mask gradients.
    pub backward: Vec<PlannedDispatch>,
    /// Buffers of activations and scratch memory.
    pub buffers: Vec<Buffer>,
    /// Bytes of those that were not lent.
    pub activation_bytes: u64,
    /// Bytes that no plan of these dispatches could do without.
    pub least_activation_bytes: u64,
}

impl Plan {
    /// Compiles a network. Gradients are wanted exactly when `mode.training`.
    ///
    /// # Errors
    /// When a buffer is larger than the adapter allows or finds no memory, and when the adapter
    /// does not take a kernel.
    pub fn compile(
        compiler: &Compiler,
        model: Loaded,
        gradients: Option<&Gradients>,
        ports: &Ports,
        mode: Mode,
    ) -> Result<Self, GpuError> {
        let mut emitter = Emitter::new(compiler, model, ports, mode);
        let mut tape = Vec::new();
        for stage in lower(model.network) {
            tape.push(ops::forward(&mut emitter, stage)?);
        }
        let forward_items = emitter.len();
        if let Some(arena) = gradients.filter(|_| mode.training) {
            if mode.recompute {
                emitter.forget(&tape)?;
            }
            for stage in tape.iter().rev() {
                stage.backward(&mut emitter, arena)?;
            }
        }
        let bound = emitter.finish().bind(compiler.gpu, &ports.lent)?;
        let mut items = bound.items.into_iter();
        let forward = items.by_ref().take(forward_items).flatten().collect();
        Ok(Self {
            forward,
            backward: items.flatten().collect(),
            buffers: bound.buffers,
            activation_bytes: bound.own_bytes,
            least_activation_bytes: bound.least_bytes,
        })
    }
}
