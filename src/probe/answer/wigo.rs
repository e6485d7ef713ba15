//! Wigo JSON: an object whose fields are read leniently, names without regard to case.

use serde_json::{Map, Value};

use super::{About, Answer, Dialect, MAX_DETAIL, MAX_METRICS, MAX_NESTING, failure, text};
use crate::{json::Json, probe::run::Ended, status::Status, tree::ProbeResult};

/// Reads what began like JSON. What is not an object that can be read is a failure with the reason.
pub fn answer(about: &About<'_>, ended: &Ended, printed: &str, code: i32) -> Answer {
    let object = match parse(printed) {
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

/// How deep `[` and `{` nest outside of strings. Without recursion, so that no depth can hurt.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
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
    result.value = bounded_detail(take("Value"), advice);
    result.metrics = bounded_metrics(take("Metrics"), advice);
    result.detail = bounded_detail(take("Detail"), advice);
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

fn bounded_metrics(value: Value, advice: &mut Vec<String>) -> Json {
    match value {
        Value::Array(mut list) => {
            if list.len() > MAX_METRICS {
                let count = list.len();
                advice.push(format!("{count} metrics: only the first {MAX_METRICS} are kept"));
                list.truncate(MAX_METRICS);
            }
            Json::from_value(&Value::Array(list))
        }
        other => bounded_detail(other, advice),
    }
}

/// Any JSON as long as it is not too big; else its beginning as text.
pub fn bounded_detail(value: Value, advice: &mut Vec<String>) -> Json {
    let json = Json::from_value(&value);
    let size = json.as_str().len();
    if size <= MAX_DETAIL {
        return json;
    }
    advice.push(format!("{size} bytes of JSON in one field: at most {MAX_DETAIL} are kept"));
    let start: String = json.as_str().chars().take(MAX_DETAIL / 8).collect();
    Json::string(&format!("too big ({size} bytes, at most {MAX_DETAIL}); it began: {start}"))
}

fn with_stderr(detail: &Json, ended: &Ended) -> Json {
    let stderr = text::clean(&String::from_utf8_lossy(&ended.stderr.kept));
    let stderr: String = stderr.chars().take(MAX_DETAIL / 8).collect();
    match detail.to_value() {
        Value::Object(mut object) => {
            object.insert("Stderr".into(), Value::from(stderr));
            Json::from_value(&Value::Object(object))
        }
        Value::Null => Json::from_value(&serde_json::json!({ "Stderr": stderr })),
        _ => detail.clone(),
    }
}
