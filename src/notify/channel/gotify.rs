//! Gotify: an application of a server of one's own.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// The keys of `Type = "gotify"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `AppUrl`: where the server is, such as `https://push.example.org`.
    pub app_url: Address,
    /// `AppToken`
    pub app_token: Secret,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            app_url: super::reading::address(entry, "AppUrl"),
            app_token: entry.needed_secret("AppToken"),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Gotify {
    settings: Settings,
    client: Client,
}

impl Gotify {
    pub fn new(settings: Settings, client: Client) -> Gotify {
        Gotify { settings, client }
    }
}
