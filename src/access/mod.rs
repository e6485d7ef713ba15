//! Who asks over HTTP, and what they may do.
//!
//! [`Access`] holds the accounts, sessions and tokens of configuration and database in memory, tells who a
//! request is from ([`credentials`]), begins and ends sessions, and says when rights have changed, so that
//! answers that take long can end. Every change that is asked for goes to the audit log.

mod caller;
mod cookie;
mod credentials;
mod host_name;
mod housekeeping;
mod key;
pub mod oidc;
pub mod password;
mod path;
mod proxy;
mod sign_in;
mod throttle;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::{SignedDuration, Timestamp};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use tokio::sync::watch;

pub use self::{
    caller::{Caller, How},
    cookie::{SESSION_COOKIE, cookies, no_session_cookie, session_cookie},
    credentials::Refused,
    host_name::{is_loopback, is_ours, name_in},
    key::token as new_token,
    key::{check_token_name, token_hash},
    path::own_path,
    proxy::{Origin, origin},
    sign_in::SignIn,
};
use self::{password::Verifier, throttle::Throttle};
use crate::{
    config::{Config, OpenIdConnect, Role, Secret},
    store::{
        AccessTables, Accounts, Audit, AuditRow, MAX_API_TOKENS, MAX_SESSIONS, Session, Store,
        StoreError,
    },
};

/// A session ends when it was not used for so long…
pub const IDLE: SignedDuration = SignedDuration::from_hours(12);
/// …and at the latest after this.
pub const LONGEST_SESSION: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Who may use the API.
pub struct Access {
    config: Arc<ArcSwap<Config>>,
    tables: AccessTables,
    audit: Audit,
    state: Mutex<State>,
    /// Held while the database is read.
    loading: Mutex<()>,
    throttle: Mutex<Throttle>,
    verifier: Verifier,
    /// For prints that only this process compares.
    key: [u8; 32],
    provider: ArcSwapOption<Provider>,
    changes: watch::Sender<u64>,
}

/// By whom people can log in by OpenID Connect.
pub struct Provider {
    /// How it is called.
    pub name: String,
    /// A digest of the settings that say who has which role: sessions that began under others have ended.
    rules: Vec<u8>,
}

/// What is in the database, as far as it could be read.
#[derive(Default)]
struct State {
    accounts: Accounts,
    /// Why it is not known who is in the database: it was not readable since the start, or has replaced one
    /// that was damaged.
    unreadable: Option<String>,
    /// It was read once, and cannot be read any more.
    is_stale: bool,
}

/// An account as it is now.
struct Account {
    role: Role,
    /// The password, or its hash.
    secret: Secret,
}

impl Access {
    /// Reads the accounts that there are. Blocks.
    pub fn open(store: &Store, config: Arc<ArcSwap<Config>>) -> Arc<Access> {
        let mut key = [0; 32];
        SystemRandom::new().fill(&mut key).expect("the system has random numbers");
        let access = Access {
            config,
            tables: store.access(),
            audit: store.audit(),
            state: Mutex::default(),
            loading: Mutex::default(),
            throttle: Mutex::default(),
            verifier: Verifier::start(),
            key,
            provider: ArcSwapOption::empty(),
            changes: watch::channel(0).0,
        };
        access.load();
        Arc::new(access)
    }

    /// Where every change that is asked for is written down.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// A number that grows whenever somebody may have got or lost rights.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// To be called when the configuration is another one: it may name other users.
    pub fn configuration_changed(&self) {
        self.changed();
    }

    /// People can log in by OpenID Connect with these settings; `None`: they cannot (any more).
    pub fn set_provider(&self, settings: Option<&OpenIdConnect>) {
        let provider = settings.map(|settings| {
            Arc::new(Provider { name: settings.display_name.clone(), rules: rules(settings) })
        });
        self.provider.store(provider);
        self.changed();
    }

    /// By whom people can log in by OpenID Connect, if they can.
    pub fn provider(&self) -> Option<Arc<Provider>> {
        self.provider.load_full()
    }

    /// Whether there is anybody who can log in with a password.
    pub fn has_passwords(&self) -> bool {
        let http = &self.config.load().http;
        http.has_login() || !http.users.is_empty() || !self.state().accounts.users.is_empty()
    }

    /// Whether there is a way to be known by name here, so that who is not has nothing to do here.
    pub fn is_locked(&self) -> bool {
        let has_proxy = !self.config.load().http.proxy.user_header.is_empty();
        has_proxy || self.has_passwords() || self.provider().is_some()
    }

    /// What a caller without credentials may do.
    pub fn anonymous_role(&self) -> Role {
        let configured = self.config.load().http.anonymous_role;
        configured.unwrap_or_else(|| {
            // Whoever has users may not be without them only because the disk is bad.
            if self.is_locked() || self.state().unreadable.is_some() {
                Role::None
            } else {
                Role::Operator
            }
        })
    }

    /// Why the users in the database are not known, if they are not.
    pub fn problem(&self) -> Option<String> {
        self.state().unreadable.clone()
    }

    /// All that is in the database.
    pub fn accounts(&self) -> Accounts {
        self.state().accounts.clone()
    }

    /// Changes something in the database and takes it over at once.
    pub async fn change<T: Send + 'static>(
        self: &Arc<Access>,
        change: impl FnOnce(&AccessTables) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let access = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let outcome = change(&access.tables)?;
            access.load();
            Ok(outcome)
        });
        done.await.unwrap_or_else(|error| Err(StoreError::Admission { problem: error.to_string() }))
    }

    /// Begins a session of somebody who has logged in. `how`: `password` or `oidc`. Returns the secret for
    /// the cookie.
    pub async fn begin_session(
        self: &Arc<Access>,
        name: &str,
        role: Role,
        how: &'static str,
        from: Option<IpAddr>,
    ) -> Result<Secret, StoreError> {
        let secret = key::secret();
        let hash = key::session_hash(secret.expose()).expect("it is one of ours");
        let stamp = match how {
            "password" => self.stamp(&secret, name).unwrap_or_default(),
            _ => self.provider().map(|provider| provider.rules.clone()).unwrap_or_default(),
        };
        let now = Timestamp::now();
        let session = Session {
            hash,
            name: name.to_owned(),
            role,
            how: how.to_owned(),
            stamp,
            address: from.map(|address| address.to_string()).unwrap_or_default(),
            created: now,
            used: now,
            expires: now.saturating_add(LONGEST_SESSION).unwrap_or(Timestamp::MAX),
        };
        self.change(move |tables| tables.add_session(&session, IDLE)).await?;
        Ok(secret)
    }

    /// Ends the session of this caller. Returns whether it was one.
    pub async fn end_session(self: &Arc<Access>, caller: &Caller) -> Result<bool, StoreError> {
        let Some(hash) = caller.session() else { return Ok(false) };
        self.change(move |tables| tables.end_session(hash)).await
    }

    /// Writes to the audit log. Does not block the runtime.
    pub async fn record(&self, row: AuditRow) -> Result<i64, StoreError> {
        let audit = self.audit.clone();
        let written = tokio::task::spawn_blocking(move || audit.record(&row));
        written
            .await
            .unwrap_or_else(|error| Err(StoreError::Admission { problem: error.to_string() }))
    }

    /// The account of this name.
    fn account(&self, name: &str) -> Option<Account> {
        let http = &self.config.load().http;
        if http.has_login() && http.login == name {
            return Some(Account { role: Role::Operator, secret: http.password.clone() });
        }
        if let Some(user) = http.users.iter().find(|user| user.name == name) {
            return Some(Account { role: user.role, secret: user.password_hash.clone() });
        }
        let state = self.state();
        let user = state.accounts.users.get(name)?;
        Some(Account { role: user.role, secret: user.password.clone() })
    }

    /// Tells the present state of an account from others, within this process.
    fn print(&self, name: &str) -> Option<[u8; 32]> {
        let account = self.account(name)?;
        Some(key::print(&self.key, name, account.role, &account.secret))
    }

    /// The same for the database: only the secret of the session makes it comparable, so that nobody can
    /// guess passwords with what is stored.
    fn stamp(&self, session: &Secret, name: &str) -> Option<Vec<u8>> {
        let account = self.account(name)?;
        let key = session.expose().as_bytes();
        Some(key::print(key, name, account.role, &account.secret).to_vec())
    }

    /// Whether somebody is configured, and so not to be changed in the database.
    pub fn is_configured(&self, name: &str) -> bool {
        let http = &self.config.load().http;
        http.login == name || http.users.iter().any(|user| user.name == name)
    }

    /// Whether a session that a provider stands for began under the rules that hold now.
    fn is_of_provider(&self, session: &Session) -> bool {
        self.provider().is_some_and(|provider| provider.rules == session.stamp)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What decides who somebody is and what role they have.
fn rules(settings: &OpenIdConnect) -> Vec<u8> {
    let OpenIdConnect { issuer, client_id, name_claim, groups_claim, .. } = settings;
    let OpenIdConnect { operator_groups, readonly_groups, default_role, .. } = settings;
    let rules = (issuer, client_id, name_claim, groups_claim, operator_groups, readonly_groups);
    let text = format!("{rules:?}{}", default_role.word());
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// Whether a session goes on.
fn goes_on(session: &Session, now: Timestamp) -> bool {
    now < session.expires && now.duration_since(session.used) < IDLE
}

// Everything in memory is bounded by what is in the database.
const _: () = assert!(MAX_SESSIONS <= 10_000 && MAX_API_TOKENS <= 10_000);

#[cfg(test)]
mod tests;
