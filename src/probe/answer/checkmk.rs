//! Checkmk local checks: one service a line, `state name metrics text`.
//!
//! Source: Checkmk's documentation of local checks. The state is 0…3 or `P` (computed from the limits
//! in the metrics), the name may be quoted, metrics are `-` or `name=value;warn;crit|…`.

use std::collections::HashSet;

use super::{About, Answer, Dialect, MAX_SERVICES, nagios, text};
use crate::{
    json::Json,
    probe::run::{Ended, MAX_STDOUT},
    status::Status,
    tree::ProbeResult,
};

/// Reads local lines; `None` if the output does not look like them.
pub fn answer(about: &About<'_>, ended: &Ended, printed: &str, code: i32) -> Option<Answer> {
    let lines = || printed.lines().filter(|line| !line.trim().is_empty());
    if code != 0 || !looks_like(lines) {
        return None;
    }
    let cut = ended.stdout.dropped > 0;
    let whole = lines().count() - usize::from(cut);
    let mut advice = Vec::new();
    let mut services: Vec<ProbeResult> = Vec::new();
    let mut unread = Vec::new();
    for line in lines().take(whole) {
        let service = parse(line).filter(|_| services.len() < MAX_SERVICES);
        match service.and_then(|service| result(about, &service, &mut advice)) {
            Some(result) => services.push(result),
            None => unread.push(line),
        }
    }
    // The last line wins where a service is named twice.
    services.reverse();
    let mut names = HashSet::new();
    services.retain(|service| names.insert(service.name.clone()));
    services.reverse();

    let count = format!("{} services", services.len());
    let mut own = match unread.first() {
        Some(line) => about.result(
            Status::ERROR,
            format!(
                "{count}; {} lines not understood, or too many (at most {MAX_SERVICES}): {}",
                unread.len(),
                text::quote(line.as_bytes())
            ),
        ),
        None if cut => about.result(
            Status::ERROR,
            format!("{count}; what was printed after {} MiB is lost", MAX_STDOUT >> 20),
        ),
        None => about.result(Status::OK, count),
    };
    own.value = Json::string(own.status.level().word());
    services.insert(0, own);
    Some(Answer::Results { dialect: Dialect::Checkmk, results: services, advice })
}

/// Whether the first line or most lines can be read, so that no single bad line hides the others.
fn looks_like<'line, L: Iterator<Item = &'line str>>(lines: impl Fn() -> L) -> bool {
    let is_service = |line: &str| parse(line).is_some();
    let (good, all) =
        lines().fold((0, 0), |(good, all), line| (good + usize::from(is_service(line)), all + 1));
    lines().next().is_some_and(is_service) || good * 2 > all
}

struct Service<'line> {
    /// `None` for `P`.
    status: Option<Status>,
    name: &'line str,
    metrics: &'line str,
    text: &'line str,
}

fn parse(line: &str) -> Option<Service<'_>> {
    let (state, rest) = line.trim().split_once(char::is_whitespace)?;
    let status = match state {
        "P" => None,
        "0" | "1" | "2" | "3" => Some(nagios::status(state.parse().ok()?)?),
        _ => return None,
    };
    let rest = rest.trim_start();
    let (name, rest) = match rest.chars().next()? {
        quote @ ('"' | '\'') => rest[1..].split_once(quote)?,
        _ => rest.split_once(char::is_whitespace)?,
    };
    let rest = rest.trim_start();
    let (metrics, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let is_metrics = metrics == "-" || metrics.split('|').all(|metric| metric.contains('='));
    (is_metrics && !name.trim().is_empty()).then(|| Service {
        status,
        name,
        metrics,
        text: text.trim(),
    })
}

/// The result of one service; `None` if it cannot have its name.
fn result(
    about: &About<'_>,
    service: &Service<'_>,
    advice: &mut Vec<String>,
) -> Option<ProbeResult> {
    let name = about.name.service(service.name).ok()?;
    let (given, measured) = match service.metrics {
        "-" => (0, Vec::new()),
        metrics => {
            let measured = nagios::parse_performance(&metrics.replace('|', " "), advice);
            (metrics.split('|').count(), measured)
        }
    };
    // `\n` in the text stands for a line break.
    let text = service.text.replace("\\n", "\n");
    let (status, message) = match service.status {
        Some(status) => (status, text),
        None if measured.len() < given => {
            let metrics = text::quote(service.metrics.as_bytes());
            (Status::ERROR, format!("no status can be computed from {metrics}: {text}"))
        }
        None => (Status::worst(measured.iter().map(computed)), text),
    };
    let mut result = about.result(status, message);
    result.name = name;
    result.value = Json::string(status.level().word());
    if !measured.is_empty() {
        result.metrics = nagios::metrics(&measured, advice);
    }
    Some(result)
}

/// The status of a value by its own limits: `upper` or `lower:upper`, warn first.
fn computed(measured: &nagios::Measured) -> Status {
    let beyond = |index: usize| {
        let limit = measured.limits.get(index).map_or("", String::as_str);
        let (lower, upper) = limit.split_once(':').unwrap_or(("", limit));
        upper.parse().is_ok_and(|upper: f64| measured.value >= upper)
            || lower.parse().is_ok_and(|lower: f64| measured.value < lower)
    };
    match (beyond(0), beyond(1)) {
        (_, true) => Status::CRIT,
        (true, _) => Status::WARN,
        _ => Status::OK,
    }
}
