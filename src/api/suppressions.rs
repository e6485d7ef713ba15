//! What holds messages back, over HTTP: acknowledgements and silences.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension,
    extract::{FromRequestParts, State},
    http::{HeaderMap, request::Parts},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Routes,
    audit::Audited,
    covered::{self, NotCovered},
    incidents::reason_and_end,
    notified::{
        self, NotHeld, Refused, Shared, answered, author, host_name, may_write, missing, nonsense,
    },
    openapi::{
        Refusal,
        parameters::{Labels, Span},
    },
    order::QueryPairs,
    reply::{self, Segments},
    views,
};
use crate::{
    access::Caller,
    notify::{
        Scope, Subject,
        policy::{Command, Policy, World},
    },
    tree::{ProbeName, View},
};

pub fn reads() -> Routes {
    OpenApiRouter::new().routes(routes!(list))
}

pub fn changes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(acknowledge))
        .routes(routes!(silence_host))
        .routes(routes!(unsuppress_host))
        .routes(routes!(silence_group))
        .routes(routes!(unsuppress_group))
        .routes(routes!(silence_labels))
        .routes(routes!(lift))
}

/// What holds messages back now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct HeldBack {
    /// This host lets operators hold messages back over its API.
    write_actions_allowed: bool,
    /// The worst acknowledged one first, then silences, the one that ends first first.
    suppressions: Vec<views::Suppression>,
    /// What changes all the time, as `host/probe`.
    flapping: Vec<String>,
    /// Hosts behind a host that is down.
    behind_something_down: Vec<BehindRow>,
    /// The maintenance windows that are open.
    windows: Vec<views::Window>,
    /// The network of this monitor itself is gone, so that nothing is judged.
    blind: bool,
    quiet: QuietHours,
}

/// A host behind another one that is down.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = BehindSomethingDown)]
struct BehindRow {
    host: String,
    behind: String,
}

/// Times of the day in which messages wait.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct QuietHours {
    /// It is such a time.
    active: bool,
    /// Unix seconds; null: it is none.
    until: Option<i64>,
}

/// The numbers of what was lifted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Lifted {
    lifted: Vec<u64>,
}

/// What holds messages back now
#[utoipa::path(
    get, path = "/api/suppressions", operation_id = "suppressions", tag = "incidents",
    responses((status = 200, description = "as it is now", body = HeldBack)),
)]
async fn list(State(api): Shared, headers: HeaderMap) -> Response {
    let allowed = api.config.load().http.allow_write_actions;
    let look = move |policy: &Policy, world: &dyn World, now: Timestamp| {
        HeldBack::of(policy, world, now, allowed)
    };
    let held = api.notifier.look(look).await;
    reply::json(&headers, &held)
}

impl HeldBack {
    fn of(policy: &Policy, world: &dyn World, now: Timestamp, allowed: bool) -> HeldBack {
        let mut suppressions: Vec<_> =
            policy.suppressions().map(|one| views::Suppression::new(&one)).collect();
        suppressions.sort_by_key(views::Suppression::order);
        let windows = policy.windows().map(|window| views::Window::new(window, now));
        let mut windows: Vec<_> = windows.filter(views::Window::is_open).collect();
        windows.sort_by_key(views::Window::order);
        let place = |subject: Subject| match subject.probe {
            Some(probe) => format!("{}/{probe}", subject.host),
            None => subject.host,
        };
        let behind = |(host, behind)| BehindRow { host, behind };
        let quiet = policy.quiet(now);
        HeldBack {
            write_actions_allowed: allowed,
            suppressions,
            flapping: policy.flapping().into_iter().map(place).collect(),
            behind_something_down: policy.behind(world).into_iter().map(behind).collect(),
            windows,
            blind: policy.is_blind(),
            quiet: QuietHours { active: quiet.is_some(), until: quiet.map(Timestamp::as_second) },
        }
    }
}

/// Says that somebody looks after a host or a probe
///
/// Nothing more is told of it until it is worse than it is now, or over.
#[utoipa::path(
    post, path = "/api/hosts/{host}/ack", operation_id = "ack_host", tag = "incidents",
    params(
        ("host" = String, Path, description = "a host by its name or its uuid"),
        ("probe" = Option<String>, Query, description = "one of its probes; the host with all of them if not given"),
        ("reason" = Option<String>, Query, description = "why; at most 500 characters are kept"),
        ("for" = inline(Option<Span>), Query, description = "not longer than this: 30m, 4h, 7d"),
    ),
    responses(
        (status = 200, description = "the acknowledgement", body = Vec<views::Suppression>),
        NotHeld,
    ),
)]
async fn acknowledge(asked: Asked) -> Response {
    answered(asked.acknowledge().await)
}

/// Says nothing of a host or a probe for some time
#[utoipa::path(
    post, path = "/api/hosts/{host}/silence", operation_id = "silence_host", tag = "incidents",
    params(
        ("host" = String, Path, description = "a host by its name or its uuid"),
        ("for" = inline(Span), Query, description = "how long, a minute to a year: 30m, 4h, 7d"),
        ("probe" = Option<String>, Query, description = "one of its probes; all if not given"),
        ("reason" = Option<String>, Query, description = "why; at most 500 characters are kept"),
    ),
    responses(
        (status = 200, description = "the silence", body = Vec<views::Suppression>),
        NotHeld,
    ),
)]
async fn silence_host(asked: Asked) -> Response {
    let host = asked.name.clone();
    answered(
        asked
            .silence(|tree, probe| Ok(Scope::Subject(covered::subject(tree, &host, probe)?)))
            .await,
    )
}

/// Lifts acknowledgements and silences of a host or a probe
///
/// Those of a host with those of its probes, where no probe is named. What is bad is told then.
#[utoipa::path(
    post, path = "/api/hosts/{host}/unsuppress", operation_id = "unsuppress_host", tag = "incidents",
    params(
        ("host" = String, Path, description = "a host by its name or its uuid"),
        ("probe" = Option<String>, Query, description = "one of its probes; all if not given"),
    ),
    responses((status = 200, description = "what was lifted", body = Lifted), NotHeld),
)]
async fn unsuppress_host(asked: Asked) -> Response {
    // It may be gone, and what held it back not.
    let host = host_name(&asked.api, &asked.name);
    answered(asked.unsuppress(|probe| Scope::Subject(Subject { host, probe })).await)
}

/// Says nothing of the hosts of a group for some time, also of those that join
#[utoipa::path(
    post, path = "/api/groups/{group}/silence", operation_id = "silence_group", tag = "incidents",
    params(
        ("group" = String, Path, description = "a group by its name"),
        ("for" = inline(Span), Query, description = "how long, a minute to a year: 30m, 4h, 7d"),
        ("probe" = Option<String>, Query, description = "one probe of them; all if not given"),
        ("reason" = Option<String>, Query, description = "why; at most 500 characters are kept"),
    ),
    responses(
        (status = 200, description = "the silence", body = Vec<views::Suppression>),
        NotHeld,
    ),
)]
async fn silence_group(asked: Asked) -> Response {
    let group = asked.name.clone();
    answered(asked.silence(|tree, probe| covered::group(tree, &group, probe)).await)
}

/// Lifts the silences of a group
#[utoipa::path(
    post, path = "/api/groups/{group}/unsuppress", operation_id = "unsuppress_group", tag = "incidents",
    params(
        ("group" = String, Path, description = "a group by its name"),
        ("probe" = Option<String>, Query, description = "one probe of them; all if not given"),
    ),
    responses((status = 200, description = "what was lifted", body = Lifted), NotHeld),
)]
async fn unsuppress_group(asked: Asked) -> Response {
    let group = asked.name.clone();
    answered(asked.unsuppress(|probe| Scope::Group { group, probe }).await)
}

/// Says nothing of hosts with some labels for some time, also of those that join
#[utoipa::path(
    post, path = "/api/silences", operation_id = "silence_labels", tag = "incidents",
    params(
        ("labels" = inline(Labels), Query, description = "all of them: key=value,key=value"),
        ("for" = inline(Span), Query, description = "how long, a minute to a year: 30m, 4h, 7d"),
        ("probe" = Option<String>, Query, description = "one probe of them; all if not given"),
        ("reason" = Option<String>, Query, description = "why; at most 500 characters are kept"),
    ),
    responses(
        (status = 200, description = "the silence", body = Vec<views::Suppression>),
        NotHeld,
    ),
)]
async fn silence_labels(asked: Asked) -> Response {
    let labels = asked.query.get("labels").unwrap_or_default().to_owned();
    let scope = |_: &View, probe| Ok(Scope::Labels { labels: covered::labels(&labels)?, probe });
    answered(asked.silence(scope).await)
}

/// Lifts one acknowledgement or silence
#[utoipa::path(
    post, path = "/api/suppressions/{id}/lift", operation_id = "lift_suppression", tag = "incidents",
    params(("id" = u64, Path, description = "the number of an acknowledgement or a silence")),
    responses(
        (status = 200, description = "what was lifted", body = Lifted),
        (status = 404, description = "there is no such acknowledgement or silence", body = Refusal),
        NotHeld,
    ),
)]
async fn lift(asked: Asked) -> Response {
    answered(asked.lift().await)
}

/// A change of what is held back that is asked for.
struct Asked {
    api: Arc<Api>,
    caller: Caller,
    /// The host, the group or the number in the path; empty: there is none.
    name: String,
    query: QueryPairs,
}

impl FromRequestParts<Arc<Api>> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Asked, Response> {
        let Segments(named) =
            Segments::<HashMap<String, String>>::from_request_parts(parts, api).await?;
        let caller = Extension::<Caller>::from_request_parts(parts, api).await;
        let Extension(caller) = caller.map_err(IntoResponse::into_response)?;
        Ok(Asked {
            api: api.clone(),
            caller,
            name: named.into_values().next().unwrap_or_default(),
            query: QueryPairs::of(parts.uri.query().unwrap_or_default()),
        })
    }
}

impl Asked {
    async fn acknowledge(self) -> Refused<Response> {
        may_write(&self.api)?;
        let probe = covered::probe(&self.query)?;
        let subject = covered::subject(&self.api.view(), &self.name, probe)?;
        let (reason, until) = reason_and_end(&self.query)?;
        let target = subject.to_string();
        let author = author(&self.caller);
        self.make(Command::Acknowledge { subject, author, reason, until }, target).await
    }

    async fn silence(
        self,
        scope: impl FnOnce(&View, Option<ProbeName>) -> Result<Scope, NotCovered>,
    ) -> Refused<Response> {
        may_write(&self.api)?;
        let probe = covered::probe(&self.query)?;
        let scope = scope(&self.api.view(), probe)?;
        let (reason, until) = reason_and_end(&self.query)?;
        let until = until.ok_or_else(|| nonsense("`for` is missing: until when?"))?;
        let target = views::scope_in_words(&scope);
        let author = author(&self.caller);
        self.make(Command::Silence { scope, author, reason, until }, target).await
    }

    async fn make(&self, command: Command, target: String) -> Refused<Response> {
        let ids = notified::command(&self.api, command).await?;
        let made = notified::suppressions(&self.api, ids).await;
        let after = notified::audited(&made);
        let audited = Audited { target: Some(target), after, ..Audited::default() };
        Ok(audited.with(reply::json(&HeaderMap::new(), &made)))
    }

    async fn unsuppress(self, scope: impl FnOnce(Option<ProbeName>) -> Scope) -> Refused<Response> {
        may_write(&self.api)?;
        let scope = scope(covered::probe(&self.query)?);
        let target = views::scope_in_words(&scope);
        let command = Command::Unsuppress { scope, author: author(&self.caller) };
        self.take_back(command, target).await
    }

    async fn lift(self) -> Refused<Response> {
        may_write(&self.api)?;
        let unknown = || missing("there is no such acknowledgement or silence");
        let id: u64 = self.name.parse().map_err(|_| unknown())?;
        let before = notified::suppressions(&self.api, vec![id]).await;
        if before.is_empty() {
            return Err(unknown());
        }
        let command = Command::Lift { id, author: author(&self.caller) };
        self.take_back(command, before[0].in_words()).await
    }

    async fn take_back(&self, command: Command, target: String) -> Refused<Response> {
        let all = |policy: &Policy, _: &dyn World, _| {
            policy.suppressions().map(|one| views::Suppression::new(&one)).collect::<Vec<_>>()
        };
        let mut before = self.api.notifier.look(all).await;
        let lifted = notified::command(&self.api, command).await?;
        before.retain(|one| lifted.contains(&one.id));
        let before = notified::audited(&before);
        let audited = Audited { target: Some(target), before, ..Audited::default() };
        Ok(audited.with(reply::json(&HeaderMap::new(), &Lifted { lifted })))
    }
}
