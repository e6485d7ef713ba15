//! The original's callback: a form with one field, `Notification`, that holds JSON.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    Channel, Delivery, Failed, Receipt, Sending,
    address::Address,
    client::Client,
    kinds::Configured,
    reading,
    text::{self, Unit},
};
use crate::{config::Section, json::Json, notify::Kind, status::Status};

/// What is sent of a message and its summary, in bytes.
const MAX_MESSAGE_BYTES: usize = 2_000;
const MAX_BODY_BYTES: usize = 16 * 1024;

/// The keys of `Type = "http"`, and those of the original: `HttpEnabled`, `HttpUrl`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `Url`: where it is posted to.
    pub url: Address,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings { url: reading::open_address(entry, "Url") }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Http {
    settings: Settings,
    client: Client,
}

impl Http {
    pub fn new(settings: Settings, client: Client) -> Http {
        Http { settings, client }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let payload = serde_json::to_string(&Payload::of(delivery, &TimeZone::system()))
            .expect("all keys are text");
        let call = self.client.post(&self.settings.url, &[]).form(&[("Notification", &payload)]);
        Ok(call.send(delivery).await?.receipt(None))
    }
}

impl Channel for Http {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

/// What the original sends: its fields in its order, then ours.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Payload<'a> {
    r#type: &'static str,
    hostname: &'a str,
    message: String,
    date: String,
    summary: String,
    #[serde(flatten)]
    probe: Option<Change<'a>>,
    key: &'a str,
    kind: Kind,
    incident: Option<Uuid>,
    link: Option<&'a str>,
}

/// What only changes of probes have.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
    old_probe: Json,
    new_probe: Json,
    host_probes_in_error: Option<&'a [String]>,
}

impl<'a> Payload<'a> {
    fn of(delivery: &'a Delivery, zone: &TimeZone) -> Payload<'a> {
        let message = &delivery.message;
        let host = &*message.subject.host;
        // Who was told nothing takes it as well.
        let (was, now) = (message.was.unwrap_or(Status::OK), message.status);
        let is_change = matches!(
            message.kind,
            Kind::Problem | Kind::Worsened | Kind::Improved | Kind::Recovered
        );
        let said = match &message.subject.probe {
            _ if !is_change => text::title(delivery),
            Some(probe) => {
                format!("Probe {probe} status changed from {was} to {now} on host {host}")
            }
            None if now == Status::DOWN => format!("Host {host} DOWN"),
            None if now == Status::OK => format!("Host {host} UP"),
            None => text::title(delivery),
        };
        let body = text::cut(&text::body(delivery), MAX_BODY_BYTES, Unit::Bytes);
        let has_end = !matches!(message.kind, Kind::Notice | Kind::Test | Kind::Digest);
        let probe = message.subject.probe.as_ref().filter(|_| has_end);
        let summary = match probe {
            Some(probe) => format!(
                "Probe {probe} on host {host}\n\n\tOld Status : {was}\n\tNew Status : {now}\n\n{body}\n"
            ),
            None => body,
        };
        let in_error = &*message.probes_in_error;
        Payload {
            r#type: if probe.is_some() { "Probe" } else { "" },
            hostname: host,
            message: text::cut(&text::one_line(&said), MAX_MESSAGE_BYTES, Unit::Bytes),
            date: date(message.at, zone),
            summary,
            probe: probe.map(|probe| Change {
                old_probe: result(probe.as_str(), was, ""),
                new_probe: (message.result.as_deref().and_then(Json::parse)).unwrap_or_else(|| {
                    result(
                        probe.as_str(),
                        now,
                        &text::cut(&message.output, MAX_BODY_BYTES, Unit::Bytes),
                    )
                }),
                host_probes_in_error: (!in_error.is_empty()).then_some(in_error),
            }),
            key: &message.key,
            kind: message.kind,
            incident: message.incident,
            link: message.link.as_deref(),
        }
    }
}

/// A result of which no more is known, as receivers of the original expect one.
fn result(name: &str, status: Status, message: &str) -> Json {
    Json::from_value(&json!({
        "Name": name, "Version": "", "Value": null, "Message": message, "ProbeDate": "",
        "Timestamp": 0, "Metrics": null, "Detail": null, "Status": status, "ExitCode": 0,
    }))
}

/// A time as the original writes it, such as `2025-03-04T09:15:02.3182 (CET)`.
fn date(at: Timestamp, zone: &TimeZone) -> String {
    let micros = jiff::TimestampRound::new().smallest(jiff::Unit::Microsecond);
    let at = at.round(micros.mode(jiff::RoundMode::Trunc)).unwrap_or(at);
    at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.f (%Z)").to_string()
}
