//! A GPU made of glass: compute shaders run instruction by instruction, and faults are named that one
//! device hides and another shows.
//!
//! It knows naga's IR and nothing else of the program. In reading order:
//!
//! 1. `program`: what runs, a flat list of three-address instructions; `layout`, `compile`,
//!    `variables`, `statement`, `expression`, `pointer`, `builtins` and `image` make it of the IR.
//! 2. `alu` and `packing`: arithmetic of single words, as WGSL defines it.
//! 3. `lane` and `exec`: one invocation. `access`: its loads, stores and atomics, with `memory` and `race` behind them.
//! 4. `workgroup`: the order in which invocations run, and where they meet; `subgroup`: what they do there.
//! 5. `settings` and `run`: a dispatch. `finding` and `counts`: what it tells.
//! 6. `spec`: a shader's buffers as a file describes them. `check`: all of it at once; `explain` and `map`: for people.
//!
//! ```
//! use autorep::emulator::{Buffer, Fault, Program, Run};
//! let source = "
//!     @group(0) @binding(0) var<storage, read_write> x: array<u32>;
//!     @compute @workgroup_size(8)
//!     fn main(@builtin(local_invocation_index) lane: u32) { x[lane + 1u] = x[lane]; }";
//! let module = naga::front::wgsl::parse_str(source)?;
//! let info = naga::valid::Validator::new(Default::default(), Default::default()).validate(&module)?;
//! let program = Program::new(&module, &info, "main", Some(source))?;
//! let outcome = program.run(&Run::new([1, 1, 1]), &[Buffer::of_words(0, &[0; 9])])?;
//! assert_eq!(outcome.findings[0].fault, Fault::StorageRace);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it does not know it names when it compiles: half and double precision, atomics on floats, sampling,
//! formats of textures with other than 32-bit channels, `subgroupBarrier`, overrides.

mod access;
mod alu;
mod builtins;
mod check;
mod compile;
mod counts;
mod error;
mod exec;
mod explain;
mod expression;
mod finding;
mod image;
mod lane;
mod layout;
mod map;
mod memory;
mod packing;
mod pointer;
mod program;
mod race;
mod random;
mod run;
mod settings;
mod source;
mod spec;
mod statement;
mod subgroup;
mod variables;
mod workgroup;

pub use check::{CheckError, Differs, Dispatch, How, Report, check, load};
pub use counts::{BufferCounts, Counts};
pub use error::{CompileError, RunError};
pub use finding::{Fault, Finding, Invocation, Recorded, Side};
pub use map::{AccessMap, BufferMap, Touch};
pub use memory::Buffer;
pub use program::{Program, Resource};
pub use race::Access;
pub use run::{Difference, Outcome, agree};
pub use settings::Run;
pub use source::{Slot, SourcePlace};
pub use spec::{BufferSpec, ElementKind, Fill, Spec, SpecError};
