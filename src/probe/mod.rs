//! Probes: executables in folders named by their interval in seconds.
//!
//! [`catalog`] knows which there are, [`schedule`] when each is due, [`run`] executes one, [`answer`]
//! understands what it said, [`pool`] is the threads that do this over and over, [`watch`] notices
//! changes on disk, [`switch`] makes some. Only `answer` knows what probes print.

pub mod answer;
pub mod catalog;
mod diagnose;
pub mod environment;
pub mod orphans;
mod ownership;
pub mod pool;
pub mod run;
pub mod schedule;
pub mod switch;
pub mod watch;
