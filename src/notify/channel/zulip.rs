//! Zulip: a bot that writes to a channel, one topic for each incident.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// The keys of `Type = "zulip"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `ApiUrl`: such as `https://chat.example.org/api/v1`.
    pub api_url: Address,
    /// `BotEmail`: the name of the bot.
    pub bot_email: String,
    /// `BotApiKey`
    pub bot_api_key: Secret,
    /// `Channel`: the name of the channel.
    pub channel: String,
    /// `Topic`: all messages go there; empty: each incident has a topic of its own.
    pub topic: String,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            api_url: super::reading::address(entry, "ApiUrl"),
            bot_email: entry.needed("BotEmail"),
            bot_api_key: entry.needed_secret("BotApiKey"),
            channel: entry.needed("Channel"),
            topic: entry.string("Topic", ""),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Zulip {
    settings: Settings,
    client: Client,
}

impl Zulip {
    pub fn new(settings: Settings, client: Client) -> Zulip {
        Zulip { settings, client }
    }
}
