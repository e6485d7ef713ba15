//! Discord: webhooks of a channel.

use serde_json::json;

use super::{
    Channel, Delivery, Failed, Receipt, Sending,
    address::Address,
    client::Client,
    kinds::Configured,
    look, reading,
    text::{self, Unit},
};
use crate::config::Section;

/// Discord's limits, in characters. All of an embed together may have 6,000.
const MAX_CONTENT_CHARS: usize = 2_000;
const MAX_DESCRIPTION_CHARS: usize = 3_500;
const MAX_FIELD_CHARS: usize = 1_024;
const MAX_FOOTER_CHARS: usize = 200;

/// The keys of `Type = "discord"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `HookUrl`: the address of the webhook.
    pub hook_url: Address,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings { hook_url: reading::address(entry, "HookUrl") }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Discord {
    settings: Settings,
    client: Client,
}

impl Discord {
    pub fn new(settings: Settings, client: Client) -> Discord {
        Discord { settings, client }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        // Without `wait`, Discord says yes before it knows.
        let call = self.client.post(&self.settings.hook_url.clone().with("wait", "true"), &[]);
        let answer = call.json(&message(delivery)).send(delivery).await?;
        Ok(answer.receipt(answer.json()["id"].as_str()))
    }
}

impl Channel for Discord {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

fn message(delivery: &Delivery) -> serde_json::Value {
    let message = &delivery.message;
    let (title, body) = (text::title(delivery), text::body(delivery));
    let title = as_it_is(&title, MAX_CONTENT_CHARS - look::symbol(message).len() - 1);
    let mut embed = json!({
        "description": as_it_is(&body, MAX_DESCRIPTION_CHARS),
        "color": look::color(message.status.level()),
        "timestamp": message.at,
        "footer": { "text": text::cut(&text::one_line(&message.sender), MAX_FOOTER_CHARS, Unit::Utf16) },
    });
    let links = [("Incident", &message.link), ("What to do", &message.runbook)].into_iter();
    let fields: Vec<_> = links
        .filter_map(|(name, link)| Some((name, text::link(link.as_deref()?)?)))
        .filter(|(_, link)| link.len() <= MAX_FIELD_CHARS)
        .map(|(name, link)| json!({ "name": name, "value": link, "inline": false }))
        .collect();
    if !fields.is_empty() {
        embed["fields"] = fields.into();
    }
    json!({
        "content": format!("{} {title}", look::symbol(message)),
        "embeds": [embed],
        // Whatever the text says, nobody is called.
        "allowed_mentions": { "parse": [] },
    })
}

/// Text without what Discord takes for markup.
fn as_it_is(text: &str, limit: usize) -> String {
    text::escaped(text, limit, Unit::Utf16, |c| match c {
        '\\' => Some("\\\\"),
        '*' => Some("\\*"),
        '_' => Some("\\_"),
        '~' => Some("\\~"),
        '`' => Some("\\`"),
        '|' => Some("\\|"),
        '>' => Some("\\>"),
        '<' => Some("\\<"),
        '#' => Some("\\#"),
        '[' => Some("\\["),
        ']' => Some("\\]"),
        '@' => Some("@\u{200b}"),
        _ => None,
    })
}
