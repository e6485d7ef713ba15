//! Microsoft Teams: a workflow's webhook, which is given an adaptive card.

use super::{address::Address, client::Client};

/// The keys of `Type = "teams"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `HookUrl`: the address that the workflow "when a Teams webhook request is received" shows.
    pub hook_url: Address,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings { hook_url: super::reading::address(entry, "HookUrl") }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Teams {
    settings: Settings,
    client: Client,
}

impl Teams {
    pub fn new(settings: Settings, client: Client) -> Teams {
        Teams { settings, client }
    }
}
