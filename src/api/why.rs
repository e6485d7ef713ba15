//! `GET /api/why`: why somebody was told of something, or nobody.

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Routes, covered,
    hosts::unknown_host,
    notified::{self, MAX_DECISIONS, Refused, Shared, answered, ask, host_name, missing, nonsense},
    openapi::{
        Refusal,
        parameters::{Named, Time},
    },
    order::QueryPairs,
    reply, views,
};
use crate::{
    notify::{Subject, policy},
    store::DecisionQuery,
};

pub fn reads() -> Routes {
    OpenApiRouter::new().routes(routes!(why))
}

/// How the messages about a host or a probe stand, and how that came.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Why {
    host: String,
    /// Empty: the host itself.
    probe: String,
    /// Unix seconds: up to when decisions are told.
    at: i64,
    /// As it is now; null: all is well and nothing is to be told.
    standing: Option<views::Standing>,
    /// The newest first.
    decisions: Vec<views::Decision>,
}

/// Why somebody was told of a host or a probe, or nobody
#[utoipa::path(
    get, path = "/api/why", operation_id = "why", tag = "incidents",
    params(
        ("host" = inline(Named), Query, description = "its name or uuid"),
        ("probe" = Option<String>, Query, description = "one of its probes; the host itself if not given"),
        ("at" = inline(Option<Time>), Query, description = "what was decided by then; by now if not given"),
    ),
    responses(
        (status = 200, description = "how it stands, and the newest 200 decisions", body = Why),
        (status = 400, description = "a parameter is missing or cannot be understood", body = Refusal),
        (status = 404, description = "there is no such host, and nothing was ever decided of it", body = Refusal),
        (status = 503, description = "the database cannot be read", body = Refusal),
    ),
)]
async fn why(State(api): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = QueryPairs::of(query.as_deref().unwrap_or_default());
    answered(explained(&api, &query).await.map(|why| reply::json(&headers, &why)))
}

async fn explained(api: &Api, query: &QueryPairs) -> Refused<Why> {
    let host = query.get("host").ok_or_else(|| nonsense("`host` is missing: of which host?"))?;
    let probe = covered::probe(query)?;
    let subject = Subject { host: host_name(api, host), probe };
    let asked_for = notified::time(query, "at")?;
    let at = asked_for.unwrap_or_else(Timestamp::now);
    let wanted = DecisionQuery {
        host: Some(subject.host.clone()),
        probe: Some(subject.probe.as_ref().map(ToString::to_string).unwrap_or_default()),
        // What is decided while we look is no older than that.
        until: asked_for,
        limit: MAX_DECISIONS,
        ..DecisionQuery::default()
    };
    let decisions = ask(api, move |store| notified::decisions(store, &wanted)).await?;
    let is_known = api.hub.read(|tree| tree.find(&subject.host).is_some());
    if decisions.is_empty() && !is_known {
        return Err(missing(unknown_host(host)));
    }
    let of = subject.clone();
    let standing = api.notifier.look(move |policy, _, _| policy.standing(&of)).await;
    Ok(Why {
        host: subject.host,
        probe: subject.probe.map(|probe| probe.to_string()).unwrap_or_default(),
        at: at.as_second(),
        standing: standing.map(views::Standing::from),
        decisions,
    })
}

impl From<policy::Standing> for views::Standing {
    fn from(standing: policy::Standing) -> views::Standing {
        views::Standing {
            status: standing.shown,
            confirmed: standing.confirmed,
            since: standing.since.as_second(),
            flapping: standing.flapping,
            silenced: standing.silenced,
            acked: standing.acked,
            behind: standing.behind,
        }
    }
}
