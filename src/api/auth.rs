//! In front of every route: who asks, whether they may, and for changes whether they meant to.
//!
//! A browser sends a cookie or the login of its user along with what a foreign page makes it ask, and
//! reaches whatever listens on its own machine. So a change is refused when a browser says that another
//! page asks for it; what comes with a cookie or without credentials needs a header that no foreign page
//! can set; and without credentials it has to come from this machine.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Api, audit, reply, rights};
use crate::{
    access::{self, Access, Caller, How, Refused},
    config::{Config, Role},
};

/// What callers without credentials of their own have to send with a change. Its value does not matter.
const REQUEST_HEADER: &str = "x-wigo-request";
/// Headers of proxies: a request with one of them comes from elsewhere, whoever hands it on.
const PROXY_HEADERS: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
/// How much of a name that was asked for is repeated, in characters.
const MAX_SHOWN_NAME: usize = 100;

/// The other end of the connection; put into a request by the server.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Whether the connection is encrypted; put into a request by the server.
#[derive(Clone, Copy, Debug)]
pub struct Encrypted(pub bool);

/// Where a request comes from, as far as it can be believed; put into a request here.
#[derive(Clone, Copy, Debug)]
pub struct Origin(pub access::Origin);

/// A request before it is known who it is from.
struct Asked<'r> {
    headers: &'r HeaderMap,
    peer: Option<IpAddr>,
    is_change: bool,
    needed: Role,
}

/// Why a request is not let pass.
#[derive(Debug, PartialEq)]
enum No {
    /// Credentials would do, or others.
    Login,
    /// They would not help.
    Forbidden(String),
    /// The name under which we were asked is none of ours.
    Misdirected(String),
    /// Passwords are not checked at present, for so many seconds.
    TooOften(u64),
    Busy,
}

/// Lets a request pass to its route, with the [`Caller`] in it, or says why not.
pub async fn guard(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let needed = rights::needed(request.method(), route.as_deref());
    let is_change = !rights::only_reads(request.method());
    let config = api.config.load_full();
    let peer = request.extensions().get().map(|Peer(address)| *address);
    let is_encrypted = request.extensions().get().is_some_and(|Encrypted(encrypted)| *encrypted);
    let origin = access::origin(&config.http.proxy, request.headers(), peer, is_encrypted);
    let asked = Asked { headers: request.headers(), peer, is_change, needed };
    let passed = asked.pass(&api.access, &config, &origin).await;
    match passed {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(Origin(origin));
            match is_change && needed == Role::Operator {
                true => audit::watched(api, route.as_deref(), request, next).await,
                false => next.run(request).await,
            }
        }
        Err(no) => answer(no, request.headers(), api.access.has_passwords()),
    }
}

impl Asked<'_> {
    async fn pass(
        &self,
        access: &Access,
        config: &Config,
        origin: &access::Origin,
    ) -> Result<Caller, No> {
        if self.is_change && is_foreign(self.headers) {
            let why = "a page of another site has asked for this: changes come from Wigo's own page, or \
                       from programs";
            return Err(No::Forbidden(why.into()));
        }
        let caller =
            access.identify(self.headers, self.peer, origin.address).await.map_err(|refused| {
                match refused {
                    Refused::Wrong => No::Login,
                    Refused::TooOften(wait) => No::TooOften(wait.as_secs() + 1),
                    Refused::Busy => No::Busy,
                }
            })?;
        let could_log_in = access.is_locked();
        // A login as well: a page whose name suddenly means us could try passwords from where its reader is.
        if self.needed > Role::None || self.is_change {
            self.check_name(&caller, config, origin)?;
        }
        if self.needed > Role::None {
            self.check_role(&caller, could_log_in, access)?;
        }
        if self.is_change {
            self.check_meaning(&caller, could_log_in)?;
        }
        Ok(caller)
    }

    /// Who is known by what a browser cannot be made to send may use any name; so may who asks by TLS, since
    /// a foreign page has no certificate for its name here.
    fn check_name(
        &self,
        caller: &Caller,
        config: &Config,
        origin: &access::Origin,
    ) -> Result<(), No> {
        if origin.is_secure || !matches!(caller.how, How::Anonymous | How::Proxy) {
            return Ok(());
        }
        // Every browser names whom it asks.
        let Some(host) = self.headers.get(header::HOST) else { return Ok(()) };
        let text = host.to_str().unwrap_or_default();
        let (hostname, more) = (&config.global.hostname, &config.http.host_names);
        if access::name_in(text).is_some_and(|name| access::is_ours(&name, hostname, more)) {
            return Ok(());
        }
        let shown: String = text.chars().take(MAX_SHOWN_NAME).collect();
        Err(No::Misdirected(format!(
            "this instance does not know itself as `{shown}`, and without a login or for one it answers \
             under its own names only: ask it by its address or as `{hostname}`, or add the name to \
             HostNames in [Http]"
        )))
    }

    fn check_role(&self, caller: &Caller, could_log_in: bool, access: &Access) -> Result<(), No> {
        if caller.role >= self.needed {
            return Ok(());
        }
        if caller.how != How::Anonymous {
            return Err(No::Forbidden(match caller.role {
                Role::Readonly => "your role is readonly, and this is for operators".to_owned(),
                _ => "you are known here and may do nothing: somebody has to give you a role"
                    .to_owned(),
            }));
        }
        if could_log_in || !self.is_change {
            return Err(No::Login);
        }
        let problem = access.problem().map(|why| format!(" (the users are not known: {why})"));
        Err(No::Forbidden(format!(
            "changing something needs a login: set Login and Password in [Http], or `wigo user add`{}",
            problem.unwrap_or_default()
        )))
    }

    /// Whether the one whose credentials these are asks for the change.
    fn check_meaning(&self, caller: &Caller, could_log_in: bool) -> Result<(), No> {
        let is_stranger = caller.how == How::Anonymous;
        if is_stranger && self.needed > Role::None {
            return self.check_is_here().map_err(|why| match could_log_in {
                true => No::Login,
                false => No::Forbidden(why.into()),
            });
        }
        if caller.how.comes_by_itself() && !self.headers.contains_key(REQUEST_HEADER) {
            let why = "without a login or a token in the request itself, changes need the header \
                       `X-Wigo-Request: 1`, which foreign pages cannot send";
            return Err(No::Forbidden(why.into()));
        }
        Ok(())
    }

    /// Without credentials only programs on this machine may change something.
    fn check_is_here(&self) -> Result<(), &'static str> {
        let is_here = self.peer.is_some_and(|peer| peer.to_canonical().is_loopback());
        if !is_here || PROXY_HEADERS.iter().any(|name| self.headers.contains_key(*name)) {
            return Err(
                "no login is configured, so changes are taken from this machine alone: ask it \
                        through 127.0.0.1 there, or set Login and Password in [Http]",
            );
        }
        if !self.headers.contains_key(REQUEST_HEADER) {
            return Err(
                "no login is configured, so changes need the header `X-Wigo-Request: 1`, which \
                        foreign pages cannot send",
            );
        }
        // A foreign page whose name suddenly means this machine (DNS rebinding) is at home here, for the
        // browser.
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if !host.and_then(access::name_in).is_some_and(|name| access::is_loopback(&name)) {
            return Err("no login is configured, so changes are taken under the names localhost, \
                        127.0.0.1 and [::1] only");
        }
        Ok(())
    }
}

fn answer(no: No, headers: &HeaderMap, has_passwords: bool) -> Response {
    match no {
        No::Login => ask_for_login(headers, has_passwords),
        No::Forbidden(why) => reply::refuse(StatusCode::FORBIDDEN, why),
        No::Misdirected(why) => reply::refuse(StatusCode::MISDIRECTED_REQUEST, why),
        No::TooOften(seconds) => too_often(seconds),
        No::Busy => busy(),
    }
}

/// Too many wrong passwords.
pub fn too_often(seconds: u64) -> Response {
    let why = format!("too many wrong passwords: try again in {seconds} s");
    let mut response = reply::refuse(StatusCode::TOO_MANY_REQUESTS, why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Too many passwords at once.
pub fn busy() -> Response {
    let why = "too many passwords are being checked: try again in a moment";
    let mut response = reply::refuse(StatusCode::SERVICE_UNAVAILABLE, why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The browser asks its user for name and password itself, if somebody has one, and unless our own page
/// asks and can do it better.
pub fn ask_for_login(headers: &HeaderMap, has_passwords: bool) -> Response {
    let fetched = headers.get("sec-fetch-dest").is_some_and(|dest| dest == "empty");
    let refusal = (StatusCode::UNAUTHORIZED, "Not Authorized\n");
    if fetched || !has_passwords || headers.contains_key(REQUEST_HEADER) {
        return refusal.into_response();
    }
    let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"Authorization Required\"")];
    (ask, refusal).into_response()
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

#[cfg(test)]
mod tests;
