//! Gotify: an application of a server of one's own.

use serde_json::json;

use super::{
    Channel, Delivery, Failed, Receipt, Sending,
    address::Address,
    client::Client,
    kinds::Configured,
    look, reading,
    text::{self, Unit},
};
use crate::config::{Secret, Section};

/// What is sent of a title and a body, in characters. Gotify has no limits of its own.
const MAX_TITLE_CHARS: usize = 250;
const MAX_BODY_CHARS: usize = 8_000;

/// The keys of `Type = "gotify"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `AppUrl`: where the server is, such as `https://push.example.org`.
    pub app_url: Address,
    /// `AppToken`
    pub app_token: Secret,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings {
            app_url: reading::address(entry, "AppUrl"),
            app_token: entry.needed_secret("AppToken"),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Gotify {
    settings: Settings,
    client: Client,
}

impl Gotify {
    pub fn new(settings: Settings, client: Client) -> Gotify {
        Gotify { settings, client }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let message = &delivery.message;
        let title = format!("{} {}", look::symbol(message), text::title(delivery));
        let mut extras = json!({ "client::display": { "contentType": "text/plain" } });
        if let Some(link) = message.link.as_deref().and_then(text::link) {
            extras["client::notification"] = json!({ "click": { "url": link } });
        }
        let call = self.client.post(&self.settings.app_url, &["message"]);
        let token = self.settings.app_token.expose();
        let call = call.secret_header("x-gotify-key", token).json(&json!({
            "title": text::cut(&title, MAX_TITLE_CHARS, Unit::Chars),
            "message": text::cut(&text::body_or_title(delivery), MAX_BODY_CHARS, Unit::Chars),
            // From 8 on its app makes a sound and shows itself.
            "priority": look::urgency(message) * 2,
            "extras": extras,
        }));
        let answer = call.send(delivery).await?;
        let name = answer.json()["id"].as_u64().map(|id| format!("message {id}"));
        Ok(answer.receipt(name.as_deref()))
    }
}

impl Channel for Gotify {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}
