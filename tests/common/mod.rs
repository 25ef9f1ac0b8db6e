//! What several test programs share.

pub mod host_network;
