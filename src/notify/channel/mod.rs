//! The ways of telling people: one file each. To add one: a file, its `pub mod` here, and a line in
//! `kinds.rs`.

pub mod address;
mod alert;
pub mod alertmanager;
mod answer;
pub mod apprise;
pub mod client;
pub mod discord;
pub mod email;
pub mod exec;
pub mod gotify;
pub mod http;
mod kinds;
mod look;
pub mod matrix;
mod memory;
pub mod ntfy;
pub mod opsgenie;
pub mod pagerduty;
mod program;
pub mod pushover;
mod reading;
pub mod slack;
pub mod teams;
pub mod telegram;
#[cfg(test)]
mod tests;
mod text;
pub mod twilio;
pub mod webex;
pub mod webhook;
pub mod xmpp;
pub mod zulip;

use std::{fmt, future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;

use super::Message;
pub use kinds::{Clients, KINDS, Kind, Settings};

/// One way of telling people.
pub trait Channel: Send + Sync + 'static {
    /// Delivers a message, or says why not. Whoever calls sets the time limit and tries again.
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a>;
}

/// A delivery that is under way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Receipt, Failed>> + Send + 'a>>;

/// One attempt to deliver a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub message: Message,
    /// The first is 1.
    pub attempt: u32,
    /// How long after it was decided; `None` if that is not worth a word (below a minute).
    pub late: Option<Duration>,
    /// Title and body from the templates of the channel, plain text.
    pub title: String,
    pub body: String,
    /// When this attempt is made.
    pub now: Timestamp,
}

/// What a receiver answered, in a few words for the trace: `200`, `250 2.0.0 queued as …`. No secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(pub String);

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// A sentence without secrets and addresses that may hold some.
    pub why: String,
    pub retry: Retry,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not as it is: 4xx but 408, 409, 425, 429.
    Never,
    Later,
    /// The receiver said when.
    After(Duration),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
