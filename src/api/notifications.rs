//! Messages over HTTP: what was said over which channel, and what came of it.

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    Api, Routes,
    audit::Audited,
    notified::{
        Refused, Shared, answered, ask, host_name, limit, may_write, missing, nonsense, not_done,
        time,
    },
    openapi::{
        Refusal,
        parameters::{MessageStateWord, Number, Time},
    },
    order::QueryPairs,
    reply::{self, Segments},
    summary::number,
    views,
};
use crate::store::{DeliveryState, NotificationQuery};

pub fn reads() -> Routes {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

pub fn changes() -> Routes {
    OpenApiRouter::new().routes(routes!(resend))
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Notifications {
    /// The newest first.
    notifications: Vec<views::Notification>,
    /// There are more after these.
    more: bool,
}

/// Messages, the newest first
#[utoipa::path(
    get, path = "/api/notifications", operation_id = "notifications", tag = "incidents",
    params(
        ("host" = Option<String>, Query, description = "about this host: its name or uuid"),
        ("probe" = Option<String>, Query, description = "about this probe"),
        ("incident" = Option<Uuid>, Query, description = "of this incident"),
        ("channel" = Option<String>, Query, description = "over this channel"),
        ("state" = inline(Option<MessageStateWord>), Query, description = "waiting, sent, dead or expired"),
        ("since" = inline(Option<Time>), Query, description = "not decided before this time"),
        ("before" = inline(Option<Number>), Query, description = "only with a lower id: the next page"),
        ("limit" = inline(Option<Number>), Query, description = "how many, 100 if not given, 500 at most"),
    ),
    responses(
        (status = 200, description = "a page", body = Notifications),
        (status = 400, description = "a parameter cannot be understood", body = Refusal),
        (status = 503, description = "the database cannot be read", body = Refusal),
    ),
)]
async fn list(State(api): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = QueryPairs::of(query.as_deref().unwrap_or_default());
    answered(page(&api, &query).await.map(|page| reply::json(&headers, &page)))
}

async fn page(api: &Api, query: &QueryPairs) -> Refused<Notifications> {
    let wanted = wanted(api, query)?;
    let found = ask(api, move |store| store.notifications(&wanted)).await?;
    let notifications = found.items.iter().map(views::Notification::new).collect();
    Ok(Notifications { notifications, more: found.more })
}

fn wanted(api: &Api, query: &QueryPairs) -> Refused<NotificationQuery> {
    let incident = query.get("incident").map(Uuid::try_parse).transpose();
    let state = query.get("state").map(|word| {
        let why = "`state` is `waiting`, `sent`, `dead` or `expired`";
        DeliveryState::parse(word).ok_or_else(|| nonsense(why))
    });
    let before = query.get("before").map(|before| number("before", before)).transpose();
    let before = before.map_err(nonsense)?;
    Ok(NotificationQuery {
        host: query.get("host").map(|host| host_name(api, host)),
        probe: query.get("probe").map(str::to_owned),
        incident: incident.map_err(|_| nonsense("`incident` is not the Id of an incident"))?,
        channel: query.get("channel").map(str::to_owned),
        state: state.transpose()?,
        since: time(query, "since")?,
        before: before.map(|before| i64::try_from(before).unwrap_or(i64::MAX)),
        limit: limit(query)?,
    })
}

/// One message, as it was sent, with every attempt
#[utoipa::path(
    get, path = "/api/notifications/{id}", operation_id = "notification", tag = "incidents",
    params(("id" = i64, Path, description = "the number of a message")),
    responses(
        (status = 200, description = "the message", body = views::WholeNotification),
        (status = 404, description = "there is no such message", body = Refusal),
        (status = 503, description = "the database cannot be read", body = Refusal),
    ),
)]
async fn one(State(api): Shared, Segments(id): Segments<String>, headers: HeaderMap) -> Response {
    answered(whole(&api, &id).await.map(|message| reply::json(&headers, &message)))
}

async fn whole(api: &Api, id: &str) -> Refused<views::WholeNotification> {
    let id = id_of(id)?;
    let found = ask(api, move |store| {
        let Some(message) = store.notification(id)? else { return Ok(None) };
        let text = store.message(id)?.map(|(_, text)| text).unwrap_or_default();
        Ok(Some(views::WholeNotification::new(&message, text, &store.tries(id)?)))
    });
    found.await?.ok_or_else(|| missing(format!("there is no message {id}")))
}

fn id_of(text: &str) -> Refused<i64> {
    text.parse().map_err(|_| missing("there is no such message"))
}

/// Has a message delivered again, whatever became of it
#[utoipa::path(
    post, path = "/api/notifications/{id}/resend", operation_id = "resend_notification", tag = "incidents",
    params(("id" = i64, Path, description = "the number of a message")),
    responses(
        (status = 200, description = "the message, which waits now", body = views::Notification),
        (status = 404, description = "there is no such message", body = Refusal),
        (status = 409, description = "its channel is not there any more", body = Refusal),
        (status = 503, description = "it cannot be written down", body = Refusal),
    ),
)]
async fn resend(State(api): Shared, Segments(id): Segments<String>) -> Response {
    answered(resent(&api, &id).await)
}

async fn resent(api: &Api, id: &str) -> Refused<Response> {
    may_write(api)?;
    let id = id_of(id)?;
    let unknown = || missing(format!("there is no message {id}"));
    let message = ask(api, move |store| store.notification(id)).await?.ok_or_else(unknown)?;
    // Nobody would take it.
    if !api.notifier.channels().iter().any(|channel| channel.name == message.channel) {
        let why = format!("there is no channel `{}` any more", message.channel);
        return Err(Box::new(reply::refuse(axum::http::StatusCode::CONFLICT, why)));
    }
    api.notifier.resend(id).await.map_err(|error| not_done(&error))?;
    let before = serde_json::to_value(views::Notification::new(&message)).ok();
    let now = ask(api, move |store| store.notification(id)).await?.ok_or_else(unknown)?;
    let now = views::Notification::new(&now);
    let after = serde_json::to_value(&now).ok();
    let target = Some(format!("{id} {}", message.channel));
    let audited = Audited { target, before, after, ..Audited::default() };
    Ok(audited.with(reply::json(&HeaderMap::new(), &now)))
}
