//! Telegram: a bot that writes to a chat; what follows answers the first message of an incident.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// Where bots of Telegram are served.
pub const API_URL: &str = "https://api.telegram.org";

/// The keys of `Type = "telegram"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `BotToken`
    pub bot_token: Secret,
    /// `ChatId`: a number, which is negative for groups, or `@name` of a public channel.
    pub chat_id: String,
    /// `MessageThreadId`: the topic of a forum.
    pub message_thread_id: Option<i64>,
    /// `ApiUrl`: [`API_URL`], or that of a server of one's own.
    pub api_url: Address,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            bot_token: entry.needed_secret("BotToken"),
            chat_id: entry.needed("ChatId"),
            message_thread_id: entry
                .has("MessageThreadId")
                .then(|| entry.integer("MessageThreadId", 0, 0..=i64::MAX)),
            api_url: super::reading::address_or(entry, "ApiUrl", API_URL),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Telegram {
    settings: Settings,
    client: Client,
}

impl Telegram {
    pub fn new(settings: Settings, client: Client) -> Telegram {
        Telegram { settings, client }
    }
}
