//! One probe of a document → its result.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{Object, Scalar, date, text, wire};
use crate::{
    json::{self, Json},
    status::Status,
    tree::{MAX_NAME_BYTES, Probe, ProbeName, ProbeResult},
};

/// Longest message that is kept, in bytes.
const MAX_MESSAGE: usize = 4 << 10;
/// Longest version that is kept, in bytes.
const MAX_VERSION: usize = 255;
/// Longest value or detail that is kept, in bytes of JSON.
const MAX_DETAIL: usize = 64 << 10;
/// Most metrics of one result.
const MAX_METRICS: usize = 1_000;
/// Longest list of metrics that is kept, in bytes of JSON.
const MAX_METRICS_BYTES: usize = 256 << 10;
/// Deepest nesting of JSON that is kept: what is deeper could not be told to a master.
const MAX_NESTING: usize = 32;
/// How much of what is too big is shown, in bytes: even if each has to be escaped it is a small detail.
const SHOWN_OF_TOO_BIG: usize = 1 << 10;

/// Reads the probe that is called `key`, and tells whether it said when its status began. `None` for
/// what can have no name.
pub fn read(key: &str, raw: &str, now: Timestamp) -> Option<(Probe, bool)> {
    let name = name(key)?;
    let probe = match serde_json::from_str::<Object<wire::Probe<'_>>>(raw) {
        Ok(probe) if probe.found => probe.value,
        Ok(_) => return Some((senseless(name, "it is no object", now), false)),
        Err(error) => return Some((senseless(name, &error.to_string(), now), false)),
    };
    let date = date::when(probe.timestamp.number(), text_of(&probe.probe_date), now);
    let since = probe.since.number().filter(|second| *second > 0);
    let since = since.and_then(|second| Timestamp::from_second(second).ok());
    let (status, doubt) = status(&probe.status);
    let said = text_of(&probe.message);
    let message = match doubt {
        None => said.to_owned(),
        Some(doubt) if said.is_empty() => doubt,
        Some(doubt) => text::lines(&format!("{doubt}: {said}"), MAX_MESSAGE),
    };
    let result = ProbeResult {
        name,
        version: text::line(text_of(&probe.version), MAX_VERSION),
        value: any(probe.value),
        message,
        date,
        metrics: metrics(probe.metrics),
        detail: any(probe.detail),
        status,
        exit_code: whole(&probe.exit_code),
        interval: whole(&probe.interval),
    };
    let tells_since = since.is_some();
    let since = since.map_or(date, |since| date::not_in_the_future(since, now));
    let stale = probe.stale.truth().unwrap_or(false);
    Some((Probe { result: Arc::new(result), since, stale }, tells_since))
}

/// A name as near to `key` as a name can be.
fn name(key: &str) -> Option<ProbeName> {
    if let Ok(name) = ProbeName::parse(key) {
        return Some(name);
    }
    let (probe, service) = key.split_once('/').unwrap_or((key, ""));
    let probe = ProbeName::new(&text::line(probe, MAX_NAME_BYTES)).ok()?;
    match service {
        "" => Some(probe),
        service => probe.service(service).ok(),
    }
}

/// The result of a probe of which nothing can be read.
fn senseless(name: ProbeName, why: &str, now: Timestamp) -> Probe {
    let message = format!("what the remote says of this probe cannot be read: {why}");
    let result = ProbeResult {
        name,
        version: String::new(),
        value: Json::null(),
        message: text::lines(&message, MAX_MESSAGE),
        date: now,
        metrics: Json::null(),
        detail: Json::null(),
        status: Status::ERROR,
        exit_code: 0,
        interval: 0,
    };
    Probe { result: Arc::new(result), since: now, stale: false }
}

/// The status that is meant, and what is wrong with how it is said. An original writes 0 for a probe
/// whose answer it could not read.
fn status(value: &Scalar) -> (Status, Option<String>) {
    match value.number() {
        None => (Status::ERROR, Some("the remote gives no Status for this probe".into())),
        Some(number) if number > Status::WORST_OF_PROBE.number().into() => {
            (Status::WORST_OF_PROBE, None)
        }
        Some(number) => match Status::new(number) {
            Some(status) => (status, None),
            None => (Status::ERROR, Some(format!("Status {number} is not on the scale"))),
        },
    }
}

fn text_of(value: &Scalar) -> &str {
    value.text().unwrap_or_default()
}

fn whole<T: TryFrom<i64> + Default>(value: &Scalar) -> T {
    value.number().and_then(|number| T::try_from(number).ok()).unwrap_or_default()
}

/// Any JSON as long as it is not too big or too deep; else its beginning as text.
fn any(value: Option<&RawValue>) -> Json {
    let Some(value) = value.map(RawValue::get) else { return Json::null() };
    let size = value.len();
    let why = match () {
        () if is_too_deep(value) => format!("nested too deep (at most {MAX_NESTING} levels)"),
        () if size > MAX_DETAIL => format!("too big ({size} bytes, at most {MAX_DETAIL})"),
        () => return Json::parse(value).unwrap_or_default(),
    };
    Json::string(&format!("{why}; it began: {}", text::line(value, SHOWN_OF_TOO_BIG)))
}

fn is_too_deep(value: &str) -> bool {
    json::nesting(value) > MAX_NESTING
}

/// A list of metrics, as many as fit.
fn metrics(value: Option<&RawValue>) -> Json {
    let Some(text) = value.map(RawValue::get) else { return Json::null() };
    if text.len() <= MAX_DETAIL || is_too_deep(text) {
        return any(value);
    }
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(text) else { return any(value) };
    let mut size = "[]".len();
    let fits = |metric: &&&RawValue| {
        size += metric.get().len() + ",".len();
        size <= MAX_METRICS_BYTES
    };
    let kept: Vec<&str> =
        list.iter().take(MAX_METRICS).take_while(fits).map(|metric| metric.get()).collect();
    Json::parse(&format!("[{}]", kept.join(","))).unwrap_or_default()
}
