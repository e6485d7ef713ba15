//! Signing in at a provider of OpenID Connect: the two addresses that a browser visits for it.
//!
//! Both change something although they are `GET`, since a browser is sent there. The first only gives out
//! a cookie; the second believes nobody but the browser that has it (see `access::oidc`).

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use utoipa::{
    IntoParams,
    openapi::path::{Parameter, ParameterIn},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    auth::Peer,
    hosts::query_pairs,
    openapi::{self, Refusal},
    reply,
};
use crate::access::{
    cookies,
    oidc::{COOKIE, Callback, Oidc, Refused},
    origin,
};

type Shared = State<Arc<Api>>;

pub fn open() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(callback))
}

/// The parameters of `GET /api/oidc/login`.
struct LoginParams;

impl IntoParams for LoginParams {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let meaning = "the page to go to afterwards; the first one if this is no page of ours";
        vec![openapi::query("next", openapi::text(), meaning)]
    }
}

/// The parameters of `GET /api/oidc/callback`.
struct CallbackParams;

impl IntoParams for CallbackParams {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        [
            ("code", "what the provider has given out"),
            ("state", "what the browser was sent to the provider with"),
            ("iss", "who the provider is"),
            ("error", "why the provider has given out nothing"),
        ]
        .map(|(name, meaning)| openapi::query(name, openapi::text(), meaning))
        .into()
    }
}

/// Sends a browser to the provider to sign in
///
/// If the provider cannot be asked it is sent to the login page, with the reason as a word:
/// `/login?error=no_provider`.
#[utoipa::path(
    get, path = "/api/oidc/login", operation_id = "oidc_login", tag = "access",
    params(LoginParams),
    responses(
        (status = 302, description = "to the provider, or to the login page"),
        (status = 404, description = "OpenID Connect is not configured", body = Refusal),
    ),
)]
async fn login(State(api): Shared, RawQuery(query): RawQuery) -> Response {
    match &api.oidc {
        Some(oidc) => begin(oidc, &query.unwrap_or_default()).await,
        None => not_configured(),
    }
}

async fn begin(oidc: &Arc<Oidc>, query: &str) -> Response {
    let wanted = query_pairs(query).find(|(name, _)| name == "next");
    let next = wanted.map(|(_, next)| next).unwrap_or_default();
    match oidc.begin(&next).await {
        Ok(sent) => with_cookies(redirect(&sent.to), sent.cookies),
        Err(refused) => back_to_login(oidc, refused),
    }
}

/// Signs in a browser that comes back from the provider
///
/// Answers a page that leads on, since browsers do not send a new session along while they are still on
/// their way from another site. If somebody cannot be signed in, the browser is sent to the login page,
/// with the reason as a word: `/login?error=no_role`.
#[utoipa::path(
    get, path = "/api/oidc/callback", operation_id = "oidc_callback", tag = "access",
    params(CallbackParams),
    responses(
        (status = 200, description = "signed in", body = String, content_type = "text/html"),
        (status = 302, description = "to the login page"),
        (status = 404, description = "OpenID Connect is not configured", body = Refusal),
    ),
)]
async fn callback(State(api): Shared, RawQuery(query): RawQuery, request: Request) -> Response {
    let peer = request.extensions().get().map(|Peer(address)| *address);
    let from = origin(&api.config.load().http.proxy, request.headers(), peer, false).address;
    match &api.oidc {
        Some(oidc) => finish(oidc, &query.unwrap_or_default(), request.headers(), from).await,
        None => not_configured(),
    }
}

async fn finish(
    oidc: &Arc<Oidc>,
    query: &str,
    headers: &HeaderMap,
    from: Option<IpAddr>,
) -> Response {
    let cookie = cookies(headers, COOKIE).next().map(str::to_owned);
    let mut callback = Callback { cookie, from, ..Callback::default() };
    for (name, value) in query_pairs(query) {
        match name.as_str() {
            "code" => callback.code = Some(value),
            "state" => callback.state = Some(value),
            "iss" => callback.issuer = Some(value),
            "error" => callback.error = Some(value),
            _ => {}
        }
    }
    match oidc.finish(callback).await {
        Ok(sent) => with_cookies(Html(signed_in(&sent.to)).into_response(), sent.cookies),
        Err(refused) => back_to_login(oidc, refused),
    }
}

fn not_configured() -> Response {
    let why = "OpenID Connect is not configured here: set Enabled in [OpenIdConnect]";
    reply::refuse(StatusCode::NOT_FOUND, why)
}

fn back_to_login(oidc: &Oidc, refused: Refused) -> Response {
    let login = redirect(&oidc.base().over(&format!("/login?error={}", refused.word())));
    with_cookies(login, vec![oidc.forget()])
}

fn redirect(to: &str) -> Response {
    match HeaderValue::try_from(to) {
        Ok(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Err(_) => reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, "the address is none"),
    }
}

fn with_cookies(mut response: Response, cookies: Vec<String>) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies.into_iter().filter_map(|cookie| HeaderValue::try_from(cookie).ok()) {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

/// A page that leads on to a path of ours.
fn signed_in(next: &str) -> String {
    let next: String = next.chars().map(escaped).collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta http-equiv=\"refresh\" content=\"0;url={next}\"><title>Wigo</title>\
         <p>You are signed in. <a href=\"{next}\">Go on</a></p></html>\n"
    )
}

fn escaped(char: char) -> String {
    match char {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;
    use crate::{
        access::oidc::fake::{Begun, Fake, SECRET},
        config::BasePath,
    };

    fn header_of(response: &Response, name: header::HeaderName) -> &str {
        response.headers()[name].to_str().unwrap()
    }

    /// A browser on the whole way: what it is answered at the end, and who got a session.
    async fn sign_in(groups: &str, next: &str) -> (Response, Arc<Begun>) {
        let (fake, sessions) = (Fake::start().await, Arc::new(Begun::default()));
        fake.told().claims["groups"] = groups.into();
        let settings = fake.settings("OperatorGroups = [\"ops\"]", SECRET);
        let oidc = Oidc::new(settings, BasePath::default(), sessions.clone()).unwrap();
        let sent = begin(&oidc, &format!("next={next}")).await;
        assert_eq!(sent.status(), StatusCode::FOUND);
        assert_eq!(header_of(&sent, header::CACHE_CONTROL), "no-store");
        let (code, state) = fake.agree(header_of(&sent, header::LOCATION));
        let cookie = header_of(&sent, header::SET_COOKIE).split(';').next().unwrap().to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::try_from(cookie).unwrap());
        let query = format!("code={code}&state={state}&more=1");
        (finish(&oidc, &query, &headers, None).await, sessions)
    }

    #[tokio::test]
    async fn a_browser_gets_a_session_and_is_led_on() {
        let (response, sessions) = sign_in("ops", "/hosts/a%3Fb=%22c").await;
        assert_eq!(response.status(), StatusCode::OK);
        let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().collect();
        assert!(cookies[0].to_str().unwrap().starts_with("wigo_session=planted-session; "));
        assert!(cookies[1].to_str().unwrap().starts_with("wigo_oidc=; "));
        assert_eq!(header_of(&response, header::CACHE_CONTROL), "no-store");
        let page = to_bytes(response.into_body(), 4 << 10).await.unwrap();
        let page = std::str::from_utf8(&page).unwrap();
        assert!(page.contains("content=\"0;url=/hosts/a?b=&quot;c\""), "{page}");
        assert_eq!(sessions.0.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn who_may_do_nothing_is_sent_to_the_login_page() {
        let (response, sessions) = sign_in("others", "/").await;
        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(header_of(&response, header::LOCATION), "/login?error=no_role");
        assert!(header_of(&response, header::SET_COOKIE).starts_with("wigo_oidc=; "));
        assert!(sessions.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_path_cannot_leave_its_attribute() {
        let page = signed_in("/a?b=\"><script>&'");
        assert!(page.contains("url=/a?b=&quot;&gt;&lt;script&gt;&amp;&#39;\""), "{page}");
        assert!(!page.contains("<script"));
    }

    #[test]
    fn an_answer_that_signs_in_is_kept_nowhere() {
        let response = with_cookies(redirect("/x"), vec!["a=1".into(), "b=2".into()]);
        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(response.headers()[header::LOCATION], "/x");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.headers().get_all(header::SET_COOKIE).iter().count(), 2);
        assert_eq!(redirect("/a\nb").status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
