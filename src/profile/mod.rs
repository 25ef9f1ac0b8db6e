//! Where the time of a step goes, and how far each kernel is from what the adapter can do.
//!
//! `autorep profile` and `cargo bench` measure with the same code and judge by the same
//! roofline, so that their figures can be compared:
//!
//! * [`measure`]: repeated timings of dispatches, and processor time;
//! * [`statistics`]: what repeated measurements come to;
//! * [`roofline`]: the adapter's peak and bandwidth, measured and kept;
//! * [`step`]: a step of training, search or evaluation as a run would take it;
//! * [`report`]: a [`Profile`], which is what `--json` writes;
//! * [`trace`]: the same for Chrome's trace viewer and Perfetto;
//! * [`suite`]: single kernels on the shapes of networks;
//! * [`compare`]: what changed between two measurements;
//! * [`text`]: all of it as text for people.

pub mod compare;
pub mod measure;
pub mod report;
pub mod roofline;
pub mod statistics;
pub mod step;
pub mod suite;
pub mod text;
pub mod trace;

pub use measure::Effort;
pub use report::Profile;
pub use roofline::Roofline;
pub use statistics::Statistics;
