//! Each channel, and what its receiver checks before it takes a message.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;

use super::{
    super::{
        Channel, alertmanager, client::Client, discord, gotify, http, matrix, ntfy, opsgenie,
        pagerduty, pushover, slack, teams, telegram, twilio, webex, webhook, zulip,
    },
    address, secret,
    server::Request,
};

/// A secret in each channel; no error may hold it.
pub const SECRET: &str = "s3cr3t-t0k3n";

/// A channel and its receiver.
pub struct Receiver {
    pub name: &'static str,
    /// The channel, for a receiver at this address (without a path).
    pub channel: fn(&str, Client) -> Box<dyn Channel>,
    /// What it says when it takes a message, and what is noted of that.
    pub answer: (u16, &'static str),
    pub receipt: &'static str,
    /// Panics if it would not take the message.
    pub check: fn(&Request),
}

/// All of them.
pub const ALL: &[Receiver] = &[
    Receiver {
        name: "http",
        channel: |at, client| {
            let url = address(&format!("{at}/hooks/{SECRET}"));
            Box::new(http::Http::new(http::Settings { url }, client))
        },
        answer: (200, "ok"),
        receipt: "200",
        check: |request| {
            assert_eq!((&*request.method, &*request.target), ("POST", "/hooks/s3cr3t-t0k3n"));
            assert_eq!(request.form().len(), 1);
            let json: Value = serde_json::from_str(&request.field("Notification")).unwrap();
            for name in ["Type", "Hostname", "Message", "Date", "Summary"] {
                assert!(json[name].is_string(), "{name}");
            }
            assert!(!json["Message"].as_str().unwrap().contains('\n'));
        },
    },
    Receiver {
        name: "webhook",
        channel: |at, client| {
            let settings = webhook::Settings {
                hook_url: address(&format!("{at}/x?key={SECRET}")),
                secret: secret(SECRET),
                headers: vec![("X-Api-Key".into(), secret(SECRET))],
            };
            Box::new(webhook::Webhook::new(settings, client))
        },
        answer: (204, ""),
        receipt: "204",
        check: |request| {
            assert_eq!((&*request.method, &*request.target), ("POST", "/x?key=s3cr3t-t0k3n"));
            assert_eq!(request.header("x-api-key"), Some(SECRET));
            assert!(request.header("x-wigo-signature").unwrap().starts_with("sha256="));
            let json = request.json();
            assert!(["startup", "changed", "reminder"].map(Value::from).contains(&json["type"]));
            assert!(["healthy", "sick", "dead"].map(Value::from).contains(&json["status"]));
            assert!(json["time"].as_str().unwrap().ends_with(" UTC+00:00"));
            assert!(json["replicas"].as_array().unwrap().iter().all(Value::is_string));
            assert!(json["page"]["title"].is_string() && json["page"]["url"].is_string());
        },
    },
    Receiver {
        name: "slack",
        channel: |at, client| {
            let hook_url = address(&format!("{at}/services/T0/B0/{SECRET}"));
            let settings = slack::Settings { hook_url, mention_channel: true };
            Box::new(slack::Slack::new(settings, client))
        },
        answer: (200, "ok"),
        receipt: "200",
        check: |request| {
            assert_eq!(
                (&*request.method, &*request.target),
                ("POST", "/services/T0/B0/s3cr3t-t0k3n")
            );
            let json = request.json();
            let text = json["text"].as_str().unwrap();
            // The one mention is the one that was configured.
            assert!(!text.strip_prefix("<!channel> ").unwrap_or(text).contains('<'), "{text}");
            assert!(text.chars().count() < 4_000);
            let attachment = &json["attachments"][0];
            assert!(attachment["color"].as_str().unwrap().starts_with('#'));
            let shown = attachment["text"].as_str().unwrap();
            assert!(shown.chars().count() <= 8_000);
            for text in [text, shown, attachment["fallback"].as_str().unwrap()] {
                assert!(!text.contains("@everyone") && !text.contains("@here"), "{text}");
            }
            assert!(!shown.contains('<') && !shown.contains("&<"));
            for field in attachment["fields"].as_array().unwrap() {
                assert!(field["title"].is_string() && field["short"].is_boolean());
                let value = field["value"].as_str().unwrap();
                // Links are the only markup.
                let link = value.strip_prefix("<https://").and_then(|v| v.strip_suffix('>'));
                assert!(!link.unwrap_or_default().contains('|'), "{value}");
                assert!(!link.unwrap_or(value).contains(['<', '>']), "{value}");
            }
        },
    },
    Receiver {
        name: "discord",
        channel: |at, client| {
            let hook_url = address(&format!("{at}/api/webhooks/1/{SECRET}"));
            Box::new(discord::Discord::new(discord::Settings { hook_url }, client))
        },
        answer: (200, r#"{"id":"1199"}"#),
        receipt: "200, 1199",
        check: |request| {
            let target = "/api/webhooks/1/s3cr3t-t0k3n?wait=true";
            assert_eq!((&*request.method, &*request.target), ("POST", target));
            let json = request.json();
            let embed = &json["embeds"][0];
            let size = |value: &Value| value.as_str().map_or(0, |text| text.encode_utf16().count());
            assert!((1..=2_000).contains(&size(&json["content"])));
            assert!(size(&embed["description"]) <= 4_096);
            let fields = embed["fields"].as_array().cloned().unwrap_or_default();
            let mut all = size(&embed["description"]) + size(&embed["footer"]["text"]);
            for field in &fields {
                assert!((1..=256).contains(&size(&field["name"])));
                assert!((1..=1_024).contains(&size(&field["value"])));
                all += size(&field["name"]) + size(&field["value"]);
            }
            assert!(all <= 6_000);
            assert!(size(&embed["footer"]["text"]) <= 2_048);
            assert!(embed["color"].as_u64().unwrap() <= 0xff_ffff);
            assert!(embed["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
            assert_eq!(json["allowed_mentions"], serde_json::json!({ "parse": [] }));
            let shown = embed["description"].as_str().unwrap().replace("\\`", "");
            assert!(!shown.contains('`'), "no code is begun");
        },
    },
    Receiver {
        name: "teams",
        channel: |at, client| {
            let hook_url = address(&format!("{at}/workflows/1/triggers/manual?sig={SECRET}"));
            Box::new(teams::Teams::new(teams::Settings { hook_url }, client))
        },
        answer: (202, ""),
        receipt: "202",
        check: |request| {
            let target = "/workflows/1/triggers/manual?sig=s3cr3t-t0k3n";
            assert_eq!((&*request.method, &*request.target), ("POST", target));
            assert!(request.body.len() <= 28 * 1024, "{}", request.body.len());
            let json = request.json();
            assert_eq!(json["type"], "message");
            let attachment = &json["attachments"][0];
            assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
            let card = &attachment["content"];
            assert_eq!((&card["type"], &card["version"]), (&"AdaptiveCard".into(), &"1.4".into()));
            for block in card["body"].as_array().unwrap() {
                // A text block would read its text as Markdown.
                assert_eq!(block["type"], "RichTextBlock");
                for run in block["inlines"].as_array().unwrap() {
                    assert_eq!(run["type"], "TextRun");
                    assert!(!run["text"].as_str().unwrap().contains('\n'));
                }
            }
            for action in card["actions"].as_array().unwrap() {
                assert_eq!(action["type"], "Action.OpenUrl");
                assert!(action["url"].as_str().unwrap().starts_with("https://"));
            }
        },
    },
    Receiver {
        name: "zulip",
        channel: |at, client| {
            let settings = zulip::Settings {
                api_url: address(&format!("{at}/api/v1")),
                bot_email: "wigo-bot@example.org".into(),
                bot_api_key: secret(SECRET),
                channel: "alerts".into(),
                topic: String::new(),
            };
            Box::new(zulip::Zulip::new(settings, client))
        },
        answer: (200, r#"{"id":42,"msg":"","result":"success"}"#),
        receipt: "200, message 42",
        check: |request| {
            assert_eq!((&*request.method, &*request.target), ("POST", "/api/v1/messages"));
            basic(request, "wigo-bot@example.org");
            assert_eq!(request.field("type"), "stream");
            assert_eq!(request.field("to"), "alerts");
            let topic = request.field("topic");
            assert!((1..=60).contains(&topic.chars().count()) && !topic.contains('\n'));
            let content = request.field("content");
            assert!((1..=10_000).contains(&content.chars().count()));
            // What is not ours is inside of a fence, which is opened and closed once.
            if let Some(fence) = content.lines().find_map(|line| line.strip_suffix("text")) {
                assert!(fence.len() >= 3 && fence.chars().all(|c| c == '`'), "{fence}");
                assert_eq!(content.lines().filter(|line| line.starts_with(fence)).count(), 2);
            }
        },
    },
    Receiver {
        name: "telegram",
        channel: |at, client| {
            let settings = telegram::Settings {
                bot_token: secret("12:s3cr3t-t0k3n"),
                chat_id: "-100200300".into(),
                message_thread_id: Some(5),
                api_url: address(at),
            };
            Box::new(telegram::Telegram::new(settings, client))
        },
        answer: (200, r#"{"ok":true,"result":{"message_id":77}}"#),
        receipt: "200, message 77",
        check: |request| {
            let target = "/bot12:s3cr3t-t0k3n/sendMessage";
            assert_eq!((&*request.method, &*request.target), ("POST", target));
            let json = request.json();
            assert_eq!(json["chat_id"], -100_200_300);
            assert_eq!(json["message_thread_id"], 5);
            let text = json["text"].as_str().unwrap();
            assert!((1..=4_096).contains(&text.encode_utf16().count()));
            assert!(json.get("parse_mode").is_none(), "no markup, so none to escape");
            let bold = &json["entities"][0];
            assert_eq!((&bold["type"], &bold["offset"]), (&"bold".into(), &0.into()));
            let title = text.lines().next().unwrap();
            assert_eq!(bold["length"], title.encode_utf16().count());
        },
    },
    Receiver {
        name: "pushover",
        channel: |at, client| {
            let settings = pushover::Settings {
                app_token: secret(SECRET),
                user_keys: vec![secret("us3r-k3y-s3cr3t-t0k3n")],
                api_url: address(at),
            };
            Box::new(pushover::Pushover::new(settings, client))
        },
        answer: (200, r#"{"status":1,"request":"647d2300"}"#),
        receipt: "200, 647d2300",
        check: |request| {
            assert_eq!((&*request.method, &*request.target), ("POST", "/1/messages.json"));
            assert_eq!(request.field("token"), SECRET);
            assert_eq!(request.field("user"), "us3r-k3y-s3cr3t-t0k3n");
            assert!((1..=250).contains(&request.field("title").chars().count()));
            assert!((1..=1_024).contains(&request.field("message").chars().count()));
            assert!(["0", "1"].contains(&&*request.field("priority")));
            assert!(request.field("timestamp").parse::<i64>().is_ok());
            assert!(!request.form().iter().any(|(name, _)| name == "html"));
        },
    },
    Receiver {
        name: "gotify",
        channel: |at, client| {
            let app_url = address(&format!("{at}/gotify"));
            let settings = gotify::Settings { app_url, app_token: secret(SECRET) };
            Box::new(gotify::Gotify::new(settings, client))
        },
        answer: (200, r#"{"id":25,"appid":5}"#),
        receipt: "200, message 25",
        check: |request| {
            assert_eq!((&*request.method, &*request.target), ("POST", "/gotify/message"));
            assert_eq!(request.header("x-gotify-key"), Some(SECRET));
            let json = request.json();
            assert!(json["title"].is_string());
            assert!(!json["message"].as_str().unwrap().is_empty());
            assert!(json["priority"].as_u64().unwrap() <= 10);
            assert_eq!(json["extras"]["client::display"]["contentType"], "text/plain");
        },
    },
    Receiver {
        name: "matrix",
        channel: |at, client| {
            let settings = matrix::Settings {
                homeserver_url: address(at),
                access_token: secret(SECRET),
                room_id: "!room/1:example.org".into(),
            };
            Box::new(matrix::Matrix::new(settings, client))
        },
        answer: (200, r#"{"event_id":"$abc"}"#),
        receipt: "200, $abc",
        check: |request| {
            let (path, transaction) = request.target.rsplit_once('/').unwrap();
            let room = "/_matrix/client/v3/rooms/!room%2F1:example.org/send/m.room.message";
            assert_eq!((&*request.method, path), ("PUT", room));
            assert!(transaction.starts_with("12345678-9abc-def0-1234-56789abcdef0:7:chat"));
            assert_eq!(request.header("authorization"), Some("Bearer s3cr3t-t0k3n"));
            assert!(request.body.len() < 65_000, "{}", request.body.len());
            let json = request.json();
            assert_eq!(json["msgtype"], "m.text");
            assert!(!json["body"].as_str().unwrap().is_empty());
            assert_eq!(json["format"], "org.matrix.custom.html");
            let html = json["formatted_body"].as_str().unwrap();
            let html = ["<strong>", "</strong>", "<br>"]
                .into_iter()
                .fold(html.to_owned(), |html, tag| html.replace(tag, ""));
            assert!(!html.contains(['<', '>']), "{html}");
            assert_eq!(json["m.mentions"], serde_json::json!({}));
        },
    },
    Receiver {
        name: "webex",
        channel: |at, client| {
            let settings = webex::Settings {
                endpoint_url: address(&format!("{at}/v1/messages")),
                token: secret(SECRET),
                room_id: "Y2lz".into(),
            };
            Box::new(webex::Webex::new(settings, client))
        },
        answer: (200, r#"{"id":"Y2lzY29"}"#),
        receipt: "200, Y2lzY29",
        check: |request| {
            assert_eq!((&*request.method, &*request.target), ("POST", "/v1/messages"));
            assert_eq!(request.header("authorization"), Some("Bearer s3cr3t-t0k3n"));
            let json = request.json();
            assert_eq!(json["roomId"], "Y2lz");
            assert!((1..=7_439).contains(&json["text"].as_str().unwrap().len()));
            assert!(json.get("markdown").is_none());
        },
    },
    Receiver {
        name: "twilio",
        channel: |at, client| {
            let settings = twilio::Settings {
                to: vec!["+33600000001".into()],
                service_sid: "MG1".into(),
                account_sid: "AC1".into(),
                auth_token: secret(SECRET),
                api_url: address(at),
            };
            Box::new(twilio::Twilio::new(settings, client))
        },
        answer: (201, r#"{"sid":"SM123","status":"accepted"}"#),
        receipt: "201, SM123",
        check: |request| {
            let target = "/2010-04-01/Accounts/AC1/Messages.json";
            assert_eq!((&*request.method, &*request.target), ("POST", target));
            basic(request, "AC1");
            assert_eq!(request.field("MessagingServiceSid"), "MG1");
            assert_eq!(request.field("To"), "+33600000001");
            assert!((1..=1_600).contains(&request.field("Body").encode_utf16().count()));
        },
    },
    Receiver {
        name: "ntfy",
        channel: |at, client| {
            let settings = ntfy::Settings {
                server_url: address(at),
                topic: secret("t0pic-s3cr3t-t0k3n"),
                token: secret(SECRET),
                login: String::new(),
                password: secret(""),
            };
            Box::new(ntfy::Ntfy::new(settings, client))
        },
        answer: (200, r#"{"id":"hwQ2YpKdmg","event":"message"}"#),
        receipt: "200, hwQ2YpKdmg",
        check: |request| {
            assert_eq!((&*request.method, &*request.target), ("POST", "/"));
            assert_eq!(request.header("authorization"), Some("Bearer s3cr3t-t0k3n"));
            let json = request.json();
            assert_eq!(json["topic"], "t0pic-s3cr3t-t0k3n");
            assert!((1..=4_096).contains(&json["message"].as_str().unwrap().len()));
            assert!(json["title"].as_str().unwrap().len() <= 250);
            assert!((1..=5).contains(&json["priority"].as_u64().unwrap()));
        },
    },
    Receiver {
        name: "pagerduty",
        channel: |at, client| {
            let settings =
                pagerduty::Settings { routing_key: secret(SECRET), api_url: address(at) };
            Box::new(pagerduty::PagerDuty::new(settings, client))
        },
        answer: (202, r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#),
        receipt: "202, k",
        check: |request| {
            assert_eq!((&*request.method, &*request.target), ("POST", "/v2/enqueue"));
            assert!(request.body.len() <= 512 * 1024);
            let json = request.json();
            assert_eq!(json["routing_key"], SECRET);
            assert!(["trigger", "resolve"].map(Value::from).contains(&json["event_action"]));
            assert!((1..=255).contains(&json["dedup_key"].as_str().unwrap().len()));
            let payload = &json["payload"];
            assert!((1..=1_024).contains(&payload["summary"].as_str().unwrap().chars().count()));
            assert!(!payload["source"].as_str().unwrap().is_empty());
            let severities = ["critical", "error", "warning", "info"].map(Value::from);
            assert!(severities.contains(&payload["severity"]));
            assert!(payload["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
            assert!(payload["custom_details"].is_object());
        },
    },
    Receiver {
        name: "opsgenie",
        channel: |at, client| {
            let settings = opsgenie::Settings { api_key: secret(SECRET), api_url: address(at) };
            Box::new(opsgenie::Opsgenie::new(settings, client))
        },
        answer: (202, r#"{"result":"Request will be processed","requestId":"43a29c5c"}"#),
        receipt: "202, 43a29c5c",
        check: |request| {
            assert_eq!((&*request.method, &*request.target), ("POST", "/v2/alerts"));
            assert_eq!(request.header("authorization"), Some("GenieKey s3cr3t-t0k3n"));
            let json = request.json();
            let chars = |value: &Value| value.as_str().unwrap().chars().count();
            assert!((1..=130).contains(&chars(&json["message"])));
            assert!((1..=512).contains(&chars(&json["alias"])));
            assert!(chars(&json["description"]) <= 15_000);
            assert!(chars(&json["entity"]) <= 512);
            assert!(chars(&json["source"]) <= 100);
            assert!(["P1", "P2", "P3", "P4", "P5"].map(Value::from).contains(&json["priority"]));
            let tags = json["tags"].as_array().unwrap();
            assert!(tags.len() <= 20 && tags.iter().all(|tag| chars(tag) <= 50));
            let details = json["details"].as_object().unwrap();
            let size: usize = details.iter().map(|(name, value)| name.len() + chars(value)).sum();
            assert!(size <= 8_000);
        },
    },
    Receiver {
        name: "alertmanager",
        channel: |at, client| {
            let settings = alertmanager::Settings {
                urls: vec![address(&format!("{at}/am/"))],
                login: "wigo".into(),
                password: secret(SECRET),
                token: secret(""),
                labels: [("team".to_owned(), "ops".to_owned())].into(),
                ends_after: alertmanager::ENDS_AFTER,
            };
            Box::new(alertmanager::Alertmanager::new(settings, client))
        },
        answer: (200, ""),
        receipt: "200",
        check: |request| {
            assert_eq!((&*request.method, &*request.target), ("POST", "/am/api/v2/alerts"));
            basic(request, "wigo");
            let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            for alert in request.json().as_array().unwrap() {
                let labels = alert["labels"].as_object().unwrap();
                for (name, value) in labels {
                    assert!(!name.starts_with(|c: char| c.is_ascii_digit()), "{name}");
                    assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{name}");
                    assert!(!value.as_str().unwrap().is_empty(), "{name}");
                }
                for name in ["alertname", "host", "severity"] {
                    assert!(labels.contains_key(name), "{name}");
                }
                assert!(alert["annotations"].as_object().unwrap().values().all(Value::is_string));
                if let Some(starts) = alert.get("startsAt") {
                    assert!(time(starts) <= time(&alert["endsAt"]));
                }
                if let Some(url) = alert.get("generatorURL") {
                    assert!(reqwest::Url::parse(url.as_str().unwrap()).is_ok());
                }
            }
        },
    },
];

fn basic(request: &Request, login: &str) {
    let both = BASE64.encode(format!("{login}:{SECRET}"));
    assert_eq!(request.header("authorization"), Some(&*format!("Basic {both}")));
}
