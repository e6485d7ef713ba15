//! The original's callback: a form with one field, `Notification`, that holds JSON.

use super::{address::Address, client::Client};

/// The keys of `Type = "http"`, and those of the original: `HttpEnabled`, `HttpUrl`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `Url`: where it is posted to.
    pub url: Address,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings { url: super::reading::open_address(entry, "Url") }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Http {
    settings: Settings,
    client: Client,
}

impl Http {
    pub fn new(settings: Settings, client: Client) -> Http {
        Http { settings, client }
    }
}
