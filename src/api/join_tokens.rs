//! Join tokens, with which push clients are admitted without an operator.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    audit::Audited,
    hosts::query_pairs,
    openapi::{
        Refusal,
        parameters::{Span, Uses},
    },
    reply::{self, Segments},
};
use crate::{
    duration,
    push::JoinToken,
    store::{Admission, StoreError, Token},
};

type Shared = State<Arc<Api>>;

/// Hexadecimal digits by which a token is named.
const ID_DIGITS: usize = 12;
/// How long a token is good where nobody says how long.
const DEFAULT_LIFE: Duration = Duration::from_secs(86_400);
/// The longest life of a token.
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// The most clients that one token admits.
pub const MAX_USES: u32 = 100_000;
/// The longest group or pattern, in bytes.
const MAX_FILTER: usize = 255;

pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(tokens))
}

pub fn changes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(forget))
}

/// A token for push clients. The token itself is not known any more.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = JoinToken)]
struct View {
    id: String,
    uses_left: u32,
    expires_at: i64,
    /// Only for clients of this group; empty: of any.
    group: String,
    /// Only for hosts of this name, `*` stands for any text; empty: of any.
    host: String,
    created_at: i64,
    /// 0: never.
    last_used: i64,
}

/// A new token, and the only time it is shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = NewJoinToken)]
struct New {
    id: String,
    token: String,
    expires_at: i64,
}

/// The tokens that admit push clients without an operator
#[utoipa::path(
    get, path = "/api/authority/tokens", operation_id = "join_tokens", tag = "authority",
    responses(
        (status = 200, description = "all, the newest first", body = Vec<View>),
        (status = 503, description = "the database cannot be read", body = Refusal),
    ),
)]
async fn tokens(State(api): Shared, headers: HeaderMap) -> Response {
    match blocking(&api, Admission::tokens).await {
        Ok(tokens) => reply::json(&headers, &tokens.into_iter().map(view).collect::<Vec<_>>()),
        Err(error) => reply::refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// Makes a token that admits push clients without an operator
///
/// The token is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/api/authority/tokens", operation_id = "create_join_token", tag = "authority",
    params(
        ("uses" = inline(Option<Uses>), Query, description = "how many clients it admits, 1 if left out"),
        ("for" = inline(Option<Span>), Query, description = "how long it is good, 24h if left out"),
        ("group" = Option<String>, Query, description = "only for clients of this group"),
        ("host" = Option<String>, Query, description = "only for hosts of this name; `*` stands for any text"),
    ),
    responses(
        (status = 200, description = "the token", body = New),
        (status = 400, description = "a parameter cannot be understood", body = Refusal),
        (status = 404, description = "push clients are not taken here", body = Refusal),
        (status = 503, description = "it cannot be written down", body = Refusal),
    ),
)]
async fn create(State(api): Shared, RawQuery(query): RawQuery) -> Response {
    let Some(authority) = &api.authority else {
        return reply::refuse(StatusCode::NOT_FOUND, "Push server is not started");
    };
    let Wanted { uses, life, group, host } = match wanted(query.as_deref().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(why) => return reply::refuse(StatusCode::BAD_REQUEST, why),
    };
    let token = JoinToken::new(authority.listing().ca);
    let life = SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX);
    let expires = Timestamp::now().saturating_add(life).unwrap_or(Timestamp::MAX);
    let hash = token.hash();
    let after =
        json!({"Uses": uses, "ExpiresAt": expires.as_second(), "Group": group, "Host": host});
    match blocking(&api, move |tokens| tokens.mint_token(hash, uses, expires, group, host)).await {
        Ok(()) => {
            authority.changed();
            let (id, expires_at) = (id(&hash), expires.as_second());
            let audited = Audited {
                action: Some("join-token.create"),
                target: Some(id.clone()),
                after: Some(after),
                ..Audited::default()
            };
            let new = New { id, token: token.reveal(), expires_at };
            audited.with(reply::json(&HeaderMap::new(), &new))
        }
        Err(error) => reply::refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// Makes a token useless; clients that it has admitted stay
#[utoipa::path(
    post, path = "/api/authority/tokens/{id}/drop", operation_id = "drop_join_token", tag = "authority",
    params(("id" = String, Path, description = "12 hexadecimal digits")),
    responses(
        (status = 200, description = "`OK`", body = String, content_type = "text/plain"),
        (status = 404, description = "there is no such token", body = Refusal),
        (status = 503, description = "it cannot be written down", body = Refusal),
    ),
)]
async fn forget(State(api): Shared, Segments(wanted): Segments<String>) -> Response {
    let dropped = blocking(&api, move |tokens| {
        let all = tokens.tokens()?;
        match all.iter().find(|token| id(&token.hash).eq_ignore_ascii_case(&wanted)) {
            Some(token) => tokens.drop_token(token.hash),
            None => Ok(false),
        }
    });
    match dropped.await {
        Ok(true) => {
            api.authority.iter().for_each(|authority| authority.changed());
            Audited { action: Some("join-token.drop"), ..Audited::default() }
                .with(reply::text("OK"))
        }
        Ok(false) => reply::refuse(StatusCode::NOT_FOUND, "there is no such token"),
        Err(error) => reply::refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

struct Wanted {
    uses: u32,
    life: Duration,
    group: Option<String>,
    host: Option<String>,
}

fn wanted(query: &str) -> Result<Wanted, String> {
    let mut given: HashMap<String, String> =
        query_pairs(query).filter(|(_, value)| !value.is_empty()).collect();
    let uses = given.get("uses").map_or(Ok(1), |uses| uses.parse());
    let uses = uses.ok().filter(|uses| (1..=MAX_USES).contains(uses));
    let life =
        given.get("for").map_or(Ok(DEFAULT_LIFE), |life| duration::parse(life, LONGEST_LIFE));
    let mut text = |name: &str| {
        let text = given.remove(name);
        let is_good =
            |text: &String| text.len() <= MAX_FILTER && !text.chars().any(char::is_control);
        match text.as_ref().is_none_or(is_good) {
            true => Ok(text),
            false => Err(format!("`{name}` must be a text of at most {MAX_FILTER} bytes")),
        }
    };
    Ok(Wanted {
        group: text("group")?,
        host: text("host")?,
        uses: uses.ok_or_else(|| format!("`uses` must be a number from 1 to {MAX_USES}"))?,
        life: life.map_err(|allowed| format!("`for` must be {allowed}"))?,
    })
}

async fn blocking<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&Admission) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let tokens = api.store.admission();
    let done = tokio::task::spawn_blocking(move || work(&tokens)).await;
    done.unwrap_or_else(|error| Err(StoreError::Admission { problem: error.to_string() }))
}

fn view(token: Token) -> View {
    View {
        id: id(&token.hash),
        uses_left: token.uses_left,
        expires_at: token.expires.as_second(),
        group: token.group.unwrap_or_default(),
        host: token.host.unwrap_or_default(),
        created_at: token.created.as_second(),
        last_used: token.used.map_or(0, Timestamp::as_second),
    }
}

fn id(hash: &[u8; 32]) -> String {
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    digits[..ID_DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_is_good_for_is_read_or_refused() {
        let read = |query: &str| wanted(query);
        let one = read("").unwrap();
        assert_eq!((one.uses, one.life, one.group, one.host), (1, DEFAULT_LIFE, None, None));
        let one = read("uses=5&for=7d&group=web&host=w*&other=1").unwrap();
        assert_eq!((one.uses, one.life.as_secs()), (5, 604_800));
        assert_eq!((one.group.as_deref(), one.host.as_deref()), (Some("web"), Some("w*")));
        let long = format!("group={}", "x".repeat(MAX_FILTER + 1));
        for bad in ["uses=0", "uses=x", "uses=100001", "for=366d", "for=soon", &long, "host=%0A"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_is_named_by_its_first_digits() {
        assert_eq!(id(&[0xa7; 32]), "a7a7a7a7a7a7");
    }
}
