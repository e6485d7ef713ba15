//! Pushover: one push for each user or group key.

use super::{
    Channel, Delivery, Failed, Receipt, Sending,
    address::Address,
    client::Client,
    kinds::Configured,
    look,
    memory::Recipients,
    reading,
    text::{self, Unit},
};
use crate::{
    config::{Secret, Section},
    notify::Priority,
};

/// Where Pushover takes messages.
pub const API_URL: &str = "https://api.pushover.net";

/// Pushover's limits, in characters.
const MAX_MESSAGE_CHARS: usize = 1_024;
const MAX_TITLE_CHARS: usize = 250;
const MAX_URL_CHARS: usize = 512;

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

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings {
            app_token: entry.needed_secret("AppToken"),
            user_keys: entry.needed_secrets("UserKeys"),
            api_url: reading::address_or(entry, "ApiUrl", API_URL),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Pushover {
    settings: Settings,
    client: Client,
    recipients: Recipients,
}

impl Pushover {
    pub fn new(settings: Settings, client: Client) -> Pushover {
        Pushover { settings, client, recipients: Recipients::default() }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        // The keys are secrets: they are shown by their place.
        let users = 1..=self.settings.user_keys.len();
        let names: Vec<String> = users.map(|n| format!("user key {n}")).collect();
        let push = |n| self.push(delivery, n);
        self.recipients.send(&delivery.message.key, &names, push).await
    }

    async fn push(&self, delivery: &Delivery, n: usize) -> Result<Receipt, Failed> {
        let Settings { app_token, user_keys, api_url } = &self.settings;
        let message = &delivery.message;
        let title = format!("{} {}", look::symbol(message), text::title(delivery));
        let title = text::cut(&title, MAX_TITLE_CHARS, Unit::Chars);
        // Without `html=1` nothing in it is markup.
        let text = text::cut(&text::body_or_title(delivery), MAX_MESSAGE_CHARS, Unit::Chars);
        let priority = if message.priority == Priority::High { "1" } else { "0" };
        let time = message.since.as_second().to_string();
        let link = message.link.as_deref().and_then(text::link);
        let mut fields = vec![
            ("token", app_token.expose()),
            ("user", user_keys[n].expose()),
            ("title", &title),
            ("message", &text),
            ("priority", priority),
            ("timestamp", &time),
        ];
        if let Some(link) = link.as_deref().filter(|link| link.len() <= MAX_URL_CHARS) {
            fields.extend([("url", link), ("url_title", "Incident")]);
        }
        let call = self.client.post(api_url, &["1", "messages.json"]);
        let call = call.hide(app_token).hide(&user_keys[n]).form(&fields);
        let answer = call.send_as(delivery, &format!("{}:{n}", message.key)).await?;
        Ok(answer.receipt(answer.json()["request"].as_str()))
    }
}

impl Channel for Pushover {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}
