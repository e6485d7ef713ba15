//! Nagios plugins: a line of text, perhaps `|` and performance data, more lines, exit code 0…3.
//!
//! Source: the Monitoring Plugins development guidelines ("plugin output", "performance data").

use serde_json::{Map, Value, json};

use super::{About, Answer, Dialect, MAX_METRICS, MAX_STREAM, bounds, text};
use crate::{
    json::{Json, number},
    status::Status,
};

/// Longest label in quotes, in bytes.
const MAX_LABEL: usize = 256;

/// The status behind an exit code; `None` if it is not one that plugins use.
pub fn status(code: i32) -> Option<Status> {
    match code {
        0 => Some(Status::OK),
        1 => Some(Status::WARN),
        2 => Some(Status::CRIT),
        3 => Some(Status::ERROR),
        _ => None,
    }
}

/// Reads plugin output. Every text is one, so this comes last.
pub fn answer(about: &About<'_>, printed: &str, status: Status, code: i32) -> Answer {
    let (mut message, mut long, mut performance) = (String::new(), String::new(), String::new());
    let mut in_performance = false;
    for (number, line) in printed.lines().enumerate() {
        let (words, data) = match line.split_once('|') {
            _ if in_performance => ("", Some(line)),
            Some((words, data)) => (words, Some(data)),
            None => (line, None),
        };
        if number == 0 {
            message = words.trim().into();
        } else if !words.is_empty() {
            long.push_str(words);
            long.push('\n');
        }
        if let Some(data) = data {
            performance.push_str(data);
            performance.push(' ');
            // After the first line, a `|` begins the performance data for all lines that follow.
            in_performance |= number > 0;
        }
    }
    let mut advice = Vec::new();
    let measured = parse_performance(&performance, &mut advice);
    let mut result = about.result(status, message);
    result.exit_code = code;
    result.value = Json::string(status.level().word());
    if !measured.is_empty() {
        result.metrics = metrics(&measured, &mut advice);
    }
    let mut detail = Map::new();
    if !long.is_empty() {
        detail
            .insert("Output".into(), text::start(text::clean(long.trim_end()), MAX_STREAM).into());
    }
    if !measured.is_empty() {
        let shown = measured.iter().map(|one| (one.label.clone(), one.detail())).collect();
        detail.insert("Performance".into(), Value::Object(shown));
    }
    if !detail.is_empty() {
        result.detail = bounds::detail(&Value::Object(detail), &mut advice);
    }
    Answer::Results { dialect: Dialect::Nagios, results: vec![result], advice }
}

/// One item of performance data: `'label'=value[unit];warn;crit;min;max`.
#[derive(Debug, PartialEq)]
pub struct Measured {
    pub label: String,
    pub value: f64,
    /// `s`, `%`, `B`, `c`, … or empty.
    pub unit: String,
    /// Warn, crit, min, max as written; empty where not given.
    pub limits: Vec<String>,
}

impl Measured {
    fn detail(&self) -> Value {
        let mut detail = Map::from_iter([("Value".to_string(), number(self.value))]);
        if !self.unit.is_empty() {
            detail.insert("Unit".into(), json!(self.unit));
        }
        for (name, limit) in ["Warn", "Crit", "Min", "Max"].into_iter().zip(&self.limits) {
            if !limit.is_empty() {
                detail.insert(name.into(), json!(limit));
            }
        }
        Value::Object(detail)
    }
}

/// Items as metrics: a list of `{Tags: {metric, unit}, Value}`.
pub fn metrics(measured: &[Measured], advice: &mut Vec<String>) -> Json {
    let metric = |one: &Measured| {
        let mut tags = Map::from_iter([("metric".to_string(), json!(one.label))]);
        if !one.unit.is_empty() {
            tags.insert("unit".into(), json!(one.unit));
        }
        json!({ "Tags": tags, "Value": number(one.value) })
    };
    bounds::metrics(measured.iter().map(metric).collect(), advice)
}

/// Reads the items of `data`, separated by white space, at most [`MAX_METRICS`]. What cannot be read
/// is skipped with a word of advice; the value `U` means "could not be measured".
pub fn parse_performance(data: &str, advice: &mut Vec<String>) -> Vec<Measured> {
    let mut measured = Vec::new();
    let mut unread = None;
    let mut rest = data.trim_start();
    let mut items = 0;
    while !rest.is_empty() {
        if items == MAX_METRICS {
            advice.push(format!("only the first {MAX_METRICS} items of performance data are read"));
            break;
        }
        items += 1;
        let (item, after) = split_item(rest);
        rest = after.trim_start();
        match parse_item(item) {
            Some(Some(one)) => measured.push(one),
            Some(None) => {}
            None => unread = unread.or(Some(item)),
        }
    }
    if let Some(item) = unread {
        advice.push(format!(
            "performance data {} is not `label=value[unit];warn;crit;min;max`",
            text::quote(item.as_bytes())
        ));
    }
    measured
}

/// The first item, up to the blank that ends it, and the rest. A label in quotes may hold blanks.
fn split_item(data: &str) -> (&str, &str) {
    let label = match data.starts_with('\'') {
        true => data.as_bytes().windows(2).take(MAX_LABEL).position(|two| two == b"'="),
        false => None,
    };
    let label = label.unwrap_or(0);
    let end = data[label..].find(char::is_whitespace).map_or(data.len(), |at| label + at);
    data.split_at(end)
}

fn parse_item(item: &str) -> Option<Option<Measured>> {
    let (label, rest) = item.rsplit_once('=')?;
    // Within quotes, two of them stand for one.
    let label = match label.strip_prefix('\'').and_then(|label| label.strip_suffix('\'')) {
        Some(quoted) => quoted.replace("''", "'"),
        None => label.into(),
    };
    let mut fields = rest.split(';');
    let value = fields.next()?;
    if label.is_empty() {
        return None;
    }
    if value == "U" {
        return Some(None);
    }
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '+');
    let mut end = value.find(|c| !is_number(c)).unwrap_or(value.len());
    // An exponent, as in 1e-3: the letter belongs to the number if a number follows.
    let exponent = &value[end..];
    if exponent.starts_with(['e', 'E'])
        && exponent.len() > 1
        && exponent[1..].trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit())
    {
        end += 1 + exponent[1..].find(|c| !is_number(c)).unwrap_or(exponent.len() - 1);
    }
    let (number, unit) = value.split_at(end);
    // Some plugins print the decimal comma of their locale.
    let number: f64 = number.replace(',', ".").parse().ok()?;
    number.is_finite().then(|| {
        Some(Measured {
            label: text::clean(&label).replace(['\n', '\t'], " "),
            value: number,
            unit: text::clean(unit),
            limits: fields.take(4).map(text::clean).collect(),
        })
    })
}
