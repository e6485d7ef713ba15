//! Orders to remotes, over their API: ours hand them on, an original carries out its own.

use std::fmt::Write as _;

use futures_util::future::BoxFuture;
use hyper::{Method, StatusCode, header::HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::watch;

use super::{
    Wanted,
    client::{AskError, Client, Net, Reply},
    document,
};
use crate::{
    orders::{
        AUTHOR_HEADER, Action, Answer, Link, MAX_AUTHOR, ORDER_HEADER, Order, Outcome, RefusalKind,
        Schedule, Way, What, plain,
    },
    tree::Contact,
};

/// Longest sentence of a remote that is passed on, in bytes.
const MAX_SENTENCE: usize = 1_000;

/// The way to the remotes.
pub struct Below {
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) net: Net,
}

impl Way for Below {
    fn send(&self, link: Link, order: Order) -> BoxFuture<'static, Outcome> {
        let address = match &link.contact {
            Contact::Pull { endpoint, .. } => {
                endpoint.split_once("://").map_or(endpoint.as_str(), |(_, address)| address)
            }
            Contact::Push { .. } => "",
        };
        let remotes = &self.wanted.borrow().remotes;
        let remote = remotes.iter().find(|remote| remote.address() == address).cloned();
        let net = self.net.clone();
        Box::pin(async move {
            let Some(remote) = remote else {
                return Outcome::Away(format!("`{}` is not asked any more", link.name));
            };
            let (method, path) = request(&link, &order);
            let sent = Client::new(remote, net).send(method, &path, &headers(&order)).await;
            match sent {
                Ok(reply) => understand(&link, &order, reply),
                Err(error) => failed(&error),
            }
        })
    }
}

/// What is asked. What an instance shall do itself is asked in words that an original knows too.
fn request(link: &Link, order: &Order) -> (Method, String) {
    let is_its_own = link.uuid == order.target;
    let What::Do(probe, action) = &order.what else {
        return match is_its_own {
            true => (Method::GET, "/api/probes".to_owned()),
            false => (Method::GET, format!("/api/hosts/{}/schedule", order.target)),
        };
    };
    let query = match action {
        Action::Disable { reason, back_after } => {
            let time = back_after.map(|after| format!("&for={}s", after.as_secs()));
            format!("?reason={}{}", encoded(reason), time.unwrap_or_default())
        }
        Action::Interval { seconds } => format!("?seconds={seconds}"),
        Action::Run => String::new(),
    };
    let host = if is_its_own { String::new() } else { format!("/hosts/{}", order.target) };
    let path = format!("/api{host}/probes/{}/{}{query}", encoded(probe.as_str()), action.word());
    (Method::POST, path)
}

fn headers(order: &Order) -> Vec<(&'static str, HeaderValue)> {
    let of = |text: String| HeaderValue::try_from(text).expect("it is encoded as ASCII");
    let passed = format!("{};{};{}", order.id, order.hops, order.limit.as_millis());
    vec![
        ("x-wigo-request", HeaderValue::from_static("1")),
        // No more of it is kept there, and a head may only be so long.
        (AUTHOR_HEADER, of(encoded(&plain(&order.author.to_string(), MAX_AUTHOR)))),
        (ORDER_HEADER, of(passed)),
    ]
}

/// A text as a part of a URL, everything percent-encoded but letters, digits and `-_.~`.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(byte.into());
            }
            _ => write!(encoded, "%{byte:02X}").expect("a text takes everything"),
        }
    }
    encoded
}

fn failed(error: &AskError) -> Outcome {
    let kind = match error {
        AskError::Lookup { .. } | AskError::Connect { .. } | AskError::ConnectSlow { .. } => {
            return Outcome::Away(error.to_string());
        }
        AskError::Slow { .. } => RefusalKind::Late,
        _ => RefusalKind::Failed,
    };
    Outcome::Refused(kind.because(error.to_string()))
}

fn understand(link: &Link, order: &Order, reply: Reply) -> Outcome {
    let Reply { status, is_away, text } = reply;
    if is_away {
        return Outcome::Away(sentence(&text));
    }
    let kind = match status {
        StatusCode::OK => return Outcome::Done(answer(order, &text)),
        StatusCode::ACCEPTED => return Outcome::Done(Answer::Accepted(accepted(&text))),
        StatusCode::BAD_REQUEST => RefusalKind::Invalid,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RefusalKind::Forbidden,
        StatusCode::NOT_FOUND => RefusalKind::Unknown,
        StatusCode::CONFLICT => RefusalKind::Conflict,
        StatusCode::NOT_IMPLEMENTED => RefusalKind::Unsupported,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => RefusalKind::Busy,
        StatusCode::GATEWAY_TIMEOUT => RefusalKind::Late,
        _ => RefusalKind::Failed,
    };
    let said = sentence(&text);
    let why = match status {
        StatusCode::UNAUTHORIZED => format!(
            "`{}` wants the login of an operator: set Login and Password for it in [RemoteWigos]",
            link.name
        ),
        _ => format!("`{}` says ({}): {said}", link.name, status.as_u16()),
    };
    Outcome::Refused(kind.because(why))
}

fn answer(order: &Order, text: &str) -> Answer {
    let accepted = || Answer::Accepted(sentence(text));
    if let What::Do(probe, Action::Run) = &order.what {
        let is_object = text.trim_start().starts_with('{');
        let nested = crate::json::nesting(text) > document::MAX_NESTING;
        let read = (is_object && !nested)
            .then(|| document::result_of(probe.as_str(), text, Timestamp::now()));
        return match read.flatten() {
            Some(probe) => Answer::Result(Box::new(probe)),
            None => accepted(),
        };
    }
    Schedule::read(text).map_or_else(accepted, |schedule| Answer::Schedule(Box::new(schedule)))
}

/// What a remote says that does an order later: an original its words, ours the order, whose answer says
/// what comes of it.
fn accepted(text: &str) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Handed {
        answer: String,
    }
    match serde_json::from_str(text) {
        Ok(Handed { answer }) => document::line(&answer, MAX_SENTENCE),
        Err(_) => sentence(text),
    }
}

/// What a remote says, as one line: mostly a JSON text.
fn sentence(text: &str) -> String {
    let said = serde_json::from_str(text.trim()).unwrap_or_else(|_| text.to_owned());
    document::line(&said, MAX_SENTENCE)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::{config::Role, orders::Author, tree::ProbeName};

    fn order(target: u128, what: What) -> Order {
        let author = Author {
            name: "alice é".into(),
            role: Role::Operator,
            how: "password",
            address: "10.0.0.1".into(),
            by_way_of: vec!["top".into()],
        };
        let (id, target) = (Uuid::from_u128(1), Uuid::from_u128(target));
        Order { id, target, what, author, hops: 1, limit: Duration::from_secs(29) }
    }

    fn link() -> Link {
        let contact = Contact::Pull { endpoint: "http://h:1".into(), encrypted: false };
        Link { uuid: Uuid::from_u128(7), name: "remote".into(), contact }
    }

    fn load(action: Action) -> What {
        What::Do(ProbeName::new("lo?ad/..".split('/').next().unwrap()).unwrap(), action)
    }

    #[test]
    fn what_is_asked_names_the_host_only_where_it_is_another() {
        let asked = |target, what| {
            let (method, path) = request(&link(), &order(target, what));
            format!("{method} {path}")
        };
        assert_eq!(asked(7, What::Schedule), "GET /api/probes");
        let other = Uuid::from_u128(8);
        assert_eq!(asked(8, What::Schedule), format!("GET /api/hosts/{other}/schedule"));
        assert_eq!(asked(7, load(Action::Run)), "POST /api/probes/lo%3Fad/run");
        let path = format!("POST /api/hosts/{other}/probes/lo%3Fad/interval?seconds=5");
        assert_eq!(asked(8, load(Action::Interval { seconds: 5 })), path);
        let back_after = Some(Duration::from_secs(60));
        let disable = Action::Disable { reason: "a&b=é".into(), back_after };
        let path = "POST /api/probes/lo%3Fad/disable?reason=a%26b%3D%C3%A9&for=60s";
        assert_eq!(asked(7, load(disable)), path);
        let headers = headers(&order(7, What::Schedule));
        assert_eq!(headers[1].1, "alice%20%C3%A9%20%28by%20way%20of%20top%29");
        assert_eq!(headers[2].1, "00000000-0000-0000-0000-000000000001;1;29000");
    }

    #[test]
    fn a_long_way_fits_into_a_head() {
        let mut long = order(7, What::Schedule);
        long.author.by_way_of = vec!["\u{1F980}".repeat(MAX_AUTHOR); 16];
        assert!(headers(&long)[1].1.len() <= MAX_AUTHOR * "%F0%9F%A6%80".len());
    }

    #[test]
    fn what_a_remote_answers_is_passed_on() {
        let told = |what: What, code: u16, text: &str| {
            let status = StatusCode::from_u16(code).unwrap();
            let reply = Reply { status, is_away: false, text: text.into() };
            understand(&link(), &order(7, what), reply)
        };
        let schedule = told(What::Schedule, 200, r#"{"Hostname":"x"}"#);
        assert!(matches!(schedule, Outcome::Done(Answer::Schedule(_))));
        let run = told(load(Action::Run), 200, r#"{"Name":"load","Status":250,"Message":"m"}"#);
        let Outcome::Done(Answer::Result(probe)) = run else { panic!() };
        assert_eq!((probe.result.name.as_str(), probe.result.status.number()), ("lo?ad", 250));
        // In the words of an original.
        for (code, text) in [(200, "OK\n"), (202, "\"at the next push\"")] {
            let told = told(load(Action::Run), code, text);
            assert!(matches!(told, Outcome::Done(Answer::Accepted(_))), "{text}");
        }
        // Handed on by one of ours.
        let handed_on = r#"{"Id":"1","State":"done","Answer":"at the next push"}"#;
        let accepted = Outcome::Done(Answer::Accepted("at the next push".into()));
        assert_eq!(told(load(Action::Run), 202, handed_on), accepted);
        let refused = told(load(Action::Run), 403, "\"not\\u001b here\"");
        let why = "`remote` says (403): not  here";
        assert_eq!(refused, Outcome::Refused(RefusalKind::Forbidden.because(why)));
        let reply = Reply {
            status: StatusCode::SERVICE_UNAVAILABLE,
            is_away: true,
            text: "\"gone\"".into(),
        };
        let away = understand(&link(), &order(7, What::Schedule), reply);
        assert_eq!(away, Outcome::Away("gone".into()));
    }
}
