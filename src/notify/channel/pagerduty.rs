//! PagerDuty: events v2, one alert for each incident.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// Where PagerDuty takes events; `https://events.eu.pagerduty.com` for accounts in Europe.
pub const API_URL: &str = "https://events.pagerduty.com";

/// The keys of `Type = "pagerduty"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `RoutingKey`: the integration key of a service, or of rules.
    pub routing_key: Secret,
    /// `ApiUrl`: [`API_URL`].
    pub api_url: Address,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            routing_key: entry.needed_secret("RoutingKey"),
            api_url: super::reading::address_or(entry, "ApiUrl", API_URL),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct PagerDuty {
    settings: Settings,
    client: Client,
}

impl PagerDuty {
    pub fn new(settings: Settings, client: Client) -> PagerDuty {
        PagerDuty { settings, client }
    }
}
