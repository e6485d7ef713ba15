//! Discord: webhooks of a channel.

use super::{address::Address, client::Client};

/// The keys of `Type = "discord"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `HookUrl`: the address of the webhook.
    pub hook_url: Address,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings { hook_url: super::reading::address(entry, "HookUrl") }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Discord {
    settings: Settings,
    client: Client,
}

impl Discord {
    pub fn new(settings: Settings, client: Client) -> Discord {
        Discord { settings, client }
    }
}
