//! The memory between the parts of a step: what the images are gathered into, what the network
//! says about them, what the loss says about that, and what the host reads of it all.

use super::account::Memory;
use crate::data::Resident;
use crate::gpu::{Buffer, Gpu, GpuError, View};
use crate::graph::Network;
use crate::graph::Ports;
use crate::kernels::metrics::{ROWS, Record, row_words};
use crate::kernels::step::StepScalars;

/// Steps that may be taken before their records are read, so that no row of the ring is
/// overwritten before: a quarter of it, since two such spans may be on their way to the host.
pub const MOST_UNREAD: u32 = ROWS as u32 / 4;

/// How much passes through the memory between the parts of a step.
pub(super) struct Extent {
    /// Images of a micro-batch.
    pub(super) batch: usize,
    /// Micro-batches of a step.
    pub(super) micro_batches: usize,
    /// Images on the device.
    pub(super) images: usize,
    /// Sites of which the record tells how many ReLUs they keep.
    pub(super) sites: usize,
}

/// The memory between the parts of a step.
pub(super) struct Wiring {
    /// What a network reads and writes.
    pub(super) ports: Ports,
    /// The scalars of a step.
    pub(super) step: Buffer,
    /// The images of an epoch, in order.
    pub(super) order: Buffer,
    /// What is recorded of each sample: a part of it for every micro-batch.
    pub(super) samples: Buffer,
    /// Rows of a micro-batch's part, of which those past its images stay zero: a part must
    /// begin where a binding may.
    pub(super) sample_rows: usize,
    /// Records of the last steps.
    pub(super) ring: Buffer,
    /// Words of a record.
    pub(super) words: usize,
}

impl Wiring {
    /// Allocates it for a step of `network`.
    pub(super) fn new(gpu: &Gpu, network: &Network, extent: &Extent) -> Result<Self, GpuError> {
        let Extent {
            batch,
            micro_batches,
            images,
            sites,
        } = *extent;
        let logits = 4 * (batch * network.classes()) as u64;
        let input = 4 * (batch * network.node(network.input()).shape.len()) as u64;
        let step = gpu.allocate_uniform("step scalars", size_of::<StepScalars>() as u64)?;
        let words = row_words(sites);
        let sample_rows = batch.next_multiple_of(View::ALIGNMENT as usize / 16);
        let samples = vec![0f32; 4 * sample_rows * micro_batches];
        Ok(Self {
            ports: Ports {
                input: gpu.allocate("input", input)?.view(),
                logits: gpu.allocate("logits", logits)?.view(),
                logit_gradient: gpu.allocate("logit gradient", logits)?.view(),
                step: step.view(),
                health: gpu.upload("health", &[u32::MAX, 0])?.view(),
                lent: Vec::new(),
            },
            step,
            order: gpu.allocate("order", 4 * images as u64)?,
            samples: gpu.upload("samples", &samples)?,
            sample_rows,
            ring: gpu.upload("metrics ring", &vec![u32::MAX; ROWS * words])?,
            words,
        })
    }

    /// What the wiring and the data set take.
    pub(super) fn memory(&self, images: &Resident) -> Memory {
        let mut memory = Memory::default();
        let ports = &self.ports;
        for view in [&ports.input, &ports.logits, &ports.logit_gradient] {
            memory.activations.add(view.bytes);
        }
        for (_, buffer) in &images.chunks {
            memory.dataset.add(buffer.bytes());
        }
        memory.dataset.add(images.labels.bytes());
        memory.dataset.add(self.order.bytes());
        // The ring is there thrice: two copies of it may be on their way to the host.
        let staging = [
            self.step.bytes(),
            self.samples.bytes(),
            3 * self.ring.bytes(),
        ];
        memory.staging.add(staging.iter().sum());
        memory
    }

    /// Where the loss of a micro-batch's samples is recorded.
    pub(super) fn samples_of(&self, micro_batch: usize) -> View {
        let bytes = 16 * self.sample_rows as u64;
        self.samples.range(micro_batch as u64 * bytes, bytes)
    }

    /// Forgets all records, for those of steps that were not taken not to be taken for others.
    pub(super) fn forget_records(&self, gpu: &Gpu) {
        let words = self.ring.view().bytes as usize / size_of::<u32>();
        gpu.write(&self.ring.view(), &vec![u32::MAX; words]);
    }

    /// The records of `steps` among the ring's words.
    ///
    /// # Errors
    /// [`GpuError::Lost`] where the device has not taken such a step: some drivers call work done that
    /// they have dropped.
    pub(super) fn records(
        &self,
        gpu: &Gpu,
        words: &[u32],
        steps: std::ops::Range<u32>,
    ) -> Result<Vec<Record>, GpuError> {
        let record = |step: u32| {
            let row = step as usize % ROWS * self.words;
            let record = Record::from_words(&words[row..row + self.words]);
            match record.step == step {
                true => Ok(record),
                false => Err(GpuError::Lost {
                    adapter: gpu.report.name.clone(),
                    reason: format!("it says that all is done, but has not taken step {step}"),
                }),
            }
        };
        steps.map(record).collect()
    }
}
