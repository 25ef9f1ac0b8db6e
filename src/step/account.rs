//! What a compiled step consists of and what memory it takes: what a profile shows.

use crate::graph::{Gradients, Layout, Loaded, Plan, PlannedDispatch};
use crate::kernels::{Compiler, Cost};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The parts of a step, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// Images are gathered and varied.
    Images,
    /// The teacher's forward pass.
    Teacher,
    /// The network's own forward pass.
    Forward,
    /// Loss and its gradient.
    Loss,
    /// The backward pass.
    Backward,
    /// Optimisers, scores, the record.
    Update,
}

impl Pass {
    /// All parts, in order.
    pub const ALL: [Self; 6] = [
        Self::Images,
        Self::Teacher,
        Self::Forward,
        Self::Loss,
        Self::Backward,
        Self::Update,
    ];
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Pass::Images => "images",
            Pass::Teacher => "teacher",
            Pass::Forward => "forward",
            Pass::Loss => "loss",
            Pass::Backward => "backward",
            Pass::Update => "update",
        })
    }
}

/// One dispatch of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Kernel: the stem of its shader's file.
    pub kernel: String,
    /// Entry point.
    pub entry: String,
    /// The layer, or another part of the step, that it works for.
    pub layer: String,
    /// Part of the step.
    pub pass: Pass,
    /// What it must do at the least.
    pub cost: Cost,
}

impl Work {
    pub(super) fn of((pass, planned): &(Pass, PlannedDispatch)) -> Self {
        let pipeline = planned.dispatch.pipeline();
        Self {
            kernel: pipeline.kernel().to_owned(),
            entry: pipeline.entry().to_owned(),
            layer: planned.dispatch.owner.to_string(),
            pass: *pass,
            cost: planned.cost,
        }
    }
}

/// Bytes of device memory, and what no plan could do without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Bytes that are allocated.
    pub planned: u64,
    /// Bytes that are needed at the least.
    pub least: u64,
}

impl Need {
    /// Adds bytes that are all needed.
    pub fn add(&mut self, bytes: u64) {
        self.add_padded(bytes, bytes);
    }

    /// Adds bytes of which `least` are needed.
    pub fn add_padded(&mut self, planned: u64, least: u64) {
        self.planned += planned;
        self.least += least;
    }
}

/// The device memory of a step by what it is for. Tables of a few kilobytes are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Parameters and running statistics, the teacher's included.
    pub parameters: Need,
    /// Gradients of parameters and masks.
    pub gradients: Need,
    /// Moments of parameters and scores, slow and averaged weights.
    pub optimizer: Need,
    /// Scores and masks.
    pub scores: Need,
    /// Activations with their gradients, scratch memory, images and logits of the batch.
    pub activations: Need,
    /// Copies of operands in textures, which all steps of a run share: where a texture is read
    /// faster than a buffer, on software Vulkan.
    #[serde(default)]
    pub textures: Need,
    /// The resident images, labels and their order.
    pub dataset: Need,
    /// What travels between host and device: scalars, records.
    pub staging: Need,
    /// Most that one of the plans needs: they run one after the other.
    #[serde(skip)]
    largest_plan: u64,
}

impl Memory {
    /// Categories with their names, in the order of the fields.
    pub fn categories(&self) -> [(&'static str, Need); 8] {
        [
            ("parameters", self.parameters),
            ("gradients", self.gradients),
            ("optimiser state", self.optimizer),
            ("scores and masks", self.scores),
            ("activations, scratch", self.activations),
            ("copies in textures", self.textures),
            ("data set", self.dataset),
            ("staging", self.staging),
        ]
    }

    /// All categories together.
    pub fn total(&self) -> Need {
        let mut total = Need::default();
        for (_, need) in self.categories() {
            total.add_padded(need.planned, need.least);
        }
        total
    }

    /// Adds what `other` takes beside the same network and data set. Only one of the two
    /// computes at a time.
    pub fn beside(&mut self, other: &Memory) {
        let activations = other.activations;
        let more = activations.least.saturating_sub(self.activations.least);
        self.activations.add_padded(activations.planned, more);
        self.textures.planned = self.textures.planned.max(other.textures.planned);
        self.staging.add(other.staging.planned);
    }

    /// Counts the textures that `compiler` has made.
    pub(super) fn textures(&mut self, compiler: &Compiler) {
        self.textures.planned = compiler.texture_bytes();
    }

    /// Adds the arenas of a network. They are padded; masks are needed where sites are gated,
    /// scores where they are trained.
    pub(super) fn network(&mut self, network: &Loaded, gated: bool, scored: bool) {
        let Loaded {
            network,
            layout,
            arenas,
        } = *network;
        for (buffer, arena) in [
            (&arenas.params, &layout.params),
            (&arenas.state, &layout.state),
        ] {
            let least = 4 * arena.elements() as u64;
            self.parameters.add_padded(buffer.bytes(), least);
        }
        let relus = 4 * network.relu_total() as u64;
        for (buffer, needed) in [(&arenas.mask, gated), (&arenas.scores, scored)] {
            let least = if needed { relus } else { 0 };
            self.scores.add_padded(buffer.bytes(), least);
        }
    }

    /// Adds a set of gradients; those of masks are needed where scores are trained.
    pub(super) fn gradients(&mut self, layout: &Layout, gradients: &Gradients, scored: bool) {
        let masks: usize = layout.sites.iter().map(|site| site.shape.len()).sum();
        let elements = layout.params.elements() + if scored { masks } else { 0 };
        let planned = gradients.params.bytes() + gradients.mask.bytes();
        self.gradients.add_padded(planned, 4 * elements as u64);
    }

    /// Adds what a plan allocates. Of several plans that run one after the other only the
    /// largest is needed.
    pub(super) fn activations(&mut self, plan: &Plan) {
        let more = plan
            .least_activation_bytes
            .saturating_sub(self.largest_plan);
        self.activations.add_padded(plan.activation_bytes, more);
        self.largest_plan += more;
    }
}
