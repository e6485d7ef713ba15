//! A webhook: JSON with the fields of Vigil's, and what else a program may want to know.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// The keys of `Type = "webhook"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `HookUrl`: where it is posted to.
    pub hook_url: Address,
    /// `Secret`: with it each message is signed, in the header `X-Wigo-Signature`; empty: it is not.
    pub secret: Secret,
    /// `Headers`: headers to add, such as `Authorization`. A table in the configuration.
    pub headers: Vec<(String, Secret)>,
}

/// The channel.
#[derive(Debug)]
pub struct Webhook {
    settings: Settings,
    client: Client,
}

impl Webhook {
    pub fn new(settings: Settings, client: Client) -> Webhook {
        Webhook { settings, client }
    }
}
