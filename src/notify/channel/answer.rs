//! What an answer means: taken, not now, or never; and what of it may be told.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use serde_json::Value;

use super::{Failed, Receipt, Retry, text};

/// How long a receiver can make us wait at most, and at least.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// How much of what a receiver says is told, in characters.
const MAX_SAID_CHARS: usize = 200;

/// The answer of a receiver. Its body is cut when it is long.
pub(super) struct Answer {
    pub(super) host: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) hidden: Hidden,
}

impl Answer {
    /// The answer, if it says that the receiver took the message.
    pub(super) fn taken(self, now: Timestamp) -> Result<Answer, Failed> {
        if self.status.is_success() {
            return Ok(self);
        }
        let retry = match self.status.as_u16() {
            408 | 409 | 425 | 429 | 500.. => self.wait(now).map_or(Retry::Later, Retry::After),
            // Somebody in between may do this for a while; for good, it is another address.
            300 | 302..=307 => Retry::Later,
            _ => Retry::Never,
        };
        Err(self.refused(retry))
    }

    /// The refusal that this answer is, also where its status does not say so.
    pub(super) fn refused(&self, retry: Retry) -> Failed {
        let advice = match self.status.as_u16() {
            300..=399 => "; it redirects, which is not followed: configure the final address",
            401 | 403 => "; check the secrets of this channel",
            404 | 410 => "; check the address of this channel",
            413 => "; the message is too long for it",
            _ => "",
        };
        let said = self.said();
        let said = if said.is_empty() { said } else { format!(": {said}") };
        Failed { why: format!("{} answered {}{said}{advice}", self.host, self.status), retry }
    }

    /// The body as JSON; `null` if it is something else.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The first line of the body, if it is text.
    pub(super) fn line(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text::one_line(text.trim().lines().next().unwrap_or_default())
    }

    /// That it was taken, and what the receiver calls it.
    pub(super) fn receipt(&self, name: Option<&str>) -> Receipt {
        let status = self.status.as_u16();
        match name.map(|name| self.tell(name)).filter(|name| !name.is_empty()) {
            Some(name) => Receipt(format!("{status}, {name}")),
            None => Receipt(status.to_string()),
        }
    }

    /// What the receiver says, in a line.
    fn said(&self) -> String {
        let json = self.json();
        match reason(&json) {
            Some(reason) => self.tell(&reason),
            // Pages for browsers say nothing in their first line.
            None if json.is_null() && !self.line().starts_with('<') => self.tell(&self.line()),
            None => String::new(),
        }
    }

    fn tell(&self, text: &str) -> String {
        text::cut(&text::one_line(&self.hidden.without(text)), MAX_SAID_CHARS, text::Unit::Chars)
    }

    /// How long to wait, if the receiver says so.
    fn wait(&self, now: Timestamp) -> Option<Duration> {
        let header = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = header.and_then(|text| wait(text, now)).or_else(|| wait_in(&self.json()))?;
        Some(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
    }
}

/// `Retry-After`: seconds, or a date.
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// How long to wait by the body: Telegram, Discord and Zulip, Matrix have it there.
fn wait_in(body: &Value) -> Option<Duration> {
    let seconds = [&body["parameters"]["retry_after"], &body["retry_after"], &body["retry-after"]]
        .into_iter()
        .find_map(Value::as_f64);
    let seconds = seconds.or_else(|| body["retry_after_ms"].as_f64().map(|ms| ms / 1e3))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// What a refusal gives as its reason, under the names that receivers have for it.
fn reason(body: &Value) -> Option<String> {
    const NAMES: [&str; 8] = [
        "description",
        "errorDescription",
        "message",
        "msg",
        "error",
        "errors",
        "detail",
        "status",
    ];
    match body {
        Value::String(text) => Some(text.clone()),
        Value::Array(all) => all.first().and_then(reason),
        Value::Object(fields) => NAMES.iter().find_map(|name| fields.get(*name).and_then(reason)),
        _ => None,
    }
}

/// What must not be told.
#[derive(Default)]
pub(super) struct Hidden(Vec<String>);

impl Hidden {
    /// Hides a secret, as it is and as it is written in addresses, forms and JSON.
    pub(super) fn add(&mut self, secret: &str) {
        let form: String = {
            let mut url = reqwest::Url::parse("x:").expect("it is an address");
            url.query_pairs_mut().append_pair("", secret);
            url.query().unwrap_or_default().trim_start_matches('=').to_owned()
        };
        let json = Value::from(secret).to_string();
        let json = json[1..json.len() - 1].to_owned();
        for form in [secret.to_owned(), form, json] {
            if !form.is_empty() && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // The longest first: one may be part of another.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// The text without any of them.
    pub(super) fn without(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(&**secret, "…"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn answer(status: u16, after: Option<&str>, body: &str) -> Failed {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(RETRY_AFTER, after.parse().unwrap());
        }
        let mut hidden = Hidden::default();
        hidden.add("s3cr3t/+\"");
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { host: "h".into(), status, headers, body: body.into(), hidden };
        answer.taken(at("2026-01-02T03:04:05Z")).map(|_| ()).unwrap_err()
    }

    #[test]
    fn which_refusals_are_final() {
        for status in [301, 308, 400, 401, 403, 404, 410, 413, 422, 451] {
            assert_eq!(answer(status, None, "").retry, Retry::Never, "{status}");
        }
        for status in [302, 307, 408, 409, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(answer(status, None, "").retry, Retry::Later, "{status}");
        }
    }

    #[test]
    fn the_receiver_may_say_when_within_bounds() {
        let after = |text| answer(429, Some(text), "").retry;
        let seconds = |n| Retry::After(Duration::from_secs(n));
        assert_eq!(after("30"), seconds(30));
        assert_eq!(after("0"), seconds(1));
        assert_eq!(after("99999999999"), seconds(3_600));
        assert_eq!(after("Fri, 02 Jan 2026 03:05:05 GMT"), seconds(60));
        assert_eq!(after("Thu, 01 Jan 1970 00:00:00 GMT"), seconds(1));
        assert_eq!(after("soon"), Retry::Later);
        assert_eq!(after("-5"), Retry::Later);
        assert_eq!(answer(503, Some("7"), "").retry, seconds(7));
        // A final refusal stays one.
        assert_eq!(answer(400, Some("7"), "").retry, Retry::Never);
    }

    #[test]
    fn some_say_it_in_the_body() {
        let after = |body| answer(429, None, body).retry;
        assert_eq!(
            after(r#"{"parameters":{"retry_after":9}}"#),
            Retry::After(Duration::from_secs(9))
        );
        assert_eq!(after(r#"{"retry_after":1.5}"#), Retry::After(Duration::from_millis(1_500)));
        assert_eq!(after(r#"{"retry_after_ms":2000}"#), Retry::After(Duration::from_secs(2)));
        assert_eq!(after(r#"{"retry_after":-1}"#), Retry::Later);
        assert_eq!(after(r#"{"retry_after":1e300}"#), Retry::Later);
    }

    #[test]
    fn the_reason_is_told_in_a_line_and_without_secrets() {
        let why = |body: &str| answer(400, None, body).why;
        assert_eq!(why(""), "h answered 400 Bad Request");
        assert_eq!(why("invalid_payload\n"), "h answered 400 Bad Request: invalid_payload");
        assert_eq!(why("<html><body>…"), "h answered 400 Bad Request");
        assert_eq!(
            why(r#"{"status":0,"errors":["user key is\n invalid"]}"#),
            "h answered 400 Bad Request: user key is  invalid"
        );
        assert_eq!(why("no s3cr3t/+\" here"), "h answered 400 Bad Request: no … here");
        assert_eq!(why("token=s3cr3t%2F%2B%22&x"), "h answered 400 Bad Request: token=…&x");
        assert!(why(&"x".repeat(1_000)).chars().count() < 250);
    }
}
