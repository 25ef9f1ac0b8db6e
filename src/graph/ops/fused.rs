//! Batch norm, residual addition and activation in one pass.
//!
//! The backward keeps the operands as the convolutions left them and the norms' constants; the
//! pre-activation is computed again. It takes two passes: the first turns dy into dz in place
//! and sums what batch norm needs, the second applies batch norm's slope.

use crate::gpu::{Buffer, GpuError, View};
use crate::graph::arenas::Gradients;
use crate::graph::emitter::{Again, Backward, Emitter};
use crate::graph::layout::{BatchNormSlots, Site};
use crate::graph::lower::{Fused, Input};
use crate::graph::mode::Activations;
use crate::graph::network::{NodeId, Nonlinearity};
use crate::graph::schedule::{Storage, ValueId};
use crate::kernels::add;
use crate::kernels::batch_norm::{self, NormSlot};
use crate::kernels::dapa::{self, Form};
use crate::kernels::gate::{self, Activation, Residual, Spec};

/// A fused pass, and what it keeps for its backward.
struct Pass {
    node: NodeId,
    main: Input,
    residual: Option<Input>,
    spec: Spec,
    norms: Option<Norms>,
    gate: Option<Gate>,
    /// What DaPa will refit the polynomials by.
    moments: Option<Moments>,
}

/// The batch norms of a pass, none to two.
struct Norms {
    /// Scale and shift of both, per channel, and the bounds of what the gate is given.
    constants: ValueId,
    norms: Vec<Norm>,
}

/// A batch norm within a pass.
#[derive(Clone, Copy)]
struct Norm {
    node: NodeId,
    operand: NormSlot,
    /// The node whose tensor it normalises.
    tensor: NodeId,
    slots: BatchNormSlots,
}

/// A site whose mask and polynomials are in force.
struct Gate {
    /// The activation.
    node: NodeId,
    /// Highest power whose coefficient is trained.
    degree: usize,
    /// How polynomials follow the moments.
    fit: Option<dapa::Fit>,
}

/// The sums of a site's pre-activation, and what becomes of them.
struct Moments {
    site: NodeId,
    fit: dapa::Fit,
    sums: ValueId,
    partials: gate::Partials,
}

impl Pass {
    fn new(emitter: &mut Emitter, stage: Fused) -> Self {
        let Fused {
            node,
            main,
            residual,
            activation,
        } = stage;
        let mode = emitter.mode;
        let (activation, gate) = match (activation, mode.activations) {
            (None, _) => (Activation::Identity, None),
            (Some(_), Activations::Relu) => {
                let activation = match emitter.network.nonlinearity {
                    Nonlinearity::Relu => Activation::Relu,
                    Nonlinearity::Silu => Activation::Silu,
                };
                (activation, None)
            }
            (
                Some(node),
                Activations::Gate {
                    fit,
                    degree,
                    slopes,
                },
            ) => {
                let gate = Gate {
                    node,
                    degree,
                    fit: fit.filter(|_| mode.training),
                };
                let activation = match slopes {
                    false => Activation::Gate,
                    true => Activation::Blend,
                };
                (activation, Some(gate))
            }
        };
        let spec = Spec {
            shape: emitter.plane(node),
            normalized: main.norm.is_some(),
            residual: match residual {
                None => Residual::None,
                Some(Input { norm: None, .. }) => Residual::Plain,
                Some(Input { norm: Some(_), .. }) => Residual::Normalized,
            },
            activation,
            bounded: gate.as_ref().is_some_and(Gate::follows_ahead),
        };
        Self {
            node,
            main,
            residual,
            spec,
            norms: Norms::new(emitter, main, residual, &spec),
            gate,
            moments: None,
        }
    }

    /// What the pre-activation is made of: u, r, norm.
    fn preactivation(&self, emitter: &mut Emitter) -> Vec<Storage> {
        let mut operands = vec![emitter.tensor(self.main.tensor)];
        operands.extend(self.residual.map(|input| emitter.tensor(input.tensor)));
        let norms = self.norms.iter().filter(|norms| !norms.norms.is_empty());
        operands.extend(norms.map(|norms| norms.constants.into()));
        operands
    }

    /// The operands that forward and backward read: u, r, norm, mask, coefficients. A backward pass
    /// with bounds finds them with the norms, also where there is none.
    fn reads(&self, emitter: &mut Emitter, backward: bool) -> Vec<Storage> {
        let mut operands = self.preactivation(emitter);
        let bounds = self
            .norms
            .iter()
            .filter(|norms| norms.norms.is_empty() && backward);
        operands.extend(bounds.map(|norms| norms.constants.into()));
        if let Some(gate) = &self.gate {
            let site = emitter.layout.site(gate.node);
            let [coefficients] = emitter.params(&emitter.arenas.params, [site.coefficients]);
            operands.push(elements(&emitter.arenas.mask, site).into());
            operands.push(coefficients.into());
        }
        operands
    }
}

impl Norms {
    fn new(
        emitter: &mut Emitter,
        main: Input,
        residual: Option<Input>,
        spec: &Spec,
    ) -> Option<Self> {
        let layout = emitter.layout;
        let norm = |input: Input, operand| {
            input.norm.map(|node| Norm {
                node,
                operand,
                tensor: input.tensor,
                slots: layout.batch_norm(node),
            })
        };
        let residual = residual.and_then(|input| norm(input, NormSlot::Residual));
        let main = norm(main, NormSlot::Main);
        let norms: Vec<Norm> = main.into_iter().chain(residual).collect();
        let rows = 2 + usize::from(spec.bounded);
        (spec.bounded || !norms.is_empty()).then(|| Self {
            constants: emitter.value(4 * rows * spec.shape.channels),
            norms,
        })
    }

    /// Computes the constants of a forward pass: by the batch in training, else by the running
    /// statistics.
    fn forward(&self, emitter: &mut Emitter, pass: &Pass) -> Result<(), GpuError> {
        let (compiler, shape) = (emitter.compiler, pass.spec.shape);
        for norm in &self.norms {
            let (node, operand, slots) = (norm.node, norm.operand, norm.slots);
            let mut operands: Vec<Storage> = Vec::new();
            let recipe = if emitter.mode.training {
                operands.push(emitter.ports.step.clone().into());
                operands.push(emitter.tensor(norm.tensor));
                batch_norm::statistics(compiler, shape, operand, node.0)?
            } else {
                batch_norm::running(compiler, shape.channels, operand)?
            };
            let params = emitter.params(&emitter.arenas.params, [slots.weight, slots.bias]);
            let running = [slots.running_mean, slots.running_var].map(|slot| emitter.state(slot));
            operands.extend(params.map(Storage::from));
            operands.extend(running.map(Storage::from));
            operands.push(self.constants.into());
            if emitter.mode.training {
                operands.push(emitter.ports.health.clone().into());
            }
            emitter.push(recipe, operands, node);
        }
        Ok(())
    }

    /// Computes the gradients of scales and shifts, and for each norm the slope by which dz
    /// becomes the gradient of what it normalises.
    fn backward(
        &self,
        emitter: &mut Emitter,
        arena: &Gradients,
        pass: &Pass,
        sums: ValueId,
        partials: gate::Partials,
    ) -> Result<Vec<(Norm, ValueId)>, GpuError> {
        let (compiler, shape) = (emitter.compiler, pass.spec.shape);
        let mut slopes = Vec::new();
        for &norm in &self.norms {
            let (node, slots) = (norm.node, norm.slots);
            let recipe =
                batch_norm::parameter_gradients(compiler, shape, norm.operand, partials, node.0)?;
            let [gamma, beta] = emitter.params(&arena.params, [slots.weight, slots.bias]);
            let slope = emitter.value(4 * shape.channels);
            let operands = vec![
                sums.into(),
                self.constants.into(),
                gamma.into(),
                beta.into(),
                slope.into(),
                emitter.ports.health.clone().into(),
            ];
            emitter.push(recipe, operands, node);
            slopes.push((norm, slope));
        }
        Ok(slopes)
    }
}

impl Gate {
    /// Whether the polynomials follow the moments of a batch before they see it, which is what tells
    /// their bounds.
    fn follows_ahead(&self) -> bool {
        self.fit.is_some_and(|fit| fit.form == Form::Hermite)
    }

    /// Computes the gradients of the coefficients.
    fn backward(
        &self,
        emitter: &mut Emitter,
        arena: &Gradients,
        pass: &Pass,
        sums: ValueId,
        partials: gate::Partials,
    ) -> Result<(), GpuError> {
        let channels = pass.spec.shape.channels;
        let recipe =
            gate::coefficient_gradients(emitter.compiler, channels, partials, self.degree)?;
        let site = emitter.layout.site(self.node);
        let [gradient] = emitter.params(&arena.params, [site.coefficients]);
        emitter.push(recipe, vec![sums.into(), gradient.into()], pass.node);
        Ok(())
    }
}

impl Moments {
    /// Sums the powers of a pre-activation before its gate looks at it.
    fn ahead(
        emitter: &mut Emitter,
        pass: &Pass,
        site: NodeId,
        fit: dapa::Fit,
    ) -> Result<Self, GpuError> {
        let (recipe, partials) = gate::moments(emitter.compiler, &pass.spec)?;
        let sums = emitter.value(partials.bytes as usize / 4);
        let mut operands = pass.preactivation(emitter);
        let running = emitter.layout.site(site).moments;
        operands.push(emitter.state(running).into());
        operands.push(sums.into());
        emitter.push(recipe, operands, pass.node);
        Ok(Self {
            site,
            fit,
            sums,
            partials,
        })
    }

    /// Moves the moments, and the polynomials with them. Where it follows the forward pass it waits
    /// for the backward pass, too, which must see the polynomials that the forward pass used.
    fn refit(&self, emitter: &mut Emitter, pass: &Pass) -> Result<(), GpuError> {
        let (shape, layer) = (pass.spec.shape, pass.node.0);
        let recipe = dapa::finish(emitter.compiler, shape, self.partials, self.fit, layer)?;
        let site = emitter.layout.site(self.site);
        let [coefficients] = emitter.params(&emitter.arenas.params, [site.coefficients]);
        let mut operands: Vec<Storage> = vec![
            emitter.ports.step.clone().into(),
            self.sums.into(),
            emitter.state(site.moments).into(),
            coefficients.into(),
            emitter.ports.health.clone().into(),
        ];
        if self.fit.form == Form::Hermite {
            operands.push(emitter.state(site.kurtosis).into());
            operands.extend(pass.norms.iter().map(|norms| norms.constants.into()));
        }
        emitter.push(recipe, operands, pass.node);
        Ok(())
    }
}

/// The part of a score arena that belongs to a site.
fn elements(arena: &Buffer, site: &Site) -> View {
    arena.range(4 * site.offset as u64, 4 * site.shape.len() as u64)
}

pub(super) fn forward(emitter: &mut Emitter, stage: Fused) -> Result<Box<dyn Backward>, GpuError> {
    let mut pass = Pass::new(emitter, stage);
    if let Some(norms) = &pass.norms {
        norms.forward(emitter, &pass)?;
    }
    let fit = pass
        .gate
        .as_ref()
        .and_then(|gate| Some((gate.node, gate.fit?)));
    if let Some((site, fit)) = fit.filter(|(_, fit)| fit.form == Form::Hermite) {
        // They follow the very inputs that they are about to see, as a batch norm would.
        Moments::ahead(emitter, &pass, site, fit)?.refit(emitter, &pass)?;
    }
    let fit = fit.filter(|(_, fit)| fit.form != Form::Hermite);
    let (recipe, partials) = gate::forward(emitter.compiler, &pass.spec, fit.is_some())?;
    let mut operands = pass.reads(emitter, false);
    operands.push(emitter.output(pass.node));
    pass.moments = fit.map(|(site, fit)| Moments {
        site,
        fit,
        sums: emitter.value(partials.bytes as usize / 4),
        partials,
    });
    operands.extend(pass.moments.iter().map(|moments| moments.sums.into()));
    emitter.push(recipe, operands, pass.node);
    Ok(Box::new(pass))
}

impl Backward for Pass {
    /// A pass whose operands are the outputs of convolutions or sums can be made again: its
    /// operands are kept for its own backward. One with a plain residual is the next one's
    /// residual in turn, and a chain of them would have to be made again from its beginning.
    fn again(&self, emitter: &mut Emitter) -> Result<Option<Again>, GpuError> {
        let residual = self.residual.iter();
        let mut operands = residual.chain([&self.main]).map(|input| input.tensor);
        let activated = self.spec.activation != Activation::Identity;
        if !activated
            || self.spec.residual == Residual::Plain
            || !operands.all(|tensor| emitter.is_kept(tensor))
        {
            return Ok(None);
        }
        let (recipe, _) = gate::forward(emitter.compiler, &self.spec, false)?;
        Ok(Some(Again {
            node: self.node,
            recipe,
            operands: self.reads(emitter, false),
        }))
    }

    fn backward(&self, emitter: &mut Emitter, arena: &Gradients) -> Result<(), GpuError> {
        let Some(dz) = emitter.take_own_gradient(self.node)? else {
            return Ok(());
        };
        // First pass: dy becomes dz in its place.
        let compiler = emitter.compiler;
        let (recipe, partials) = gate::backward(compiler, &self.spec)?;
        let mut operands = vec![dz.into()];
        operands.extend(self.reads(emitter, true));
        if self.gate.is_none() && self.norms.is_none() {
            emitter.push(recipe, operands, self.node);
            return self.data_backward(emitter, dz, Vec::new());
        }
        let site = self
            .gate
            .as_ref()
            .map(|gate| emitter.layout.site(gate.node));
        operands.extend(site.map(|site| Storage::from(elements(&arena.mask, site))));
        let sums = emitter.value(partials.bytes as usize / 4);
        operands.push(sums.into());
        emitter.push(recipe, operands, self.node);
        if let Some(gate) = &self.gate {
            gate.backward(emitter, arena, self, sums, partials)?;
        }
        if let Some(moments) = &self.moments {
            moments.refit(emitter, self)?;
        }
        let slopes = match &self.norms {
            Some(norms) => norms.backward(emitter, arena, self, sums, partials)?,
            None => Vec::new(),
        };
        self.data_backward(emitter, dz, slopes)
    }
}

impl Pass {
    /// Second pass: dz goes to a plain residual as it is, to normalised operands through their
    /// slope. The main operand comes last, for its gradient may take dz's place.
    fn data_backward(
        &self,
        emitter: &mut Emitter,
        dz: ValueId,
        slopes: Vec<(Norm, ValueId)>,
    ) -> Result<(), GpuError> {
        let (compiler, shape) = (emitter.compiler, self.spec.shape);
        let plain_residual = self.residual.filter(|input| input.norm.is_none());
        for (norm, slope) in slopes.into_iter().rev() {
            let Norm { node, tensor, .. } = norm;
            let u = emitter.tensor(tensor);
            let last = norm.operand == NormSlot::Main && plain_residual.is_none();
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
        // A main operand without batch norm and a plain residual may both want dz itself; the
        // first takes it, the second adds it to what it has or gets a copy.
        let mut takers: Vec<NodeId> = Vec::new();
        takers.extend((self.main.norm.is_none()).then_some(self.main.tensor));
        takers.extend(plain_residual.map(|input| input.tensor));
        for (position, &tensor) in takers.iter().enumerate().rev() {
            if position == 0 {
                emitter.give_gradient(tensor, dz)?;
            } else {
                let Some(sink) = emitter.gradient_sink(tensor) else {
                    continue;
                };
                let recipe = match sink.accumulate {
                    true => add::add(compiler, shape.len())?,
                    false => add::copy(compiler, shape.len())?,
                };
                emitter.push(recipe, vec![sink.value.into(), dz.into()], self.node);
            }
        }
        Ok(())
    }
}
