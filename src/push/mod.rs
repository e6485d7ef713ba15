//! Instances that report to one above them.

pub mod authority;
