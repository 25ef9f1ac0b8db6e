//! The memory of a run, planned before it begins: what it takes, whether the adapter has it, and
//! what would fit if not.
//!
//! Plans are those of the very programs that a phase compiles, on a device that only keeps
//! accounts ([`Gpu::planner`](crate::gpu::Gpu::planner)).

use crate::data::{Normalization, Resident};
use crate::gpu::GpuError;
use crate::graph::{Activations, Arenas, Layout, Loaded, Network};
use crate::kernels::Compiler;
use crate::run::mark::Phase;
use crate::settings::{Optimizer, Settings};
use crate::step::account::Memory;
use crate::step::{AUTOREP, EvalProgram, EvalSpec, TrainProgram, TrainSpec, Variation};
use serde::Serialize;
use std::fmt;

/// What of a phase decides how much memory it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Footprint {
    /// Its name.
    pub phase: Phase,
    /// What the activation sites do.
    pub activations: Activations,
    /// Update rule of the parameters.
    pub optimizer: Optimizer,
    /// Whether a teacher runs beside the network.
    pub distil: bool,
    /// Whether scores are trained.
    pub search: bool,
    /// Whether Lookahead's slow weights exist.
    pub lookahead: bool,
    /// Whether averaged weights exist.
    pub averaging: bool,
}

/// How the images of a step go through the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Images of a step.
    pub batch: usize,
    /// Equal parts that go one after the other.
    pub parts: usize,
    /// Whether the backward pass computes activations again.
    pub recompute: bool,
}

/// How the settings cut a batch: into as many parts as they say, or the fewest whose largest
/// tensor fits into one binding of `limit` bytes.
///
/// # Errors
/// [`ForecastError::Parts`] when the setting does not divide the batch.
pub fn cut(
    settings: &Settings,
    network: &Network,
    batch: usize,
    limit: u64,
) -> Result<Cut, ForecastError> {
    let wanted = settings.micro_batches;
    let parts = if wanted > 0 {
        if !batch.is_multiple_of(wanted) {
            return Err(ForecastError::Parts { batch, wanted });
        }
        wanted
    } else {
        let largest = network.nodes.iter().map(|node| node.shape.len()).max();
        let image_bytes = 4 * largest.unwrap_or(1) as u64;
        let fits = |&parts: &usize| {
            batch.is_multiple_of(parts) && (batch / parts) as u64 * image_bytes <= limit
        };
        // Where a single image does not fit the plan says so.
        (1..=batch).find(fits).unwrap_or(batch)
    };
    Ok(Cut {
        batch,
        parts,
        recompute: settings.recompute,
    })
}

/// Plans the phases of a run.
pub struct Forecast<'a> {
    /// Compiles for a device that only keeps accounts, with the limits and the kernel preset
    /// that the run has.
    pub compiler: Compiler<'a>,
    /// The graph.
    pub network: &'a Network,
    /// The phases that the run may come to.
    pub footprints: &'a [Footprint],
    /// Images that stay on the device; `None`: those of a step.
    pub resident: Option<usize>,
    /// Bytes that the run may take; `None` where nobody knows.
    pub limit: Option<u64>,
}

/// How a plan misses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Miss {
    /// Together its buffers take too much.
    Total {
        /// Bytes wanted.
        bytes: u64,
        /// Bytes there are.
        limit: u64,
    },
    /// One buffer is larger than a kernel can bind.
    Buffer {
        /// Its name.
        what: String,
        /// Bytes wanted.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
}

impl Forecast<'_> {
    /// What a phase takes, with its validation: on the device at the same time.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] where a tensor exceeds the adapter's largest buffer.
    pub fn memory(&self, footprint: &Footprint, cut: Cut) -> Result<Memory, GpuError> {
        // What other batches copied to textures does not count.
        let (compiler, network) = (&self.compiler.apart(), self.network);
        let gpu = compiler.gpu;
        let layout = Layout::new(network);
        let arenas = Arenas::place(gpu, &layout)?;
        let student = Loaded {
            network,
            layout: &layout,
            arenas: &arenas,
        };
        let input = network.node(network.input()).shape;
        let images = self.resident.unwrap_or(cut.batch);
        let images = Resident::place(gpu, (input.height, input.width), images)?;
        let pixels = Normalization {
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        let spec = TrainSpec {
            student,
            teacher: footprint.distil.then_some(student),
            activations: footprint.activations,
            batch: cut.batch,
            micro_batches: cut.parts,
            recompute: cut.recompute,
            images: &images,
            pixels,
            variation: Variation::NONE,
            optimizer: footprint.optimizer,
            // Prices and groups are small tables.
            search: footprint.search.then_some(&AUTOREP),
            lines: &[],
            lookahead: footprint.lookahead,
            averaging: footprint.averaging,
        };
        let program = TrainProgram::compile(compiler, &spec)?;
        let spec = EvalSpec {
            model: student,
            activations: footprint.activations.evaluated(),
            images: &images,
            pixels,
            batch: cut.batch / cut.parts,
            lent: &program.idle,
        };
        let validation = EvalProgram::compile(compiler, &spec)?;
        let mut memory = program.memory;
        memory.beside(&validation.memory);
        Ok(memory)
    }

    /// How the plans of `cut` miss: that of the worst phase, or `None` when all fit.
    fn miss(&self, cut: Cut) -> Result<Option<(Phase, Miss)>, GpuError> {
        let mut worst: Option<(Phase, Miss)> = None;
        for footprint in self.footprints {
            let miss = match self.memory(footprint, cut) {
                Ok(memory) => {
                    let bytes = memory.total().planned;
                    let limit = self.limit.unwrap_or(u64::MAX);
                    (bytes > limit).then_some(Miss::Total { bytes, limit })
                }
                Err(GpuError::TooLarge {
                    what, bytes, limit, ..
                }) => Some(Miss::Buffer { what, bytes, limit }),
                Err(other) => return Err(other),
            };
            if let Some(miss) = miss
                && worst
                    .as_ref()
                    .is_none_or(|(_, worst)| worst.bytes() < miss.bytes())
            {
                worst = Some((footprint.phase, miss));
            }
        }
        Ok(worst)
    }

    /// Checks that every phase fits.
    ///
    /// # Errors
    /// [`Shortage`] with what would fit.
    pub fn check(&self, cut: Cut) -> Result<(), ForecastError> {
        match self.miss(cut)? {
            None => Ok(()),
            Some((phase, miss)) => Err(ForecastError::Shortage(Box::new(
                self.shortage(cut, phase, miss)?,
            ))),
        }
    }

    /// The way out of a shortage.
    fn shortage(&self, cut: Cut, phase: Phase, miss: Miss) -> Result<Shortage, GpuError> {
        let fits = |cut| Ok::<bool, GpuError>(self.miss(cut)?.is_none());
        // More images take more (but where one more is too large for a texture, and copies are no
        // longer made): halve the interval between a part that fits and one that does not.
        let (mut most, mut least_too_many) = (0, cut.batch / cut.parts);
        // What is cut only because of its size need not be cut when it is smaller.
        let of_part = |images: usize| Cut {
            batch: images * cut.parts,
            ..cut
        };
        while least_too_many - most > 1 {
            let middle = most + (least_too_many - most) / 2;
            match fits(of_part(middle))? {
                true => most = middle,
                false => least_too_many = middle,
            }
        }
        let mut parts = None;
        for count in cut.parts + 1..=cut.batch {
            let divides = cut.batch.is_multiple_of(count) && cut.batch / count <= most;
            if divides
                && fits(Cut {
                    parts: count,
                    ..cut
                })?
            {
                parts = Some(count);
                break;
            }
        }
        let again = Cut {
            recompute: true,
            ..cut
        };
        Ok(Shortage {
            phase,
            cut,
            miss,
            adapter: self.compiler.gpu.report.name.clone(),
            largest: (most > 0).then_some(of_part(most)),
            parts,
            recompute: !cut.recompute && fits(again)?,
        })
    }

    /// What an allocation that failed means for the run: the same as a plan that does not fit.
    pub fn explain(mut self, cut: Cut, error: GpuError) -> ForecastError {
        let GpuError::OutOfMemory { bytes, held, .. } = error else {
            return error.into();
        };
        let mut needs = self.footprints.iter().filter_map(|footprint| {
            let memory = self.memory(footprint, cut).ok()?;
            Some((memory.total().planned, footprint.phase))
        });
        let Some((need, phase)) = needs.by_ref().max_by_key(|(need, _)| *need) else {
            return error.into();
        };
        // It had room for what it held, or a little more; for the whole plan it had not.
        let limit = held.min(need.saturating_sub(bytes));
        self.limit = Some(limit);
        let miss = Miss::Total { bytes: need, limit };
        match self.shortage(cut, phase, miss) {
            Ok(shortage) if held > 0 => ForecastError::Shortage(Box::new(shortage)),
            _ => error.into(),
        }
    }
}

impl Miss {
    fn bytes(&self) -> u64 {
        match self {
            Miss::Total { bytes, .. } | Miss::Buffer { bytes, .. } => *bytes,
        }
    }
}

/// Why there is no forecast, or none that lets a run begin.
#[derive(Debug, thiserror::Error)]
pub enum ForecastError {
    /// The device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// A run that needs more memory than there is.
    #[error("{0}")]
    Shortage(Box<Shortage>),
    /// A number of micro-batches that does not divide the batch.
    #[error(
        "a batch of {batch} images cannot be taken in {wanted} equal parts: choose a \
         --micro-batches that divides it"
    )]
    Parts {
        /// Images of a step.
        batch: usize,
        /// The setting.
        wanted: usize,
    },
}

/// A run needs more memory than there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Shortage {
    /// The phase that needs most.
    pub phase: Phase,
    /// How the batch was to be taken.
    pub cut: Cut,
    /// What it lacks.
    pub miss: Miss,
    /// Adapter name.
    pub adapter: String,
    /// The largest batch that fits, taken in as many parts; `None`: not even one image.
    pub largest: Option<Cut>,
    /// The fewest parts in which the whole batch fits.
    pub parts: Option<usize>,
    /// Whether it fits when activations are computed again.
    pub recompute: bool,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cut { batch, parts, .. } = self.cut;
        let in_parts = match parts {
            1 => String::new(),
            _ => format!(" in {parts} parts"),
        };
        let (phase, adapter) = (self.phase, &self.adapter);
        match &self.miss {
            Miss::Total { bytes, limit } => writeln!(
                f,
                "the {phase} phase needs {} of device memory for a batch of {batch}{in_parts}; \
                 `{adapter}` has {} for it",
                mebibytes(*bytes),
                mebibytes(*limit),
            ),
            Miss::Buffer { what, bytes, limit } => writeln!(
                f,
                "the {phase} phase needs {} in one buffer (`{what}`) for a batch of \
                 {batch}{in_parts}; `{adapter}` allows {}",
                mebibytes(*bytes),
                mebibytes(*limit),
            ),
        }?;
        match self.largest {
            Some(Cut { batch, parts, .. }) => {
                write!(f, "the largest batch that fits is {batch}: --batch {batch}")?;
                if parts > 1 {
                    write!(f, " --micro-batches {parts}")?;
                }
            }
            None => write!(
                f,
                "not even one image at a time fits: choose a smaller --width or --image-size, or \
                 another --adapter"
            )?,
        }
        let mut ways = Vec::new();
        ways.extend(self.parts.map(|n| format!("--micro-batches {n}")));
        ways.extend(self.recompute.then(|| "--set recompute=true".to_owned()));
        if !ways.is_empty() {
            write!(f, "; {batch} fit with {}", ways.join(", or with "))?;
        }
        Ok(())
    }
}

fn mebibytes(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    let decimals = if mebibytes < 100.0 { 2 } else { 0 };
    format!("{mebibytes:.decimals$} MiB")
}
