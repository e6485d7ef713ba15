//! Matrix: messages in a room, one thread for each incident.

use serde_json::{Value, json};

use super::{
    Channel, Delivery, Failed, Receipt, Sending,
    address::Address,
    client::Client,
    kinds::Configured,
    look,
    memory::Threads,
    reading,
    text::{self, Unit},
};
use crate::config::{Secret, Section};

/// What is sent of a title and a body, in bytes, and of the latter as HTML. An event may have 65,536 bytes
/// with all that JSON and HTML put before some characters.
const MAX_TITLE_BYTES: usize = 1_000;
const MAX_BODY_BYTES: usize = 8_000;
const MAX_HTML_BYTES: usize = 20_000;

/// The keys of `Type = "matrix"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `HomeserverUrl`: such as `https://matrix.example.org`.
    pub homeserver_url: Address,
    /// `AccessToken`
    pub access_token: Secret,
    /// `RoomId`: `!….…:server`, not an alias; the user of the token has joined it.
    pub room_id: String,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        Settings {
            homeserver_url: reading::address(entry, "HomeserverUrl"),
            access_token: entry.needed_secret("AccessToken"),
            room_id: entry.needed("RoomId"),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Matrix {
    settings: Settings,
    client: Client,
    threads: Threads,
}

impl Matrix {
    pub fn new(settings: Settings, client: Client) -> Matrix {
        Matrix { settings, client, threads: Threads::default() }
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let Settings { homeserver_url, access_token, room_id } = &self.settings;
        let key = &delivery.message.key;
        // Who gets the same transaction twice answers with the event of the first time.
        let send = ["_matrix", "client", "v3", "rooms", room_id, "send", "m.room.message", key];
        let call = self.client.put(homeserver_url, &send).bearer(access_token);
        let answer = call.json(&self.event(delivery)).send(delivery).await?;
        let event = answer.json();
        if let Some(id) = event["event_id"].as_str() {
            self.threads.begin(&delivery.message.thread, id);
        }
        Ok(answer.receipt(event["event_id"].as_str()))
    }

    fn event(&self, delivery: &Delivery) -> Value {
        let title = format!("{} {}", look::symbol(&delivery.message), text::title(delivery));
        let title = text::cut(&title, MAX_TITLE_BYTES, Unit::Bytes);
        let body = text::cut(&text::body(delivery), MAX_BODY_BYTES, Unit::Bytes);
        let html = |text, limit| text::escaped(text, limit, Unit::Bytes, html);
        let mut event = json!({
            // Not `m.notice`, for which apps make no sound.
            "msgtype": "m.text",
            "body": format!("{title}\n{body}").trim_end(),
            "format": "org.matrix.custom.html",
            "formatted_body": format!(
                "<strong>{}</strong><br>{}",
                html(&title, MAX_HTML_BYTES), html(&body, MAX_HTML_BYTES)
            ),
            // Whatever the text says, nobody is called.
            "m.mentions": {},
        });
        if let Some(root) = self.threads.root(&delivery.message.thread) {
            event["m.relates_to"] = json!({
                "rel_type": "m.thread", "event_id": root,
                "is_falling_back": true, "m.in_reply_to": { "event_id": root },
            });
        }
        event
    }
}

impl Channel for Matrix {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

fn html(c: char) -> Option<&'static str> {
    match c {
        '\n' => Some("<br>"),
        _ => text::html(c),
    }
}
