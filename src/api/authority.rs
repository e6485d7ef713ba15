//! Who may push, over HTTP: the lists, and an operator's word.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    Api,
    audit::Audited,
    hosts::query_pairs,
    openapi::{Refusal, parameters::KeyDigest},
    reply::{self, Segments},
    views,
};
use crate::{
    push::{Authority, authority::CannotChange},
    trust::Fingerprint,
};

type Shared = State<Arc<Api>>;

/// What is answered to a change that was made, as in the original.
const DONE: &str = "OK";

pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(hosts))
}

pub fn changes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(allow)).routes(routes!(revoke))
}

/// Who may push, and who waits to be allowed
#[utoipa::path(
    get, path = "/api/authority/hosts", operation_id = "clients", tag = "authority",
    responses((status = 200, description = "both lists", body = views::Clients), (status = 404, description = "push clients are not taken here", body = Refusal)),
)]
pub async fn hosts(State(api): Shared, headers: HeaderMap) -> Response {
    match started(&api) {
        Ok(authority) => reply::json(&headers, &views::Clients::new(&authority.listing())),
        Err(refusal) => *refusal,
    }
}

/// Allows a client that waits
///
/// With `key`, the fingerprint that the operator has looked at, nobody else is let in.
#[utoipa::path(
    post, path = "/api/authority/hosts/{uuid}/allow", operation_id = "allow_client", tag = "authority",
    params(("uuid" = String, Path, description = "the uuid of a client"), ("key" = inline(Option<KeyDigest>), Query, description = "SHA-256 of its key, in hexadecimal digits")),
    responses((status = 200, description = "`OK`", body = String), (status = 404, description = "nobody with this uuid waits, or push clients are not taken here", body = Refusal), (status = 409, description = "the client has another key", body = Refusal), (status = 500, description = "it could not be written down", body = Refusal)),
)]
pub async fn allow(
    State(api): Shared,
    Segments(uuid): Segments<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let authority = match started(&api) {
        Ok(authority) => authority,
        Err(refusal) => return *refusal,
    };
    let Ok(known) = Uuid::try_parse(&uuid) else { return missing(unknown(&uuid)) };
    let key = match key_of(query.as_deref().unwrap_or_default()) {
        Ok(key) => key,
        Err(why) => return reply::refuse(StatusCode::BAD_REQUEST, why),
    };
    let before = state_of(authority, known);
    match authority.allow(known, key).await {
        Ok(_) => audited("client.allow", authority, known, before),
        Err(error @ CannotChange::OtherKey { .. }) => {
            reply::refuse(StatusCode::CONFLICT, error.to_string())
        }
        Err(error @ CannotChange::NotWaiting(_)) => missing(error.to_string()),
        Err(error) => failed(error.to_string()),
    }
}

fn key_of(query: &str) -> Result<Option<Fingerprint>, String> {
    let key = query_pairs(query).find(|(name, _)| name == "key");
    key.map(|(_, key)| Fingerprint::parse(&key).map_err(|error| format!("`key`: {error}")))
        .transpose()
}

/// Takes a client the right to push, and closes its connection
#[utoipa::path(
    post, path = "/api/authority/hosts/{uuid}/revoke", operation_id = "revoke_client", tag = "authority",
    params(("uuid" = String, Path, description = "the uuid of a client")),
    responses((status = 200, description = "`OK`", body = String), (status = 404, description = "push clients are not taken here", body = Refusal), (status = 500, description = "it could not be written down", body = Refusal)),
)]
pub async fn revoke(State(api): Shared, Segments(uuid): Segments<String>) -> Response {
    let authority = match started(&api) {
        Ok(authority) => authority,
        Err(refusal) => return *refusal,
    };
    // Nobody has a name that is no uuid, so nobody has to be revoked.
    let Ok(known) = Uuid::try_parse(&uuid) else { return done() };
    let before = state_of(authority, known);
    match authority.revoke(known).await {
        Ok(()) => audited("client.revoke", authority, known, before),
        Err(error) => failed(error.to_string()),
    }
}

/// That it is done, and for the audit log what it was before and is now.
fn audited(
    action: &'static str,
    authority: &Authority,
    client: Uuid,
    before: Option<Value>,
) -> Response {
    let after = state_of(authority, client);
    Audited { action: Some(action), before, after, ..Audited::default() }.with(done())
}

/// What an operator knows of a client.
fn state_of(authority: &Authority, client: Uuid) -> Option<Value> {
    let listing = authority.listing();
    let text = |key: Option<Fingerprint>| key.map(|key| key.to_string());
    let allowed = listing.allowed.iter().find(|one| one.uuid == client);
    let allowed = allowed
        .map(|one| json!({"State": "allowed", "Name": one.name, "Fingerprint": text(one.key)}));
    let waiting = || {
        let one = listing.waiting.iter().find(|one| one.uuid == client)?;
        let (name, key) = (&one.name, one.key.to_string());
        Some(json!({"State": "waiting", "Name": name, "Fingerprint": key, "Address": one.address}))
    };
    allowed.or_else(waiting)
}

fn started(api: &Api) -> Result<&Arc<Authority>, Box<Response>> {
    // The original's words for it, which answers 500.
    api.authority.as_ref().ok_or_else(|| Box::new(missing("Push server is not started")))
}

/// The original's words for it.
fn unknown(uuid: &str) -> String {
    format!("Authority : Invalid uuid {uuid}")
}

fn missing(why: impl AsRef<str>) -> Response {
    reply::refuse(StatusCode::NOT_FOUND, why)
}

fn failed(why: impl AsRef<str>) -> Response {
    reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, why)
}

fn done() -> Response {
    reply::text(DONE)
}
