//! Tokens of programs, as operators see and change them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    access::role_of,
    audit::Audited,
    hosts::query_pairs,
    openapi::{
        Refusal,
        parameters::{RoleWord, Span, Title},
    },
    reply::{self, Segments, not_written},
};
use crate::{
    access::{Caller, check_token_name, new_token, token_hash},
    config::Role,
    duration,
    store::{ApiToken, MAX_API_TOKENS},
};

type Shared = State<Arc<Api>>;

/// The longest life of a token that ends at all.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);

pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(tokens))
}

pub fn changes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(create_token)).routes(routes!(revoke_token))
}

/// A token of a program. The secret itself is not known any more.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ApiToken)]
struct TokenView {
    id: i64,
    name: String,
    /// `readonly` or `operator`.
    role: &'static str,
    created_at: i64,
    created_by: String,
    /// 0: never.
    expires_at: i64,
    /// 0: it is not revoked.
    revoked_at: i64,
    /// 0: never.
    last_used: i64,
}

impl TokenView {
    fn new(token: &ApiToken) -> TokenView {
        let seconds = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_second);
        TokenView {
            id: token.id,
            name: token.name.clone(),
            role: token.role.word(),
            created_at: token.created.as_second(),
            created_by: token.creator.clone(),
            expires_at: seconds(token.expires),
            revoked_at: seconds(token.revoked),
            last_used: seconds(token.used),
        }
    }
}

/// A new token, and the only time its secret is shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct NewToken {
    token: TokenView,
    secret: String,
}

/// The tokens of programs
#[utoipa::path(
    get, path = "/api/tokens", operation_id = "tokens", tag = "access",
    responses((status = 200, description = "all, the newest first", body = Vec<TokenView>)),
)]
async fn tokens(State(api): Shared, headers: HeaderMap) -> Response {
    let accounts = api.access.accounts();
    let mut tokens: Vec<_> = accounts.tokens.values().map(TokenView::new).collect();
    tokens.sort_by_key(|token| std::cmp::Reverse(token.id));
    reply::json(&headers, &tokens)
}

/// Makes a token for a program
///
/// The secret is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/api/tokens", operation_id = "create_token", tag = "access",
    params(
        ("name" = inline(Title), Query, description = "what it is for, at most 64 characters"),
        ("role" = inline(Option<RoleWord>), Query, description = "`readonly`, which it is if left out, or `operator`"),
        ("for" = inline(Option<Span>), Query, description = "how long it is good, such as 30d; for ever if left out"),
    ),
    responses(
        (status = 200, description = "the token and its secret", body = NewToken),
        (status = 400, description = "a parameter is missing or cannot be understood", body = Refusal),
        (status = 409, description = "there are too many", body = Refusal),
        (status = 503, description = "it cannot be written down", body = Refusal),
    ),
)]
async fn create_token(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response {
    let (name, role, life) = match wanted_token(query.as_deref().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(why) => return reply::refuse(StatusCode::BAD_REQUEST, why),
    };
    let secret = new_token();
    let hash = token_hash(secret.expose()).expect("it is one of ours");
    let expires = life.map(|life| {
        let life = SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX);
        Timestamp::now().saturating_add(life).unwrap_or(Timestamp::MAX)
    });
    let creator = caller.name;
    let made =
        api.access.change(move |tables| tables.add_token(hash, &name, role, &creator, expires));
    match made.await {
        Ok(Some(token)) => {
            let token = TokenView::new(&token);
            let audited = Audited {
                action: Some("token.create"),
                target: Some(format!("{} {}", token.id, token.name)),
                after: serde_json::to_value(&token).ok(),
                ..Audited::default()
            };
            let answer = NewToken { token, secret: secret.expose().to_owned() };
            audited.with(reply::json(&HeaderMap::new(), &answer))
        }
        Ok(None) => {
            let why = format!("there are {MAX_API_TOKENS} tokens already: revoke some and wait");
            reply::refuse(StatusCode::CONFLICT, why)
        }
        Err(error) => not_written(&error),
    }
}

fn wanted_token(query: &str) -> Result<(String, Role, Option<Duration>), String> {
    let given: HashMap<String, String> =
        query_pairs(query).filter(|(_, value)| !value.is_empty()).collect();
    let name = given.get("name").ok_or("`name` is missing: say what the token is for")?;
    check_token_name(name)?;
    let role = given.get("role").map_or(Ok(Role::Readonly), |role| role_of(role))?;
    let life = given.get("for").map(|life| duration::parse(life, LONGEST_LIFE));
    let life = life.transpose().map_err(|allowed| format!("`for` must be {allowed}"))?;
    Ok((name.clone(), role, life))
}

/// Makes a token useless, at once
#[utoipa::path(
    post, path = "/api/tokens/{id}/revoke", operation_id = "revoke_token", tag = "access",
    params(("id" = i64, Path, description = "the number of a token")),
    responses(
        (status = 200, description = "`OK`", body = String, content_type = "text/plain"),
        (status = 404, description = "there is no such token", body = Refusal),
        (status = 503, description = "it cannot be written down", body = Refusal),
    ),
)]
async fn revoke_token(State(api): Shared, Segments(id): Segments<String>) -> Response {
    let missing = || reply::refuse(StatusCode::NOT_FOUND, "there is no such token");
    let Ok(id) = id.parse::<i64>() else { return missing() };
    let view = || {
        let accounts = api.access.accounts();
        let token = accounts.tokens.values().find(|token| token.id == id)?;
        serde_json::to_value(TokenView::new(token)).ok()
    };
    let before = view();
    match api.access.change(move |tables| tables.revoke_token(id)).await {
        Ok(true) => {
            let (action, after) = (Some("token.revoke"), view());
            Audited { action, before, after, ..Audited::default() }.with(reply::text("OK"))
        }
        Ok(false) => missing(),
        Err(error) => not_written(&error),
    }
}
