//! Wigo JSON: an object whose fields are read leniently, names without regard to case.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::{About, Answer, Dialect, MAX_DETAIL, MAX_NESTING, MAX_STREAM, bounds, failure, text};
use crate::{
    json::{Json, nesting},
    probe::run::{Ended, MAX_STDOUT},
    status::Status,
    tree::ProbeResult,
};

/// Reads what began like JSON. What is not an object that can be read is a failure with the reason.
pub fn answer(about: &About<'_>, ended: &Ended, printed: &str, code: i32) -> Answer {
    let parsed = match ended.stdout.dropped {
        0 => parse(printed),
        _ => Err(format!("it is longer than {} MiB", MAX_STDOUT >> 20)),
    };
    let object = match parsed {
        Ok(object) => object,
        Err(why) if code != 0 => {
            // A program that broke while printing: that it broke is the news.
            let mut answer = failure::of(about, ended);
            if let Answer::Results { advice, .. } = &mut answer {
                advice.push(format!("what it printed is no JSON that can be read: {why}"));
            }
            return answer;
        }
        Err(why) => {
            let quoted = text::quote(printed.as_bytes());
            let mut result = about.result(Status::ERROR, format!("invalid JSON: {why}: {quoted}"));
            result.exit_code = code;
            result.detail = failure::output_as_detail(ended);
            return failure::answer(result);
        }
    };
    let mut advice = Vec::new();
    let mut result = read(about, object, &mut advice);
    result.exit_code = code;
    if code == 0 {
        return Answer::Results { dialect: Dialect::Wigo, results: vec![result], advice };
    }
    // It broke after answering: its words are kept, its status is not to be trusted.
    advice.push(format!(
        "it ended with {code}, so its own Status {} does not count: exit with 0 after the answer",
        result.status
    ));
    let (what, _) = failure::what_happened(ended);
    result.status = Status::ERROR;
    result.message = match result.message.as_str() {
        "" => what,
        message => text::message(&format!("{what}: {message}")),
    };
    if !ended.stderr.kept.is_empty() {
        result.detail = with_stderr(&result.detail, ended);
    }
    Answer::Results { dialect: Dialect::Wigo, results: vec![result], advice }
}

/// Whether this is meant as JSON: an object, or a list (to be refused). A text such as `[OK] all fine`
/// is none.
pub fn looks_like(printed: &str) -> bool {
    match printed.strip_prefix('[') {
        Some(list) if !list.trim_start().starts_with(['{', '[', '"', ']']) => {
            serde_json::from_str::<IgnoredAny>(printed).is_ok()
        }
        Some(_) => true,
        None => printed.starts_with('{'),
    }
}

fn parse(printed: &str) -> Result<Map<String, Value>, String> {
    if nesting(printed) > MAX_NESTING {
        return Err(format!("nested deeper than {MAX_NESTING} levels"));
    }
    match serde_json::from_str(printed) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("an object is wanted, such as {\"Status\": 100, \"Message\": \"…\"}".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn read(
    about: &About<'_>,
    mut object: Map<String, Value>,
    advice: &mut Vec<String>,
) -> ProbeResult {
    let mut take = |name: &str| {
        let key = match object.contains_key(name) {
            true => Some(name.to_owned()),
            false => object.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned(),
        };
        key.and_then(|key| object.remove(&key)).unwrap_or(Value::Null)
    };
    let (status, doubt) = status(&take("Status"));
    let mut message = as_text(take("Message"), "Message", advice);
    if let Some(doubt) = doubt {
        advice.push(doubt.clone());
        message = if message.is_empty() { doubt } else { format!("{doubt}: {message}") };
    }
    let mut result = about.result(status, message);
    result.version = text::message(&as_text(take("Version"), "Version", advice));
    result.value = bounds::detail(&take("Value"), advice);
    result.metrics = match take("Metrics") {
        Value::Array(list) => bounds::metrics(list, advice),
        other => bounds::detail(&other, advice),
    };
    result.detail = bounds::detail(&take("Detail"), advice);
    result
}

/// The status that a probe means, and what is wrong with how it says so.
fn status(value: &Value) -> (Status, Option<String>) {
    let number = match value {
        Value::Null => return (Status::ERROR, Some("the answer has no Status".into())),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let off_the_scale = || format!("Status {} is not a number from 100 to 998", short(value));
    match number {
        Some(number) if (100.0..999.0).contains(&number) => {
            let status = Status::new(number as i64).unwrap_or(Status::ERROR);
            let doubt = (number.fract() != 0.0).then(|| format!("Status {number} is not whole"));
            (status, doubt)
        }
        _ => (Status::ERROR, Some(off_the_scale())),
    }
}

fn as_text(value: Value, field: &str, advice: &mut Vec<String>) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => {
            if !other.is_number() {
                advice.push(format!("{field} should be text, not {}", short(&other)));
            }
            other.to_string()
        }
    }
}

fn short(value: &Value) -> String {
    text::quote(value.to_string().as_bytes())
}

/// `detail` with what was printed on standard error, where it has room for that.
fn with_stderr(detail: &Json, ended: &Ended) -> Json {
    let mut object = match detail.to_value() {
        Value::Object(object) => object,
        Value::Null => Map::new(),
        Value::String(text) if text.is_empty() => Map::new(),
        _ => return detail.clone(),
    };
    object.insert("Stderr".into(), text::stream(&ended.stderr.kept, MAX_STREAM).into());
    let with_stderr = Json::from_value(&Value::Object(object));
    if with_stderr.as_str().len() > MAX_DETAIL { detail.clone() } else { with_stderr }
}
