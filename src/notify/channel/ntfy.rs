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
