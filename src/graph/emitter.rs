//! What the ops see while they emit the dispatches of a plan, and what they leave behind for
//! the backward pass.

use super::arenas::{Arenas, Gradients, slot};
use super::layout::Layout;
use super::loaded::Loaded;
use super::mode::Mode;
use super::network::{Network, NodeId};
use super::op::Chw;
use super::ports::Ports;
use super::schedule::{Schedule, Storage, ValueId};
use crate::gpu::{Buffer, GpuError, View};
use crate::kernels::{Compiler, Recipe};
use crate::kernels::{add, plane};
use std::collections::HashMap;

/// A stage that has emitted its forward dispatches, with what its backward must keep of them
/// beside the tensors themselves.
pub(super) trait Backward {
    /// Emits the backward dispatches: from the gradient of the stage's tensor to those of its
    /// operands, of its parameters and of its mask.
    fn backward(&self, emitter: &mut Emitter, arena: &Gradients) -> Result<(), GpuError>;

    /// How to write the stage's tensor once more from tensors that are kept. `None` for what had
    /// better be kept.
    fn again(&self, _emitter: &mut Emitter) -> Result<Option<Again>, GpuError> {
        Ok(None)
    }
}

/// How to write a tensor once more.
pub(super) struct Again {
    /// The node whose tensor it is.
    pub node: NodeId,
    pub recipe: Recipe,
    /// Operands of the recipe but for the last, the tensor.
    pub operands: Vec<Storage>,
}

/// Where a stage leaves (a part of) the gradient of one of its operands.
#[derive(Clone, Copy)]
pub(super) struct Sink {
    pub value: ValueId,
    /// Whether later stages have left their parts there, to be added to.
    pub accumulate: bool,
}

/// Collects the dispatches of a plan.
pub(super) struct Emitter<'a> {
    pub compiler: &'a Compiler<'a>,
    pub network: &'a Network,
    pub layout: &'a Layout,
    pub arenas: &'a Arenas,
    pub ports: &'a Ports,
    pub mode: Mode,
    schedule: Schedule,
    /// Where each computed tensor lies.
    tensors: HashMap<NodeId, Storage>,
    /// How to compute the tensors that were not kept for the backward pass.
    forgotten: HashMap<NodeId, Again>,
    /// The gradient of each tensor that a later stage has already contributed to.
    gradients: HashMap<NodeId, ValueId>,
}

impl<'a> Emitter<'a> {
    /// Before the first stage.
    pub fn new(
        compiler: &'a Compiler<'a>,
        model: Loaded<'a>,
        ports: &'a Ports,
        mode: Mode,
    ) -> Self {
        let Loaded {
            network,
            layout,
            arenas,
        } = model;
        Self {
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
        }
    }

    /// Everything that was emitted.
    pub fn finish(self) -> Schedule {
        self.schedule
    }

    /// Recipes emitted so far.
    pub fn len(&self) -> usize {
        self.schedule.len()
    }

    /// Parameters, or what else lies in an arena with their layout.
    pub fn params<const N: usize>(&self, arena: &Buffer, slots: [usize; N]) -> [View; N] {
        slots.map(|index| slot(arena, &self.layout.params.slots[index]))
    }

    /// Running statistics or moments.
    pub fn state(&self, index: usize) -> View {
        slot(&self.arenas.state, &self.layout.state.slots[index])
    }

    /// Appends a recipe for `node`.
    pub fn push(&mut self, recipe: Recipe, operands: Vec<Storage>, node: NodeId) {
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
    pub fn tensor(&mut self, node: NodeId) -> Storage {
        if node == self.network.input() {
            return self.ports.input.clone().into();
        }
        if let Some(mut again) = self.forgotten.remove(&node) {
            let tensor: Storage = self.value(self.batch_len(node)).into();
            again.operands.push(tensor.clone());
            self.push(again.recipe, again.operands, node);
            self.tensors.insert(node, tensor);
        }
        // Stages are in execution order, so every operand has been written.
        self.tensors[&node].clone()
    }

    /// Whether a tensor is in memory.
    pub fn is_kept(&self, node: NodeId) -> bool {
        !self.forgotten.contains_key(&node)
    }

    /// Forgets every tensor of these stages that can be computed again from those which are kept.
    pub fn forget(&mut self, tape: &[Box<dyn Backward>]) -> Result<(), GpuError> {
        for stage in tape {
            if let Some(again) = stage.again(self)? {
                self.forgotten.insert(again.node, again);
            }
        }
        Ok(())
    }

    /// Where a stage writes its tensor: the logits for the last, a new value otherwise.
    pub fn output(&mut self, node: NodeId) -> Storage {
        let operand: Storage = if node == self.network.output() {
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
    pub fn take_gradient(&mut self, node: NodeId) -> Option<Storage> {
        if node == self.network.output() {
            return Some(self.ports.logit_gradient.clone().into());
        }
        self.gradients.remove(&node).map(Storage::from)
    }

    /// Likewise in memory of the plan, for the caller to overwrite and hand on.
    pub fn take_own_gradient(&mut self, node: NodeId) -> Result<Option<ValueId>, GpuError> {
        match self.take_gradient(node) {
            None => Ok(None),
            Some(Storage::Planned(value)) => Ok(Some(value)),
            Some(logits @ Storage::Fixed(_)) => {
                let recipe = add::copy(self.compiler, self.batch_len(node))?;
                let value = self.value(self.batch_len(node));
                self.push(recipe, vec![value.into(), logits], node);
                Ok(Some(value))
            }
        }
    }

    /// The gradient that later stages left so far, or a new one. `None` for the images, whose
    /// gradient nobody wants.
    pub fn gradient_sink(&mut self, node: NodeId) -> Option<Sink> {
        if node == self.network.input() {
            return None;
        }
        if let Some(&value) = self.gradients.get(&node) {
            return Some(Sink {
                value,
                accumulate: true,
            });
        }
        let value = self.value(self.batch_len(node));
        self.gradients.insert(node, value);
        Some(Sink {
            value,
            accumulate: false,
        })
    }

    /// Appends a recipe whose last argument is the gradient of `node`, for recipes that cannot
    /// accumulate themselves: what they write is added to a sink that holds something.
    pub fn push_gradient(
        &mut self,
        recipe: Recipe,
        mut operands: Vec<Storage>,
        sink: Sink,
        node: NodeId,
    ) -> Result<(), GpuError> {
        if !sink.accumulate {
            operands.push(sink.value.into());
            self.push(recipe, operands, node);
            return Ok(());
        }
        let part = self.value(self.batch_len(node));
        operands.push(part.into());
        self.push(recipe, operands, node);
        let sum = add::add(self.compiler, self.batch_len(node))?;
        self.push(sum, vec![sink.value.into(), part.into()], node);
        Ok(())
    }

    /// Makes `value` (a part of) the gradient of a node.
    pub fn give_gradient(&mut self, node: NodeId, value: ValueId) -> Result<(), GpuError> {
        if node == self.network.input() || self.adopt_gradient(node, value) {
            return Ok(());
        }
        if let Some(sink) = self.gradient_sink(node) {
            let recipe = add::add(self.compiler, self.batch_len(node))?;
            self.push(recipe, vec![sink.value.into(), value.into()], node);
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
