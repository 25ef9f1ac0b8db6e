//! A network as private inference should compute it: nothing public is multiplied that a weight
//! can absorb, and only what keeps its ReLU is compared.
//!
//! Frameworks compute `where(mask, relu(x), c₂x² + c₁x + c₀)`: every ReLU, two products for every
//! polynomial, and a choice. On secret shares that saves nothing. What saves is another network
//! that computes the same function:
//!
//! - Batch norms and the images' normalisation lie in the weights around them.
//! - A value may be stored times a factor of its channel, since what reads it can divide its weights
//!   by that. With the right factors a polynomial is a bare square plus a constant:
//!   t·(c₂x² + c₁x + c₀) = (s·x + b)² + k, where s² = t·c₂, b = s·c₁/2c₂ and k = t·(c₀ − c₁²/4c₂).
//! - A line is free: t·(c₁x + c₀) = s·x + t·c₀, where s = t·c₁.
//! - The kept elements are gathered, compared together, and merged back. Where whole channels are
//!   ReLUs or polynomials, channels are reordered so that they lie together and a slice will do.
//!
//! In reading order: [`folded`] is what comes out, `scales` chooses the factors, `order` the order of
//! channels, and [`mod@fold`] puts a model into that form. [`numbers`] are those of engines, and
//! [`mod@evaluate`] computes with them what an engine would; [`ranges`] tells how large they grow.

pub mod evaluate;
pub mod fold;
pub mod folded;
pub mod numbers;
mod order;
pub mod ranges;
mod scales;
mod union;

pub use evaluate::{BEYOND, Evaluation, Range, evaluate};
pub use fold::{FoldError, fold};
pub use folded::{Folded, FoldedConv, FoldedOp, FoldedSite, Kind, Run, Step};
pub use numbers::{FixedPoint, Real, Truncation};
pub use ranges::{SiteRange, site_ranges};
