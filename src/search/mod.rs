//! The paper, and the only place that knows it: scores with hysteresis and straight-through
//! gradients ([`indicator`]), moments to coefficients ([`dapa`]), what there is to spend
//! ([`budget`], [`objective`]), the methods of choosing behind one trait ([`strategy`]), the
//! selection that meets the budget ([`settle`]), the three phases ([`run`]), and the memory that
//! they take ([`phases`]).

mod autopoly;
mod autorep;
pub mod budget;
mod choice;
pub mod dapa;
mod fisher;
mod fixed;
pub mod granularity;
pub mod indicator;
pub mod objective;
pub mod phases;
pub mod run;
pub mod settle;
mod snl;
pub mod strategy;
pub mod sweep;

pub use budget::Budget;
