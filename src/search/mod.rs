//! The paper, and the only place that knows it: scores with hysteresis and straight-through
//! gradients ([`indicator`]), moments to coefficients ([`dapa`]), what there is to spend
//! ([`budget`], [`objective`]), the [`methods`] of choosing behind one trait ([`strategy`]), the
//! selection that meets the budget ([`settle`]), the three phases ([`pipeline`]), and the memory that
//! they take ([`phases`]).

pub mod agreement;
pub mod budget;
mod choice;
pub mod dapa;
pub mod granularity;
pub mod indicator;
pub mod methods;
pub mod objective;
pub mod phases;
pub mod pipeline;
pub mod settle;
pub mod strategy;
pub mod sweep;

pub use budget::Budget;
