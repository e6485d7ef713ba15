//! Push: instances report to those above them over a connection that stays open. An instance may report
//! and be reported to at the same time, to any depth.
//!
//! - [`protocol`]: what travels between instances, and nothing else of this room knows how
//!
//! Dependencies: the tree and the hub. Neither pull nor probes nor the API.

pub mod protocol;
