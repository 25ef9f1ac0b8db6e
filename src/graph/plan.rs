//! A network compiled for one batch size and one mode: every buffer, pipeline and bind group a
//! step needs, made once.

use super::arenas::{Arenas, Gradients};
use super::layout::Layout;
use super::loaded::Loaded;
use super::lower::{Stage, lower};
use super::network::{Chw, Network, NodeId};
use super::ops::{self, Kept};
use super::schedule::{Operand, Schedule, ValueId};
use crate::gpu::{Buffer, Dispatch, GpuError, View};
use crate::kernels::dapa::Fit;
use crate::kernels::{Compiler, Cost, Recipe};
use crate::kernels::{add, plane};
use std::collections::HashMap;

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

/// The memory that a plan shares with what comes before and after it.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Images f32[N,3,H,W], normalised.
    pub input: View,
    /// Logits f32[N,K].
    pub logits: View,
    /// dL/dlogits f32[N,K]; read by the backward pass.
    pub logit_gradient: View,
    /// Scalars of the step, a uniform buffer.
    pub step: View,
    /// First bad layer forward, last bad layer backward + 1.
    pub health: View,
    /// Buffers that hold nothing while the plan runs: those of a plan that has run by then. It
    /// takes those that fit and allocates the rest.
    pub lent: Vec<Buffer>,
}

/// One dispatch of a plan with what it must do at the least.
#[derive(Debug, Clone)]
pub struct PlannedDispatch {
    /// The bound kernel; its owner is the layer.
    pub dispatch: Dispatch,
    /// What it must do at the least.
    pub cost: Cost,
}

impl PlannedDispatch {
    /// The dispatches of a recipe, each with its stage's cost.
    pub fn of(recipe: &Recipe, dispatches: Vec<Dispatch>) -> impl Iterator<Item = Self> {
        let planned = dispatches.into_iter().zip(recipe.costs());
        planned.map(|(dispatch, cost)| Self { dispatch, cost })
    }
}

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
    /// [`GpuError`]: out of memory, a buffer too large, a kernel that does not compile.
    pub fn compile(
        compiler: &Compiler,
        model: Loaded,
        gradients: Option<&Gradients>,
        ports: &Ports,
        mode: Mode,
    ) -> Result<Self, GpuError> {
        let Loaded {
            network,
            layout,
            arenas,
        } = model;
        let mut emitter = Emitter {
            compiler,
            network,
            layout,
            arenas,
            ports,
            mode,
            schedule: Schedule::default(),
            tensors: HashMap::new(),
            forgotten: HashMap::new(),
            gradients: HashMap::new(),
        };
        let mut tape = Vec::new();
        for stage in lower(network) {
            let kept = ops::forward(&mut emitter, &stage)?;
            tape.push((stage, kept));
        }
        let forward_items = emitter.schedule.len();
        if let Some(arena) = gradients.filter(|_| mode.training) {
            if mode.recompute {
                emitter.forget(&tape)?;
            }
            for (stage, kept) in tape.iter().rev() {
                ops::backward(&mut emitter, arena, stage, kept)?;
            }
        }
        let bound = emitter.schedule.bind(compiler.gpu, &ports.lent)?;
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

/// Collects the dispatches of a plan: what the ops see while they emit.
pub(super) struct Emitter<'a> {
    pub compiler: &'a Compiler<'a>,
    pub network: &'a Network,
    pub layout: &'a Layout,
    pub arenas: &'a Arenas,
    pub ports: &'a Ports,
    pub mode: Mode,
    schedule: Schedule,
    /// Where each computed tensor lies.
    tensors: HashMap<NodeId, Operand>,
    /// How to compute the tensors that were not kept for the backward pass.
    forgotten: HashMap<NodeId, (Recipe, Vec<Operand>)>,
    /// The gradient of each tensor that a later stage has already contributed to.
    gradients: HashMap<NodeId, ValueId>,
}

impl Emitter<'_> {
    /// Appends a recipe for `node`.
    pub fn push(&mut self, recipe: Recipe, operands: Vec<Operand>, node: NodeId) {
        let label = &self.network.node(node).name;
        self.schedule.push(recipe, operands, label);
    }

    /// A new value of `elements` f32.
    pub fn value(&mut self, elements: usize) -> ValueId {
        self.schedule.value(elements)
    }

    /// Shape of one image's activation.
    pub fn shape(&self, node: NodeId) -> Chw {
        self.network.node(node).shape
    }

    /// Elements of a batch of a node's tensor.
    pub fn batch_len(&self, node: NodeId) -> usize {
        self.mode.batch * self.shape(node).len()
    }

    /// A batch of a node's tensor as the kernels with constants per channel see it.
    pub fn plane(&self, node: NodeId) -> plane::Shape {
        let shape = self.shape(node);
        plane::Shape {
            batch: self.mode.batch,
            channels: shape.channels,
            pixels: shape.plane(),
        }
    }

    /// The tensor that an earlier stage wrote; the backward pass may have to write it again.
    pub fn tensor(&mut self, node: NodeId) -> Operand {
        if node == self.network.input() {
            return self.ports.input.clone().into();
        }
        if let Some((recipe, mut operands)) = self.forgotten.remove(&node) {
            let again: Operand = self.value(self.batch_len(node)).into();
            operands.push(again.clone());
            self.push(recipe, operands, node);
            self.tensors.insert(node, again);
        }
        // Stages are in execution order, so every operand has been written.
        self.tensors[&node].clone()
    }

    /// Whether a tensor is in memory.
    pub fn is_kept(&self, node: NodeId) -> bool {
        !self.forgotten.contains_key(&node)
    }

    /// Forgets every tensor that a fused pass makes of tensors which are kept.
    fn forget(&mut self, tape: &[(Stage, Kept)]) -> Result<(), GpuError> {
        for (stage, kept) in tape {
            let again = ops::again(self, stage, kept)?;
            if let Some((node, recipe, operands)) = again {
                self.forgotten.insert(node, (recipe, operands));
            }
        }
        Ok(())
    }

    /// Where a stage writes its tensor: the logits for the last, a new value otherwise.
    pub fn output(&mut self, node: NodeId) -> Operand {
        let operand: Operand = if node == self.network.output() {
            self.ports.logits.clone().into()
        } else {
            self.value(self.batch_len(node)).into()
        };
        self.tensors.insert(node, operand.clone());
        operand
    }

    /// Makes the tensor of `node` that of `input`, unchanged.
    pub fn pass_on(&mut self, node: NodeId, input: NodeId) -> Result<(), GpuError> {
        let x = self.tensor(input);
        if node == self.network.output() {
            let recipe = add::copy(self.compiler, self.batch_len(node))?;
            let y = self.output(node);
            self.push(recipe, vec![y, x], node);
        } else {
            self.tensors.insert(node, x);
        }
        Ok(())
    }

    /// The finished gradient of a node's tensor, or `None` when nothing downstream wants it.
    /// The caller may overwrite it.
    pub fn take_gradient(&mut self, node: NodeId) -> Option<Operand> {
        if node == self.network.output() {
            return Some(self.ports.logit_gradient.clone().into());
        }
        self.gradients.remove(&node).map(Operand::from)
    }

    /// The gradient that later stages left so far, to be added to, or a new one to be written;
    /// the flag says which. `None` for the images, whose gradient nobody wants.
    pub fn gradient_sink(&mut self, node: NodeId) -> Option<(ValueId, bool)> {
        if node == self.network.input() {
            return None;
        }
        if let Some(&value) = self.gradients.get(&node) {
            return Some((value, true));
        }
        let value = self.value(self.batch_len(node));
        self.gradients.insert(node, value);
        Some((value, false))
    }

    /// Appends a recipe whose last argument is the gradient of `node`, for recipes that cannot
    /// accumulate themselves: with `accumulate` what they write is added to `sink`.
    pub fn push_gradient(
        &mut self,
        recipe: Recipe,
        mut operands: Vec<Operand>,
        sink: ValueId,
        accumulate: bool,
        node: NodeId,
    ) -> Result<(), GpuError> {
        if !accumulate {
            operands.push(sink.into());
            self.push(recipe, operands, node);
            return Ok(());
        }
        let part = self.value(self.batch_len(node));
        operands.push(part.into());
        self.push(recipe, operands, node);
        let sum = add::add(self.compiler, self.batch_len(node))?;
        self.push(sum, vec![sink.into(), part.into()], node);
        Ok(())
    }

    /// Makes `value` (a part of) the gradient of a node.
    pub fn give_gradient(&mut self, node: NodeId, value: ValueId) -> Result<(), GpuError> {
        if node == self.network.input() || self.adopt_gradient(node, value) {
            return Ok(());
        }
        if let Some((sink, _)) = self.gradient_sink(node) {
            let recipe = add::add(self.compiler, self.batch_len(node))?;
            self.push(recipe, vec![sink.into(), value.into()], node);
        }
        Ok(())
    }

    /// Hands over `value` as the gradient of a node that has none yet; returns whether it did.
    pub fn adopt_gradient(&mut self, node: NodeId, value: ValueId) -> bool {
        if self.gradients.contains_key(&node) {
            return false;
        }
        self.gradients.insert(node, value);
        true
    }
}
