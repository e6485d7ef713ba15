//! Several recipients of one message: each gets it once, whatever happens to the others.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    super::{Channel, Delivery, Retry, alertmanager, pushover, twilio},
    address, client, delivery, secret,
    server::{Reply, Request, Server},
};

/// Numbers of texts that `server` was asked to send.
fn numbers(server: &Server) -> Vec<String> {
    let mut numbers: Vec<_> = server.requests().iter().map(|r| r.field("To")).collect();
    numbers.sort();
    numbers
}

fn twilio(server: &Server) -> twilio::Twilio {
    let settings = twilio::Settings {
        to: vec!["+331".into(), "+332".into(), "+333".into()],
        service_sid: "MG1".into(),
        account_sid: "AC1".into(),
        auth_token: secret("t0k3n"),
        api_url: address(&server.url("")),
    };
    twilio::Twilio::new(settings, client())
}

#[tokio::test]
async fn a_retry_goes_only_to_those_who_do_not_have_it() {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = broken.clone();
    let server = Server::start(move |request: &Request| {
        match request.field("To") == "+332" && is_broken.load(Ordering::SeqCst) {
            true => Reply::status(503),
            false => Reply::json(201, r#"{"sid":"SM1"}"#),
        }
    })
    .await;
    let channel = twilio(&server);
    let delivery = delivery();

    let failed = channel.send(&delivery).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Later);
    assert!(failed.why.starts_with("2 of 3 have it; +332: "), "{failed}");
    broken.store(false, Ordering::SeqCst);
    assert_eq!(channel.send(&delivery).await.unwrap().0, "201, SM1");
    assert_eq!(numbers(&server), ["+331", "+332", "+332", "+333"]);

    // Each had a key of its own, the same at each attempt.
    let key = |request: &Request| {
        (request.field("To"), request.header("idempotency-key").unwrap().to_owned())
    };
    let keys: std::collections::BTreeSet<_> = server.requests().iter().map(key).collect();
    assert_eq!(keys.len(), 3);

    // Another message is for all again.
    let mut next = delivery;
    next.message.key.push('2');
    channel.send(&next).await.unwrap();
    assert_eq!(server.requests().len(), 7);
}

#[tokio::test]
async fn a_number_that_is_refused_is_final_and_keeps_nobody_waiting() {
    let fixed = Arc::new(AtomicBool::new(false));
    let is_fixed = fixed.clone();
    let server = Server::start(move |request: &Request| {
        match request.field("To") == "+332" && !is_fixed.load(Ordering::SeqCst) {
            true => Reply::json(400, r#"{"code":21211,"message":"not a valid phone number"}"#),
            false => Reply::json(201, "{}"),
        }
    })
    .await;
    let channel = twilio(&server);
    let failed = channel.send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Never);
    assert!(failed.why.ends_with("400 Bad Request: not a valid phone number"), "{failed}");
    // Somebody corrects it and sends it again.
    fixed.store(true, Ordering::SeqCst);
    channel.send(&delivery()).await.unwrap();
    assert_eq!(numbers(&server), ["+331", "+332", "+332", "+333"]);
}

#[tokio::test]
async fn who_is_refused_is_not_asked_again_while_others_are_waited_for() {
    let server = Server::start(|request: &Request| match &*request.field("user") {
        "k3y1" => Reply::json(400, r#"{"errors":["user identifier k3y1 is invalid"]}"#),
        "k3y2" => Reply::Whole(429, "retry-after: 5\r\n".into(), String::new()),
        _ => Reply::json(200, "{}"),
    })
    .await;
    let settings = pushover::Settings {
        app_token: secret("t0k3n"),
        user_keys: ["k3y1", "k3y2", "k3y3"].map(secret).into(),
        api_url: address(&server.url("")),
    };
    let channel = pushover::Pushover::new(settings, client());
    for attempt in 1..=2 {
        let failed = channel.send(&Delivery { attempt, ..delivery() }).await.unwrap_err();
        assert_eq!(failed.retry, Retry::After(std::time::Duration::from_secs(5)));
        assert!(failed.why.starts_with("1 of 3 have it; user key 1: "), "{failed}");
        assert!(failed.why.contains("; user key 2: ") && !failed.why.contains("k3y"), "{failed}");
    }
    let asked = |key| server.requests().iter().filter(|r| r.field("user") == key).count();
    assert_eq!((asked("k3y1"), asked("k3y2"), asked("k3y3")), (1, 2, 1));
}

#[tokio::test]
async fn a_message_to_nobody_has_not_arrived() {
    let settings = pushover::Settings {
        app_token: secret("t0k3n"),
        user_keys: Vec::new(),
        api_url: address("http://127.0.0.1:1"),
    };
    let failed = pushover::Pushover::new(settings, client()).send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Never);
}

#[tokio::test]
async fn one_alertmanager_that_is_away_does_not_keep_the_other_waiting() {
    let away = Server::start(|_| Reply::status(503)).await;
    let there = Server::start(|_| Reply::status(200)).await;
    let channel = |urls: &[&Server]| {
        let settings = alertmanager::Settings {
            urls: urls.iter().map(|server| address(&server.url(""))).collect(),
            login: String::new(),
            password: secret(""),
            token: secret(""),
            labels: Default::default(),
            ends_after: alertmanager::ENDS_AFTER,
        };
        alertmanager::Alertmanager::new(settings, client())
    };
    let receipt = channel(&[&away, &there]).send(&delivery()).await.unwrap().0;
    assert!(receipt.contains(&format!("{} answered 503", away.host)), "{receipt}");
    assert!(receipt.ends_with(&format!("{}: 200", there.host)), "{receipt}");

    let failed = channel(&[&away, &away]).send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Later);
}
