//! Opsgenie: one alert for each incident.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// Where Opsgenie takes alerts; `https://api.eu.opsgenie.com` for accounts in Europe.
pub const API_URL: &str = "https://api.opsgenie.com";

/// The keys of `Type = "opsgenie"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `ApiKey`: of an API integration.
    pub api_key: Secret,
    /// `ApiUrl`: [`API_URL`].
    pub api_url: Address,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            api_key: entry.needed_secret("ApiKey"),
            api_url: super::reading::address_or(entry, "ApiUrl", API_URL),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Opsgenie {
    settings: Settings,
    client: Client,
}

impl Opsgenie {
    pub fn new(settings: Settings, client: Client) -> Opsgenie {
        Opsgenie { settings, client }
    }
}
