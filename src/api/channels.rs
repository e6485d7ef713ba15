//! Channels over HTTP: how they are doing, and a try of one.

use std::time::Duration;

use axum::{extract::State, http::HeaderMap, response::Response};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Routes,
    notified::{Shared, answered, may_write, not_done},
    openapi::Refusal,
    reply::{self, Segments},
};
use crate::notify::{ChannelHealth, NotifyError};

/// How long the receiver of a test has.
const TEST_LIMIT: Duration = Duration::from_secs(15);

pub fn reads() -> Routes {
    OpenApiRouter::new().routes(routes!(list))
}

pub fn changes() -> Routes {
    OpenApiRouter::new().routes(routes!(test))
}

/// Every channel.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Channels {
    /// In the order of the configuration.
    channels: Vec<ChannelRow>,
}

/// A way of telling people, and how it is doing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Channel)]
struct ChannelRow {
    name: String,
    /// Such as `slack`.
    r#type: String,
    /// `ok`, `failing` (the last attempt failed) or `unused` (nothing was tried yet).
    health: &'static str,
    /// Messages that are to be delivered.
    waiting: u64,
    /// Messages that were given up.
    dead: u64,
    /// Unix seconds: when it took a message last; null: never.
    delivered: Option<i64>,
    /// Unix seconds: when it failed last; null: never.
    failed: Option<i64>,
    /// Why it failed last; empty once it works again.
    error: String,
    /// It is told only what lasts.
    escalation: bool,
    /// It is told nothing but reminders.
    reminders_only: bool,
    /// The channel that gets what this one cannot deliver; null: none.
    fallback: Option<String>,
    /// Whom it is for, in words.
    r#for: String,
}

impl ChannelRow {
    fn new(of: ChannelHealth) -> ChannelRow {
        ChannelRow {
            name: of.name,
            r#type: of.kind,
            health: of.health.word(),
            waiting: of.waiting,
            dead: of.dead,
            delivered: of.delivered.map(Timestamp::as_second),
            failed: of.failed.map(Timestamp::as_second),
            error: of.error,
            escalation: of.escalation,
            reminders_only: of.reminders_only,
            fallback: of.fallback,
            r#for: of.whom,
        }
    }
}

/// The ways of telling people, and how they are doing
#[utoipa::path(
    get, path = "/api/channels", operation_id = "channels", tag = "incidents",
    responses((status = 200, description = "all, in the order of the configuration", body = Channels)),
)]
async fn list(State(api): Shared, headers: HeaderMap) -> Response {
    let channels = api.notifier.channels().into_iter().map(ChannelRow::new).collect();
    reply::json(&headers, &Channels { channels })
}

/// What the receiver of a test said.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct ChannelTest {
    answer: String,
    /// How long it took.
    milliseconds: u64,
}

/// Sends a test over a channel and waits for the answer
#[utoipa::path(
    post, path = "/api/channels/{name}/test", operation_id = "test_channel", tag = "incidents",
    params(("name" = String, Path, description = "a channel by its name")),
    responses(
        (status = 200, description = "the receiver has taken it", body = ChannelTest),
        (status = 404, description = "there is no such channel", body = Refusal),
        (status = 502, description = "the receiver has not taken it, and why", body = Refusal),
    ),
)]
async fn test(State(api): Shared, Segments(name): Segments<String>) -> Response {
    if let Err(refused) = may_write(&api) {
        return *refused;
    }
    let tried = tokio::time::timeout(TEST_LIMIT, api.notifier.test(&name)).await;
    let tried = tried.unwrap_or(Err(NotifyError::TooSlow(TEST_LIMIT)));
    answered(match tried {
        Ok((receipt, took)) => {
            let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let answer = ChannelTest { answer: receipt.0, milliseconds };
            Ok(reply::json(&HeaderMap::new(), &answer))
        }
        Err(error) => Err(not_done(&error)),
    })
}
