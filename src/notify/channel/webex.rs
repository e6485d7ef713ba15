//! Webex: a bot that writes to a room; what follows answers the first message of an incident.

use serde_json::json;

use super::{
    Channel, Delivery, Failed, Receipt, Retry, Sending, address::Address, answer::Answer,
    client::Client, kinds::Configured, look, memory::Threads, reading, text,
};
use crate::config::{Secret, Section};

/// Where Webex takes messages.
pub const ENDPOINT_URL: &str = "https://webexapis.com/v1/messages";

/// Webex's limit, in bytes.
const MAX_TEXT_BYTES: usize = 7_439;

/// The keys of `Type = "webex"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `EndpointUrl`: [`ENDPOINT_URL`].
    pub endpoint_url: Address,
    /// `Token`: of the bot.
    pub token: Secret,
    /// `RoomId`
    pub room_id: String,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings {
            endpoint_url: reading::address_or(entry, "EndpointUrl", ENDPOINT_URL),
            token: entry.needed_secret("Token"),
            room_id: entry.needed("RoomId"),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Webex {
    settings: Settings,
    client: Client,
    threads: Threads,
}

impl Webex {
    pub fn new(settings: Settings, client: Client) -> Webex {
        Webex { settings, client, threads: Threads::default() }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let thread = &delivery.message.thread;
        let parent = self.threads.root(thread);
        let answer = match self.post(delivery, parent.as_deref()).await {
            // Somebody may have deleted the first one.
            Err(Failed { retry: Retry::Never, .. }) if parent.is_some() => {
                self.threads.forget(thread);
                self.post(delivery, None).await?
            }
            answer => answer?,
        };
        let answered = answer.json();
        if let Some(id) = answered["id"].as_str() {
            self.threads.begin(thread, id);
        }
        Ok(answer.receipt(answered["id"].as_str()))
    }

    async fn post(&self, delivery: &Delivery, parent: Option<&str>) -> Result<Answer, Failed> {
        let Settings { endpoint_url, token, room_id } = &self.settings;
        // `text` is shown as it is; only `markdown` would not be.
        let text = format!("{} {}", look::symbol(&delivery.message), text::whole(delivery));
        let text = text::cut(&text, MAX_TEXT_BYTES, text::Unit::Bytes);
        let mut message = json!({ "roomId": room_id, "text": text });
        if let Some(parent) = parent {
            message["parentId"] = parent.into();
        }
        self.client.post(endpoint_url, &[]).bearer(token).json(&message).send(delivery).await
    }
}

impl Channel for Webex {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}
