//! Matrix: messages in a room, one thread for each incident.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// The keys of `Type = "matrix"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `HomeserverUrl`: such as `https://matrix.example.org`.
    pub homeserver_url: Address,
    /// `AccessToken`
    pub access_token: Secret,
    /// `RoomId`: `!….…:server`, not an alias; the user of the token has joined it.
    pub room_id: String,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            homeserver_url: super::reading::address(entry, "HomeserverUrl"),
            access_token: entry.needed_secret("AccessToken"),
            room_id: entry.needed("RoomId"),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Matrix {
    settings: Settings,
    client: Client,
}

impl Matrix {
    pub fn new(settings: Settings, client: Client) -> Matrix {
        Matrix { settings, client }
    }
}
