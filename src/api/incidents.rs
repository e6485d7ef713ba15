//! Incidents over HTTP: what broke together, and who looks after it.

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{
    Api, Routes,
    audit::Audited,
    covered::{after, span},
    notified::{
        self, MAX_DECISIONS, NotHeld, Refused, Shared, answered, ask, author, host_name, limit,
        may_write, missing, nonsense, time,
    },
    openapi::{
        Refusal,
        parameters::{IncidentStateWord, Number, Span, Time},
    },
    order::QueryPairs,
    reply::{self, Segments},
    views,
};
use crate::{
    access::Caller,
    notify::{self, Subject, policy::Command},
    orders::{MAX_REASON, plain},
    store::{DecisionQuery, IncidentQuery, NotificationQuery},
};

pub fn reads() -> Routes {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

pub fn changes() -> Routes {
    OpenApiRouter::new().routes(routes!(acknowledge))
}

/// A page of incidents.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Incidents {
    /// How many are open in all.
    open: u64,
    /// Open ones first, the worst first; then closed ones, the newest first.
    incidents: Vec<views::Incident>,
    /// There are more after these.
    more: bool,
}

/// What broke, worst first
#[utoipa::path(
    get, path = "/api/incidents", operation_id = "incidents", tag = "incidents",
    params(
        ("state" = inline(Option<IncidentStateWord>), Query, description = "open, closed or all; all if not given"),
        ("host" = Option<String>, Query, description = "with this host in it: its name or uuid"),
        ("group" = Option<String>, Query, description = "with a host of this group in it"),
        ("probe" = Option<String>, Query, description = "with a probe of this name in it"),
        ("since" = inline(Option<Time>), Query, description = "not over before this time"),
        ("until" = inline(Option<Time>), Query, description = "begun before this time"),
        ("before" = Option<Uuid>, Query, description = "those that come after this one: the next page"),
        ("limit" = inline(Option<Number>), Query, description = "how many, 100 if not given, 500 at most"),
    ),
    responses(
        (status = 200, description = "a page", body = Incidents),
        (status = 400, description = "a parameter cannot be understood", body = Refusal),
        (status = 503, description = "the database cannot be read", body = Refusal),
    ),
)]
async fn list(State(api): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = QueryPairs::of(query.as_deref().unwrap_or_default());
    answered(page(&api, &query).await.map(|page| reply::json(&headers, &page)))
}

async fn page(api: &Api, query: &QueryPairs) -> Refused<Incidents> {
    let wanted = wanted(api, query)?;
    let asked = ask(api, move |store| Ok((store.open_incidents()?, store.incidents(&wanted)?)));
    let (open, found) = asked.await?;
    let silenced = silenced(api, &found.items).await;
    let incidents = found.items.iter().zip(silenced);
    let incidents = incidents.map(|(one, silenced)| views::Incident::new(one, silenced)).collect();
    Ok(Incidents { open, incidents, more: found.more })
}

fn wanted(api: &Api, query: &QueryPairs) -> Refused<IncidentQuery> {
    let open = match query.get("state") {
        None | Some("all") => None,
        Some("open") => Some(true),
        Some("closed") => Some(false),
        Some(_) => return Err(nonsense("`state` is `open`, `closed` or `all`")),
    };
    let before = query.get("before").map(Uuid::try_parse).transpose();
    Ok(IncidentQuery {
        open,
        host: query.get("host").map(|host| host_name(api, host)),
        group: query.get("group").map(str::to_owned),
        probe: query.get("probe").map(str::to_owned),
        since: time(query, "since")?,
        until: time(query, "until")?,
        before: before.map_err(|_| nonsense("`before` is not the Id of an incident"))?,
        limit: limit(query)?,
    })
}

/// Of each whether all that is bad in it is held back.
async fn silenced(api: &Api, incidents: &[notify::Incident]) -> Vec<bool> {
    let bad_of = |incident: &notify::Incident| -> Vec<Subject> {
        let bad = incident.members.iter().filter(|one| one.recovered.is_none());
        bad.map(|member| member.subject.clone()).collect()
    };
    let bad: Vec<Vec<Subject>> = incidents.iter().map(bad_of).collect();
    if bad.iter().all(Vec::is_empty) {
        return vec![false; incidents.len()];
    }
    let look = move |policy: &notify::policy::Policy| {
        let is_silenced = |subject: &Subject| {
            policy.standing(subject).is_some_and(|standing| standing.silenced.is_some())
        };
        bad.iter().map(|bad| !bad.is_empty() && bad.iter().all(is_silenced)).collect()
    };
    api.notifier.look(move |policy, _, _| look(policy)).await
}

/// One incident with all that is known of it
#[utoipa::path(
    get, path = "/api/incidents/{id}", operation_id = "incident", tag = "incidents",
    params(("id" = Uuid, Path, description = "an incident")),
    responses(
        (status = 200, description = "the incident", body = views::WholeIncident),
        (status = 404, description = "there is no such incident", body = Refusal),
        (status = 503, description = "the database cannot be read", body = Refusal),
    ),
)]
async fn one(State(api): Shared, Segments(id): Segments<String>, headers: HeaderMap) -> Response {
    answered(whole(&api, &id).await.map(|incident| reply::json(&headers, &incident)))
}

fn id_of(text: &str) -> Refused<Uuid> {
    let unknown = || missing(format!("there is no incident `{}`", plain(text, MAX_REASON)));
    Uuid::try_parse(text).map_err(|_| unknown())
}

async fn whole(api: &Api, text: &str) -> Refused<views::WholeIncident> {
    let id = id_of(text)?;
    let found = ask(api, move |store| {
        let Some(incident) = store.incident(id)? else { return Ok(None) };
        let query =
            NotificationQuery { incident: Some(id), limit: MAX_DECISIONS, ..Default::default() };
        let messages = store.notifications(&query)?.items;
        let query =
            DecisionQuery { incident: Some(id), limit: MAX_DECISIONS, ..Default::default() };
        let decisions = notified::decisions(store, &query)?;
        Ok(Some((incident, store.moments(id)?, messages, decisions)))
    });
    let Some((incident, moments, messages, decisions)) = found.await? else {
        return Err(missing(format!("there is no incident `{id}`")));
    };
    let silenced = silenced(api, std::slice::from_ref(&incident)).await == [true];
    let messages = messages.iter().map(views::Notification::new).collect();
    Ok(views::WholeIncident::new(&incident, silenced, &moments, messages, decisions))
}

/// Says that somebody looks after all of an incident
///
/// Nothing more is told of it until it is worse than it is now, or over.
#[utoipa::path(
    post, path = "/api/incidents/{id}/ack", operation_id = "ack_incident", tag = "incidents",
    params(
        ("id" = Uuid, Path, description = "an incident"),
        ("reason" = Option<String>, Query, description = "why; at most 500 characters are kept"),
        ("for" = inline(Option<Span>), Query, description = "not longer than this: 30m, 4h, 7d"),
    ),
    responses(
        (status = 200, description = "the acknowledgements, one for each that is bad in it", body = Vec<views::Suppression>),
        NotHeld,
    ),
)]
async fn acknowledge(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    Segments(id): Segments<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = QueryPairs::of(query.as_deref().unwrap_or_default());
    answered(acknowledged(&api, &caller, &id, &query).await)
}

async fn acknowledged(
    api: &Api,
    caller: &Caller,
    id: &str,
    query: &QueryPairs,
) -> Refused<Response> {
    may_write(api)?;
    let id = id_of(id)?;
    let Some(incident) = ask(api, move |store| store.incident(id)).await? else {
        return Err(missing(format!("there is no incident `{id}`")));
    };
    let (reason, until) = reason_and_end(query)?;
    let command = Command::AcknowledgeIncident { id, author: author(caller), reason, until };
    let ids = notified::command(api, command).await?;
    let made = notified::suppressions(api, ids).await;
    let target = Some(format!("{} {id}", incident.lead));
    let after = notified::audited(&made);
    Ok(Audited { target, after, ..Audited::default() }.with(reply::json(&HeaderMap::new(), &made)))
}

/// Why, and until when if that is said.
pub fn reason_and_end(query: &QueryPairs) -> Refused<(String, Option<jiff::Timestamp>)> {
    let reason = plain(query.get("reason").unwrap_or_default(), MAX_REASON);
    let span = span(query, "for").map_err(nonsense)?;
    Ok((reason, span.map(|span| after(jiff::Timestamp::now(), span))))
}
