//! Telegram: a bot that writes to a chat; what follows answers the first message of an incident.

use serde_json::{Value, json};

use super::{
    Channel, Delivery, Failed, Receipt, Sending,
    address::Address,
    client::Client,
    kinds::Configured,
    look,
    memory::Threads,
    reading,
    text::{self, Unit},
};
use crate::config::{Secret, Section};

/// Where bots of Telegram are served.
pub const API_URL: &str = "https://api.telegram.org";

/// Telegram's limit, in code units of UTF-16.
const MAX_TEXT_UNITS: usize = 4_096;
const MAX_TITLE_UNITS: usize = 500;

/// The keys of `Type = "telegram"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `BotToken`
    pub bot_token: Secret,
    /// `ChatId`: a number, which is negative for groups, or `@name` of a public channel.
    pub chat_id: String,
    /// `MessageThreadId`: the topic of a forum.
    pub message_thread_id: Option<i64>,
    /// `ApiUrl`: [`API_URL`], or that of a server of one's own.
    pub api_url: Address,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings {
            bot_token: entry.needed_secret("BotToken"),
            chat_id: entry.needed("ChatId"),
            message_thread_id: entry
                .has("MessageThreadId")
                .then(|| entry.integer("MessageThreadId", 0, 0..=i64::MAX)),
            api_url: reading::address_or(entry, "ApiUrl", API_URL),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Telegram {
    settings: Settings,
    client: Client,
    threads: Threads,
}

impl Telegram {
    pub fn new(settings: Settings, client: Client) -> Telegram {
        Telegram { settings, client, threads: Threads::default() }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let Settings { bot_token, api_url, .. } = &self.settings;
        let bot = format!("bot{}", bot_token.expose());
        let call = self.client.post(api_url, &[&bot, "sendMessage"]).hide(bot_token);
        let answer = call.json(&self.message(delivery)).send(delivery).await?;
        let Some(id) = answer.json()["result"]["message_id"].as_i64() else {
            return Ok(answer.receipt(None));
        };
        self.threads.begin(&delivery.message.thread, &id.to_string());
        Ok(answer.receipt(Some(&format!("message {id}"))))
    }

    fn message(&self, delivery: &Delivery) -> Value {
        let Settings { chat_id, message_thread_id, .. } = &self.settings;
        let title = format!("{} {}", look::symbol(&delivery.message), text::title(delivery));
        let title = text::cut(&text::without_mentions(&title), MAX_TITLE_UNITS, Unit::Utf16);
        let text = format!("{title}\n{}", text::without_mentions(&text::body(delivery)));
        let mut message = json!({
            "chat_id": chat_id.parse::<i64>().map_or_else(|_| json!(chat_id), |id| json!(id)),
            "text": text::cut(text.trim_end(), MAX_TEXT_UNITS, Unit::Utf16),
            // Said apart from the text, so nothing in the text can be markup.
            "entities": [{ "type": "bold", "offset": 0, "length": title.encode_utf16().count() }],
            "link_preview_options": { "is_disabled": true },
        });
        if let Some(topic) = message_thread_id {
            message["message_thread_id"] = json!(topic);
        }
        let root = self.threads.root(&delivery.message.thread);
        if let Some(first) = root.and_then(|id| id.parse::<i64>().ok()) {
            // Somebody may have deleted the first one.
            message["reply_parameters"] =
                json!({ "message_id": first, "allow_sending_without_reply": true });
        }
        message
    }
}

impl Channel for Telegram {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}
