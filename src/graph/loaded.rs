//! A network on the device: what plans are compiled of.

use super::arenas::Arenas;
use super::layout::Layout;
use super::network::Network;

/// A network whose arenas are on the device.
#[derive(Debug, Clone, Copy)]
pub struct Loaded<'a> {
    /// The graph.
    pub network: &'a Network,
    /// Where its tensors lie.
    pub layout: &'a Layout,
    /// The arenas.
    pub arenas: &'a Arenas,
}
