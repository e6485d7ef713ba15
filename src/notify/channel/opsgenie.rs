//! Opsgenie: one alert for each incident.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Channel, Delivery, Failed, Receipt, Sending,
    address::Address,
    alert,
    client::Client,
    kinds::Configured,
    reading,
    text::{self, Unit},
};
use crate::{
    config::{Secret, Section},
    notify::{Message, Priority},
    status::Level,
};

/// Where Opsgenie takes alerts; `https://api.eu.opsgenie.com` for accounts in Europe.
pub const API_URL: &str = "https://api.opsgenie.com";

/// Opsgenie's limits, in characters. All details together may have 8,000.
const MAX_MESSAGE_CHARS: usize = 130;
const MAX_ALIAS_CHARS: usize = 512;
const MAX_DESCRIPTION_CHARS: usize = 15_000;
const MAX_ENTITY_CHARS: usize = 512;
const MAX_SOURCE_CHARS: usize = 100;
const MAX_DETAIL_CHARS: usize = 500;
const MAX_TAG_CHARS: usize = 50;
const MAX_TAGS: usize = 20;

/// The keys of `Type = "opsgenie"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `ApiKey`: of an API integration.
    pub api_key: Secret,
    /// `ApiUrl`: [`API_URL`].
    pub api_url: Address,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings {
            api_key: entry.needed_secret("ApiKey"),
            api_url: reading::address_or(entry, "ApiUrl", API_URL),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Opsgenie {
    settings: Settings,
    client: Client,
}

impl Opsgenie {
    pub fn new(settings: Settings, client: Client) -> Opsgenie {
        Opsgenie { settings, client }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let Settings { api_key, api_url } = &self.settings;
        let alias = alert::identity(&delivery.message, MAX_ALIAS_CHARS);
        let call = match alert::is_over(&delivery.message) {
            true => {
                let close = ["v2", "alerts", &*alias, "close"];
                let alias = api_url.clone().with("identifierType", "alias");
                self.client.post(&alias, &close).json(&closing(delivery))
            }
            false => self.client.post(api_url, &["v2", "alerts"]).json(&alert(delivery, &alias)),
        };
        let answer = call.authorization("GenieKey", api_key.expose()).send(delivery).await?;
        Ok(answer.receipt(answer.json()["requestId"].as_str()))
    }
}

impl Channel for Opsgenie {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

fn alert(delivery: &Delivery, alias: &str) -> serde_json::Value {
    let message = &delivery.message;
    let cut = |text: &str, limit| text::cut(&text::one_line(text), limit, Unit::Chars);
    let mut details = BTreeMap::from([
        ("host", cut(&message.subject.host, MAX_DETAIL_CHARS)),
        ("group", cut(&message.group, MAX_DETAIL_CHARS)),
        ("status", message.status.to_string()),
        ("bad", format!("{} of {}", message.bad, message.total)),
        ("key", cut(&message.key, MAX_DETAIL_CHARS)),
    ]);
    let texts = [
        ("probe", message.subject.probe.as_ref().map(|probe| probe.as_str().to_owned())),
        ("link", message.link.as_deref().and_then(text::link)),
        ("runbook", message.runbook.as_deref().and_then(text::link)),
    ];
    details.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text?))));
    let labels = message.labels.iter().take(MAX_TAGS);
    let tags: Vec<_> =
        labels.map(|(name, value)| cut(&format!("{name}={value}"), MAX_TAG_CHARS)).collect();
    json!({
        "message": cut(&delivery.title, MAX_MESSAGE_CHARS),
        "alias": alias,
        "description": text::cut(&text::body(delivery), MAX_DESCRIPTION_CHARS, Unit::Chars),
        "entity": cut(&message.subject.to_string(), MAX_ENTITY_CHARS),
        "source": source(message),
        "priority": priority(message),
        "tags": tags,
        "details": details,
    })
}

fn closing(delivery: &Delivery) -> serde_json::Value {
    json!({
        "source": source(&delivery.message),
        "user": "Wigo",
        "note": text::cut(&text::whole(delivery), MAX_DESCRIPTION_CHARS, Unit::Chars),
    })
}

fn source(message: &Message) -> String {
    text::cut(&text::one_line(&message.sender), MAX_SOURCE_CHARS, Unit::Chars)
}

/// P1 is the most urgent.
fn priority(message: &Message) -> &'static str {
    match (message.priority, message.status.level()) {
        (Priority::High, _) | (_, Level::Down) => "P1",
        (_, Level::Crit | Level::Error) => "P2",
        (_, Level::Warn) => "P3",
        (_, Level::Info) => "P4",
        (_, Level::Ok) => "P5",
    }
}
