//! The audit log over HTTP, and what writes it: a row before each change and its outcome afterwards.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequestParts as _, RawPathParams, RawQuery, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::Response,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    hosts::query_pairs,
    openapi::{
        Refusal,
        parameters::{Number, Seconds},
    },
    reply,
    summary::number,
};
use crate::{
    access::Caller,
    store::{AuditQuery, AuditRow, MAX_AUDIT_PAGE, StoreError},
};

/// Rows of a page where nobody says how many.
const DEFAULT_LIMIT: usize = 100;
/// The most of a refusal that is looked at for the outcome, in bytes.
const MAX_REFUSAL: usize = 64 * 1024;

/// What a change was, put into its answer by the handler. What it leaves out is told by the route.
#[derive(Clone, Debug, Default)]
pub struct Audited {
    /// Such as `probe.disable`.
    pub action: Option<&'static str>,
    /// On what.
    pub target: Option<String>,
    /// With what; without secrets.
    pub detail: Option<Value>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Audited {
    /// Goes with this answer.
    pub fn with(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

/// Passes a change on, with a row in the audit log before and its outcome afterwards. What cannot be
/// written down is not done. It is brought to its end also if the one who asked hangs up.
pub async fn watched(api: Arc<Api>, route: Option<&str>, request: Request, next: Next) -> Response {
    let (row, request) = begun(route, request).await;
    let access = Arc::clone(&api.access);
    let id = match access.record(row.clone()).await {
        Ok(id) => id,
        Err(error) => return cannot_record(&error),
    };
    let work = tokio::spawn(async move {
        let (row, response) = finished(row, next.run(request).await).await;
        let audit = access.audit().clone();
        let written = tokio::task::spawn_blocking(move || audit.finish(id, &row)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::error!("what came of a change is not in the audit log: {written:?}");
        }
        response
    });
    work.await.unwrap_or_else(|_| {
        reply::refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the change went wrong: see the log of wigo",
        )
    })
}

/// The refusal of what cannot be written down.
pub fn cannot_record(error: &StoreError) -> Response {
    let why = format!("nothing was changed, since it cannot be written to the audit log: {error}");
    reply::refuse(StatusCode::SERVICE_UNAVAILABLE, why)
}

/// What is known before the change.
async fn begun(route: Option<&str>, request: Request) -> (AuditRow, Request) {
    let (mut parts, body) = request.into_parts();
    let params = RawPathParams::from_request_parts(&mut parts, &()).await;
    let values = params.iter().flat_map(|params| params.iter().map(|(_, value)| value.to_owned()));
    let target = values.collect::<Vec<_>>().join("/");
    let query = query_pairs(parts.uri.query().unwrap_or_default());
    let detail: serde_json::Map<_, _> =
        query.map(|(name, value)| (name, Value::from(value))).collect();
    let row = AuditRow {
        action: action_of(route.unwrap_or_default()),
        target,
        detail: Value::Object(detail),
        outcome: "begun".into(),
        ..row_of(parts.extensions.get::<Caller>())
    };
    (row, Request::from_parts(parts, body))
}

/// A row that says who asks.
pub fn row_of(caller: Option<&Caller>) -> AuditRow {
    let Some(caller) = caller else { return AuditRow::default() };
    AuditRow {
        who: caller.name.clone(),
        role: caller.role.word().into(),
        how: caller.how.word().into(),
        from: caller.from.map(|from| from.to_string()).unwrap_or_default(),
        ..AuditRow::default()
    }
}

/// `/api/hosts/{host}/forget` is `host.forget`. What is done to a probe is called the same on any host.
fn action_of(route: &str) -> String {
    let of_probe = route.strip_prefix("/api/hosts/{host}");
    let route = of_probe.filter(|rest| rest.starts_with("/probes/")).unwrap_or(route);
    let words = route.split('/').filter(|word| !word.is_empty() && !word.starts_with('{'));
    let mut words = words.skip_while(|word| *word == "api");
    let first = words.next().unwrap_or_default();
    let first = first.strip_suffix('s').unwrap_or(first);
    std::iter::once(first).chain(words).collect::<Vec<_>>().join(".")
}

/// What is known afterwards.
async fn finished(row: AuditRow, mut response: Response) -> (AuditRow, Response) {
    let told = response.extensions_mut().remove::<Audited>().unwrap_or_default();
    let status = response.status();
    let (outcome, response) = match status {
        StatusCode::ACCEPTED => ("waiting".to_owned(), response),
        _ if status.is_success() || status.is_redirection() => ("done".to_owned(), response),
        _ => {
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, MAX_REFUSAL).await.unwrap_or_default();
            let why: String = serde_json::from_slice(&body).unwrap_or_else(|_| status.to_string());
            (format!("refused: {why}"), Response::from_parts(parts, Body::from(body)))
        }
    };
    let row = AuditRow {
        action: told.action.map_or(row.action, str::to_owned),
        target: told.target.unwrap_or(row.target),
        detail: told.detail.unwrap_or(row.detail),
        before: told.before,
        after: told.after,
        outcome,
        ..row
    };
    (row, response)
}

pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(rows))
}

/// What somebody asked for, and what came of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct AuditEntry {
    /// Only grows.
    id: i64,
    /// Unix seconds with a fraction.
    at: f64,
    who: String,
    /// `none`, `readonly` or `operator`.
    role: String,
    /// `anonymous`, `password`, `session`, `token`, `proxy`, `order` or `shell`.
    how: String,
    /// The address that asked; empty if not known.
    from: String,
    /// Such as `probe.disable`.
    action: String,
    target: String,
    #[schema(value_type = Object)]
    detail: Value,
    /// How it was; null where that is not told.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// How it is now; null where that is not told.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// `begun`, `done`, `waiting`, or `refused: ` and why.
    outcome: String,
}

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct AuditPage {
    /// The newest first.
    items: Vec<AuditEntry>,
    /// How many match in all.
    total: usize,
    /// For `after`; empty at the end.
    next: String,
}

/// Every change that somebody asked for, and every login
#[utoipa::path(
    get, path = "/api/audit", operation_id = "audit", tag = "access",
    params(
        ("after" = inline(Option<Number>), Query, description = "`Next` of the page before"),
        ("limit" = inline(Option<Number>), Query, description = "rows of a page, 100 if left out, at most 1,000"),
        ("who" = Option<String>, Query, description = "only of this caller"),
        ("action" = Option<String>, Query, description = "only this action, or all that begin with this word"),
        ("target" = Option<String>, Query, description = "only where the target has this text in it"),
        ("since" = inline(Option<Seconds>), Query, description = "Unix seconds"),
        ("until" = inline(Option<Seconds>), Query, description = "Unix seconds"),
    ),
    responses(
        (status = 200, description = "a page, the newest first", body = AuditPage),
        (status = 400, description = "a parameter cannot be understood", body = Refusal),
        (status = 503, description = "the database cannot be read", body = Refusal),
    ),
)]
async fn rows(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = match wanted(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(why) => return reply::refuse(StatusCode::BAD_REQUEST, why),
    };
    let (audit, limit) = (api.access.audit().clone(), query.limit);
    let found = tokio::task::spawn_blocking(move || audit.rows(&query)).await;
    match found {
        Ok(Ok((rows, total))) => {
            let last = rows.last().filter(|_| rows.len() == limit);
            let next = last.map(|row| row.id.to_string()).unwrap_or_default();
            let items = rows.into_iter().map(view).collect();
            reply::json(&headers, &AuditPage { items, total, next })
        }
        Ok(Err(error)) => reply::refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        Err(error) => reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn wanted(query: &str) -> Result<AuditQuery, String> {
    let mut wanted = AuditQuery { limit: DEFAULT_LIMIT, ..AuditQuery::default() };
    for (name, value) in query_pairs(query).filter(|(_, value)| !value.is_empty()) {
        let number =
            || number(&name, &value).map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        let time = || {
            Timestamp::from_second(number()?).map_err(|_| format!("`{name}` is no time there is"))
        };
        match name.as_str() {
            "after" => wanted.after = Some(number()?),
            "limit" => {
                let limit = usize::try_from(number()?).unwrap_or(MAX_AUDIT_PAGE);
                wanted.limit = limit.clamp(1, MAX_AUDIT_PAGE);
            }
            "since" => wanted.since = Some(time()?),
            "until" => wanted.until = Some(time()?),
            "who" => wanted.who = Some(value),
            "action" => wanted.action = Some(value),
            "target" => wanted.target = Some(value),
            _ => {}
        }
    }
    Ok(wanted)
}

fn view(row: AuditRow) -> AuditEntry {
    AuditEntry {
        id: row.id,
        at: row.at.as_millisecond() as f64 / 1e3,
        who: row.who,
        role: row.role,
        how: row.how,
        from: row.from,
        action: row.action,
        target: row.target,
        detail: if row.detail.is_null() { json!({}) } else { row.detail },
        before: row.before,
        after: row.after,
        outcome: row.outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_names_the_action() {
        assert_eq!(action_of("/api/hosts/{host}/forget"), "host.forget");
        assert_eq!(action_of("/api/probes/{probe}/disable"), "probe.disable");
        assert_eq!(action_of("/api/hosts/{host}/probes/{probe}/disable"), "probe.disable");
        assert_eq!(action_of("/api/tokens"), "token");
    }

    #[test]
    fn filters_are_read_and_nonsense_is_refused() {
        let query =
            wanted("after=7&limit=5&who=eve&action=probe&target=web%201&since=1&until=2&x=y");
        let expected = AuditQuery {
            after: Some(7),
            limit: 5,
            who: Some("eve".into()),
            action: Some("probe".into()),
            target: Some("web 1".into()),
            since: Timestamp::from_second(1).ok(),
            until: Timestamp::from_second(2).ok(),
        };
        assert_eq!(query, Ok(expected));
        assert_eq!(wanted("limit=5000").unwrap().limit, MAX_AUDIT_PAGE);
        assert_eq!(wanted("who=").unwrap().who, None);
        for bad in ["after=x", "limit=-1", "since=now", "until=99999999999999"] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }
}
