//! Slack, and what speaks like it (Mattermost, Rocket.Chat): incoming webhooks.

use serde_json::json;

use super::{
    Channel, Delivery, Failed, Receipt, Sending, address::Address, client::Client,
    kinds::Configured, look, reading, text,
};
use crate::config::Section;
use crate::notify::Kind;

/// How much of each is sent, in code units of UTF-16; Slack cuts or refuses what is much longer.
const MAX_TITLE_CHARS: usize = 1_000;
const MAX_BODY_CHARS: usize = 7_000;
const MAX_FIELD_CHARS: usize = 250;

/// The keys of `Type = "slack"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `HookUrl`: the address of the incoming webhook.
    pub hook_url: Address,
    /// `MentionChannel`: everybody in the channel is called when something breaks (not when it is over).
    pub mention_channel: bool,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings {
            hook_url: reading::address(entry, "HookUrl"),
            mention_channel: entry.boolean("MentionChannel", false),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Slack {
    settings: Settings,
    client: Client,
}

impl Slack {
    pub fn new(settings: Settings, client: Client) -> Slack {
        Slack { settings, client }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let call = self.client.post(&self.settings.hook_url, &[]);
        Ok(call.json(&self.message(delivery)).send(delivery).await?.receipt(None))
    }

    fn message(&self, delivery: &Delivery) -> serde_json::Value {
        let message = &delivery.message;
        let broke = matches!(message.kind, Kind::Problem | Kind::Worsened | Kind::Reminder);
        let mention = if broke && self.settings.mention_channel { "<!channel> " } else { "" };
        let title = quiet(&text::title(delivery), MAX_TITLE_CHARS);
        let symbol = look::symbol(message);
        let mut fields = vec![json!({
            "title": "Status", "short": true,
            "value": format!("{} ({})", message.status.level().word(), message.status),
        })];
        if !message.group.is_empty() {
            let group = quiet(&text::one_line(&message.group), MAX_FIELD_CHARS);
            fields.push(json!({ "title": "Group", "value": group, "short": true }));
        }
        let links = [("Incident", &message.link), ("What to do", &message.runbook)];
        for (name, link) in links {
            if let Some(link) = link.as_deref().and_then(text::link) {
                fields.push(json!({ "title": name, "value": format!("<{link}>"), "short": false }));
            }
        }
        json!({
            "text": format!("{mention}{symbol} {title}"),
            "unfurl_links": false,
            "attachments": [{
                "fallback": title,
                "color": format!("#{:06x}", look::color(message.status.level())),
                "text": quiet(&text::body(delivery), MAX_BODY_CHARS),
                "fields": fields,
                // Nothing in it is taken for bold or code.
                "mrkdwn_in": [],
                "ts": message.at.as_second(),
            }],
        })
    }
}

impl Channel for Slack {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

/// What Slack shows as it is, and what calls nobody, neither there nor in Mattermost.
fn quiet(text: &str, limit: usize) -> String {
    text::escaped(&text::without_mentions(text), limit, text::Unit::Utf16, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    })
}
