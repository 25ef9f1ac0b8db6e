//! Batch norm, residual addition and activation in one pass.
//!
//! The backward keeps the operands as the convolutions left them and the norms' constants; the
//! pre-activation is computed again. It takes two passes: the first turns dy into dz in place
//! and sums what batch norm needs, the second applies batch norm's slope.

use super::Kept;
use crate::gpu::{GpuError, View};
use crate::graph::arenas::{Gradients, slot};
use crate::graph::layout::NodeTensors;
use crate::graph::lower::{Input, Stage};
use crate::graph::network::{NodeId, Nonlinearity};
use crate::graph::plan::{Activations, Emitter};
use crate::graph::schedule::{Operand, ValueId};
use crate::kernels::batch_norm::{self, NormSlot};
use crate::kernels::gate::{self, Activation, Residual, Spec};
use crate::kernels::{Recipe, add, dapa};

/// A stage taken apart.
struct Pass {
    node: NodeId,
    main: Input,
    residual: Option<Input>,
    site: Option<usize>,
    spec: Spec,
}

impl Pass {
    fn new(emitter: &Emitter, stage: &Stage) -> Option<Self> {
        let Stage::Fused {
            node,
            main,
            residual,
            activation,
        } = *stage
        else {
            return None;
        };
        let site = activation.and_then(|id| match emitter.layout.nodes[id.0] {
            NodeTensors::Site(index) => Some(index),
            _ => None,
        });
        let spec = Spec {
            shape: emitter.plane(node),
            normalized: main.norm.is_some(),
            residual: match residual {
                None => Residual::None,
                Some(Input { norm: None, .. }) => Residual::Plain,
                Some(Input { norm: Some(_), .. }) => Residual::Normalized,
            },
            activation: match (site, emitter.mode.activations) {
                (None, _) => Activation::Identity,
                (Some(_), Activations::Relu) => match emitter.network.nonlinearity {
                    Nonlinearity::Relu => Activation::Relu,
                    Nonlinearity::Silu => Activation::Silu,
                },
                (Some(_), Activations::Gate { slopes: false, .. }) => Activation::Gate,
                (Some(_), Activations::Gate { slopes: true, .. }) => Activation::Blend,
            },
        };
        Some(Self {
            node,
            main,
            residual,
            site,
            spec,
        })
    }

    /// Batch-norm nodes with the slot of `norm` they fill and the tensor they normalise.
    fn norms(&self) -> Vec<(NodeId, NormSlot, NodeId)> {
        let of = |input: &Input, operand| input.norm.map(|norm| (norm, operand, input.tensor));
        let residual = self.residual.as_ref();
        of(&self.main, NormSlot::Main)
            .into_iter()
            .chain(residual.and_then(|input| of(input, NormSlot::Residual)))
            .collect()
    }

    /// The operands that forward and backward read: u, r, norm, mask, coefficients.
    fn reads(&self, emitter: &mut Emitter, norm: Option<ValueId>) -> Vec<Operand> {
        let mut operands = vec![emitter.tensor(self.main.tensor)];
        operands.extend(self.residual.map(|input| emitter.tensor(input.tensor)));
        operands.extend(norm.map(Operand::from));
        if let (true, Some(site)) = (self.spec.activation.is_gated(), self.site) {
            let site = &emitter.layout.sites[site];
            let coefficients = &emitter.layout.params.slots[site.coefficients];
            operands.push(elements(&emitter.arenas.mask, site).into());
            operands.push(slot(&emitter.arenas.params, coefficients).into());
        }
        operands
    }
}

/// The sums of a site's pre-activation, and what becomes of them.
pub(in crate::graph) struct Moments {
    site: usize,
    fit: dapa::Fit,
    sums: ValueId,
    partials: gate::Partials,
}

/// Moves the moments and refits the polynomials. This waits for the backward pass, which must
/// see the polynomials that the forward pass used.
fn refit(emitter: &mut Emitter, pass: &Pass, moments: &Moments) -> Result<(), GpuError> {
    let (shape, layer) = (pass.spec.shape, pass.node.0);
    let recipe = dapa::finish(
        emitter.compiler,
        shape,
        moments.partials,
        moments.fit,
        layer,
    )?;
    let (layout, arenas) = (emitter.layout, emitter.arenas);
    let site = &layout.sites[moments.site];
    let operands = vec![
        emitter.ports.step.clone().into(),
        moments.sums.into(),
        slot(&arenas.state, &layout.state.slots[site.moments]).into(),
        slot(&arenas.params, &layout.params.slots[site.coefficients]).into(),
        emitter.ports.health.clone().into(),
    ];
    emitter.push(recipe, operands, pass.node);
    Ok(())
}

/// The part of a score arena that belongs to a site.
fn elements(arena: &crate::gpu::Buffer, site: &crate::graph::layout::Site) -> View {
    arena.range(4 * site.offset as u64, 4 * site.shape.len() as u64)
}

/// γ, β, running mean and variance of a batch-norm node.
fn norm_tensors(emitter: &Emitter, node: NodeId, params: &crate::gpu::Buffer) -> Option<[View; 4]> {
    let NodeTensors::BatchNorm {
        weight,
        bias,
        running_mean,
        running_var,
    } = emitter.layout.nodes[node.0]
    else {
        return None;
    };
    let (layout, state) = (emitter.layout, &emitter.arenas.state);
    Some([
        slot(params, &layout.params.slots[weight]),
        slot(params, &layout.params.slots[bias]),
        slot(state, &layout.state.slots[running_mean]),
        slot(state, &layout.state.slots[running_var]),
    ])
}

pub(super) fn forward(emitter: &mut Emitter, stage: &Stage) -> Result<Kept, GpuError> {
    let Some(pass) = Pass::new(emitter, stage) else {
        return Ok(Kept::Nothing);
    };
    let compiler = emitter.compiler;
    let shape = pass.spec.shape;
    let norms = pass.norms();
    let norm = (!norms.is_empty()).then(|| emitter.value(8 * shape.channels));
    for (node, operand, tensor) in norms {
        let (Some(tensors), Some(norm)) =
            (norm_tensors(emitter, node, &emitter.arenas.params), norm)
        else {
            continue;
        };
        let mut operands: Vec<Operand> = Vec::new();
        let recipe = if emitter.mode.training {
            operands.push(emitter.ports.step.clone().into());
            operands.push(emitter.tensor(tensor));
            batch_norm::statistics(compiler, shape, operand, node.0)?
        } else {
            batch_norm::running(compiler, shape.channels, operand)?
        };
        operands.extend(tensors.map(Operand::from));
        operands.push(norm.into());
        if emitter.mode.training {
            operands.push(emitter.ports.health.clone().into());
        }
        emitter.push(recipe, operands, node);
    }

    let fit = match (pass.site, emitter.mode.activations) {
        (Some(site), Activations::Gate { fit: Some(fit), .. }) if emitter.mode.training => {
            Some((site, fit))
        }
        _ => None,
    };
    let (recipe, partials) = gate::forward(compiler, &pass.spec, fit.is_some())?;
    let mut operands = pass.reads(emitter, norm);
    operands.push(emitter.output(pass.node));
    let Some((site, fit)) = fit else {
        emitter.push(recipe, operands, pass.node);
        return Ok(Kept::Fused {
            norm,
            moments: None,
        });
    };
    let sums = emitter.value(partials.bytes as usize / 4);
    operands.push(sums.into());
    emitter.push(recipe, operands, pass.node);
    let moments = Some(Moments {
        site,
        fit,
        sums,
        partials,
    });
    Ok(Kept::Fused { norm, moments })
}

/// A pass whose operands are the outputs of convolutions or sums can be made again: its operands
/// are kept for its own backward. One with a plain residual is the next one's residual in turn,
/// and a chain of them would have to be made again from its beginning.
pub(super) fn again(
    emitter: &mut Emitter,
    stage: &Stage,
    kept: &Kept,
) -> Result<Option<(NodeId, Recipe, Vec<Operand>)>, GpuError> {
    let (Some(pass), Kept::Fused { norm, .. }) = (Pass::new(emitter, stage), kept) else {
        return Ok(None);
    };
    let residual = pass.residual.iter();
    let mut operands = residual.chain([&pass.main]).map(|input| input.tensor);
    let activated = pass.spec.activation != Activation::Identity;
    if !activated
        || pass.spec.residual == Residual::Plain
        || !operands.all(|tensor| emitter.is_kept(tensor))
    {
        return Ok(None);
    }
    let (recipe, _) = gate::forward(emitter.compiler, &pass.spec, false)?;
    Ok(Some((pass.node, recipe, pass.reads(emitter, *norm))))
}

pub(super) fn backward(
    emitter: &mut Emitter,
    arena: &Gradients,
    stage: &Stage,
    kept: &Kept,
) -> Result<(), GpuError> {
    let (Some(pass), Kept::Fused { norm, moments }) = (Pass::new(emitter, stage), kept) else {
        return Ok(());
    };
    let Some(dy) = emitter.take_gradient(pass.node) else {
        return Ok(());
    };
    let compiler = emitter.compiler;
    let shape = pass.spec.shape;
    let gated = pass.spec.activation.is_gated();

    // First pass: dy becomes dz.
    let (recipe, partials) = gate::backward(compiler, &pass.spec)?;
    let mut operands = vec![dy.clone()];
    operands.extend(pass.reads(emitter, *norm));
    let site = pass
        .site
        .filter(|_| gated)
        .map(|s| &emitter.layout.sites[s]);
    operands.extend(site.map(|site| Operand::from(elements(&arena.mask, site))));
    let sums = (gated || norm.is_some()).then(|| emitter.value(partials.bytes as usize / 4));
    operands.extend(sums.map(Operand::from));
    emitter.push(recipe, operands, pass.node);
    if let (Some(site), Some(sums)) = (site, sums)
        && let Activations::Gate { degree, .. } = emitter.mode.activations
    {
        let recipe = gate::coefficient_gradients(compiler, shape.channels, partials, degree)?;
        let gradient = slot(
            &arena.params,
            &emitter.layout.params.slots[site.coefficients],
        );
        emitter.push(recipe, vec![sums.into(), gradient.into()], pass.node);
    }
    if let Some(moments) = moments {
        refit(emitter, &pass, moments)?;
    }
    let Operand::Value(dz) = dy else {
        // Only the logits have a gradient outside the plan, and no pass writes logits.
        return Ok(());
    };

    // Second pass: dz goes to a plain residual as it is, to normalised operands through their
    // slope. The main operand comes last, for its gradient may take dz's place.
    let mut slopes = Vec::new();
    for (node, operand, tensor) in pass.norms() {
        let (Some([gamma, beta, ..]), Some(norm), Some(sums)) =
            (norm_tensors(emitter, node, &arena.params), *norm, sums)
        else {
            continue;
        };
        let recipe = batch_norm::parameter_gradients(compiler, shape, operand, partials, node.0)?;
        let slope = emitter.value(4 * shape.channels);
        let operands = vec![
            sums.into(),
            norm.into(),
            gamma.into(),
            beta.into(),
            slope.into(),
            emitter.ports.health.clone().into(),
        ];
        emitter.push(recipe, operands, node);
        slopes.push((node, operand, tensor, slope));
    }
    let plain_residual = pass.residual.filter(|input| input.norm.is_none());
    for (node, operand, tensor, slope) in slopes.into_iter().rev() {
        let u = emitter.tensor(tensor);
        let last = operand == NormSlot::Main && plain_residual.is_none();
        let recipe = batch_norm::data_gradient(compiler, shape, last)?;
        if last && emitter.adopt_gradient(tensor, dz) {
            emitter.push(recipe, vec![dz.into(), u, slope.into()], node);
        } else {
            let recipe = batch_norm::data_gradient(compiler, shape, false)?;
            let du = emitter.value(shape.len());
            emitter.push(recipe, vec![dz.into(), u, slope.into(), du.into()], node);
            emitter.give_gradient(tensor, du)?;
        }
    }
    // A main operand without batch norm and a plain residual may both want dz itself; the first
    // takes it, the second adds it to what it has or gets a copy.
    let mut takers: Vec<NodeId> = Vec::new();
    takers.extend((pass.main.norm.is_none()).then_some(pass.main.tensor));
    takers.extend(plain_residual.map(|input| input.tensor));
    for (position, &tensor) in takers.iter().enumerate().rev() {
        if position == 0 {
            emitter.give_gradient(tensor, dz)?;
        } else {
            let Some((sink, accumulate)) = emitter.gradient_sink(tensor) else {
                continue;
            };
            let recipe = if accumulate {
                add::add(compiler, shape.len())?
            } else {
                add::copy(compiler, shape.len())?
            };
            emitter.push(recipe, vec![sink.into(), dz.into()], pass.node);
        }
    }
    Ok(())
}
