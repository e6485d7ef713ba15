//! Twilio: text messages to phones.

use super::{
    Channel, Delivery, Failed, Receipt, Sending, address::Address, client::Client,
    kinds::Configured, memory::Recipients, reading, text,
};
use crate::config::{Secret, Section};

/// Where Twilio takes messages.
pub const API_URL: &str = "https://api.twilio.com";

/// Twilio's limit, in code units of UTF-16.
const MAX_BODY_UNITS: usize = 1_600;

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

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        entry.need("To");
        Settings {
            to: entry.parsed_list("To", |number| Ok(number.to_owned())),
            service_sid: entry.needed("ServiceSid"),
            account_sid: entry.needed("AccountSid"),
            auth_token: entry.needed_secret("AuthToken"),
            api_url: reading::address_or(entry, "ApiUrl", API_URL),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Twilio {
    settings: Settings,
    client: Client,
    recipients: Recipients,
}

impl Twilio {
    pub fn new(settings: Settings, client: Client) -> Twilio {
        Twilio { settings, client, recipients: Recipients::default() }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let text = |n| self.text(delivery, n);
        self.recipients.send(&delivery.message.key, &self.settings.to, text).await
    }

    async fn text(&self, delivery: &Delivery, n: usize) -> Result<Receipt, Failed> {
        let Settings { to, service_sid, account_sid, auth_token, api_url } = &self.settings;
        // A symbol would make each message take less than half of the letters.
        let body = text::cut(&text::whole(delivery), MAX_BODY_UNITS, text::Unit::Utf16);
        let path = ["2010-04-01", "Accounts", account_sid, "Messages.json"];
        let call = self.client.post(api_url, &path).basic(account_sid, auth_token);
        let call =
            call.form(&[("MessagingServiceSid", service_sid), ("To", &to[n]), ("Body", &body)]);
        let answer = call.send_as(delivery, &format!("{}:{n}", delivery.message.key)).await?;
        Ok(answer.receipt(answer.json()["sid"].as_str()))
    }
}

impl Channel for Twilio {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}
