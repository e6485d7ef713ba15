//! What each receiver is told, where it is more than a text.

use ring::hmac;
use serde_json::{Value, json};

use super::{
    super::Delivery,
    client, delivery, receivers, recovery, secret,
    server::{Reply, Request, Server},
};
use crate::{
    notify::{Kind, Priority, Subject},
    status::Status,
};

/// What one channel sends for these, one after the other.
async fn sent(name: &str, deliveries: &[Delivery]) -> Vec<Request> {
    let receiver = receivers::ALL.iter().find(|receiver| receiver.name == name).unwrap();
    let (status, body) = receiver.answer;
    let server = Server::start(move |_| Reply::json(status, body)).await;
    let channel = (receiver.channel)(&server.url(""), client());
    for delivery in deliveries {
        channel.send(delivery).await.unwrap();
    }
    server.requests().into_iter().filter(|request| request.method != "GET").collect()
}

async fn json_of(name: &str, deliveries: &[Delivery]) -> Vec<Value> {
    sent(name, deliveries).await.iter().map(Request::json).collect()
}

async fn notification(delivery: Delivery) -> (String, Value) {
    let text = sent("http", &[delivery]).await[0].field("Notification");
    let json = serde_json::from_str(&text).unwrap();
    (text, json)
}

#[tokio::test]
async fn the_original_gets_its_fields_in_its_order() {
    let mut delivery = delivery();
    delivery.message.was = Some(Status::WARN);
    delivery.message.result = Some(r#"{"Name":"disk","Status":300,"Value":95.50}"#.into());
    let (text, json) = notification(delivery).await;
    assert_eq!(json["Type"], "Probe");
    assert_eq!(json["Hostname"], "db1");
    assert_eq!(json["Message"], "Probe disk status changed from 200 to 300 on host db1");
    assert!(json["Date"].as_str().unwrap().contains("T03:04:05.25 (") || json["Date"] != "");
    let summary = json["Summary"].as_str().unwrap();
    assert!(summary.contains("\tOld Status : 200\n\tNew Status : 300\n"), "{summary}");
    assert!(summary.ends_with("Since 03:03\n95 % used\n"), "{summary}");
    assert_eq!(
        (&json["OldProbe"]["Name"], &json["OldProbe"]["Status"]),
        (&json!("disk"), &json!(200))
    );
    // A result is handed on as it is.
    assert!(text.contains(r#""NewProbe":{"Name":"disk","Status":300,"Value":95.50}"#), "{text}");
    assert_eq!(json["HostProbesInError"], json!(["disk"]));
    let order = [
        "Type",
        "Hostname",
        "Message",
        "Date",
        "Summary",
        "OldProbe",
        "NewProbe",
        "HostProbesInError",
        "Key",
    ];
    let places: Vec<_> = order
        .map(|name| text.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name}")))
        .into();
    assert!(places.is_sorted(), "{text}");
}

#[tokio::test]
async fn the_original_hears_of_hosts_in_its_words() {
    let mut down = delivery();
    down.message.subject = Subject::host("db1");
    down.message.status = Status::DOWN;
    let mut up = recovery();
    up.message.subject = Subject::host("db1");
    for (delivery, message) in [(down, "Host db1 DOWN"), (up, "Host db1 UP")] {
        let (text, json) = notification(delivery).await;
        assert_eq!((&json["Type"], &json["Message"]), (&json!(""), &json!(message)));
        assert!(!text.contains("OldProbe"));
    }
    let mut notice = delivery();
    (notice.message.kind, notice.title) = (Kind::Notice, "New client web3".into());
    let (_, json) = notification(notice).await;
    assert_eq!((&json["Type"], &json["Message"]), (&json!(""), &json!("New client web3")));
}

#[tokio::test]
async fn the_webhook_says_what_vigils_does() {
    let mut reminder = delivery();
    reminder.message.kind = Kind::Reminder;
    let requests = sent("webhook", &[delivery(), reminder, recovery()]).await;
    let json: Vec<Value> = requests.iter().map(Request::json).collect();
    assert_eq!(json[0]["type"], "changed");
    assert_eq!(json[0]["status"], "dead");
    assert_eq!(json[0]["time"], "03:04:05 UTC+00:00");
    assert_eq!(json[0]["replicas"], json!(["databases:db1:disk", "databases:db2:load"]));
    assert_eq!(json[0]["page"]["title"], "master1");
    assert_eq!(json[1]["type"], "reminder");
    assert_eq!((&json[2]["status"], &json[2]["replicas"]), (&json!("healthy"), &json!([])));
    // All say which incident it is, and each message which message.
    assert_eq!(json[0]["incident"], json[2]["incident"]);
    assert_ne!(json[0]["key"], json[2]["key"]);

    // Whoever has the secret can tell that it is from us.
    let signature = requests[0].header("x-wigo-signature").unwrap();
    let hex = signature.strip_prefix("sha256=").unwrap();
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|n| u8::from_str_radix(&hex[n..n + 2], 16).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret(receivers::SECRET).expose().as_bytes());
    hmac::verify(&key, &requests[0].body, &bytes).unwrap();
}

#[tokio::test]
async fn a_channel_is_called_together_when_something_breaks_and_not_when_it_is_over() {
    let json = json_of("slack", &[delivery(), recovery()]).await;
    assert_eq!(json[0]["text"], "<!channel> 🔴 db1 / disk is CRIT: 95 % used");
    assert_eq!(json[1]["text"], "✅ db1 / disk is OK again after 57 min");
}

#[tokio::test]
async fn an_incident_is_one_thread() {
    let json = json_of("telegram", &[delivery(), recovery()]).await;
    assert!(json[0].get("reply_parameters").is_none());
    assert_eq!(json[1]["reply_parameters"]["message_id"], 77);

    let json = json_of("matrix", &[delivery(), recovery()]).await;
    assert!(json[0].get("m.relates_to").is_none());
    let relation = &json[1]["m.relates_to"];
    assert_eq!(
        (&relation["rel_type"], &relation["event_id"]),
        (&json!("m.thread"), &json!("$abc"))
    );

    let json = json_of("webex", &[delivery(), recovery()]).await;
    assert_eq!((json[0].get("parentId"), &json[1]["parentId"]), (None, &json!("Y2lzY29")));

    // Also when a later message is about another of its hosts.
    let mut other = recovery();
    other.message.subject = Subject::host("db2");
    let topics = sent("zulip", &[delivery(), other]).await;
    let topics: Vec<_> = topics.iter().map(|request| request.field("topic")).collect();
    assert_eq!(topics, ["db1 / disk (12345678)", "db1 / disk (12345678)"]);
}

#[tokio::test]
async fn an_incident_is_one_alert_that_ends() {
    let incident = json!(delivery().message.incident);
    let json = json_of("pagerduty", &[delivery(), recovery()]).await;
    for (event, action) in json.iter().zip(["trigger", "resolve"]) {
        assert_eq!((&event["event_action"], &event["dedup_key"]), (&json!(action), &incident));
    }

    let requests = sent("opsgenie", &[delivery(), recovery()]).await;
    assert_eq!(requests[0].json()["alias"], incident);
    let close = format!("/v2/alerts/{}/close?identifierType=alias", incident.as_str().unwrap());
    assert_eq!((&*requests[1].method, &requests[1].target), ("POST", &close));
}

#[tokio::test]
async fn what_flaps_is_not_over() {
    let mut flapping = delivery();
    (flapping.message.kind, flapping.message.status) = (Kind::Flapping, Status::OK);
    let mut calm = flapping.clone();
    calm.message.kind = Kind::Calm;
    let json = json_of("pagerduty", &[flapping, calm]).await;
    assert_eq!(
        (&json[0]["event_action"], &json[1]["event_action"]),
        (&json!("trigger"), &json!("resolve"))
    );
}

#[tokio::test]
async fn an_alert_ends_with_the_labels_it_began_with() {
    let mut problem = delivery();
    (problem.message.status, problem.message.worst) = (Status::WARN, Status::WARN);
    let mut worse = delivery();
    (worse.message.kind, worse.message.was) = (Kind::Worsened, Some(Status::WARN));
    let json = json_of("alertmanager", &[problem, worse, recovery()]).await;
    let labels = |severity| {
        json!({
            "alertname": "disk", "host": "db1", "probe": "disk", "group": "databases",
            "severity": severity, "incident": delivery().message.incident, "env": "prod",
            "team": "ops",
        })
    };
    // A problem, for as long as it is not repeated.
    assert_eq!(json[0][0]["labels"], labels("warning"));
    assert_eq!(json[0][0]["startsAt"], "2026-01-02T03:03:00Z");
    assert_eq!(json[0][0]["endsAt"], "2026-01-03T03:04:05.25Z");
    assert_eq!(json[0][0]["annotations"]["runbook_url"], "https://wiki.example.org/disk_full");
    // It got worse: another alert, and the one before ends.
    let worse = json[1].as_array().unwrap();
    assert_eq!(
        (&worse[0]["labels"], &worse[1]["labels"]),
        (&labels("critical"), &labels("warning"))
    );
    assert_eq!(worse[1]["endsAt"], "2026-01-02T03:04:05.25Z");
    assert!(worse[1].get("startsAt").is_none());
    // It is over.
    let over = json[2].as_array().unwrap();
    assert_eq!(over.len(), 1);
    assert_eq!(
        (&over[0]["labels"], &over[0]["endsAt"]),
        (&labels("critical"), &json!("2026-01-02T04:00:00Z"))
    );
}

#[tokio::test]
async fn an_alert_keeps_the_labels_that_alertmanager_has() {
    let asked = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let asks = asked.clone();
    let server = Server::start(move |request| {
        if request.method == "GET" {
            *asks.lock().unwrap() = request.target.clone();
            let alert = |host, severity, at| {
                json!({
                    "labels": { "alertname": "disk", "host": host, "severity": severity },
                    "startsAt": at, "endsAt": at, "fingerprint": "f", "receivers": [],
                })
            };
            let alerts = json!([
                alert("db3", "warning", "2026-01-02T03:00:00.000Z"),
                alert("db1", "warning", "2026-01-02T02:00:00.000Z"),
            ]);
            return Reply::json(200, &alerts.to_string());
        }
        Reply::status(200)
    })
    .await;
    let receiver = receivers::ALL.iter().find(|one| one.name == "alertmanager").unwrap();
    let channel = (receiver.channel)(&server.url(""), client());
    let told = async |delivery: Delivery| {
        channel.send(&delivery).await.unwrap();
        let alerts = server.requests().last().unwrap().json();
        let short = |alert: &Value| {
            let labels = &alert["labels"];
            let over = alert.get("startsAt").is_none();
            format!(
                "{} {} {over}",
                labels["host"].as_str().unwrap(),
                labels["severity"].as_str().unwrap()
            )
        };
        alerts.as_array().unwrap().iter().map(short).collect::<Vec<_>>()
    };

    // A message about another member, which is worse.
    let mut joined = delivery();
    (joined.message.kind, joined.message.subject) = (Kind::Joined, Subject::host("db2"));
    assert_eq!(told(joined).await, ["db1 critical false", "db1 warning true", "db3 warning true"]);
    let filter = "filter=incident%3D%2212345678-9abc-def0-1234-56789abcdef0%22";
    assert_eq!(*asked.lock().unwrap(), format!("/am/api/v2/alerts?{filter}"));
    assert_eq!(told(recovery()).await, ["db1 warning true", "db3 warning true"]);
}

#[tokio::test]
async fn who_may_only_write_to_alertmanager_is_served_too() {
    let server = Server::start(|request| match &*request.method {
        "GET" => Reply::status(403),
        _ => Reply::status(200),
    })
    .await;
    let receiver = receivers::ALL.iter().find(|one| one.name == "alertmanager").unwrap();
    (receiver.channel)(&server.url(""), client()).send(&recovery()).await.unwrap();
    let alerts = server.requests()[1].json();
    assert_eq!(alerts[0]["labels"]["severity"], "critical");
}

#[tokio::test]
async fn a_thread_whose_first_message_was_deleted_begins_anew() {
    let server = Server::start(|request| match request.json().get("parentId") {
        Some(_) => Reply::json(404, r#"{"message":"Unable to get parent"}"#),
        None => Reply::json(200, r#"{"id":"m1"}"#),
    })
    .await;
    let webex = receivers::ALL.iter().find(|one| one.name == "webex").unwrap();
    let channel = (webex.channel)(&server.url(""), client());
    channel.send(&delivery()).await.unwrap();
    channel.send(&recovery()).await.unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn labels_of_a_host_cannot_pretend_to_be_ours() {
    let mut delivery = delivery();
    let own = [("severity", "none"), ("host", "other"), ("1-ä", "x"), ("empty", "")];
    delivery.message.labels = own.map(|(name, value)| (name.into(), value.into())).into();
    let json = json_of("alertmanager", &[delivery]).await;
    let labels = &json[0][0]["labels"];
    assert_eq!(
        (&labels["severity"], &labels["label_severity"]),
        (&json!("critical"), &json!("none"))
    );
    assert_eq!((&labels["host"], &labels["label_host"]), (&json!("db1"), &json!("other")));
    assert_eq!((&labels["_1__"], labels.get("empty")), (&json!("x"), None));
}

#[tokio::test]
async fn what_is_urgent_is_sent_as_such() {
    let mut high = delivery();
    high.message.priority = Priority::High;
    let both = [delivery(), high];
    let field = |json: Vec<Value>| {
        json.into_iter().map(|json| json["priority"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(field(json_of("gotify", &both).await), [8, 10]);
    assert_eq!(field(json_of("ntfy", &both).await), [4, 5]);
    assert_eq!(field(json_of("opsgenie", &both).await), ["P2", "P1"]);
    let pushed = sent("pushover", &both).await;
    assert_eq!(pushed.iter().map(|r| r.field("priority")).collect::<Vec<_>>(), ["0", "1"]);
}

#[tokio::test]
async fn teams_may_say_no_with_a_yes() {
    let server = Server::start(|_| {
        Reply::json(200, "Webhook message delivery failed with error: HTTP error 429")
    })
    .await;
    let teams = receivers::ALL.iter().find(|receiver| receiver.name == "teams").unwrap();
    let failed = (teams.channel)(&server.url(""), client()).send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, super::super::Retry::Later);
}
