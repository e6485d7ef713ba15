//! Twilio: text messages to phones.

use super::{address::Address, client::Client};
use crate::config::Secret;

/// Where Twilio takes messages.
pub const API_URL: &str = "https://api.twilio.com";

/// The keys of `Type = "twilio"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `To`: numbers such as `+33600000000`. One at least.
    pub to: Vec<String>,
    /// `ServiceSid`: the messaging service that sends, `MG…`.
    pub service_sid: String,
    /// `AccountSid`: `AC…`.
    pub account_sid: String,
    /// `AuthToken`
    pub auth_token: Secret,
    /// `ApiUrl`: [`API_URL`].
    pub api_url: Address,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        entry.need("To");
        Settings {
            to: entry.parsed_list("To", |number| Ok(number.to_owned())),
            service_sid: entry.needed("ServiceSid"),
            account_sid: entry.needed("AccountSid"),
            auth_token: entry.needed_secret("AuthToken"),
            api_url: super::reading::address_or(entry, "ApiUrl", API_URL),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Twilio {
    settings: Settings,
    client: Client,
}

impl Twilio {
    pub fn new(settings: Settings, client: Client) -> Twilio {
        Twilio { settings, client }
    }
}
