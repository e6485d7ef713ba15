//! Prometheus Alertmanager, API v2: one alert for each incident, to each of several Alertmanagers.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Channel, Delivery, Failed, Receipt, Retry, Sending,
    address::Address,
    alert,
    client::{Call, Client},
    memory::soonest,
    text::{self, Unit},
};
use crate::{
    config::Secret,
    notify::{Kind, Message},
    status::{Level, Status},
};

/// How long an alert lasts there when nothing more is heard from here.
pub const ENDS_AFTER: Duration = Duration::from_secs(24 * 3600);
/// What can be asked for instead, in seconds: five minutes to 30 days.
const MIN_ENDS_AFTER_S: u64 = 300;
const MAX_ENDS_AFTER_S: u64 = 30 * 86_400;

/// Where alerts are, below the address of an Alertmanager.
const ALERTS: [&str; 3] = ["api", "v2", "alerts"];
/// How long something lasts there that has no end.
const NOTICE_LASTS: Duration = Duration::from_secs(3_600);
/// What is sent of a title and a body, in bytes. Alertmanager has no limits of its own, its receivers do.
const MAX_TITLE_BYTES: usize = 1_000;
const MAX_BODY_BYTES: usize = 8_000;

/// The keys of `Type = "alertmanager"`. With a token, login and password are not used.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `Urls`: where each Alertmanager is, such as `http://am1.example.org:9093`; with the path of
    /// `--web.route-prefix`, without `/api/v2`. One at least. All members of a cluster belong here.
    pub urls: Vec<Address>,
    /// `Login`: empty: none.
    pub login: String,
    /// `Password`
    pub password: Secret,
    /// `Token`: empty: none.
    pub token: Secret,
    /// `AlertLabels`: labels that each alert gets besides its own.
    pub labels: BTreeMap<String, String>,
    /// `EndsAfter`: [`ENDS_AFTER`]. Alertmanager takes a problem that was not repeated for so long as
    /// over, so `RenotifyInterval` should be shorter.
    pub ends_after: Duration,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        super::reading::check_login(entry);
        let ends_after = ENDS_AFTER.as_secs();
        Settings {
            urls: super::reading::addresses(entry, "Urls"),
            login: entry.string("Login", ""),
            password: entry.secret("Password"),
            token: entry.secret("Token"),
            labels: entry.section("AlertLabels").named_texts(|name, _| {
                let is_name = !name.starts_with(|c: char| c.is_ascii_digit())
                    && !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                match is_name {
                    true => Ok(()),
                    false => Err(format!("`{}` is no name of a label there", name.escape_debug())),
                }
            }),
            ends_after: entry.seconds("EndsAfter", ends_after, MIN_ENDS_AFTER_S..=MAX_ENDS_AFTER_S),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Alertmanager {
    settings: Settings,
    client: Client,
}

impl Alertmanager {
    pub fn new(settings: Settings, client: Client) -> Alertmanager {
        Alertmanager { settings, client }
    }

    /// It has arrived when one of them has it: as with Prometheus, one that is away must not keep the
    /// others waiting.
    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let urls = &self.settings.urls;
        if urls.is_empty() {
            let why = "this channel has no addresses: add one to its `Urls`".to_owned();
            return Err(Failed { why, retry: Retry::Never });
        }
        let outcomes = join_all(urls.iter().map(|url| self.tell(delivery, url))).await;
        let (mut any, mut words, mut retries) = (false, Vec::new(), Vec::new());
        for (url, outcome) in urls.iter().zip(outcomes) {
            match outcome {
                Ok(receipt) if urls.len() == 1 => return Ok(receipt),
                Ok(receipt) => {
                    any = true;
                    words.push(format!("{}: {}", url.host(), receipt.0));
                }
                Err(failed) => {
                    words.push(failed.why);
                    retries.push(failed.retry);
                }
            }
        }
        let words = words.join("; ");
        match any {
            true => Ok(Receipt(words)),
            false => Err(Failed { why: words, retry: soonest(retries) }),
        }
    }

    async fn tell(&self, delivery: &Delivery, url: &Address) -> Result<Receipt, Failed> {
        let known = self.known(delivery, url).await?;
        let alerts = self.alerts(delivery, known);
        let call = self.login(self.client.post(url, &ALERTS)).json(&alerts);
        Ok(call.send(delivery).await?.receipt(None))
    }

    /// What it has of the incident, the oldest first. Asked of it and not remembered: so it is right also
    /// after a restart, after a message that was lost, and when another master told it.
    async fn known(&self, delivery: &Delivery, url: &Address) -> Result<Vec<Labels>, Failed> {
        let Some(incident) = delivery.message.incident else { return Ok(Vec::new()) };
        let filter = url.clone().with("filter", &format!("incident=\"{incident}\""));
        let answer = self.login(self.client.get(&filter, &ALERTS)).send(delivery).await;
        let answer = match answer {
            Ok(answer) => answer,
            // Somebody lets us write there and not read.
            Err(Failed { retry: Retry::Never, .. }) => return Ok(Vec::new()),
            Err(failed) => return Err(failed),
        };
        let mut known: Vec<Known> = serde_json::from_value(answer.json()).unwrap_or_default();
        known.sort_by_key(|alert| alert.starts_at);
        Ok(known.into_iter().map(|alert| alert.labels).collect())
    }

    fn login(&self, call: Call) -> Call {
        let Settings { token, login, password, .. } = &self.settings;
        call.either(token, login, password)
    }

    /// The alert as it is now. Its labels are its identity there: it keeps those it has, though messages of
    /// an incident may be about other members of it. But one label is how bad it is; when that changes, it
    /// is another alert, and the one before ends.
    fn alerts(&self, delivery: &Delivery, known: Vec<Labels>) -> Vec<Alert> {
        let message = &delivery.message;
        let severity = severity_of(message.status);
        let own = self.labels(message, severity);
        if message.incident.is_none() {
            return vec![alert(delivery, own, delivery.now + NOTICE_LASTS)];
        }
        let named = |severity: &str| {
            let mut labels = own.clone();
            labels.insert("severity".into(), severity.into());
            labels
        };
        let is_over = alert::is_over(message);
        let mut before = known;
        let mut now = before.first().unwrap_or(&own).clone();
        now.insert("severity".into(), severity.into());
        if before.is_empty() {
            // It forgot, or does not say: what it was told last, and the worst it was told.
            let worst = is_over.then_some(message.worst);
            before = message.was.into_iter().chain(worst).map(severity_of).map(named).collect();
            before.dedup();
        }
        before.retain(|labels| is_over || *labels != now);
        let mut alerts = Vec::new();
        if !is_over {
            let ends = delivery.now.saturating_add(self.settings.ends_after);
            alerts.push(alert(delivery, now, ends.unwrap_or(Timestamp::MAX)));
        }
        alerts.extend(before.into_iter().map(|labels| ended(delivery, labels)));
        alerts
    }

    fn labels(&self, message: &Message, severity: &str) -> Labels {
        let subject = &message.subject;
        let name = match (&subject.probe, message.kind) {
            (_, Kind::Notice) => "WigoNotice",
            (_, Kind::Test) => "WigoTest",
            (_, Kind::Digest) => "WigoDigest",
            (_, Kind::Summary) if message.incident.is_none() => "WigoSummary",
            (Some(probe), _) => probe.as_str(),
            (None, _) => "HostDown",
        };
        let mut labels = BTreeMap::from([
            ("alertname".to_owned(), name.to_owned()),
            ("host".to_owned(), subject.host.clone()),
            ("severity".to_owned(), severity.to_owned()),
        ]);
        match message.incident {
            Some(incident) => labels.insert("incident".to_owned(), incident.to_string()),
            // What has no incident is never the same as another.
            None => labels.insert("key".to_owned(), message.key.clone()),
        };
        let probe = subject.probe.as_ref().map(|probe| ("probe".to_owned(), probe.to_string()));
        labels.extend(probe);
        labels.insert("group".to_owned(), message.group.clone());
        let own: Vec<String> = labels.keys().cloned().collect();
        for (name, value) in message.labels.iter().chain(&self.settings.labels) {
            let name = label_name(name);
            // A label of the host cannot pretend to be one of ours.
            let name = if own.contains(&name) { format!("label_{name}") } else { name };
            labels.insert(name, value.clone());
        }
        // To Alertmanager, an empty label is none.
        labels.retain(|name, value| !name.is_empty() && !value.is_empty());
        labels
    }
}

impl Channel for Alertmanager {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

fn alert(delivery: &Delivery, labels: Labels, ends_at: Timestamp) -> Alert {
    let message = &delivery.message;
    let link = message.link.as_deref().and_then(text::link);
    let mut annotations = BTreeMap::from([
        ("summary", text::cut(&text::title(delivery), MAX_TITLE_BYTES, Unit::Bytes)),
        ("description", text::cut(&text::body(delivery), MAX_BODY_BYTES, Unit::Bytes)),
        ("status", format!("{} ({})", message.status.level().word(), message.status)),
        ("members", format!("{} of {} bad", message.bad, message.total)),
        ("key", message.key.clone()),
    ]);
    let runbook = message.runbook.as_deref().and_then(text::link);
    annotations.extend(runbook.map(|link| ("runbook_url", link)));
    annotations.extend(link.clone().map(|link| ("link", link)));
    let starts_at = Some(message.since.min(delivery.now));
    Alert { labels, annotations, starts_at, ends_at, generator_url: link }
}

fn ended(delivery: &Delivery, labels: Labels) -> Alert {
    let ends_at = delivery.message.at.min(delivery.now);
    // Without a beginning it keeps the one it has.
    Alert { starts_at: None, ..alert(delivery, labels, ends_at) }
}

type Labels = BTreeMap<String, String>;

/// One alert of `GET /api/v2/alerts`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    labels: Labels,
    starts_at: Timestamp,
}

/// One alert of `POST /api/v2/alerts`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: Labels,
    annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<Timestamp>,
    ends_at: Timestamp,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

/// A name that Prometheus allows: letters, digits and `_`, not a digit first.
fn label_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let mut valid: String = name.chars().map(allowed).collect();
    if valid.starts_with(|c: char| c.is_ascii_digit()) {
        valid.insert(0, '_');
    }
    valid
}

/// The words that rules for routes use everywhere.
fn severity_of(status: Status) -> &'static str {
    match status.level() {
        Level::Ok | Level::Info => "info",
        Level::Warn => "warning",
        Level::Crit | Level::Error | Level::Down => "critical",
    }
}
