//! Maintenance windows over HTTP: times in which work is done and nothing is said.

mod window;

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Routes,
    audit::Audited,
    notified::{self, NotHeld, Refused, Shared, answered, author, may_write, missing},
    openapi::parameters::{Clock, Days, Flag, Labels, Moment, RepeatWord, Span, Title},
    order::QueryPairs,
    reply::{self, Segments},
    views,
};
use crate::{access::Caller, notify::policy::Command};

pub fn reads() -> Routes {
    OpenApiRouter::new().routes(routes!(list))
}

pub fn changes() -> Routes {
    OpenApiRouter::new().routes(routes!(add)).routes(routes!(remove))
}

/// All windows.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Maintenance {
    /// This host lets operators make windows over its API.
    write_actions_allowed: bool,
    /// What is open first, then what opens first.
    windows: Vec<views::Window>,
}

/// The maintenance windows, and when they are open next
#[utoipa::path(
    get, path = "/api/maintenance", operation_id = "maintenance", tag = "incidents",
    responses((status = 200, description = "as it is now", body = Maintenance)),
)]
async fn list(State(api): Shared, headers: HeaderMap) -> Response {
    let write_actions_allowed = api.config.load().http.allow_write_actions;
    let look = api.notifier.look(|policy, _, now| {
        let mut windows: Vec<_> =
            policy.windows().map(|window| views::Window::new(window, now)).collect();
        windows.sort_by_key(views::Window::order);
        windows
    });
    let windows = look.await;
    reply::json(&headers, &Maintenance { write_actions_allowed, windows })
}

/// Makes a maintenance window, or shows when it would be open
///
/// For one of `host`, `group`, `labels` and `all=true`. Once, from `from` to `to` or for as long as `for`
/// says; or `every` week or month on these `days`, `at` a time of the day, for as long as `for` says.
#[utoipa::path(
    post, path = "/api/maintenance", operation_id = "add_maintenance", tag = "incidents",
    params(
        ("name" = inline(Title), Query, description = "what is done then"),
        ("host" = Option<String>, Query, description = "this host, by its name or uuid"),
        ("group" = Option<String>, Query, description = "all hosts of this group, also those that join"),
        ("labels" = inline(Option<Labels>), Query, description = "all hosts with these labels"),
        ("all" = inline(Option<Flag>), Query, description = "true: everything"),
        ("probe" = Option<String>, Query, description = "only this probe"),
        ("reason" = Option<String>, Query, description = "why; at most 500 characters are kept"),
        ("from" = inline(Option<Moment>), Query, description = "when it begins; now if not given"),
        ("to" = inline(Option<Moment>), Query, description = "when it ends"),
        ("for" = inline(Option<Span>), Query, description = "how long it is open: 30m, 4h, 2d"),
        ("every" = inline(Option<RepeatWord>), Query, description = "once, week or month; once if not given"),
        ("days" = inline(Option<Days>), Query, description = "mon,sun or 1,15,last"),
        ("at" = inline(Option<Clock>), Query, description = "the time of the day at which it begins: 02:00"),
        ("zone" = Option<String>, Query, description = "the time zone of all times without one, such as Europe/Paris; that of this host if not given"),
        ("ends" = inline(Option<Moment>), Query, description = "after this it does not come back"),
        ("preview" = inline(Option<Flag>), Query, description = "true: nothing is made"),
    ),
    responses((status = 200, description = "the window", body = views::Window), NotHeld),
)]
async fn add(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = QueryPairs::of(query.as_deref().unwrap_or_default());
    answered(added(&api, &caller, &query).await)
}

async fn added(api: &Api, caller: &Caller, query: &QueryPairs) -> Refused<Response> {
    may_write(api)?;
    let now = Timestamp::now();
    let window = window::read(&api.view(), query, author(caller), now)?;
    let name = window.name.clone();
    let preview = query.get("preview").is_some_and(|preview| preview != "false");
    let (made, action) = match preview {
        true => (views::Window::new(&window, now), "maintenance.preview"),
        false => {
            let command = Command::SetWindow { window };
            let ids = notified::command(api, command).await?;
            let gone = || missing("the window is over already");
            let id = ids.first().copied().ok_or_else(gone)?;
            (find(api, id).await.ok_or_else(gone)?, "maintenance.add")
        }
    };
    let audited = Audited {
        action: Some(action),
        target: Some(name),
        after: serde_json::to_value(&made).ok().filter(|_| !preview),
        ..Audited::default()
    };
    Ok(audited.with(reply::json(&HeaderMap::new(), &made)))
}

async fn find(api: &Api, id: u64) -> Option<views::Window> {
    let look = api.notifier.look(move |policy, _, now| {
        let found = policy.windows().find(|window| window.id == id);
        found.map(|window| views::Window::new(window, now))
    });
    look.await
}

/// Removes a maintenance window: what is bad is told then
#[utoipa::path(
    post, path = "/api/maintenance/{id}/remove", operation_id = "remove_maintenance", tag = "incidents",
    params(("id" = u64, Path, description = "the number of a window")),
    responses((status = 200, description = "the window as it was", body = views::Window), NotHeld),
)]
async fn remove(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    Segments(id): Segments<String>,
) -> Response {
    answered(removed(&api, &caller, &id).await)
}

async fn removed(api: &Api, caller: &Caller, id: &str) -> Refused<Response> {
    may_write(api)?;
    let unknown = || missing("there is no such maintenance window");
    let id: u64 = id.parse().map_err(|_| unknown())?;
    let before = find(api, id).await.ok_or_else(unknown)?;
    notified::command(api, Command::RemoveWindow { id, author: author(caller) }).await?;
    let audited = Audited {
        target: Some(format!("{id} {}", before.name())),
        before: serde_json::to_value(&before).ok(),
        ..Audited::default()
    };
    Ok(audited.with(reply::json(&HeaderMap::new(), &before)))
}
