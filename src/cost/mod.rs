//! What a network costs in private inference: bytes that each party sends online, rounds, and the
//! time that they take over a link.
//!
//! - [`protocol`]: prices of ReLUs, squares, products, truncations and linear layers, as data under
//!   `assets/protocols`.
//! - [`link`]: bandwidth and latency.
//! - [`mod@layers`]: what of a network takes communication.
//! - [`mod@bill`]: what each layer costs, by cause.
//!
//! # How prices add up
//! Bytes add up over elements. Rounds add up over layers, which wait for one another, and not over
//! the elements of a layer, which go side by side. So an activation site takes the rounds of its
//! slowest element however many there are: a ReLU's if it holds any, else a square's if it holds
//! any, else (lines only) none. Residual branches are counted one after the other.
//!
//! A quadratic costs one square and its truncation: c₂x² + c₁x + c₀ is, but for a constant,
//! ±(αx + β)² with public α and β, which fold into the linear layers around the site, as batch
//! norm does. A line folds into them whole.

pub mod bill;
pub mod layers;
pub mod link;
pub mod protocol;

pub use bill::{Parts, bill, evenly};
pub use layers::{Kind, Layer, layers};
pub use link::{Link, LinkError};
pub use protocol::{
    Linear, LinearShape, Price, Protocol, ProtocolError, SiteCost, SiteCounts, Truncation, Weights,
};
