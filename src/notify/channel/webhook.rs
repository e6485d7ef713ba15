//! A webhook: JSON with the fields of Vigil's, and what else a program may want to know.

use ring::hmac;
use serde_json::json;

use super::{
    Channel, Delivery, Failed, Receipt, Sending, address::Address, client::Client,
    kinds::Configured, reading, text,
};
use crate::{
    config::{Secret, Section},
    notify::{Kind, Line, Message, Subject},
    status::{Level, Status},
};

/// The header with the signature of the body.
pub const SIGNATURE: &str = "x-wigo-signature";

/// What is sent of each text, in bytes.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The keys of `Type = "webhook"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `HookUrl`: where it is posted to.
    pub hook_url: Address,
    /// `Secret`: with it each message is signed, in the header `X-Wigo-Signature`; empty: it is not.
    pub secret: Secret,
    /// `Headers`: headers to add, such as `Authorization`. A table in the configuration.
    pub headers: Vec<(String, Secret)>,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings {
            hook_url: reading::open_address(entry, "HookUrl"),
            secret: entry.secret("Secret"),
            headers: entry.section("Headers").named_secrets(|name| {
                name.parse::<reqwest::header::HeaderName>()
                    .map(drop)
                    .map_err(|_| format!("`{}` is no name of a header", name.escape_debug()))
            }),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Webhook {
    settings: Settings,
    client: Client,
}

impl Webhook {
    pub fn new(settings: Settings, client: Client) -> Webhook {
        Webhook { settings, client }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let body = serde_json::to_vec(&event(delivery)).expect("all keys are text");
        let mut call = self.client.post(&self.settings.hook_url, &[]).hide(&self.settings.secret);
        for (name, value) in &self.settings.headers {
            call = call.secret_header(name, value.expose());
        }
        if !self.settings.secret.is_empty() {
            call = call.header(SIGNATURE, &sign(&self.settings.secret, &body));
        }
        Ok(call.body(body).send(delivery).await?.receipt(None))
    }
}

impl Channel for Webhook {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

/// `sha256=` and the HMAC of the body by the secret, in hexadecimal digits.
fn sign(secret: &Secret, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let digest = hmac::sign(&key, body);
    let mut signature = String::from("sha256=");
    for byte in digest.as_ref() {
        signature.push_str(&format!("{byte:02x}"));
    }
    signature
}

/// Vigil's five fields, and ours.
fn event(delivery: &Delivery) -> serde_json::Value {
    let message = &delivery.message;
    let at = message.at.strftime("%H:%M:%S UTC+00:00").to_string();
    let lines: Vec<_> = message.lines.iter().map(line).collect();
    json!({
        "type": match message.kind {
            Kind::Reminder => "reminder",
            // Vigil says with it that it works, and no more.
            Kind::Test => "startup",
            _ => "changed",
        },
        "status": health(message.status),
        "time": at,
        "replicas": replicas(message),
        "page": { "title": message.sender, "url": message.link.as_deref().unwrap_or_default() },

        "key": message.key,
        "kind": message.kind,
        "priority": message.priority,
        "incident": message.incident,
        "thread": message.thread,
        "title": cut(&text::title(delivery)),
        "text": cut(&text::body(delivery)),
        "host": message.subject.host,
        "probe": message.subject.probe,
        "group": message.group,
        "labels": message.labels,
        "level": message.status.level().word(),
        "number": message.status,
        "was": message.was,
        "worst": message.worst,
        "at": message.at,
        "since": message.since,
        "output": cut(&message.output),
        "others": lines,
        "total": message.total,
        "bad": message.bad,
        "reminder": message.reminder,
        "runbook": message.runbook,
        "link": message.link,
        "sender": message.sender,
        "sender_uuid": message.sender_uuid,
        "attempt": delivery.attempt,
        "late_seconds": delivery.late.map_or(0, |late| late.as_secs()),
    })
}

fn line(line: &Line) -> serde_json::Value {
    json!({
        "host": line.subject.host, "probe": line.subject.probe,
        "level": line.status.level().word(), "number": line.status,
        "since": line.since, "output": cut(&line.output),
    })
}

/// What is bad now, each as `service:node:replica`, that is, `group:host:probe`. A host that is down
/// stands for itself.
fn replicas(message: &Message) -> Vec<String> {
    let name = |subject: &Subject| {
        let Subject { host, probe } = subject;
        let replica = probe.as_ref().map_or(&**host, |probe| probe.as_str());
        format!("{}:{host}:{replica}", message.group)
    };
    let others = message.lines.iter().filter(|line| line.status >= Status::WARN);
    let is_listed = message.lines.iter().any(|line| line.subject == message.subject);
    let leads = message.status >= Status::WARN && message.incident.is_some() && !is_listed;
    let lead = leads.then_some(&message.subject);
    lead.into_iter().chain(others.map(|line| &line.subject)).map(name).collect()
}

fn health(status: Status) -> &'static str {
    match status.level() {
        Level::Ok | Level::Info => "healthy",
        Level::Warn => "sick",
        Level::Crit | Level::Error | Level::Down => "dead",
    }
}

fn cut(text: &str) -> String {
    text::cut(text, MAX_TEXT_BYTES, text::Unit::Bytes)
}
