//! A page for a class: kernels that a visitor changes and runs, exercises on them, a step as a picture, a
//! search as it goes. In reading order:
//!
//! 1. `case` and `bench`: kernels on small data, with what the twins make of it. `lab` has those of the network,
//!    `lab_update` those around it, `puzzles` twelve exercises, `convolutions` one kernel in three versions;
//!    `catalog` has the texts of all.
//! 2. `wgsl`, `judge` and `device`: a text is compiled, run in the emulator, and run on the adapter.
//! 3. `job`, `child` and `runner`: all of that in a process of its own, which may hang or crash.
//! 4. `step`, `live` and `recorder`: a profile, a search and a recorded run, as further processes; `sites`: the
//!    search's masks and polynomials; `tether` ends them all with this one.
//! 5. `guard`, `assets`, `routes` and `server`: who may ask, and what is answered; `export`: the
//!    same as static files.
//!
//! The page itself lies in `assets/teach/`.

pub mod assets;
pub mod bench;
pub mod case;
pub mod catalog;
pub mod child;
pub mod convolutions;
pub mod device;
pub mod error;
pub mod export;
pub mod guard;
pub mod job;
pub mod judge;
pub mod lab;
pub mod lab_update;
pub mod live;
pub mod puzzles;
pub mod recorder;
pub mod routes;
pub mod runner;
pub mod server;
pub mod sites;
pub mod step;
pub mod tether;
pub mod wgsl;

pub use error::TeachError;
pub use server::{Server, Wishes};
