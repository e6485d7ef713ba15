//! Zulip: a bot that writes to a channel, one topic for each incident.

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
use crate::{
    config::{Secret, Section},
    notify::Message,
};

/// Zulip's limit for topics, in characters.
const MAX_TOPIC_CHARS: usize = 60;
/// What is sent of a title and a body, in characters. Zulip takes 10,000 in all, with fences and links.
const MAX_TITLE_CHARS: usize = 500;
const MAX_BODY_CHARS: usize = 3_000;

/// The keys of `Type = "zulip"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `ApiUrl`: such as `https://chat.example.org/api/v1`.
    pub api_url: Address,
    /// `BotEmail`: the name of the bot.
    pub bot_email: String,
    /// `BotApiKey`
    pub bot_api_key: Secret,
    /// `Channel`: the name of the channel.
    pub channel: String,
    /// `Topic`: all messages go there; empty: each incident has a topic of its own.
    pub topic: String,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings {
            api_url: reading::address(entry, "ApiUrl"),
            bot_email: entry.needed("BotEmail"),
            bot_api_key: entry.needed_secret("BotApiKey"),
            channel: entry.needed("Channel"),
            topic: entry.string("Topic", ""),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Zulip {
    settings: Settings,
    client: Client,
    topics: Threads,
}

impl Zulip {
    pub fn new(settings: Settings, client: Client) -> Zulip {
        Zulip { settings, client, topics: Threads::default() }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let Settings { api_url, bot_email, bot_api_key, channel, .. } = &self.settings;
        let thread = &delivery.message.thread;
        let topic = self.topics.root(thread).unwrap_or_else(|| self.topic(&delivery.message));
        let call = self.client.post(api_url, &["messages"]).basic(bot_email, bot_api_key).form(&[
            ("type", "stream"),
            ("to", channel),
            ("topic", &topic),
            ("content", &content(delivery)),
        ]);
        let answer = call.send(delivery).await?;
        self.topics.begin(thread, &topic);
        let name = answer.json()["id"].as_u64().map(|id| format!("message {id}"));
        Ok(answer.receipt(name.as_deref()))
    }

    /// For the first message of an incident: what it is about, and the beginning of its id.
    fn topic(&self, message: &Message) -> String {
        let cut = |text: &str, limit| text::cut(&text::one_line(text), limit, Unit::Chars);
        match message.incident {
            _ if !self.settings.topic.is_empty() => cut(&self.settings.topic, MAX_TOPIC_CHARS),
            Some(incident) => {
                let id = &incident.simple().to_string()[..8];
                let about = cut(&message.subject.to_string(), MAX_TOPIC_CHARS - id.len() - 3);
                format!("{about} ({id})")
            }
            None => cut(&message.sender, MAX_TOPIC_CHARS),
        }
    }
}

impl Channel for Zulip {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

/// Zulip has no way to escape its markup, so text that is not ours is shown as code.
fn content(delivery: &Delivery) -> String {
    let message = &delivery.message;
    let title = text::cut(&text::title(delivery), MAX_TITLE_CHARS, Unit::Chars);
    let body = text::cut(&text::body(delivery), MAX_BODY_CHARS, Unit::Chars);
    let (tick, fence) = (fence(&title, 1), fence(&body, 3));
    let mut content = format!("{} {tick} {title} {tick}\n", look::symbol(message));
    if !body.is_empty() {
        content.push_str(&format!("{fence}text\n{body}\n{fence}\n"));
    }
    let links = [("Incident", &message.link), ("What to do", &message.runbook)].into_iter();
    for (name, link) in links {
        if let Some(link) = link.as_deref().and_then(text::link) {
            content.push_str(&format!("[{name}]({link})\n"));
        }
    }
    content
}

/// More backticks than there are together anywhere in the text; `least` at least.
fn fence(text: &str, least: usize) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(least.max(longest + 1))
}
