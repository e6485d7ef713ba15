//! Logging in and out, and who one is.

use std::sync::Arc;

use axum::{
    Extension,
    body::{Body, to_bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, audit,
    auth::{self, Origin},
    hosts::query_pairs,
    openapi::Refusal,
    reply,
};
use crate::{
    access::{
        Caller, How, Refused, SESSION_COOKIE, cookies, no_session_cookie, own_path, session_cookie,
    },
    config::{Role, Secret},
    store::AuditRow,
};

/// The most that a body of these routes has, in bytes.
const MAX_BODY: usize = 16 * 1024;

pub fn open() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(whoami))
        .routes(routes!(begin))
        .routes(routes!(end))
        .routes(routes!(login))
        .routes(routes!(logout))
}

/// Who asks, and what can be done about it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct WhoAmI {
    name: String,
    /// `none`, `readonly` or `operator`.
    role: &'static str,
    /// Whether this instance lets operators act on its probes.
    write_actions_allowed: bool,
    /// Whether anybody can log in here.
    can_sign_in: bool,
    /// `anonymous`, `password`, `session`, `token` or `proxy`.
    how: &'static str,
    /// `password`, `oidc`, both or none.
    sign_in: Vec<&'static str>,
    /// How the OpenID Connect provider is called; empty if there is none.
    oidc_name: String,
    /// Changes need the header `X-Wigo-Request`.
    needs_header: bool,
}

impl WhoAmI {
    fn new(api: &Api, caller: &Caller) -> WhoAmI {
        let provider = api.access.provider();
        let ways = [("password", api.access.has_passwords()), ("oidc", provider.is_some())];
        let sign_in: Vec<_> =
            ways.iter().filter(|(_, there)| *there).map(|(way, _)| *way).collect();
        WhoAmI {
            name: caller.name.clone(),
            role: caller.role.word(),
            write_actions_allowed: api.config.load().http.allow_write_actions,
            can_sign_in: !sign_in.is_empty(),
            how: caller.how.word(),
            sign_in,
            oidc_name: provider.map(|provider| provider.name.clone()).unwrap_or_default(),
            needs_header: caller.how.comes_by_itself(),
        }
    }
}

/// Who asks
#[utoipa::path(
    get, path = "/api/whoami", operation_id = "whoami", tag = "access",
    responses(
        (status = 200, description = "the caller", body = WhoAmI),
        (status = 401, description = "wrong credentials were presented", body = String, content_type = "text/plain"),
        (status = 429, description = "too many wrong passwords", body = Refusal),
        (status = 503, description = "too many passwords are being checked", body = Refusal),
    ),
)]
async fn whoami(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    private(reply::json(&headers, &WhoAmI::new(&api, &caller)))
}

/// Name and password of somebody.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Login {
    name: String,
    #[schema(value_type = String, format = Password)]
    password: Hidden,
}

/// A text in a body that is never shown.
#[derive(Deserialize)]
#[serde(from = "String")]
pub struct Hidden(pub Secret);

impl From<String> for Hidden {
    fn from(text: String) -> Hidden {
        Hidden(Secret::new(text))
    }
}

/// Logs in with a name and a password
///
/// The answer sets the cookie of a session, for browsers.
#[utoipa::path(
    post, path = "/api/session", operation_id = "begin_session", tag = "access",
    request_body = Login,
    params(("X-Wigo-Request" = String, Header, description = "any value; a foreign page cannot send it")),
    responses(
        (status = 200, description = "who one is now", body = WhoAmI),
        (status = 400, description = "the body cannot be understood", body = Refusal),
        (status = 401, description = "name or password are wrong", body = Refusal),
        (status = 403, description = "the header is missing, or a foreign page asks", body = Refusal),
        (status = 413, description = "the body is too large", body = Refusal),
        (status = 429, description = "too many wrong passwords", body = Refusal),
        (status = 503, description = "the session cannot be written down", body = Refusal),
    ),
)]
async fn begin(
    State(api): State<Arc<Api>>,
    Extension(before): Extension<Caller>,
    Extension(Origin(origin)): Extension<Origin>,
    body: Body,
) -> Response {
    let Login { name, password: Hidden(password) } = match json_in(body).await {
        Ok(login) => login,
        Err(refusal) => return *refusal,
    };
    match api.access.sign_in(&name, password, origin.address).await {
        Ok(Ok((caller, secret))) => {
            // The browser forgets the one it had, and nobody else needs it.
            if let Err(error) = api.access.end_session(&before).await {
                tracing::warn!("the session before this login goes on: {error}");
            }
            let cookie = session_cookie(&secret, &api.base, origin.is_secure);
            let answer = reply::json(&HeaderMap::new(), &WhoAmI::new(&api, &caller));
            private(with_cookie(answer, &cookie))
        }
        Ok(Err(Refused::Wrong)) => {
            reply::refuse(StatusCode::UNAUTHORIZED, "the name or the password is wrong")
        }
        Ok(Err(Refused::TooOften(wait))) => auth::too_often(wait.as_secs() + 1),
        Ok(Err(Refused::Busy)) => auth::busy(),
        Err(error) => {
            let why = format!("nobody can log in here at present: {error}");
            reply::refuse(StatusCode::SERVICE_UNAVAILABLE, why)
        }
    }
}

/// Logs out: ends the session
#[utoipa::path(
    post, path = "/api/session/end", operation_id = "end_session", tag = "access",
    params(("X-Wigo-Request" = String, Header, description = "any value; a foreign page cannot send it")),
    responses(
        (status = 200, description = "`OK`, also where there was no session", body = String, content_type = "text/plain"),
        (status = 401, description = "wrong credentials were presented", body = String, content_type = "text/plain"),
        (status = 403, description = "the header is missing, or a foreign page asks", body = Refusal),
        (status = 503, description = "the end cannot be written down", body = Refusal),
    ),
)]
async fn end(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(Origin(origin)): Extension<Origin>,
) -> Response {
    match end_session(&api, &caller).await {
        Ok(()) => with_cookie(reply::text("OK"), &no_session_cookie(&api.base, origin.is_secure)),
        Err(refusal) => *refusal,
    }
}

async fn end_session(api: &Api, caller: &Caller) -> Result<(), Box<Response>> {
    let cannot = |error| {
        let why = format!("the session goes on, since its end cannot be written down: {error}");
        Box::new(reply::refuse(StatusCode::SERVICE_UNAVAILABLE, why))
    };
    // What cannot be written down is not done.
    if caller.session().is_some() {
        let row = AuditRow {
            action: "logout".into(),
            target: caller.name.clone(),
            outcome: "done".into(),
            ..audit::row_of(Some(caller))
        };
        api.access.record(row).await.map_err(cannot)?;
        api.access.end_session(caller).await.map_err(cannot)?;
    }
    Ok(())
}

/// Makes the browser ask for name and password
#[utoipa::path(
    get, path = "/api/login", operation_id = "login", tag = "access",
    params(("next" = Option<String>, Query, description = "a path of this instance to go on to")),
    responses(
        (status = 302, description = "logged in: on to `next`; nobody has a password: on to the login page"),
        (status = 401, description = "the browser asks", body = String, content_type = "text/plain"),
        (status = 429, description = "too many wrong passwords", body = Refusal),
        (status = 503, description = "too many passwords are being checked", body = Refusal),
    ),
)]
async fn login(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response {
    if caller.how == How::Anonymous {
        // No name and password would do where nobody has any.
        return match api.access.has_passwords() {
            true => auth::ask_for_login(&HeaderMap::new(), true),
            false => redirect(&api.base.over("/login")),
        };
    }
    redirect(&api.base.over(&next_in(query.as_deref().unwrap_or_default())))
}

/// Logs out: ends the session, and makes the browser forget a name and password that it was given
#[utoipa::path(
    get, path = "/api/logout", operation_id = "logout", tag = "access",
    responses(
        (status = 302, description = "logged out: on to the login page"),
        (status = 401, description = "the browser forgets", body = String, content_type = "text/plain"),
        (status = 403, description = "a foreign page asks", body = Refusal),
        (status = 429, description = "too many wrong passwords", body = Refusal),
        (status = 503, description = "the end of the session cannot be written down", body = Refusal),
    ),
)]
async fn logout(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(Origin(origin)): Extension<Origin>,
    headers: HeaderMap,
) -> Response {
    if auth::is_foreign(&headers) {
        let why = "a page of another site has asked for this";
        return reply::refuse(StatusCode::FORBIDDEN, why);
    }
    if let Err(refusal) = end_session(&api, &caller).await {
        return *refusal;
    }
    if caller.how == How::Password {
        return auth::ask_for_login(&HeaderMap::new(), true);
    }
    let answer = redirect(&api.base.over("/login"));
    match cookies(&headers, SESSION_COOKIE).next() {
        Some(_) => with_cookie(answer, &no_session_cookie(&api.base, origin.is_secure)),
        None => answer,
    }
}

/// The path to go on to: one of ours, whatever was asked for.
pub fn next_in(query: &str) -> String {
    let next = query_pairs(query).find(|(name, _)| name == "next").map(|(_, next)| next);
    own_path(&next.unwrap_or_default()).to_owned()
}

fn redirect(to: &str) -> Response {
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    private((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

/// No proxy and no browser keeps it.
fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    let mut cookie = HeaderValue::from_str(cookie).expect("a secret is base64");
    cookie.set_sensitive(true);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// A body as JSON. What is wrong with it is not repeated: there is a password in it.
pub async fn json_in<T: DeserializeOwned>(body: Body) -> Result<T, Box<Response>> {
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| {
        let why = format!("the body is larger than {MAX_BODY} bytes, or did not come");
        Box::new(reply::refuse(StatusCode::PAYLOAD_TOO_LARGE, why))
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        let why = match error.classify() {
            serde_json::error::Category::Data => {
                "the body has not the fields that are wanted, as texts"
            }
            _ => "the body is no JSON",
        };
        Box::new(reply::refuse(StatusCode::BAD_REQUEST, why))
    })
}

/// The name of a role that can be given to somebody.
pub fn role_of(word: &str) -> Result<Role, String> {
    Role::of(word)
        .filter(|role| *role != Role::None)
        .ok_or_else(|| "`role` must be `readonly` or `operator`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_to_a_path_of_ours_and_nowhere_else() {
        assert_eq!(next_in("next=%2Fhosts%2Fweb1%3Fa%3Db"), "/hosts/web1?a=b");
        for other in ["", "next=", "next=https%3A%2F%2Fevil.example", "next=%2F%5Cevil.example"] {
            assert_eq!(next_in(other), "/", "{other}");
        }
    }

    #[test]
    fn a_cookie_is_not_shown_in_the_log() {
        let response = with_cookie(reply::text("OK"), "planted=1");
        assert!(!format!("{response:?}").contains("planted"));
    }

    #[tokio::test]
    async fn a_bad_body_is_refused_without_being_repeated() {
        for (body, status) in [
            ("{\"Name\": \"eve\", \"Password\": 12345}", StatusCode::BAD_REQUEST),
            ("{\"Name\": \"eve\"}", StatusCode::BAD_REQUEST),
            ("12345", StatusCode::BAD_REQUEST),
            ("{12345", StatusCode::BAD_REQUEST),
            (&*"12345 ".repeat(MAX_BODY), StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let refusal = json_in::<Login>(Body::from(body.to_owned())).await.err().unwrap();
            assert_eq!(refusal.status(), status);
            let text = to_bytes(refusal.into_body(), 10_000).await.unwrap();
            assert!(!String::from_utf8_lossy(&text).contains("12345"), "{text:?}");
        }
    }
}
