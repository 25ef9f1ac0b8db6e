//! A small training run as anybody can replay it who can dispatch WGSL: what lies in memory before the first
//! step, the dispatches of a step with their text, the scalars of each step, and the losses that came of them
//! here. `autorep teach` hands it to a browser, which trains the same network by WebGPU.
//!
//! # The file
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the header, little-endian |
//! | so many | [`Header`] as JSON, and blanks up to a multiple of 4 bytes |
//! | the rest | words of buffers, where [`Memory::at`] says |

use crate::data::{self, DataError, OpenOptions, Resident};
use crate::gpu::{AdapterChoice, Binding, Dispatch, Gpu, GpuError, View};
use crate::graph::{Activations, Arenas, Layout, Loaded, Tensors};
use crate::kernels::metrics::Record as Outcome;
use crate::kernels::step::StepScalars;
use crate::kernels::{Compiler, Tiling};
use crate::models::{ModelError, ModelSpec};
use crate::settings::Settings;
use crate::step::{TrainProgram, TrainSpec, Variation};
use serde::{Deserialize, Serialize};

/// Images that the run learns from: few, so that a network learns them by heart within its steps.
const IMAGES: usize = 64;
/// Images of a step.
const BATCH: usize = 32;
/// Steps of the run.
const STEPS: usize = 20;
/// Learning rate: high enough to see something fall, low enough that rounding is not blown up from step to step.
const RATE: f32 = 0.05;
/// What rounding explains. Adapters sum alike but round otherwise: some fuse products with sums, and each has its own
/// exponentials and roots. Training blows that up: a ReLU that flips changes all that follows. Between two
/// software adapters losses were the same to a unit in the last place for 13 steps, and 0.06 % apart at the end.
const TOLERANCE: Tolerance = Tolerance {
    first: 1e-5,
    growth: 1.4,
};

/// A run, recorded.
#[derive(Debug, Clone)]
pub struct Record {
    /// All but the contents of buffers.
    pub header: Header,
    /// Contents of buffers.
    words: Vec<u32>,
}

/// All of a run but what buffers hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The network's name.
    pub model: String,
    /// The adapter that took the steps here.
    pub adapter: String,
    /// Images of a step.
    pub batch: usize,
    /// How far losses may lie from the native ones.
    pub tolerance: Tolerance,
    /// Every text of a kernel once.
    pub shaders: Vec<Shader>,
    /// All memory.
    pub buffers: Vec<Memory>,
    /// The dispatches of a step, in order.
    pub tape: Vec<Turn>,
    /// The buffer of a step's scalars.
    pub scalars: usize,
    /// The buffer of the network's parameters, the first convolution's weights in front.
    pub weights: usize,
    /// Where a step leaves its record.
    pub ring: Ring,
    /// What is written to the scalars before each step.
    pub steps: Vec<Vec<u32>>,
    /// What came of each step here.
    pub native: Vec<Loss>,
}

/// How far losses may lie from the native ones, as a share of those: at step n, counted from 0, `first`·`growth`ⁿ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// At the first step.
    pub first: f64,
    /// From step to step.
    pub growth: f64,
}

/// An entry point of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shader {
    /// Kernel and entry point.
    pub name: String,
    /// The entry point.
    pub entry: String,
    /// The WGSL.
    pub source: String,
}

/// A buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Its bytes.
    pub bytes: u64,
    /// First of its words among the record's; `None` where it begins as zeros.
    pub at: Option<usize>,
}

/// A dispatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Number of its shader.
    pub shader: usize,
    /// The layer or the part of the step that it works for.
    pub owner: String,
    /// Workgroups along x, y and z.
    pub grid: [u32; 3],
    /// What lies at binding 0, 1, …: a buffer's number, a first byte and a length in bytes.
    pub bindings: Vec<(usize, u64, u64)>,
}

/// The ring of records: see `shaders/metrics.wgsl`. Words 0, 2 and 4 of a row are the sum of losses, the images
/// that were told right (both `f32`) and all images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// Its buffer.
    pub buffer: usize,
    /// Its rows: step n writes row n modulo this.
    pub rows: usize,
    /// Words of a row.
    pub words: usize,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Mean cross-entropy of the batch.
    pub loss: f64,
    /// Share of the batch that was told right.
    pub right: f64,
}

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// No adapter, or it failed.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The built-in images cannot be drawn: a defect.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network cannot be built: a defect.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A kernel binds a texture, which a record has no place for: a defect of the tiling.
    #[error("`{kernel}` binds a texture: a step can be recorded with --kernels portable only")]
    Texture {
        /// The kernel.
        kernel: String,
    },
}

impl Record {
    /// Trains a ResNet-8 on built-in images, on the adapter that the environment means or the first.
    ///
    /// # Errors
    /// [`RecordError`], above all where there is no adapter.
    pub fn take() -> Result<Self, RecordError> {
        let gpu = Gpu::open(&AdapterChoice::default())?;
        let dataset = data::open(
            &format!("builtin:train={IMAGES},test=10"),
            &OpenOptions::default(),
        )?;
        let model = ModelSpec {
            name: "resnet8".to_owned(),
            width: 1.0,
            input: (dataset.train.height, dataset.train.width),
            classes: dataset.classes.len(),
        };
        let network = model.build()?;
        let layout = Layout::new(&network);
        let arenas = Arenas::upload(&gpu, &Tensors::initial(&layout, 0))?;
        let images = Resident::upload(&gpu, &dataset.train)?;
        // The one tiling without subgroups and textures: any browser with WebGPU runs it.
        let compiler = Compiler::new(&gpu, Tiling::Portable);
        let settings = Settings::default();
        let mut program = TrainProgram::compile(
            &compiler,
            &TrainSpec {
                student: Loaded {
                    network: &network,
                    layout: &layout,
                    arenas: &arenas,
                },
                teacher: None,
                activations: Activations::Relu,
                batch: BATCH,
                micro_batches: 1,
                recompute: false,
                images: &images,
                pixels: dataset.normalization,
                variation: Variation::NONE,
                optimizer: settings.teacher.descent.optimizer,
                search: None,
                lines: &[],
                lookahead: false,
                averaging: false,
            },
        )?;
        // Labels go round in the built-in data: it is mixed as it is.
        let order: Vec<u32> = (0..IMAGES as u32).collect();
        program.set_order(&gpu, &order);
        let steps: Vec<StepScalars> = (0..STEPS).map(|step| scalars(&settings, step)).collect();

        let mut memory = Collected::default();
        let mut header = Header {
            model: model.name,
            adapter: gpu.report.name.clone(),
            batch: BATCH,
            tolerance: TOLERANCE,
            shaders: Vec::new(),
            tape: Vec::new(),
            scalars: memory.number(&program.scalars()),
            weights: memory.number(&arenas.params.view()),
            ring: {
                let (ring, words) = program.ring();
                Ring {
                    buffer: memory.number(&ring),
                    rows: ring.bytes as usize / (4 * words),
                    words,
                }
            },
            buffers: Vec::new(),
            steps: Vec::new(),
            native: Vec::new(),
        };
        for dispatch in program.tapes().iter().flat_map(|tape| tape.dispatches()) {
            header.push(dispatch, &mut memory)?;
        }
        let words;
        (header.buffers, words) = memory.read(&gpu, header.scalars)?;
        for (step, scalars) in (1..).zip(&steps) {
            program.step(&gpu, scalars)?;
            let taken = program.drain_records(&gpu, step)?;
            header.native.extend(taken.iter().map(Loss::of));
        }
        let as_words = |scalars: &StepScalars| bytemuck::cast_slice(&[*scalars]).to_vec();
        header.steps = steps.iter().map(as_words).collect();
        Ok(Self { header, words })
    }

    /// The file, see the [module](self).
    ///
    /// # Errors
    /// Where the header is no JSON: a defect.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut header = serde_json::to_vec(&self.header)?;
        header.resize(header.len().next_multiple_of(4), b' ');
        let mut bytes = (header.len() as u32).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
        Ok(bytes)
    }
}

/// The scalars of a step: plain descent at one rate.
fn scalars(settings: &Settings, step: usize) -> StepScalars {
    let descent = &settings.teacher.descent;
    StepScalars {
        rate: [RATE; 4],
        decay: [descent.decay, 0.0, 0.0, 0.0],
        step: step as u32,
        seed: settings.seed,
        epoch: (step * BATCH / IMAGES) as u32,
        first: (step * BATCH % IMAGES) as u32,
        count: BATCH as u32,
        beta1: descent.momentum,
        clip: settings.clip,
        ..Default::default()
    }
}

impl Header {
    fn push(&mut self, dispatch: &Dispatch, memory: &mut Collected) -> Result<(), RecordError> {
        let pipeline = dispatch.pipeline();
        let shader = Shader {
            name: pipeline.name().to_owned(),
            entry: pipeline.entry().to_owned(),
            source: without_card(pipeline.source()).to_owned(),
        };
        let known = self.shaders.iter().position(|known| *known == shader);
        let bindings = dispatch.bindings().iter().map(|binding| match binding {
            Binding::Buffer(view) => Ok((memory.number(view), view.offset, view.bytes)),
            Binding::Texture(_) => Err(RecordError::Texture {
                kernel: shader.name.clone(),
            }),
        });
        let bindings = bindings.collect::<Result<_, _>>()?;
        self.tape.push(Turn {
            shader: known.unwrap_or_else(|| {
                self.shaders.push(shader);
                self.shaders.len() - 1
            }),
            owner: dispatch.owner.to_string(),
            grid: dispatch.grid(),
            bindings,
        });
        Ok(())
    }
}

/// A text without the card on top of it: half of a record would be cards, and the lab has them.
fn without_card(source: &str) -> &str {
    let card = source.lines().take_while(|line| line.starts_with("//"));
    let bytes: usize = card.map(|line| line.len() + 1).sum();
    source.get(bytes..).unwrap_or_default().trim_start()
}

impl Loss {
    fn of(outcome: &Outcome) -> Self {
        let count = f64::from(outcome.count);
        Self {
            loss: f64::from(outcome.ce) / count,
            right: f64::from(outcome.top1) / count,
        }
    }
}

/// The buffers that a tape binds parts of, each once.
#[derive(Default)]
struct Collected(Vec<View>);

impl Collected {
    /// The number of the buffer that a view is a part of.
    fn number(&mut self, view: &View) -> usize {
        let known = self.0.iter().position(|known| known.shares_with(view));
        known.unwrap_or_else(|| {
            self.0.push(view.whole());
            self.0.len() - 1
        })
    }

    /// What they hold; of the scalars, which are written before each step, nothing.
    fn read(&self, gpu: &Gpu, scalars: usize) -> Result<(Vec<Memory>, Vec<u32>), GpuError> {
        let mut all = Vec::new();
        let mut buffers = Vec::new();
        for (number, view) in self.0.iter().enumerate() {
            let words: Vec<u32> = match number == scalars {
                true => Vec::new(),
                false => gpu.read(view)?,
            };
            let holds = words.iter().any(|&word| word != 0);
            buffers.push(Memory {
                bytes: view.bytes,
                at: holds.then_some(all.len()),
            });
            if holds {
                all.extend(words);
            }
        }
        Ok((buffers, all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_stay_behind() {
        let text = "// Kernel card: a\n//\n\nstruct S { a: u32 } // kept\n// kept, too\n";
        let rest = "struct S { a: u32 } // kept\n// kept, too\n";
        assert_eq!(without_card(text), rest);
        assert_eq!(without_card(rest), rest);
        assert_eq!(without_card("// only"), "");
    }

    #[test]
    fn a_file_holds_header_and_words() {
        let header = Header {
            model: "é".to_owned(),
            adapter: String::new(),
            batch: 1,
            tolerance: TOLERANCE,
            shaders: Vec::new(),
            buffers: vec![Memory {
                bytes: 8,
                at: Some(0),
            }],
            tape: Vec::new(),
            scalars: 0,
            weights: 0,
            ring: Ring {
                buffer: 0,
                rows: 1,
                words: 1,
            },
            steps: vec![vec![1]],
            native: Vec::new(),
        };
        let record = Record {
            header,
            words: vec![1, 0x0203],
        };
        let bytes = record.to_bytes().unwrap();
        let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        assert_eq!(length % 4, 0);
        let header: Header = serde_json::from_slice(&bytes[4..4 + length]).unwrap();
        assert_eq!(header, record.header);
        assert_eq!(bytes[4 + length..], [1, 0, 0, 0, 3, 2, 0, 0]);
    }
}
