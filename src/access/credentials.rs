//! From what a request carries to who it is from: token, login, session, trusted proxy, nobody, in this
//! order. What is presented and wrong is refused, also where nothing at all would do.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use super::{
    Access, Account, Caller, How, caller::Proof, cookie::SESSION_COOKIE, cookie::cookies, goes_on,
    key, proxy,
};
use crate::{
    config::{Role, Secret},
    store::AuditRow,
};

/// Where programs put a token that cannot set `Authorization`.
const TOKEN_HEADER: &str = "x-wigo-token";

/// Why it is not known who a request is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// What was presented is wrong, or not good any more.
    Wrong,
    /// Too many wrong passwords: wait so long.
    TooOften(Duration),
    /// Too many passwords are being checked.
    Busy,
}

impl Access {
    /// Who a request with these headers is from. `peer`: the other end of the connection; `from`: where the
    /// request comes from, as far as that can be believed.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
        from: Option<IpAddr>,
    ) -> Result<Caller, Refused> {
        if let Some(authorization) = headers.get(header::AUTHORIZATION) {
            let text = authorization.to_str().map_err(|_| Refused::Wrong)?;
            let (scheme, given) = text.split_once(' ').unwrap_or((text, ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                return self.by_token(given.trim(), from);
            }
            if !scheme.eq_ignore_ascii_case("basic") {
                return Err(Refused::Wrong);
            }
            // A master sends the login it has to all it asks; where nobody is known by name it means nothing.
            if self.is_locked() || self.anonymous_role() == Role::None {
                let (name, password) = login_in(given.trim()).ok_or(Refused::Wrong)?;
                return self.by_password(&name, password, from).await;
            }
        }
        if let Some(token) = headers.get(TOKEN_HEADER) {
            return self.by_token(token.to_str().map_err(|_| Refused::Wrong)?.trim(), from);
        }
        // A session that has ended counts as none, or nobody could log in again.
        let mut sessions = cookies(headers, SESSION_COOKIE).map(Secret::new);
        if let Some(caller) = sessions.find_map(|cookie| self.by_session(&cookie, from)) {
            return Ok(caller);
        }
        let told = proxy::told(&self.config.load().http.proxy, headers, peer);
        if let (Some(peer), Some(told)) = (peer, told.map_err(|_| Refused::Wrong)?) {
            let proxy::Told { name, groups, role } = told;
            return Ok(Caller {
                name,
                role,
                how: How::Proxy,
                from,
                proof: Proof::Proxy(peer, groups),
            });
        }
        Ok(Caller::anonymous(self.anonymous_role(), from))
    }

    /// Logs somebody in at the login page. Returns who it is, and the secret for the cookie.
    pub async fn sign_in(
        self: &Arc<Access>,
        name: &str,
        password: Secret,
        from: Option<IpAddr>,
    ) -> Result<Result<(Caller, Secret), Refused>, crate::store::StoreError> {
        let caller = match self.by_password(name, password, from).await {
            Ok(caller) => caller,
            Err(refused) => return Ok(Err(refused)),
        };
        // What cannot be written down is not done.
        self.record(login_row(&caller.name, caller.role, from, "done".into())).await?;
        let secret = self.begin_session(&caller.name, caller.role, "password", from).await?;
        Ok(Ok((Caller { how: How::Session, ..caller }, secret)))
    }

    fn by_token(&self, text: &str, from: Option<IpAddr>) -> Result<Caller, Refused> {
        let hash = key::token_hash(text).ok_or(Refused::Wrong)?;
        let now = Timestamp::now();
        let mut state = self.state();
        let token = state.accounts.tokens.get_mut(&hash).filter(|token| token.is_good(now));
        let token = token.ok_or(Refused::Wrong)?;
        token.used = Some(now);
        let (name, role) = (token.name.clone(), token.role);
        Ok(Caller { name, role, how: How::Token, from, proof: Proof::Token(hash) })
    }

    fn by_session(&self, cookie: &Secret, from: Option<IpAddr>) -> Option<Caller> {
        let hash = key::session_hash(cookie.expose())?;
        let now = Timestamp::now();
        let session = self.state().accounts.sessions.get(&hash).cloned()?;
        if !goes_on(&session, now) {
            return None;
        }
        let print = match session.how.as_str() {
            "password" => {
                let stamp = self.stamp(cookie, &session.name)?;
                let is_same = bool::from(stamp.ct_eq(&session.stamp));
                Some(self.print(&session.name).filter(|_| is_same)?)
            }
            _ if self.is_of_provider(&session) => None,
            _ => return None,
        };
        if let Some(session) = self.state().accounts.sessions.get_mut(&hash) {
            session.used = now;
        }
        let (name, role) = (session.name, session.role);
        Some(Caller { name, role, how: How::Session, from, proof: Proof::Session(hash, print) })
    }

    async fn by_password(
        &self,
        name: &str,
        password: Secret,
        from: Option<IpAddr>,
    ) -> Result<Caller, Refused> {
        let admit = || self.throttle().admit(name, from, Instant::now()).map_err(Refused::TooOften);
        admit()?;
        let is_login = self.is_login(name, &password);
        if !is_login {
            let turn = self.verifier.turn().await.map_err(|_| Refused::Busy)?;
            // Who waited with this one may have been wrong meanwhile.
            admit()?;
            let account = self.account(name).filter(|_| !self.is_name_of_login(name));
            let hash = account.map(|Account { secret, .. }| secret);
            if !self.verifier.verify(turn, hash, password).await {
                let is_listed = self.throttle().failed(name, from, Instant::now());
                if is_listed {
                    self.note_failure(name, from).await;
                }
                return Err(Refused::Wrong);
            }
        }
        self.throttle().succeeded(name, from, Instant::now());
        // Gone since: the same as if it had been gone before.
        let account = self.account(name).ok_or(Refused::Wrong)?;
        let print = self.print(name).ok_or(Refused::Wrong)?;
        let (name, proof) = (name.to_owned(), Proof::Password(print));
        Ok(Caller { name, role: account.role, how: How::Password, from, proof })
    }

    fn is_name_of_login(&self, name: &str) -> bool {
        let http = &self.config.load().http;
        http.has_login() && http.login == name
    }

    /// Whether this is the login of `[Http]`. Digests have one length, so that not even the length of the
    /// password shows in the time.
    fn is_login(&self, name: &str, password: &Secret) -> bool {
        let http = &self.config.load().http;
        let of = |name: &str, password: &Secret| {
            digest(&SHA256, format!("{name}:{}", password.expose()).as_bytes())
        };
        let (given, wanted) = (of(name, password), of(&http.login, &http.password));
        http.has_login() && bool::from(given.as_ref().ct_eq(wanted.as_ref()))
    }

    /// A name that nobody has is not written down: it may be a password in the wrong field.
    async fn note_failure(&self, name: &str, from: Option<IpAddr>) {
        let who = if self.account(name).is_some() { name } else { "" };
        let why = if who.is_empty() { "no such user" } else { "wrong password" };
        let row = login_row(who, Role::None, from, format!("refused: {why}"));
        if let Err(error) = self.record(row).await {
            tracing::warn!("a wrong login is not in the audit log: {error}");
        }
    }
}

/// The row of a login in the audit log.
fn login_row(name: &str, role: Role, from: Option<IpAddr>, outcome: String) -> AuditRow {
    AuditRow {
        who: name.into(),
        role: role.word().into(),
        how: How::Password.word().into(),
        from: from.map(|from| from.to_string()).unwrap_or_default(),
        action: "login".into(),
        target: name.into(),
        outcome,
        ..AuditRow::default()
    }
}

/// Name and password of a `Basic` login.
fn login_in(given: &str) -> Option<(String, Secret)> {
    let text = String::from_utf8(BASE64_STANDARD.decode(given).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), Secret::new(password)))
}
