//! Checkmk local checks: one service a line, `state name metrics text`.
//!
//! Source: Checkmk's documentation of local checks. The state is 0…3 or `P` (computed from the limits
//! in the metrics), the name may be quoted, metrics are `-` or `name=value;warn;crit|…`.

use super::{About, Answer, Dialect, MAX_SERVICES, nagios, text};
use crate::{json::Json, status::Status, tree::ProbeResult};

/// Reads local lines; `None` if the output does not look like them.
pub fn answer(about: &About<'_>, printed: &str, code: i32) -> Option<Answer> {
    if code != 0 {
        return None;
    }
    let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
    parse(lines.first()?)?;
    let mut advice = Vec::new();
    let mut services: Vec<ProbeResult> = Vec::new();
    let mut unread = Vec::new();
    for line in &lines {
        match parse(line) {
            Some(_) if services.len() == MAX_SERVICES => unread.push(*line),
            Some(service) => services.push(result(about, &service, &mut advice)),
            None => unread.push(*line),
        }
    }
    // The last line wins where a service is named twice.
    services.reverse();
    let mut names = std::collections::HashSet::new();
    services.retain(|service| names.insert(service.name.clone()));
    services.reverse();
    let mut own = match unread.first() {
        None => about.result(Status::OK, format!("{} services", services.len())),
        Some(line) => about.result(
            Status::ERROR,
            format!(
                "{} services; {} lines not understood, or too many (at most {MAX_SERVICES}): {}",
                services.len(),
                unread.len(),
                text::quote(line.as_bytes())
            ),
        ),
    };
    own.value = Json::string(own.status.level().word());
    services.insert(0, own);
    Some(Answer::Results { dialect: Dialect::Checkmk, results: services, advice })
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
    let (name, rest) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => rest.split_once(char::is_whitespace)?,
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

fn result(about: &About<'_>, service: &Service<'_>, advice: &mut Vec<String>) -> ProbeResult {
    let measured = match service.metrics {
        "-" => Vec::new(),
        metrics => nagios::parse_performance(&metrics.replace('|', " "), advice),
    };
    let status = service.status.unwrap_or_else(|| Status::worst(measured.iter().map(computed)));
    // `\n` in the text stands for a line break.
    let mut result = about.result(status, service.text.replace("\\n", "\n"));
    result.name = about.name.service(service.name);
    result.value = Json::string(status.level().word());
    if !measured.is_empty() {
        result.metrics = Json::from_value(&nagios::metrics(&measured));
    }
    result
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
