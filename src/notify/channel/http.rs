//! The original's HTTP callback.

use super::Configured;
use crate::config::{Secret, Section};

/// Where messages go.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `Url`. Secret, because such addresses carry tokens.
    pub url: Secret,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings { url: entry.needed_secret("Url") }
    }
}
