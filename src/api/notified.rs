//! What the handlers of notifications have in common: who may change something, how the store is asked,
//! and what an outcome is in HTTP.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use utoipa::{
    IntoResponses,
    openapi::{RefOr, Response as Described},
};

use super::{
    Api, covered::NotCovered, journal::read_time, openapi, order::QueryPairs, reply,
    summary::number, views,
};
use crate::{
    access::Caller,
    notify::{
        NotifyError,
        policy::{Answer, Command},
    },
    orders::{MAX_AUTHOR, plain},
    store::{DecisionQuery, NotifyStore, StoreError},
};

/// Rows of a list: as many as are told where nobody says how many, and at most.
const LIMITS: (usize, usize) = (100, 500);
/// Decisions that are told with an incident, and of a host or a probe.
pub const MAX_DECISIONS: usize = 200;

/// Refusals are rare and large.
pub type Refused<T> = Result<T, Box<Response>>;

/// Who asks, as it is kept.
pub fn author(caller: &Caller) -> String {
    plain(&caller.name, MAX_AUTHOR)
}

/// The host must allow it, besides the caller being an operator.
pub fn may_write(api: &Api) -> Refused<()> {
    if api.config.load().http.allow_write_actions {
        return Ok(());
    }
    let name = api.hub.read(|tree| tree.me().host.name.clone());
    let why =
        format!("`{name}` lets nobody do that over its API: set AllowWriteActions in [Http] there");
    Err(Box::new(reply::refuse(StatusCode::FORBIDDEN, why)))
}

/// What makes no sense.
pub fn nonsense(why: impl AsRef<str>) -> Box<Response> {
    Box::new(reply::refuse(StatusCode::BAD_REQUEST, why))
}

/// There is no such thing.
pub fn missing(why: impl AsRef<str>) -> Box<Response> {
    Box::new(reply::refuse(StatusCode::NOT_FOUND, why))
}

impl From<NotCovered> for Box<Response> {
    fn from(why: NotCovered) -> Box<Response> {
        match why {
            NotCovered::Query(why) => nonsense(why),
            NotCovered::Unknown(why) => missing(why),
        }
    }
}

/// The time that a parameter says.
pub fn time(query: &QueryPairs, name: &str) -> Refused<Option<Timestamp>> {
    query.get(name).map(read_time).transpose().map_err(nonsense)
}

/// How many rows are wanted.
pub fn limit(query: &QueryPairs) -> Refused<usize> {
    let wanted = query.get("limit").map(|limit| number("limit", limit)).transpose();
    Ok(wanted.map_err(nonsense)?.unwrap_or(LIMITS.0).clamp(1, LIMITS.1))
}

/// The name of a host that is named by its uuid, if it is known; else what was said.
pub fn host_name(api: &Api, host: &str) -> String {
    api.hub.read(|tree| {
        tree.find(host).map_or_else(|| host.to_owned(), |found| found.host.name.clone())
    })
}

/// Asks the store on a thread that may wait.
pub async fn ask<T: Send + 'static>(
    api: &Api,
    question: impl FnOnce(&NotifyStore) -> Result<T, StoreError> + Send + 'static,
) -> Refused<T> {
    let store = api.notifier.store().clone();
    let answer = tokio::task::spawn_blocking(move || question(&store)).await;
    let why = match answer {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::warn!("what is known of notifications could not be read: {why}");
    let why = format!("what is known of notifications could not be read: {why}");
    Err(Box::new(reply::refuse(StatusCode::SERVICE_UNAVAILABLE, why)))
}

/// Does what somebody wants: the ids of what was made or lifted.
pub async fn command(api: &Api, command: Command) -> Refused<Vec<u64>> {
    match api.notifier.command(command).await {
        Ok(Answer::Done(ids)) => Ok(ids),
        Ok(Answer::Refused(why)) => Err(Box::new(reply::refuse(StatusCode::CONFLICT, why))),
        Err(error) => Err(not_done(&error)),
    }
}

/// Why something was not done.
pub fn not_done(error: &NotifyError) -> Box<Response> {
    let status = match error {
        NotifyError::NoChannel(_) | NotifyError::NoNotification(_) => StatusCode::NOT_FOUND,
        NotifyError::Failed(_) | NotifyError::TooSlow(_) => StatusCode::BAD_GATEWAY,
        NotifyError::Store(error) => return Box::new(reply::not_written(error)),
        NotifyError::NotWritten(_) | NotifyError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
    };
    Box::new(reply::refuse(status, error.to_string()))
}

/// The acknowledgements and silences with these ids, as they are now.
pub async fn suppressions(api: &Api, ids: Vec<u64>) -> Vec<views::Suppression> {
    api.notifier
        .look(move |policy, _, _| {
            let all = policy.suppressions().map(|one| views::Suppression::new(&one));
            all.filter(|one| ids.contains(&one.id)).collect()
        })
        .await
}

/// Suppressions as the audit log has them.
pub fn audited(suppressions: &[views::Suppression]) -> Option<serde_json::Value> {
    Some(serde_json::json!({ "Suppressions": suppressions }))
}

/// Decisions as they are told, with their messages. Blocks.
pub fn decisions(
    store: &NotifyStore,
    query: &DecisionQuery,
) -> Result<Vec<views::Decision>, StoreError> {
    let found = store.decisions(query)?.items;
    let mut keys: Vec<String> =
        found.iter().filter_map(|one| one.decision.message.clone()).collect();
    // Those that are part of one digest have the same.
    keys.sort_unstable();
    keys.dedup();
    let messages = store.notifications_of(&keys)?;
    let messages: HashMap<&str, _> =
        messages.iter().map(|message| (message.key.as_str(), message)).collect();
    let told = found.into_iter().map(|one| {
        let message = one.decision.message.as_deref().and_then(|key| messages.get(key));
        let tries = message.map(|message| store.tries(message.id)).transpose()?;
        let message = message.zip(tries);
        let message =
            message.map(|(message, tries)| views::TriedNotification::new(message, &tries));
        Ok(views::Decision::new(one, message))
    });
    told.collect()
}

/// An answer, or its refusal.
pub fn answered(answer: Refused<Response>) -> Response {
    answer.unwrap_or_else(|refusal| refusal.into_response())
}

/// The API, for handlers.
pub type Shared = axum::extract::State<Arc<Api>>;

/// How a change of what is held back is refused.
pub struct NotHeld;

impl IntoResponses for NotHeld {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        openapi::refusals(&[
            (400, "it makes no sense"),
            (403, "this host does not allow it"),
            (404, "there is no such host, probe or group"),
            (409, "it cannot be done as things are"),
            (503, "it cannot be written down"),
        ])
    }
}
