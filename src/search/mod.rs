//! The paper, and the only place that knows it: scores with hysteresis and straight-through
//! gradients ([`indicator`]), moments to coefficients ([`dapa`]), the penalty and the exact
//! budget ([`budget`]), and the three phases ([`run`]).

pub mod autorep;
pub mod budget;
pub mod dapa;
pub mod indicator;
pub mod run;

pub use budget::Budget;
