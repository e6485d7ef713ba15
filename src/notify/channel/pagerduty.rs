//! PagerDuty: events v2, one alert for each incident.

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
    status::Level,
};

/// Where PagerDuty takes events; `https://events.eu.pagerduty.com` for accounts in Europe.
pub const API_URL: &str = "https://events.pagerduty.com";

/// PagerDuty's limits, in characters; an event may have 512 KB.
const MAX_SUMMARY_CHARS: usize = 1_024;
const MAX_NAME_CHARS: usize = 255;
const MAX_BODY_CHARS: usize = 16_000;

/// The keys of `Type = "pagerduty"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `RoutingKey`: the integration key of a service, or of rules.
    pub routing_key: Secret,
    /// `ApiUrl`: [`API_URL`].
    pub api_url: Address,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings {
            routing_key: entry.needed_secret("RoutingKey"),
            api_url: reading::address_or(entry, "ApiUrl", API_URL),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct PagerDuty {
    settings: Settings,
    client: Client,
}

impl PagerDuty {
    pub fn new(settings: Settings, client: Client) -> PagerDuty {
        PagerDuty { settings, client }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let Settings { routing_key, api_url } = &self.settings;
        let call = self.client.post(api_url, &["v2", "enqueue"]).hide(routing_key);
        let answer = call.json(&event(delivery, routing_key)).send(delivery).await?;
        Ok(answer.receipt(answer.json()["dedup_key"].as_str()))
    }
}

impl Channel for PagerDuty {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

fn event(delivery: &Delivery, routing_key: &Secret) -> serde_json::Value {
    let message = &delivery.message;
    let cut = |text: &str, limit| text::cut(&text::one_line(text), limit, Unit::Chars);
    let links = [("Incident", &message.link), ("What to do", &message.runbook)].into_iter();
    let links: Vec<_> = links
        .filter_map(|(name, link)| Some((name, text::link(link.as_deref()?)?)))
        .map(|(name, link)| json!({ "href": link, "text": name }))
        .collect();
    let mut payload = json!({
        "summary": cut(&delivery.title, MAX_SUMMARY_CHARS),
        "source": cut(&message.subject.host, MAX_NAME_CHARS),
        "severity": severity(message.status.level()),
        "timestamp": message.since,
        "group": cut(&message.group, MAX_NAME_CHARS),
        "class": message.kind.word(),
        "custom_details": {
            "text": text::cut(&text::body(delivery), MAX_BODY_CHARS, Unit::Chars),
            "status": message.status,
            "labels": message.labels,
            "total": message.total,
            "bad": message.bad,
            "key": message.key,
            "sender": message.sender,
        },
    });
    if let Some(probe) = &message.subject.probe {
        payload["component"] = cut(probe.as_str(), MAX_NAME_CHARS).into();
    }
    json!({
        "routing_key": routing_key.expose(),
        "event_action": if alert::is_over(message) { "resolve" } else { "trigger" },
        "dedup_key": alert::identity(message, MAX_NAME_CHARS),
        "client": "Wigo",
        "client_url": message.link.as_deref().and_then(text::link),
        "links": links,
        "payload": payload,
    })
}

/// PagerDuty's four words.
fn severity(level: Level) -> &'static str {
    match level {
        Level::Ok | Level::Info => "info",
        Level::Warn => "warning",
        Level::Error => "error",
        Level::Crit | Level::Down => "critical",
    }
}
