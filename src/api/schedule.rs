//! What runs when, here and on any host below, and the changes of it.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    audit::Audited,
    hosts::unknown_host,
    openapi::{
        Refusal,
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
    responses(
        (status = 200, body = Schedule, description = "As it is now"),
        (status = 400, body = Refusal, description = "It makes no sense"),
        (status = 403, body = Refusal, description = "An instance on the way does not allow it"),
        (status = 404, body = Refusal, description = "There is no such host"),
        (status = 501, body = Refusal, description = "The host cannot tell"),
        (status = 502, body = Refusal, description = "Something failed on the way"),
        (status = 503, body = Refusal, description = "The host is away, or busy"),
        (status = 504, body = Refusal, description = "The host did not answer in time"),
    ))]
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
        (status = 400, body = Refusal, description = "It makes no sense"),
        (status = 403, body = Refusal, description = "This host does not allow it"),
        (status = 404, body = Refusal, description = "There is no such probe"),
        (status = 409, body = Refusal, description = "It cannot be done as things are"),
        (status = 502, body = Refusal, description = "It failed"),
    ))]
async fn disable(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    Segments(probe): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let me = api.hub.read(|tree| tree.me().uuid);
    change(&api, &caller, &headers, me, &probe, &pairs(query), disabling).await
}

/// Lets a probe of this host run at one interval.
#[utoipa::path(post, path = "/api/probes/{probe}/interval", operation_id = "set_probe_interval", tag = "schedule",
    params(
        ("probe" = String, Path, description = "Name of the probe"),
        ("seconds" = inline(Interval), Query, description = "2 to 86400"),
    ),
    responses(
        (status = 200, body = Schedule, description = "As it is now"),
        (status = 400, body = Refusal, description = "It makes no sense"),
        (status = 403, body = Refusal, description = "This host does not allow it"),
        (status = 404, body = Refusal, description = "There is no such probe"),
        (status = 409, body = Refusal, description = "It cannot be done as things are"),
        (status = 502, body = Refusal, description = "It failed"),
    ))]
async fn set_interval(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    Segments(probe): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let me = api.hub.read(|tree| tree.me().uuid);
    change(&api, &caller, &headers, me, &probe, &pairs(query), interval).await
}

/// Runs a probe of this host now, and tells what it says.
#[utoipa::path(post, path = "/api/probes/{probe}/run", operation_id = "run_probe", tag = "schedule",
    params(("probe" = String, Path, description = "Name of the probe")),
    responses(
        (status = 200, body = views::Probe, description = "The probe, as GET tells it"),
        (status = 400, body = Refusal, description = "It makes no sense"),
        (status = 403, body = Refusal, description = "This host does not allow it"),
        (status = 404, body = Refusal, description = "There is no such probe"),
        (status = 409, body = Refusal, description = "It cannot run, and why"),
        (status = 502, body = Refusal, description = "It failed"),
        (status = 503, body = Refusal, description = "Too many runs wait"),
        (status = 504, body = Refusal, description = "It has not ended within 30 s"),
    ))]
async fn run(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    Segments(probe): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let me = api.hub.read(|tree| tree.me().uuid);
    change(&api, &caller, &headers, me, &probe, &pairs(query), |_| Ok(Action::Run)).await
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
        (status = 400, body = Refusal, description = "It makes no sense"),
        (status = 403, body = Refusal, description = "An instance on the way does not allow it, and which"),
        (status = 404, body = Refusal, description = "There is no such host or probe"),
        (status = 409, body = Refusal, description = "It cannot be done as things are"),
        (status = 501, body = Refusal, description = "The host cannot do such things"),
        (status = 502, body = Refusal, description = "Something failed on the way or there"),
        (status = 503, body = Refusal, description = "Too much else is being done or waits"),
        (status = 504, body = Refusal, description = "The host did not answer in time"),
    ))]
async fn disable_there(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    Segments((host, probe)): Segments<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match target_of_change(&api, &host) {
        Ok(there) => change(&api, &caller, &headers, there, &probe, &pairs(query), disabling).await,
        Err(refusal) => *refusal,
    }
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
        (status = 400, body = Refusal, description = "It makes no sense"),
        (status = 403, body = Refusal, description = "An instance on the way does not allow it, and which"),
        (status = 404, body = Refusal, description = "There is no such host or probe"),
        (status = 409, body = Refusal, description = "It cannot be done as things are"),
        (status = 501, body = Refusal, description = "The host cannot do such things"),
        (status = 502, body = Refusal, description = "Something failed on the way or there"),
        (status = 503, body = Refusal, description = "Too much else is being done or waits"),
        (status = 504, body = Refusal, description = "The host did not answer in time"),
    ))]
async fn set_interval_there(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    Segments((host, probe)): Segments<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match target_of_change(&api, &host) {
        Ok(there) => change(&api, &caller, &headers, there, &probe, &pairs(query), interval).await,
        Err(refusal) => *refusal,
    }
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
        (status = 400, body = Refusal, description = "It makes no sense"),
        (status = 403, body = Refusal, description = "An instance on the way does not allow it, and which"),
        (status = 404, body = Refusal, description = "There is no such host or probe"),
        (status = 409, body = Refusal, description = "It cannot run, and why"),
        (status = 501, body = Refusal, description = "The host cannot do such things"),
        (status = 502, body = Refusal, description = "Something failed on the way or there"),
        (status = 503, body = Refusal, description = "Too much else is being done or waits"),
        (status = 504, body = Refusal, description = "It has not ended within 30 s"),
    ))]
async fn run_there(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    Segments((host, probe)): Segments<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let action = |_: &QueryPairs| Ok(Action::Run);
    match target_of_change(&api, &host) {
        Ok(there) => change(&api, &caller, &headers, there, &probe, &pairs(query), action).await,
        Err(refusal) => *refusal,
    }
}

fn pairs(query: Option<String>) -> QueryPairs {
    QueryPairs::of(query.as_deref().unwrap_or_default())
}

fn target(api: &Api, host: &str) -> Result<uuid::Uuid, Box<Response>> {
    let found = api.hub.read(|tree| tree.find(host).map(|found| found.uuid));
    found.ok_or_else(|| Box::new(reply::refuse(StatusCode::NOT_FOUND, unknown_host(host))))
}

/// Any host can say that it has the name of another, and would get the orders for that.
fn target_of_change(api: &Api, host: &str) -> Result<uuid::Uuid, Box<Response>> {
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

async fn change(
    api: &Arc<Api>,
    caller: &Caller,
    headers: &HeaderMap,
    target: uuid::Uuid,
    probe: &str,
    query: &QueryPairs,
    action: impl FnOnce(&QueryPairs) -> Result<Action, String>,
) -> Response {
    let target_text = api.orders.target(target, &plain(probe, MAX_REASON));
    let audited = Audited { target: Some(target_text), ..Audited::default() };
    let wanted = action(query)
        .and_then(|action| query.duration("expires", MAY_WAIT).map(|wait| (action, wait)));
    let (action, wait) = match wanted {
        Ok(wanted) => wanted,
        Err(why) => return audited.with(reply::refuse(StatusCode::BAD_REQUEST, why)),
    };
    let Ok(probe) = ProbeName::parse(probe) else {
        let why = format!("there can be no probe `{}`", plain(probe, MAX_REASON));
        return audited.with(reply::refuse(StatusCode::NOT_FOUND, why));
    };
    let usual = if action == Action::Run { WAITS.1 } else { WAITS.0 };
    let context = Context { api, caller, headers };
    context.change(target, probe, action, wait.unwrap_or(usual)).await
}
