//! Webex: a bot that writes to a room.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// Where Webex takes messages.
pub const ENDPOINT_URL: &str = "https://webexapis.com/v1/messages";

/// The keys of `Type = "webex"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `EndpointUrl`: [`ENDPOINT_URL`].
    pub endpoint_url: Address,
    /// `Token`: of the bot.
    pub token: Secret,
    /// `RoomId`
    pub room_id: String,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            endpoint_url: super::reading::address_or(entry, "EndpointUrl", ENDPOINT_URL),
            token: entry.needed_secret("Token"),
            room_id: entry.needed("RoomId"),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Webex {
    settings: Settings,
    client: Client,
}

impl Webex {
    pub fn new(settings: Settings, client: Client) -> Webex {
        Webex { settings, client }
    }
}
