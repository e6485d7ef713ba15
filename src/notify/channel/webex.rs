//! Webex: a bot that writes to a room.

use serde_json::json;

use super::{
    Channel, Delivery, Failed, Receipt, Sending, address::Address, client::Client, look, text,
};
use crate::config::Secret;

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

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        Settings {
            endpoint_url: super::reading::address_or(entry, "EndpointUrl", ENDPOINT_URL),
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
}

impl Webex {
    pub fn new(settings: Settings, client: Client) -> Webex {
        Webex { settings, client }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let Settings { endpoint_url, token, room_id } = &self.settings;
        // `text` is shown as it is; only `markdown` would not be.
        let text = format!("{} {}", look::symbol(&delivery.message), text::whole(delivery));
        let text = text::cut(&text, MAX_TEXT_BYTES, text::Unit::Bytes);
        let call = self.client.post(endpoint_url, &[]).bearer(token);
        let answer = call.json(&json!({ "roomId": room_id, "text": text })).send(delivery).await?;
        Ok(answer.receipt(answer.json()["id"].as_str()))
    }
}

impl Channel for Webex {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}
