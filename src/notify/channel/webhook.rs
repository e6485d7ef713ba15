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

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            hook_url: super::reading::open_address(entry, "HookUrl"),
            secret: entry.secret("Secret"),
            headers: entry.section("Headers").named_secrets(|name| {
                name.parse::<reqwest::header::HeaderName>()
                    .map(drop)
                    .map_err(|_| format!("`{}` is no name of a header", name.escape_debug()))
            }),
        }
    }
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
