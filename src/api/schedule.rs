//! What runs when, here and on any host below, and the changes of it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension,
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use utoipa::{
    IntoResponses,
    openapi::{RefOr, Response as Described},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    Api,
    audit::Audited,
    hosts::unknown_host,
    openapi::{
        self,
        parameters::{Interval, Span},
    },
    order::{Context, QueryPairs},
    orders::OrderView,
    reply::{self, Segments},
    views,
};
use crate::{
    access::Caller,
    orders::{Action, MAX_DISABLED_FOR, MAX_REASON, MAY_WAIT, Schedule, plain},
    tree::ProbeName,
};

/// How long an order waits for a host that is away where nobody says how long: to switch, and to run.
const WAITS: (Duration, Duration) = (Duration::from_secs(24 * 3600), Duration::from_secs(3600));

/// Hosts of one name that are told to whoever has to choose.
const MAX_NAMED: usize = 5;

type Shared = State<Arc<Api>>;

/// What may be read.
pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(schedule)).routes(routes!(of_host))
}

/// What changes something.
pub fn changes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(disable))
        .routes(routes!(set_interval))
        .routes(routes!(run))
        .routes(routes!(disable_there))
        .routes(routes!(set_interval_there))
        .routes(routes!(run_there))
}

/// What runs when on this host.
#[utoipa::path(get, path = "/api/probes", operation_id = "schedule", tag = "schedule", responses(
    (status = 200, body = Schedule, description = "As it is now"),
))]
async fn schedule(State(api): Shared, headers: HeaderMap) -> Response {
    reply::json(&headers, &api.orders.schedule())
}

/// What runs when on a host, which is asked now.
#[utoipa::path(get, path = "/api/hosts/{host}/schedule", operation_id = "host_schedule", tag = "schedule",
    params(("host" = String, Path, description = "Host name or uuid")),
    responses((status = 200, body = Schedule, description = "As it is now"), RefusedThere))]
async fn of_host(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    Segments(host): Segments<String>,
    headers: HeaderMap,
) -> Response {
    let context = Context { api: &api, caller: &caller, headers: &headers };
    match target(&api, &host) {
        Ok(target) => context.look(target).await,
        Err(refusal) => *refusal,
    }
}

/// Switches a probe of this host off.
#[utoipa::path(post, path = "/api/probes/{probe}/disable", operation_id = "disable_probe", tag = "schedule",
    params(
        ("probe" = String, Path, description = "Name of the probe"),
        ("reason" = Option<String>, Query, description = "Why; at most 500 characters are kept"),
        ("for" = inline(Option<Span>), Query, description = "It comes back after this time: 90s, 30m, 4h, 7d"),
    ),
    responses(
        (status = 200, body = Schedule, description = "As it is now"),
        RefusedHere,
    ))]
async fn disable(asked: Asked) -> Response {
    asked.change(disabling).await
}

/// Lets a probe of this host run at one interval.
#[utoipa::path(post, path = "/api/probes/{probe}/interval", operation_id = "set_probe_interval", tag = "schedule",
    params(
        ("probe" = String, Path, description = "Name of the probe"),
        ("seconds" = inline(Interval), Query, description = "2 to 86400"),
    ),
    responses(
        (status = 200, body = Schedule, description = "As it is now"),
        RefusedHere,
    ))]
async fn set_interval(asked: Asked) -> Response {
    asked.change(interval).await
}

/// Runs a probe of this host now, and tells what it says.
#[utoipa::path(post, path = "/api/probes/{probe}/run", operation_id = "run_probe", tag = "schedule",
    params(
        ("probe" = String, Path, description = "Name of the probe"),
    ),
    responses(
        (status = 200, body = views::Probe, description = "The probe, as GET tells it"),
        NotRun,
    ))]
async fn run(asked: Asked) -> Response {
    asked.change(|_| Ok(Action::Run)).await
}

/// Switches a probe of a host off; the order waits if the host is away.
#[utoipa::path(post, path = "/api/hosts/{host}/probes/{probe}/disable", operation_id = "disable_host_probe", tag = "schedule",
    params(
        ("host" = String, Path, description = "Host name or uuid"),
        ("probe" = String, Path, description = "Name of the probe"),
        ("reason" = Option<String>, Query, description = "Why; at most 500 characters are kept"),
        ("for" = inline(Option<Span>), Query, description = "It comes back after this time: 90s, 30m, 4h, 7d"),
        ("expires" = inline(Option<Span>), Query, description = "How long it may wait, 1m to 7d; 24h if not given"),
    ),
    responses(
        (status = 200, body = Schedule, description = "As it is now"),
        (status = 202, body = OrderView, description = "The host is away: the order waits"),
        RefusedThere,
    ))]
async fn disable_there(asked: Asked) -> Response {
    asked.change(disabling).await
}

/// Lets a probe of a host run at one interval; the order waits if the host is away.
#[utoipa::path(post, path = "/api/hosts/{host}/probes/{probe}/interval", operation_id = "set_host_probe_interval", tag = "schedule",
    params(
        ("host" = String, Path, description = "Host name or uuid"),
        ("probe" = String, Path, description = "Name of the probe"),
        ("seconds" = inline(Interval), Query, description = "2 to 86400"),
        ("expires" = inline(Option<Span>), Query, description = "How long it may wait, 1m to 7d; 24h if not given"),
    ),
    responses(
        (status = 200, body = Schedule, description = "As it is now"),
        (status = 202, body = OrderView, description = "The host is away: the order waits"),
        RefusedThere,
    ))]
async fn set_interval_there(asked: Asked) -> Response {
    asked.change(interval).await
}

/// Runs a probe of a host now, and tells what it says; the order waits if the host is away.
#[utoipa::path(post, path = "/api/hosts/{host}/probes/{probe}/run", operation_id = "run_host_probe", tag = "schedule",
    params(
        ("host" = String, Path, description = "Host name or uuid"),
        ("probe" = String, Path, description = "Name of the probe"),
        ("expires" = inline(Option<Span>), Query, description = "How long it may wait, 1m to 7d; 1h if not given"),
    ),
    responses(
        (status = 200, body = views::Probe, description = "The probe, as GET tells it"),
        (status = 202, body = OrderView, description = "The host is away: the order waits"),
        RefusedThere,
    ))]
async fn run_there(asked: Asked) -> Response {
    asked.change(|_| Ok(Action::Run)).await
}

/// A change of a probe that is asked for, of this host or of another one.
struct Asked {
    api: Arc<Api>,
    caller: Caller,
    headers: HeaderMap,
    /// Name or uuid; `None`: this host.
    host: Option<String>,
    probe: String,
    query: QueryPairs,
}

impl FromRequestParts<Arc<Api>> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Asked, Response> {
        let Segments(mut named) =
            Segments::<HashMap<String, String>>::from_request_parts(parts, api).await?;
        let caller = Extension::<Caller>::from_request_parts(parts, api).await;
        let Extension(caller) = caller.map_err(IntoResponse::into_response)?;
        Ok(Asked {
            api: api.clone(),
            caller,
            headers: parts.headers.clone(),
            host: named.remove("host"),
            probe: named.remove("probe").unwrap_or_default(),
            query: QueryPairs::of(parts.uri.query().unwrap_or_default()),
        })
    }
}

impl Asked {
    async fn change(self, action: impl FnOnce(&QueryPairs) -> Result<Action, String>) -> Response {
        let target = match &self.host {
            None => self.api.hub.read(|tree| tree.me().uuid),
            Some(host) => match target_of_change(&self.api, host) {
                Ok(target) => target,
                Err(refusal) => return *refusal,
            },
        };
        let target_text = self.api.orders.target(target, &plain(&self.probe, MAX_REASON));
        let audited = Audited { target: Some(target_text), ..Audited::default() };
        let wait = || self.query.duration("expires", MAY_WAIT);
        let (action, wait) = match action(&self.query).and_then(|action| Ok((action, wait()?))) {
            Ok(wanted) => wanted,
            Err(why) => return audited.with(reply::refuse(StatusCode::BAD_REQUEST, why)),
        };
        let Ok(probe) = ProbeName::parse(&self.probe) else {
            let why = format!("there can be no probe `{}`", plain(&self.probe, MAX_REASON));
            return audited.with(reply::refuse(StatusCode::NOT_FOUND, why));
        };
        let usual = if action == Action::Run { WAITS.1 } else { WAITS.0 };
        let context = Context { api: &self.api, caller: &self.caller, headers: &self.headers };
        context.change(target, probe, action, wait.unwrap_or(usual)).await
    }
}

/// How a change of the schedule of this host is refused.
struct RefusedHere;

impl IntoResponses for RefusedHere {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        openapi::refusals(&[
            (400, "It makes no sense"),
            (403, "This host does not allow it"),
            (404, "There is no such probe"),
            (409, "It cannot be done as things are"),
            (502, "It failed"),
        ])
    }
}

/// How a run on this host is refused.
struct NotRun;

impl IntoResponses for NotRun {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let mut all = RefusedHere::responses();
        all.extend(openapi::refusals(&[
            (503, "Too many runs wait"),
            (504, "It has not ended within 30 s"),
        ]));
        all
    }
}

/// How a question or a change is refused that is for another host.
struct RefusedThere;

impl IntoResponses for RefusedThere {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        openapi::refusals(&[
            (400, "It makes no sense"),
            (403, "An instance on the way does not allow it, and which"),
            (404, "There is no such host or probe"),
            (409, "It cannot be done as things are, or several hosts have this name"),
            (501, "The host cannot do such things"),
            (502, "Something failed on the way or there"),
            (503, "Too much else is being done or waits, or the host is away"),
            (504, "The host did not answer in time"),
        ])
    }
}

fn target(api: &Api, host: &str) -> Result<Uuid, Box<Response>> {
    let found = api.hub.read(|tree| tree.find(host).map(|found| found.uuid));
    found.ok_or_else(|| Box::new(reply::refuse(StatusCode::NOT_FOUND, unknown_host(host))))
}

/// Any host can say that it has the name of another, and would get the orders for that.
fn target_of_change(api: &Api, host: &str) -> Result<Uuid, Box<Response>> {
    let named = api.hub.read(|tree| tree.named(host).take(MAX_NAMED).collect::<Vec<_>>());
    if named.len() < 2 {
        return target(api, host);
    }
    let (host, uuids) = (plain(host, MAX_REASON), named.iter().map(ToString::to_string));
    let why = format!(
        "several hosts say that they are `{host}`: name it by its uuid, such as {}",
        uuids.collect::<Vec<_>>().join(", ")
    );
    Err(Box::new(reply::refuse(StatusCode::CONFLICT, why)))
}

fn disabling(query: &QueryPairs) -> Result<Action, String> {
    let reason = plain(query.get("reason").unwrap_or_default(), MAX_REASON);
    let shortest = Duration::from_secs(1);
    let back_after = query.duration("for", shortest..=MAX_DISABLED_FOR)?;
    Ok(Action::Disable { reason, back_after })
}

fn interval(query: &QueryPairs) -> Result<Action, String> {
    let seconds = query.get("seconds").ok_or("`seconds` is missing: how often shall it run?")?;
    let seconds = seconds.parse().map_err(|_| format!("`seconds` is no number: `{seconds}`"))?;
    Ok(Action::Interval { seconds })
}
