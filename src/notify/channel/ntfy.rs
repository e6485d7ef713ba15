//! ntfy: a topic of ntfy.sh, or of a server of one's own.

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

/// The public server.
pub const SERVER_URL: &str = "https://ntfy.sh";

/// ntfy's limit for a message is 4,096 bytes; what is longer becomes a file.
const MAX_BODY_BYTES: usize = 4_000;
const MAX_TITLE_BYTES: usize = 250;

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

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        reading::check_login(entry);
        Settings {
            server_url: reading::address_or(entry, "ServerUrl", SERVER_URL),
            topic: entry.needed_secret("Topic"),
            token: entry.secret("Token"),
            login: entry.string("Login", ""),
            password: entry.secret("Password"),
        }
    }
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

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let Settings { server_url, topic, token, login, password } = &self.settings;
        let message = &delivery.message;
        let title = format!("{} {}", look::symbol(message), text::title(delivery));
        let mut body = json!({
            "topic": topic.expose(),
            "title": text::cut(&title, MAX_TITLE_BYTES, Unit::Bytes),
            // What is longer would become a file.
            "message": text::cut(&text::body_or_title(delivery), MAX_BODY_BYTES, Unit::Bytes),
            "priority": look::urgency(message),
        });
        let link = message.link.as_deref().and_then(text::link);
        if let Some(link) = link {
            body["click"] = link.into();
        }
        if let Some(runbook) = message.runbook.as_deref().and_then(text::link) {
            body["actions"] = json!([{ "action": "view", "label": "What to do", "url": runbook }]);
        }
        let call = self.client.post(server_url, &[]).hide(topic).either(token, login, password);
        let answer = call.json(&body).send(delivery).await?;
        Ok(answer.receipt(answer.json()["id"].as_str()))
    }
}

impl Channel for Ntfy {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}
