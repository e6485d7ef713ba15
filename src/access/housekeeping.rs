//! What goes on beside the requests: changes by the command line are noticed, sessions and tokens end, and
//! when they were used last is written down.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{Access, State, goes_on};
use crate::{
    store::{AccessWatch, Accounts, AuditRow},
    task::Stop,
};

/// How often changes of others are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many looks pass between two rounds of writing down what was used last.
const LOOKS_BETWEEN_NOTES: u32 = 60;

impl Access {
    /// Keeps what is in memory true, until told to stop.
    pub async fn run(self: Arc<Access>, mut stop: Stop) {
        let mut watch = AccessWatch::default();
        let mut noted = Timestamp::now();
        let mut ended = self.useless(noted);
        for look in 1.. {
            let is_last = tokio::select! {
                () = stop.wait() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let access = Arc::clone(&self);
            let notes = is_last || look % LOOKS_BETWEEN_NOTES == 0;
            let since = noted;
            let work = tokio::task::spawn_blocking(move || {
                let changed = watch.have_changed(&access.tables);
                if changed {
                    access.load();
                }
                if notes {
                    access.write_notes(since);
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
        }
    }

    /// Reads all that is in the database. What cannot be read stays as it was. Blocks.
    pub(super) fn load(&self) {
        let is_there = self.tables.exists();
        match self.tables.load() {
            Ok(accounts) => {
                let mut state = self.state();
                let accounts = with_last_use(accounts, &state.accounts);
                let changed = accounts != state.accounts || state.unreadable.is_some();
                *state = State { accounts, unreadable: None };
                drop(state);
                if changed {
                    self.changed();
                }
            }
            // No file: nobody is in it.
            Err(_) if !is_there => {}
            Err(error) => {
                let mut state = self.state();
                // What was read once is still the best that is known.
                if state.accounts == Accounts::default() {
                    let why = error.to_string();
                    if state.unreadable.as_ref() != Some(&why) {
                        tracing::error!("it is not known which users the database holds: {why}");
                    }
                    state.unreadable = Some(why);
                }
            }
        }
    }

    /// Writes down when sessions and tokens were used last, and what was turned away. Blocks.
    fn write_notes(&self, since: Timestamp) {
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
