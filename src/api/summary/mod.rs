//! The tree in short, for pages: counts, what is broken, groups, hosts, search. No answer grows with the
//! fleet.
//!
//! [`digest`] and [`fleet`] compute, once for each revision; [`rows`] are the JSON; [`query`] is what is
//! asked; the rest are the handlers.

mod digest;
mod fleet;
mod host;
mod lists;
mod overview;
mod query;
mod rows;
mod search;

use std::sync::Arc;

use axum::{
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use fleet::{Fleet, Fleets, Row};
pub use overview::{Counted, Shown, Summary};
pub use query::number;
pub use rows::{HostRow, Page, ProbeRow, key, now};

use super::{Api, reply};
use crate::tree::View;

/// What may be read.
pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(overview::summary))
        .routes(routes!(lists::problems))
        .routes(routes!(lists::groups))
        .routes(routes!(lists::hosts))
        .routes(routes!(host::host))
        .routes(routes!(search::search))
}

/// Why there is no answer.
enum Refused {
    /// What was asked makes no sense.
    Query(String),
    /// There is no such thing.
    Unknown(String),
}

impl From<String> for Refused {
    fn from(why: String) -> Refused {
        Refused::Query(why)
    }
}

/// Answers from the tree as it is now, on a thread that may take its time.
async fn answer<T: Serialize>(
    api: Arc<Api>,
    headers: HeaderMap,
    work: impl FnOnce(&Api, &View, &Fleet) -> Result<T, Refused> + Send + 'static,
) -> Response {
    let answer = move || {
        let tree = api.view();
        let fleet = api.fleets.of(&tree);
        match work(&api, &tree, &fleet) {
            Ok(found) => reply::json(&headers, &found),
            Err(Refused::Query(why)) => reply::refuse(StatusCode::BAD_REQUEST, why),
            Err(Refused::Unknown(why)) => reply::refuse(StatusCode::NOT_FOUND, why),
        }
    };
    tokio::task::spawn_blocking(answer).await.unwrap_or_else(|error| {
        tracing::error!("a summary was not made: {error}");
        let why = "the answer was not made because of a mistake in wigo, which its log describes";
        reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, why)
    })
}

#[cfg(test)]
mod tests;
