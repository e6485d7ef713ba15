//! Pull: asks other instances over HTTP.
pub mod document;
