//! Pushover: one push for each user or group key.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// Where Pushover takes messages.
pub const API_URL: &str = "https://api.pushover.net";

/// The keys of `Type = "pushover"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `AppToken`
    pub app_token: Secret,
    /// `UserKeys`: of users or groups. One at least.
    pub user_keys: Vec<Secret>,
    /// `ApiUrl`: [`API_URL`].
    pub api_url: Address,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            app_token: entry.needed_secret("AppToken"),
            user_keys: entry.needed_secrets("UserKeys"),
            api_url: super::reading::address_or(entry, "ApiUrl", API_URL),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Pushover {
    settings: Settings,
    client: Client,
}

impl Pushover {
    pub fn new(settings: Settings, client: Client) -> Pushover {
        Pushover { settings, client }
    }
}
