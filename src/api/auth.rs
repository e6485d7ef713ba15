//! Who may ask: one login, compared in constant time.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::Api;
use crate::config::{Http, Role};

/// Lets a request pass, or asks for the login.
pub async fn check(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if may_read(&api.config.load().http, request.headers()) {
        return next.run(request).await;
    }
    let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"Authorization Required\"")];
    (StatusCode::UNAUTHORIZED, ask, "Not Authorized\n").into_response()
}

fn may_read(http: &Http, headers: &HeaderMap) -> bool {
    if http.login.is_empty() || http.password.expose().is_empty() {
        return http.anonymous_role != Role::None;
    }
    match headers.get(header::AUTHORIZATION) {
        // A wrong login is refused even where none would do.
        Some(value) => is_login(http, value.as_bytes()),
        None => http.anonymous_role != Role::None,
    }
}

fn is_login(http: &Http, header: &[u8]) -> bool {
    let Some((scheme, given)) = std::str::from_utf8(header).ok().and_then(|h| h.split_once(' '))
    else {
        return false;
    };
    let Ok(given) = BASE64_STANDARD.decode(given.trim()) else { return false };
    let wanted = format!("{}:{}", http.login, http.password.expose());
    // Digests have one length, so that not even the length of the password shows in the time.
    let (given, wanted) = (digest(&SHA256, &given), digest(&SHA256, wanted.as_bytes()));
    scheme.eq_ignore_ascii_case("basic") && bool::from(given.as_ref().ct_eq(wanted.as_ref()))
}
