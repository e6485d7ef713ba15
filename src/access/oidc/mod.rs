//! Signing in by OpenID Connect: the code flow with PKCE.
//!
//! The browser is sent to the provider and comes back with a code, which is good for one question. What
//! belongs together – this browser, this attempt, this answer – is bound by three random texts: `state`
//! (the browser that comes back is the one that went), `nonce` (the provider's word is for this attempt),
//! and the PKCE verifier (the code is used by who asked for it). They are in a sealed cookie of ten
//! minutes, so who only begins costs no memory here.
//!
//! A role is decided at the sign-in and holds as long as the session.

mod http;
mod pace;
mod person;
mod provider;
mod refused;
mod seal;

use std::{
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use subtle::ConstantTimeEq;
use tokio::{sync::Semaphore, time::timeout};

use self::{
    http::Http,
    pace::Pace,
    provider::{Because, Provider, shown},
    seal::{Attempt, Seal},
};
pub use self::{
    person::{MARK, Person},
    refused::Refused,
};
use crate::{
    access::{own_path, session_cookie},
    config::{BasePath, OpenIdConnect, Role, Secret},
    trust::BadCertificate,
};

/// The cookie that binds an attempt to a browser.
pub const COOKIE: &str = "wigo_oidc";
/// Where it is sent.
const COOKIE_PATH: &str = "/api/oidc";
/// How long signing in may take, in seconds.
const ATTEMPT_SECONDS: i64 = 600;
/// Longest code that is handed on, in bytes.
const MAX_CODE: usize = 4 << 10;
/// Sign-ins that talk to the provider at once.
const MAX_TALKS: usize = 4;
/// How long others wait for one of these to end.
const TALK_WAIT: Duration = Duration::from_secs(5);

/// What the rest of Wigo does when somebody is known.
pub trait Sessions: Send + Sync {
    /// Begins a session of this person, who signed in by OpenID Connect `from` there. Answers the secret
    /// for the cookie, or why there is none.
    fn begin(&self, person: Person, from: Option<IpAddr>) -> Answer<Result<Secret, String>>;

    /// Is told of somebody whom the provider knows and who may do nothing here.
    fn turned_away(&self, person: Person, from: Option<IpAddr>) -> Answer<()>;
}

/// An answer that takes a while.
pub type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Signing in at one provider.
pub struct Oidc {
    settings: OpenIdConnect,
    base: BasePath,
    provider: Provider,
    seal: Seal,
    talks: Semaphore,
    pace: Mutex<Pace>,
    sessions: Arc<dyn Sessions>,
}

/// An answer that sends a browser elsewhere. Does not print: a cookie is as good as a password.
pub struct Sent {
    /// Where to.
    pub to: String,
    /// Texts of `Set-Cookie` headers.
    pub cookies: Vec<String>,
}

/// What a browser brings back from the provider. Does not print either.
#[derive(Clone, Default)]
pub struct Callback {
    pub code: Option<String>,
    pub state: Option<String>,
    /// Who the provider says it is.
    pub issuer: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// The content of [`COOKIE`].
    pub cookie: Option<String>,
    pub from: Option<IpAddr>,
}

impl Oidc {
    /// Prepares; nothing is asked yet, so a provider that is down keeps nobody from starting.
    pub fn new(
        settings: OpenIdConnect,
        base: BasePath,
        sessions: Arc<dyn Sessions>,
    ) -> Result<Arc<Oidc>, BadCertificate> {
        let http = Http::new(settings.ca_file.as_deref())?;
        Ok(Oidc::with_http(settings, base, sessions, http))
    }

    fn with_http(
        settings: OpenIdConnect,
        base: BasePath,
        sessions: Arc<dyn Sessions>,
        http: Http,
    ) -> Arc<Oidc> {
        let (provider, talks) = (Provider::new(http), Semaphore::new(MAX_TALKS));
        let (seal, pace) = (Seal::new(), Mutex::default());
        Arc::new(Oidc { settings, base, provider, seal, talks, pace, sessions })
    }

    /// Below which path browsers see us.
    pub fn base(&self) -> &BasePath {
        &self.base
    }

    /// What the button at the login page says.
    pub fn display_name(&self) -> &str {
        &self.settings.display_name
    }

    /// Sends a browser to the provider, and afterwards to `next`.
    pub async fn begin(self: &Arc<Oidc>, next: &str) -> Result<Sent, Refused> {
        let (us, next) = (self.clone(), own_path(next).to_owned());
        let until = Timestamp::now().as_second() + ATTEMPT_SECONDS;
        let begun = self.talk(move || us.provider.begin(&us.settings, &next, until)).await;
        let (to, attempt) = begun.map_err(|because| self.log(because))?;
        let cookie = self.cookie(&self.seal.close(&attempt), ATTEMPT_SECONDS);
        Ok(Sent { to, cookies: vec![cookie] })
    }

    /// Signs in who comes back from the provider.
    pub async fn finish(self: &Arc<Oidc>, callback: Callback) -> Result<Sent, Refused> {
        let from = callback.from;
        let (attempt, code) =
            self.recognise(callback, Timestamp::now()).map_err(|because| self.log(because))?;
        if !self.pace().admit(from, Instant::now()) {
            return Err(self.log((Refused::Busy, "they come back too often".into())));
        }
        let (us, next) = (self.clone(), attempt.next.clone());
        let claims = self.talk(move || us.provider.claims(&us.settings, attempt, code)).await;
        let claims = claims.map_err(|because| self.log(because))?;
        let nameless =
            || (Refused::Untrusted, "the provider gives no name and no `sub`".to_owned());
        let person = person::person(&self.settings, &claims)
            .ok_or_else(nameless)
            .map_err(|b| self.log(b))?;
        if person.role == Role::None {
            let why = format!("{} is in no group that has a role", shown(&person.name));
            self.sessions.turned_away(person, from).await;
            return Err(self.log((Refused::NoRole, why)));
        }
        tracing::info!("{} signs in by OpenID Connect", shown(&person.name));
        let session = self.sessions.begin(person, from).await;
        let session = session.map_err(|why| self.log((Refused::NoSession, why)))?;
        let session = session_cookie(&session, &self.base, self.is_secure());
        Ok(Sent { to: self.base.over(&next), cookies: vec![session, self.forget()] })
    }

    /// The cookie that makes a browser forget its attempt.
    pub fn forget(&self) -> String {
        self.cookie("", 0)
    }

    /// The attempt that a browser comes back from, and the code it brings.
    fn recognise(&self, callback: Callback, now: Timestamp) -> Result<(Attempt, String), Because> {
        let stranger = |why: &str| (Refused::OtherBrowser, why.to_owned());
        let attempt = callback.cookie.and_then(|cookie| self.seal.open(&cookie));
        let attempt = attempt.ok_or_else(|| stranger("it has no cookie of ours"))?;
        let state = callback.state.unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(attempt.state.as_bytes())) {
            return Err(stranger("its `state` is that of another attempt"));
        }
        if attempt.until < now.as_second() {
            return Err((Refused::TooLate, "it began more than 10 minutes ago".into()));
        }
        if callback.issuer.is_some_and(|issuer| issuer != self.settings.issuer) {
            return Err((Refused::Untrusted, "it comes from another provider".into()));
        }
        match (callback.code, callback.error) {
            (Some(code), None) if code.len() <= MAX_CODE => Ok((attempt, code)),
            (_, Some(error)) if error == "access_denied" => Err((Refused::Denied, shown(&error))),
            (_, Some(error)) => Err((Refused::WrongClient, shown(&error))),
            _ => Err((Refused::Untrusted, "it brings no code".into())),
        }
    }

    /// Talks to the provider on a thread that may wait. Only a few do at once.
    async fn talk<T: Send + 'static>(
        self: &Arc<Oidc>,
        question: impl FnOnce() -> Result<T, Because> + Send + 'static,
    ) -> Result<T, Because> {
        let Ok(Ok(_permit)) = timeout(TALK_WAIT, self.talks.acquire()).await else {
            return Err((Refused::Busy, format!("{MAX_TALKS} others talk to the provider")));
        };
        let answer = tokio::task::spawn_blocking(question).await;
        answer.unwrap_or_else(|error| Err((Refused::NoProvider, error.to_string())))
    }

    fn log(&self, (refused, why): Because) -> Refused {
        let word = refused.word();
        let said = format!("nobody was signed in by OpenID Connect ({word}): {why}");
        let is_told = !matches!(refused, Refused::OtherBrowser | Refused::Busy);
        // Anybody can cause this as often as he likes.
        match is_told.then(|| self.pace().tell(Instant::now())).flatten() {
            Some(0) => tracing::warn!("{said}"),
            Some(untold) => tracing::warn!("{said} (and {untold} times more before)"),
            None => tracing::debug!("{said}"),
        }
        refused
    }

    fn cookie(&self, content: &str, seconds: i64) -> String {
        // Lax, since a page of the provider sends the browser back.
        format!(
            "{COOKIE}={content}; Path={}; Max-Age={seconds}; HttpOnly; SameSite=Lax{}",
            self.base.over(COOKIE_PATH),
            if self.is_secure() { "; Secure" } else { "" }
        )
    }

    /// Whether browsers reach us by TLS.
    fn is_secure(&self) -> bool {
        self.settings.redirect_url.starts_with("https:")
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub mod fake;
#[cfg(test)]
mod tests;
