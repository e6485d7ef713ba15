//! What goes on beside the requests: changes by the command line are noticed, sessions and tokens end, and
//! when they were used last is written down.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Access, State, goes_on,
    throttle::{LISTED_AT_ONCE, LISTED_EACH},
};
use crate::{
    store::{AUDIT_AGE, AccessWatch, Accounts, AuditRow, MAX_AUDIT_ROWS},
    task::Stop,
};

/// How often changes of others are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many looks pass between two rounds of writing down what was used last.
const LOOKS_BETWEEN_NOTES: u32 = 60;
/// How many looks pass between two rows that count wrong logins.
const LOOKS_BETWEEN_COUNTS: u32 = 3_600;
/// What is told where the users of a damaged database are lost.
const LOST: &str = "the database was damaged, and the users in it could not be read: nobody gets in without a \
                    login until there is one again (`wigo user add`), or AnonymousRole is set in [Http]";

/// Those who may do nothing here cannot push the rows of others out of the audit log: within its age they
/// fill at most this part of it.
const _: () = {
    let age = AUDIT_AGE.as_secs() as u64;
    let counted = age / (LOOK_EVERY.as_secs() * LOOKS_BETWEEN_COUNTS as u64);
    let listed = age / LISTED_EACH.as_secs() + LISTED_AT_ONCE as u64;
    assert!(counted + listed < MAX_AUDIT_ROWS as u64 * 3 / 5);
};

impl Access {
    /// Keeps what is in memory true, until told to stop.
    pub async fn run(self: Arc<Access>, mut stop: Stop) {
        let mut watch = AccessWatch::default();
        let mut noted = Timestamp::now();
        let mut ended = self.useless(noted);
        let mut is_last = false;
        for look in 1.. {
            let access = Arc::clone(&self);
            let notes = is_last || look % LOOKS_BETWEEN_NOTES == 0;
            let counts = is_last || look % LOOKS_BETWEEN_COUNTS == 0;
            let since = noted;
            let work = tokio::task::spawn_blocking(move || {
                if watch.have_changed(&access.tables) && !access.load() {
                    // Looked at anew, or a revocation could be missed.
                    watch = AccessWatch::default();
                }
                if notes {
                    access.note_use(since);
                }
                if counts {
                    access.note_turned_away();
                }
                watch
            });
            // A panic in there is in the log already; the next look begins anew.
            watch = work.await.unwrap_or_default();
            let now = Timestamp::now();
            if notes {
                noted = now;
            }
            let useless = self.useless(now);
            if std::mem::replace(&mut ended, useless) != useless {
                self.changed();
            }
            if is_last {
                return;
            }
            is_last = tokio::select! {
                () = stop.wait() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
        }
    }

    /// Reads all that is in the database. What cannot be read stays as it was. Returns whether what is known
    /// is what is there. Blocks.
    pub(super) fn load(&self) -> bool {
        // One at a time, or an older reading could replace a newer one.
        let _turn = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = self.tables.exists();
        match self.tables.load() {
            Ok(accounts) => {
                let mut state = self.state();
                let accounts = with_last_use(accounts, &state.accounts);
                let unreadable = accounts.are_lost.then(|| LOST.to_owned());
                let changed = accounts != state.accounts || state.unreadable != unreadable;
                let is_decided = self.config.load().http.anonymous_role.is_some();
                if accounts.are_lost && !state.accounts.are_lost && !is_decided {
                    tracing::error!("{LOST}");
                }
                *state = State { accounts, unreadable, is_stale: false };
                drop(state);
                if changed {
                    self.changed();
                }
                true
            }
            // No file: nobody is in it.
            Err(_) if !is_there => true,
            Err(error) => {
                let mut state = self.state();
                // What was read once is still the best that is known.
                if state.accounts == Accounts::default() {
                    let why = error.to_string();
                    if state.unreadable.as_ref() != Some(&why) {
                        tracing::error!("it is not known which users the database holds: {why}");
                    }
                    state.unreadable = Some(why);
                } else if !std::mem::replace(&mut state.is_stale, true) {
                    tracing::error!(
                        "changes of users, sessions and tokens are not noticed: {error}"
                    );
                }
                false
            }
        }
    }

    /// Writes down when sessions and tokens were used last. Blocks.
    fn note_use(&self, since: Timestamp) {
        let used = {
            let Accounts { sessions, tokens, .. } = &self.state().accounts;
            let sessions = sessions.values().map(|session| (session.hash, Some(session.used)));
            let tokens = tokens.values().map(|token| (token.hash, token.used));
            let used = sessions.chain(tokens).filter_map(|(hash, used)| Some((hash, used?)));
            used.filter(|(_, used)| *used >= since).collect::<Vec<_>>()
        };
        if !used.is_empty()
            && let Err(error) = self.tables.note_use(&used)
        {
            tracing::debug!("when sessions and tokens were used last is not written down: {error}");
        }
    }

    /// Writes down how many wrong logins are in no row of their own. Blocks.
    fn note_turned_away(&self) {
        let turned_away = self.throttle().take_turned_away();
        if turned_away > 0 {
            let row = AuditRow {
                role: "none".into(),
                how: "password".into(),
                action: "login".into(),
                outcome: format!("refused: {turned_away} more wrong or too frequent tries"),
                ..AuditRow::default()
            };
            if let Err(error) = self.audit.record(&row) {
                tracing::warn!("wrong logins are not in the audit log: {error}");
            }
        }
    }

    /// How many sessions and tokens are of no use any more.
    fn useless(&self, now: Timestamp) -> usize {
        let Accounts { sessions, tokens, .. } = &self.state().accounts;
        sessions.values().filter(|session| !goes_on(session, now)).count()
            + tokens.values().filter(|token| !token.is_good(now)).count()
    }
}

/// What was used since the last notes is known in memory alone.
fn with_last_use(mut new: Accounts, old: &Accounts) -> Accounts {
    for (hash, session) in &mut new.sessions {
        if let Some(known) = old.sessions.get(hash) {
            session.used = session.used.max(known.used);
        }
    }
    for (hash, token) in &mut new.tokens {
        if let Some(known) = old.tokens.get(hash) {
            token.used = token.used.max(known.used);
        }
    }
    new
}
