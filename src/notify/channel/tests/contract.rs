//! What holds for every channel.

use std::time::Duration;

use super::{
    super::{Delivery, Failed, Receipt, Retry},
    client, delivery, hostile,
    receivers::{ALL, Receiver, SECRET},
    server::{Reply, Request, Server},
};
use crate::notify::{Kind, Priority};

async fn send(
    receiver: &Receiver,
    delivery: &Delivery,
    answers: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Result<Receipt, Failed>, Vec<Request>) {
    let server = Server::start(answers).await;
    let channel = (receiver.channel)(&server.url(""), client());
    let outcome = channel.send(delivery).await;
    if let Err(failed) = &outcome {
        let why = &failed.why;
        let name = receiver.name;
        assert!(!why.contains(SECRET) && !why.contains("s3cr3t"), "{name}: {why}");
        assert!(why.contains(&server.host) && !why.contains("http://"), "{name}: {why}");
    }
    // What only asks is not part of the message.
    let told = server.requests().into_iter().filter(|request| request.method != "GET").collect();
    (outcome, told)
}

fn takes(receiver: &Receiver) -> impl Fn(&Request) -> Reply + Send + Sync + use<> {
    let (status, body) = receiver.answer;
    move |_| Reply::json(status, body)
}

#[tokio::test]
async fn a_message_is_taken() {
    for receiver in ALL {
        let (outcome, requests) = send(receiver, &delivery(), takes(receiver)).await;
        assert_eq!(outcome, Ok(Receipt(receiver.receipt.into())), "{}", receiver.name);
        assert_eq!(requests.len(), 1, "{}", receiver.name);
        (receiver.check)(&requests[0]);
        let key = requests[0].header("idempotency-key").unwrap();
        let name = receiver.name;
        assert!(key.starts_with("12345678-9abc-def0-1234-56789abcdef0:7:chat"), "{name}: {key}");
        let agent = requests[0].header("user-agent").unwrap();
        assert_eq!(agent, concat!("Wigo/", env!("CARGO_PKG_VERSION")));
        // Two attempts at one message are one message.
        let (_, again) = send(receiver, &delivery(), takes(receiver)).await;
        assert_eq!(again[0].header("idempotency-key"), Some(key));
    }
}

#[tokio::test]
async fn every_kind_of_message_is_one_that_the_receiver_takes() {
    let kinds = [
        Kind::Problem,
        Kind::Worsened,
        Kind::Improved,
        Kind::Joined,
        Kind::Reminder,
        Kind::Flapping,
        Kind::Calm,
        Kind::Summary,
        Kind::Digest,
        Kind::Notice,
        Kind::Test,
    ];
    for receiver in ALL {
        for kind in kinds {
            let mut delivery = delivery();
            delivery.message.kind = kind;
            delivery.message.priority = Priority::High;
            if matches!(kind, Kind::Summary | Kind::Digest | Kind::Notice | Kind::Test) {
                delivery.message.incident = None;
                delivery.message.link = None;
                delivery.message.group.clear();
                delivery.body.clear();
            }
            let (outcome, requests) = send(receiver, &delivery, takes(receiver)).await;
            assert!(outcome.is_ok(), "{} {kind:?}", receiver.name);
            (receiver.check)(&requests[0]);
        }
    }
}

#[tokio::test]
async fn hostile_text_is_made_harmless_and_short() {
    // Many short lines of markup; one long line of what JSON makes longer still.
    let lines = hostile();
    let line = Delivery { body: "\"\\".repeat(50_000), ..hostile() };
    for (receiver, delivery) in ALL.iter().flat_map(|one| [(one, &lines), (one, &line)]) {
        let (outcome, requests) = send(receiver, delivery, takes(receiver)).await;
        assert_eq!(outcome, Ok(Receipt(receiver.receipt.into())), "{}", receiver.name);
        (receiver.check)(&requests[0]);
        // Programs get names as they are, but nobody gets too long a text.
        assert!(requests[0].body.len() < 250_000, "{}", receiver.name);
    }
}

#[tokio::test]
async fn a_receiver_in_trouble_is_asked_again() {
    for receiver in ALL {
        for status in [500, 502, 503] {
            let (outcome, _) = send(receiver, &delivery(), move |_| Reply::status(status)).await;
            assert_eq!(outcome.unwrap_err().retry, Retry::Later, "{} {status}", receiver.name);
        }
        let busy = |_: &Request| Reply::Whole(429, "retry-after: 17\r\n".into(), String::new());
        let (outcome, _) = send(receiver, &delivery(), busy).await;
        let after = Retry::After(Duration::from_secs(17));
        assert_eq!(outcome.unwrap_err().retry, after, "{}", receiver.name);
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_says_why_without_secrets() {
    for receiver in ALL {
        for status in [400, 401, 404] {
            // The worst that a receiver can do: say all that it was told.
            let echo = move |request: &Request| Reply::Whole(status, String::new(), request.echo());
            let (outcome, _) = send(receiver, &delivery(), echo).await;
            assert_eq!(outcome.unwrap_err().retry, Retry::Never, "{}", receiver.name);
            let echo = move |request: &Request| {
                let said = serde_json::json!({ "errors": [{ "message": request.echo() }] });
                Reply::json(status, &said.to_string())
            };
            let (outcome, _) = send(receiver, &delivery(), echo).await;
            assert_eq!(outcome.unwrap_err().retry, Retry::Never, "{}", receiver.name);
        }
        let refuse = |_: &Request| Reply::json(400, r#"{"message":"no such room"}"#);
        let (outcome, _) = send(receiver, &delivery(), refuse).await;
        let why = outcome.unwrap_err().why;
        assert!(why.contains("400 Bad Request: no such room"), "{}: {why}", receiver.name);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for receiver in ALL {
        let elsewhere = Server::start(|_| Reply::status(200)).await;
        let location = format!("location: {}\r\n", elsewhere.url("/"));
        let moved = move |_: &Request| Reply::Whole(308, location.clone(), String::new());
        let (outcome, _) = send(receiver, &delivery(), moved).await;
        assert_eq!(outcome.unwrap_err().retry, Retry::Never, "{}", receiver.name);
        assert_eq!(elsewhere.connections(), 0, "{}", receiver.name);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    for receiver in ALL {
        let (outcome, _) = send(receiver, &delivery(), |_| Reply::Broken).await;
        assert_eq!(outcome.unwrap_err().retry, Retry::Later, "{}", receiver.name);
    }
}

#[tokio::test]
async fn an_answer_without_end_is_read_to_a_limit() {
    for receiver in ALL {
        let (outcome, _) = send(receiver, &delivery(), |_| Reply::Endless).await;
        assert_eq!(outcome, Ok(Receipt("200".into())), "{}", receiver.name);
    }
}

#[tokio::test]
async fn nobody_there_is_no_reason_to_give_up() {
    for receiver in ALL {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        drop(listener);
        let channel = (receiver.channel)(&format!("http://{host}"), client());
        let failed = channel.send(&delivery()).await.unwrap_err();
        assert_eq!(failed.retry, Retry::Later, "{}", receiver.name);
        let expected = format!("{host}: it cannot be reached");
        assert!(failed.why.contains(&expected) && !failed.why.contains("s3cr3t"), "{failed}");
    }
}
