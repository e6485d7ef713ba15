//! Who may ask, and who may change something: one login, compared in constant time.
//!
//! A browser sends the login of its user along with what a foreign page makes it ask, and reaches whatever
//! listens on its own machine. So a change is refused when a browser says that another page asks for it,
//! and without a login it has to come from this machine, with a header that no foreign page can set.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header, uri::Authority as HostAndPort},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::{Api, reply};
use crate::{
    access::{Caller, How},
    config::{Http, Role},
};

/// What callers without a login have to send with a change. Its value does not matter.
const REQUEST_HEADER: &str = "x-wigo-request";
/// Headers of proxies: a request with one of them comes from elsewhere, whoever hands it on.
const PROXY_HEADERS: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// Where a request comes from; put into it by the server.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Lets a request pass, or asks for the login.
pub async fn check(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let http = &api.config.load_full().http;
    if may_read(http, request.headers()) {
        let who = caller(http, &request);
        request.extensions_mut().insert(who);
        return next.run(request).await;
    }
    ask_for_login()
}

/// Lets a change pass that an operator asks for.
pub async fn operator(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get().map(|Peer(address)| *address);
    let http = &api.config.load_full().http;
    match may_change(http, request.headers(), peer) {
        Ok(()) => {
            let who = caller(http, &request);
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Err(Refused::NoLogin) => ask_for_login(),
        Err(Refused::Forbidden(why)) => reply::refuse(StatusCode::FORBIDDEN, why),
    }
}

/// Who a request that was let pass is from.
fn caller(http: &Http, request: &Request) -> Caller {
    let from = request.extensions().get().map(|Peer(address)| *address);
    match request.headers().contains_key(header::AUTHORIZATION) && !http.login.is_empty() {
        true => {
            let name = http.login.clone();
            Caller { name, role: Role::Operator, how: How::Password, from }
        }
        false => Caller {
            name: "anonymous".into(),
            role: http.anonymous_role,
            how: How::Anonymous,
            from,
        },
    }
}

/// Why somebody may not change anything.
#[derive(Debug, PartialEq)]
enum Refused {
    /// A login would do.
    NoLogin,
    /// A login would not help.
    Forbidden(&'static str),
}

fn ask_for_login() -> Response {
    let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"Authorization Required\"")];
    (StatusCode::UNAUTHORIZED, ask, "Not Authorized\n").into_response()
}

fn may_change(http: &Http, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<(), Refused> {
    if is_foreign(headers) {
        let why = "a page of another site has asked for this: changes come from Wigo's own page, or from \
                   programs";
        return Err(Refused::Forbidden(why));
    }
    let has_login = !http.login.is_empty() && !http.password.expose().is_empty();
    if has_login {
        match headers.get(header::AUTHORIZATION) {
            Some(value) if is_login(http, value.as_bytes()) => return Ok(()),
            Some(_) => return Err(Refused::NoLogin),
            None if http.anonymous_role != Role::Operator => return Err(Refused::NoLogin),
            None => {}
        }
    }
    if http.anonymous_role != Role::Operator {
        let why = "changing something needs a login: set Login and Password in [Http]";
        return Err(Refused::Forbidden(why));
    }
    may_change_anonymously(headers, peer).map_err(|why| match has_login {
        true => Refused::NoLogin,
        false => Refused::Forbidden(why),
    })
}

/// Without a login only programs on this machine may change something.
fn may_change_anonymously(headers: &HeaderMap, peer: Option<IpAddr>) -> Result<(), &'static str> {
    let is_here = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
    if !is_here || PROXY_HEADERS.iter().any(|name| headers.contains_key(*name)) {
        return Err(
            "no login is configured, so changes are taken from this machine alone: ask it \
                    through 127.0.0.1 there, or set Login and Password in [Http]",
        );
    }
    if !headers.contains_key(REQUEST_HEADER) {
        return Err(
            "no login is configured, so changes need the header `X-Wigo-Request: 1`, which \
                    foreign pages cannot send",
        );
    }
    // A foreign page whose name suddenly means this machine (DNS rebinding) is at home here, for the browser.
    if !headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(names_loopback) {
        return Err(
            "no login is configured, so changes are taken under the names localhost, 127.0.0.1 and \
                    [::1] only",
        );
    }
    Ok(())
}

/// Whether a browser says that a page of another site has asked.
pub fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if let Some(site) = text("sec-fetch-site") {
        return !["same-origin", "none"].contains(&site);
    }
    let Some(page) = text("origin").or(text("referer")) else { return false };
    let of_page =
        page.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    let Some(host) = text("host") else { return true };
    of_page.is_none_or(|of_page| !of_page.eq_ignore_ascii_case(host))
}

/// Whether the text of a `Host` header is a name of this machine that no name server gives out.
fn names_loopback(host: &str) -> bool {
    let Ok(host) = host.parse::<HostAndPort>() else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
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

#[cfg(test)]
mod tests;
