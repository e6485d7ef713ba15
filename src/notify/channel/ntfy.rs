//! ntfy: a topic of ntfy.sh, or of a server of one's own.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// The public server.
pub const SERVER_URL: &str = "https://ntfy.sh";

/// The keys of `Type = "ntfy"`. With a token, login and password are not used.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `ServerUrl`: [`SERVER_URL`].
    pub server_url: Address,
    /// `Topic`: secret, since on a public server who knows it can read it.
    pub topic: Secret,
    /// `Token`: empty: none.
    pub token: Secret,
    /// `Login`: empty: none.
    pub login: String,
    /// `Password`
    pub password: Secret,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        super::reading::check_login(entry);
        Settings {
            server_url: super::reading::address_or(entry, "ServerUrl", SERVER_URL),
            topic: entry.needed_secret("Topic"),
            token: entry.secret("Token"),
            login: entry.string("Login", ""),
            password: entry.secret("Password"),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Ntfy {
    settings: Settings,
    client: Client,
}

impl Ntfy {
    pub fn new(settings: Settings, client: Client) -> Ntfy {
        Ntfy { settings, client }
    }
}
