//! Microsoft Teams: a workflow's webhook, which is given an adaptive card.

use serde_json::json;

use super::{
    Channel, Delivery, Failed, Receipt, Retry, Sending,
    address::Address,
    client::Client,
    kinds::Configured,
    look, reading,
    text::{self, Unit},
};
use crate::config::Section;
use crate::status::Level;

/// What is sent of a title and a body, in bytes, and of how many lines. Teams takes 28 KB in all, and each
/// line comes with a frame of some 90 bytes.
const MAX_TITLE_BYTES: usize = 1_000;
const MAX_BODY_BYTES: usize = 8_000;
const MAX_LINES: usize = 50;

/// The keys of `Type = "teams"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `HookUrl`: the address that the workflow "when a Teams webhook request is received" shows.
    pub hook_url: Address,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings { hook_url: reading::address(entry, "HookUrl") }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Teams {
    settings: Settings,
    client: Client,
}

impl Teams {
    pub fn new(settings: Settings, client: Client) -> Teams {
        Teams { settings, client }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let call = self.client.post(&self.settings.hook_url, &[]);
        let answer = call.json(&message(delivery)).send(delivery).await?;
        // Connectors of old say 200 also when Teams did not take it.
        match answer.line().contains("delivery failed") {
            true => Err(answer.refused(Retry::Later)),
            false => Ok(answer.receipt(None)),
        }
    }
}

impl Channel for Teams {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

/// One card. All text is in runs, which know no markup.
fn message(delivery: &Delivery) -> serde_json::Value {
    let message = &delivery.message;
    let title = format!("{} {}", look::symbol(message), text::title(delivery));
    let mut body = vec![json!({
        "type": "RichTextBlock",
        "inlines": [{
            "type": "TextRun", "text": text::cut(&title, MAX_TITLE_BYTES, Unit::Bytes),
            "weight": "Bolder", "size": "Medium", "color": color(message.status.level()),
        }],
    })];
    let text = text::cut(&text::body(delivery), MAX_BODY_BYTES, Unit::Bytes);
    let mut lines = text.lines();
    let first = lines.by_ref().take(MAX_LINES);
    // A run shows line breaks as spaces: a block for each line.
    for line in first.filter(|line| !line.trim().is_empty()) {
        body.push(json!({
            "type": "RichTextBlock", "spacing": "None",
            "inlines": [{ "type": "TextRun", "text": line }],
        }));
    }
    let rest = lines.count();
    if rest > 0 {
        body.push(json!({
            "type": "RichTextBlock", "spacing": "None",
            "inlines": [{ "type": "TextRun", "text": format!("… and {rest} more lines"), "isSubtle": true }],
        }));
    }
    let links = [("Incident", &message.link), ("What to do", &message.runbook)].into_iter();
    let actions: Vec<_> = links
        .filter_map(|(name, link)| Some((name, text::link(link.as_deref()?)?)))
        .map(|(name, link)| json!({ "type": "Action.OpenUrl", "title": name, "url": link }))
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "fallbackText": text::cut(&title, MAX_TITLE_BYTES, Unit::Bytes),
                "msteams": { "width": "Full" },
                "body": body,
                "actions": actions,
            },
        }],
    })
}

/// Colours have names there.
fn color(level: Level) -> &'static str {
    match level {
        Level::Ok => "Good",
        Level::Info => "Accent",
        Level::Warn => "Warning",
        Level::Crit | Level::Error | Level::Down => "Attention",
    }
}
