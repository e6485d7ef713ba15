//! Slack, and what speaks like it (Mattermost, Rocket.Chat): incoming webhooks.

use super::{address::Address, client::Client};

/// The keys of `Type = "slack"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `HookUrl`: the address of the incoming webhook.
    pub hook_url: Address,
    /// `MentionChannel`: everybody in the channel is called when something breaks (not when it is over).
    pub mention_channel: bool,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            hook_url: super::reading::address(entry, "HookUrl"),
            mention_channel: entry.boolean("MentionChannel", false),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Slack {
    settings: Settings,
    client: Client,
}

impl Slack {
    pub fn new(settings: Settings, client: Client) -> Slack {
        Slack { settings, client }
    }
}
