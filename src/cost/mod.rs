//! What a network costs in private inference: bytes that each party sends online, rounds, and the
//! time that they take over a link.
//!
//! - [`protocol`]: prices of ReLUs, squares, products, truncations and linear layers, as data under
//!   `assets/protocols`.
//! - [`link`]: bandwidth and latency.
//! - [`mod@layers`]: what of a network takes communication.
//! - [`mod@bill`]: what each layer costs, by cause.
//! - [`depth`]: what it takes of homomorphic encryption.
//!
//! # How prices add up
//! Bytes add up over elements. Rounds add up over layers, which wait for one another, and not over
//! the elements of a layer that do the same, which go side by side. An activation site takes the
//! rounds of a ReLU if it holds any, and those of a square if it holds any: engines do one after the
//! other, so a mixed site takes more rounds than a pure one. Lines take none. Residual branches are
//! counted one after the other.
//!
//! What is priced is the [folded form](crate::private): a quadratic costs one square and its
//! truncation, a line nothing. Of a network that is there, [`layers_of`] prices what is computed, to the
//! element; of a model that is only a name, [`layers()`] prices what can be said without weights.

pub mod bill;
pub mod depth;
pub mod layers;
pub mod link;
pub mod protocol;

pub use bill::{Parts, bill, computing, evenly, once};
pub use depth::Depth;
pub use layers::{Kind, Layer, layers, layers_of};
pub use link::{Link, LinkError};
pub use protocol::{
    Compute, Linear, LinearShape, Price, Protocol, ProtocolError, SiteCost, SiteCounts, Truncation,
    Weights,
};
