//! What is in the database, and how a database of an earlier version becomes one of this.
//!
//! `PRAGMA user_version` counts the [`STEPS`] that were taken. A step is never changed once released.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

use super::{Note, access, database::beside, original, salvage, trouble::Trouble};

/// Each brings the database from the version that is its index to the next.
const STEPS: [&str; 5] = [
    "
    -- Every transition. Times are Unix milliseconds, UTC; texts are '' where there is none.
    CREATE TABLE journal (
        id        INTEGER PRIMARY KEY,  -- only grows on this instance
        origin    BLOB    NOT NULL,     -- uuid of the instance where it happened
        origin_id INTEGER NOT NULL,     -- its id there
        at        INTEGER NOT NULL,     -- when it happened
        learned   INTEGER NOT NULL,     -- when this instance knew
        kind      TEXT    NOT NULL,     -- the word of a `Kind`
        grp       TEXT    NOT NULL,
        host      TEXT    NOT NULL,
        probe     TEXT    NOT NULL,
        was       INTEGER,              -- status before
        now       INTEGER,              -- status after
        message   TEXT    NOT NULL,
        UNIQUE (origin, origin_id)
    ) STRICT;
    -- The id comes with it: one host's entries in order, for the log and for history.
    CREATE INDEX journal_host ON journal (host);
    -- For retention, which goes by our clock and not by what others claim.
    CREATE INDEX journal_learned ON journal (learned);

    -- What each probe said last, so that a restart does not begin blind.
    CREATE TABLE last_result (
        origin    BLOB    NOT NULL,     -- uuid of the instance that ran it
        probe     TEXT    NOT NULL,
        version   TEXT    NOT NULL,
        value     TEXT    NOT NULL,     -- JSON
        message   TEXT    NOT NULL,
        date      INTEGER NOT NULL,     -- Unix milliseconds
        metrics   TEXT    NOT NULL,     -- JSON
        detail    TEXT    NOT NULL,     -- JSON
        status    INTEGER NOT NULL,
        exit_code INTEGER NOT NULL,
        interval  INTEGER NOT NULL,     -- seconds
        since     INTEGER NOT NULL,     -- Unix milliseconds; when the status began
        PRIMARY KEY (origin, probe)
    ) STRICT;

    CREATE TABLE meta (
        key   TEXT PRIMARY KEY,         -- highest_id, alive_at (Unix ms), clean_stop, accounts_lost (0, 1)…
        value INTEGER NOT NULL
    ) STRICT;
",
    "
    -- The newest entry of a probe, which retention keeps and history begins with.
    CREATE INDEX journal_probe ON journal (host, probe, at);
",
    "
    -- The instances below this one, so that a restart neither forgets them nor takes them for new.
    CREATE TABLE instance (
        uuid         BLOB    PRIMARY KEY,
        parent       BLOB    NOT NULL,  -- uuid of the instance above it
        via          BLOB    NOT NULL,  -- uuid of the one directly below us that tells of it
        contact      TEXT    NOT NULL,  -- push, pull; '' if it is not directly below us
        address      TEXT    NOT NULL,  -- where from (push) or its endpoint (pull)
        encrypted    INTEGER NOT NULL,  -- 0, 1
        version      TEXT    NOT NULL,
        name         TEXT    NOT NULL,
        grp          TEXT    NOT NULL,
        labels       TEXT    NOT NULL,  -- JSON object of texts
        down         INTEGER NOT NULL,  -- 0, 1: it was told to be down
        last_update  INTEGER            -- Unix milliseconds; when it was last heard of
    ) STRICT;

    -- How far in the journal of an instance directly below we have its entries.
    CREATE TABLE position (
        uuid BLOB    PRIMARY KEY,
        id   INTEGER NOT NULL           -- in its journal
    ) STRICT;

    -- The push clients that may connect, each bound to one key.
    CREATE TABLE client (
        uuid  BLOB    PRIMARY KEY,
        key   BLOB    NOT NULL,         -- SHA-256 of its public key
        name  TEXT    NOT NULL,         -- of its host
        since INTEGER NOT NULL          -- Unix milliseconds; when the key was bound
    ) STRICT;

    -- The push clients that were revoked: only an operator lets them in again.
    CREATE TABLE revoked_client (
        uuid BLOB    PRIMARY KEY,
        key  BLOB,                      -- SHA-256 of the public key it had, if it had one
        at   INTEGER NOT NULL           -- Unix milliseconds
    ) STRICT;

    -- Tokens with which a push client is admitted without an operator. The secret itself is nowhere.
    CREATE TABLE join_token (
        hash      BLOB    PRIMARY KEY,  -- SHA-256 of the secret
        uses_left INTEGER NOT NULL,
        expires   INTEGER NOT NULL,     -- Unix milliseconds
        grp       TEXT,                 -- only for clients of this group
        host      TEXT,                 -- only for hosts whose name matches; * stands for any text
        created   INTEGER NOT NULL,     -- Unix milliseconds
        used      INTEGER               -- Unix milliseconds; when it was used last
    ) STRICT;
",
    "
    -- People who may log in, besides those of the configuration.
    CREATE TABLE user (
        name     TEXT    PRIMARY KEY,
        role     TEXT    NOT NULL,      -- readonly, operator
        password TEXT    NOT NULL,      -- Argon2id, in PHC format
        created  INTEGER NOT NULL,      -- Unix milliseconds
        changed  INTEGER NOT NULL       -- Unix milliseconds; password or role
    ) STRICT;

    -- Who is logged in with a browser. The secret of the cookie itself is nowhere.
    CREATE TABLE session (
        hash    BLOB    PRIMARY KEY,    -- SHA-256 of the secret
        name    TEXT    NOT NULL,
        role    TEXT    NOT NULL,       -- readonly, operator
        how     TEXT    NOT NULL,       -- password, oidc
        stamp   BLOB    NOT NULL,       -- of password and role at the login: the session ends when they change
        address TEXT    NOT NULL,       -- where from; '' if not known
        created INTEGER NOT NULL,       -- Unix milliseconds
        used    INTEGER NOT NULL,       -- Unix milliseconds; off by a minute at most
        expires INTEGER NOT NULL        -- Unix milliseconds
    ) STRICT;

    -- Tokens of programs that call the API. The secret itself is nowhere.
    CREATE TABLE api_token (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        hash    BLOB    NOT NULL UNIQUE, -- SHA-256 of the secret
        name    TEXT    NOT NULL,
        role    TEXT    NOT NULL,       -- readonly, operator
        creator TEXT    NOT NULL,       -- who made it
        created INTEGER NOT NULL,       -- Unix milliseconds
        expires INTEGER,                -- Unix milliseconds; NULL: never
        revoked INTEGER,                -- Unix milliseconds
        used    INTEGER                 -- Unix milliseconds; when it was used last, off by a minute at most
    ) STRICT;

    -- Every change that somebody asked for.
    CREATE TABLE audit (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        at      INTEGER NOT NULL,       -- Unix milliseconds
        who     TEXT    NOT NULL,
        role    TEXT    NOT NULL,       -- none, readonly, operator
        how     TEXT    NOT NULL,       -- anonymous, password, session, token, proxy, order, shell
        address TEXT    NOT NULL,       -- where from; '' if not known
        action  TEXT    NOT NULL,       -- what, a word or two such as probe.disable
        target  TEXT    NOT NULL,       -- on what
        detail  TEXT    NOT NULL,       -- with what: JSON, without secrets
        before  TEXT,                   -- JSON
        after   TEXT,                   -- JSON
        outcome TEXT    NOT NULL        -- begun, done, waiting, or refused: and why
    ) STRICT;
    CREATE INDEX audit_at ON audit (at);

    -- Probes that somebody has switched off here, to be shown and to be switched on again.
    CREATE TABLE disabled_probe (
        probe    TEXT    PRIMARY KEY,
        reason   TEXT    NOT NULL,
        author   TEXT    NOT NULL,
        interval INTEGER NOT NULL,      -- seconds; how often it ran before
        target   TEXT    NOT NULL,      -- where its link pointed to; '' for one that lies in examples
        created  INTEGER NOT NULL,      -- Unix milliseconds
        until    INTEGER                -- Unix milliseconds; NULL: until somebody switches it on
    ) STRICT;

    -- Orders to instances below: those that wait for one to be back, and what became of others lately.
    CREATE TABLE probe_order (
        id       BLOB    PRIMARY KEY,   -- UUID
        instance BLOB    NOT NULL,      -- UUID of the one it is for
        host     TEXT    NOT NULL,      -- its name
        probe    TEXT    NOT NULL,
        what     TEXT    NOT NULL,      -- JSON
        author   TEXT    NOT NULL,
        address  TEXT    NOT NULL,      -- where the author asked from; '' if not known
        created  INTEGER NOT NULL,      -- Unix milliseconds
        expires  INTEGER NOT NULL,      -- Unix milliseconds
        state    TEXT    NOT NULL,      -- waiting, done, refused, expired, cancelled
        finished INTEGER,               -- Unix milliseconds
        answer   TEXT    NOT NULL       -- why it waits, or what came of it
    ) STRICT;
",
    "
    -- What the policy of notifications knows, in pieces.
    CREATE TABLE notify_state (
        kind  TEXT NOT NULL,
        key   TEXT NOT NULL,
        value TEXT NOT NULL,            -- JSON
        PRIMARY KEY (kind, key)
    ) STRICT;

    -- What broke together, from the first of it to the recovery.
    CREATE TABLE incident (
        id     BLOB    PRIMARY KEY,     -- UUID
        opened INTEGER NOT NULL,        -- Unix milliseconds
        closed INTEGER,                 -- Unix milliseconds; NULL while it is open
        status INTEGER NOT NULL,
        worst  INTEGER NOT NULL,
        host   TEXT    NOT NULL,        -- what it is called after
        probe  TEXT    NOT NULL,        -- '': the host itself; so in all tables here
        grp    TEXT    NOT NULL,
        listed INTEGER NOT NULL,        -- how many members are in incident_member
        value  TEXT    NOT NULL         -- JSON
    ) STRICT;
    CREATE INDEX incident_closed ON incident (closed);
    CREATE INDEX incident_opened ON incident (opened);
    CREATE TABLE incident_member (
        incident BLOB NOT NULL,
        host     TEXT NOT NULL,
        probe    TEXT NOT NULL,
        grp      TEXT NOT NULL,
        PRIMARY KEY (host, probe, incident)
    ) STRICT;
    CREATE INDEX incident_member_incident ON incident_member (incident);
    CREATE INDEX incident_member_group ON incident_member (grp);
    CREATE TABLE incident_moment (
        id       INTEGER PRIMARY KEY,
        incident BLOB    NOT NULL,
        at       INTEGER NOT NULL,      -- Unix milliseconds
        event    TEXT    NOT NULL,      -- opened, joined, worsened, told…
        host     TEXT    NOT NULL,      -- '' if it is about no subject
        probe    TEXT    NOT NULL,
        status   INTEGER,
        text     TEXT    NOT NULL,
        by       TEXT                   -- who did it, where somebody did
    ) STRICT;
    CREATE INDEX incident_moment_incident ON incident_moment (incident, id);
    CREATE TRIGGER incident_gone AFTER DELETE ON incident BEGIN
        DELETE FROM incident_member WHERE incident = old.id;
        DELETE FROM incident_moment WHERE incident = old.id;
    END;

    -- The outbox, and what became of its messages.
    CREATE TABLE notification (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        key       TEXT    NOT NULL UNIQUE,
        channel   TEXT    NOT NULL,
        kind      TEXT    NOT NULL,     -- problem, recovered…
        incident  BLOB,                 -- UUID
        host      TEXT    NOT NULL,
        probe     TEXT    NOT NULL,
        title     TEXT    NOT NULL,
        status    INTEGER NOT NULL,
        at        INTEGER NOT NULL,     -- Unix milliseconds; when it was decided
        state     TEXT    NOT NULL,     -- waiting, sent, dead, expired
        attempts  INTEGER NOT NULL,
        next      INTEGER,              -- Unix milliseconds; when it is tried next; NULL unless it waits
        delivered INTEGER,              -- Unix milliseconds
        answer    TEXT    NOT NULL,     -- what the receiver said, or why it failed
        expires   INTEGER NOT NULL,     -- Unix milliseconds
        text      TEXT    NOT NULL,     -- as it was sent last
        copied    INTEGER NOT NULL,     -- 0, 1: another channel got a copy, since this one failed
        message   TEXT    NOT NULL      -- JSON
    ) STRICT;
    CREATE INDEX notification_due ON notification (channel, next) WHERE state = 'waiting';
    CREATE INDEX notification_order ON notification (channel, incident, id) WHERE state = 'waiting';
    CREATE INDEX notification_dead ON notification (channel, state)
        WHERE state IN ('dead', 'expired');
    CREATE INDEX notification_delivered ON notification (channel, delivered)
        WHERE delivered IS NOT NULL;
    CREATE INDEX notification_at ON notification (at);
    CREATE INDEX notification_host ON notification (host, id);
    CREATE INDEX notification_incident ON notification (incident, id);
    CREATE TABLE notification_try (
        id           INTEGER PRIMARY KEY,
        notification INTEGER NOT NULL,
        at           INTEGER NOT NULL,  -- Unix milliseconds
        ok           INTEGER NOT NULL,  -- 0, 1
        text         TEXT    NOT NULL,
        milliseconds INTEGER NOT NULL   -- how long it took
    ) STRICT;
    CREATE INDEX notification_try_notification ON notification_try (notification, id);
    CREATE TRIGGER notification_gone AFTER DELETE ON notification BEGIN
        DELETE FROM notification_try WHERE notification = old.id;
    END;

    -- Why something was sent, or not.
    CREATE TABLE decision (
        id       INTEGER PRIMARY KEY,
        at       INTEGER NOT NULL,      -- Unix milliseconds
        host     TEXT    NOT NULL,
        probe    TEXT    NOT NULL,
        entry    INTEGER,               -- id in the journal; NULL where time led to it
        incident BLOB,                  -- UUID
        channel  TEXT,                  -- NULL: it ended before a channel was asked
        status   INTEGER NOT NULL,
        outcome  TEXT    NOT NULL,      -- sent, waiting, grouped, held
        reason   TEXT    NOT NULL,      -- what decided
        chain    TEXT    NOT NULL,      -- JSON
        key      TEXT                   -- of the message, if there is one
    ) STRICT;
    CREATE INDEX decision_at ON decision (at);
    CREATE INDEX decision_host ON decision (host, probe, id);
    CREATE INDEX decision_incident ON decision (incident, id);
",
];

/// The version of the database that this program reads and writes.
pub(super) const VERSION: usize = STEPS.len();

/// The first version with accounts in it.
pub(super) const ACCOUNTS_SINCE: usize = 4;

/// What kind of database a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet.
    Empty,
    /// The log of an original Wigo.
    Original,
    /// One of ours, with this many steps taken.
    Ours(usize),
}

/// Looks at a database without writing to it. One of a later version, or of another program, is refused.
pub(super) fn examine(connection: &Connection, path: &Path) -> Result<Found, Trouble> {
    let look = || -> rusqlite::Result<(i64, i64, bool)> {
        Ok((
            connection.query_row("PRAGMA user_version", [], |row| row.get(0))?,
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
            connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'logs')",
                [],
                |row| row.get(0),
            )?,
        ))
    };
    let (version, objects, has_logs) = look().map_err(|error| Trouble::of("read", path, &error))?;
    match usize::try_from(version) {
        Ok(0) if objects == 0 => Ok(Found::Empty),
        Ok(0) if has_logs => Ok(Found::Original),
        Ok(version @ 1..=VERSION) => Ok(Found::Ours(version)),
        Ok(0) => Err(Trouble::passing(format!(
            "cannot use the database `{}`: it has tables of another program in it; nothing was \
             changed in it; configure another file",
            path.display()
        ))),
        _ => Err(Trouble::passing(format!(
            "cannot use the database `{}`: it has version {version} and this wigo knows versions up \
             to {VERSION}; nothing was changed in it; run the newer wigo again or configure another \
             file",
            path.display()
        ))),
    }
}

/// Brings a database to [`VERSION`] in one transaction. One that holds data is copied first. Returns
/// what a person should know of it: not that one of ours was brought up to date.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    found: Found,
    origin: Uuid,
) -> Result<Vec<Note>, Trouble> {
    let taken = match found {
        Found::Ours(VERSION) => return Ok(Vec::new()),
        Found::Ours(taken) => taken,
        Found::Empty | Found::Original => 0,
    };
    let mut notes = Vec::new();
    if found == Found::Original {
        // The original left it to the umask. Best effort: the owner may be another user.
        let _ = fs::set_permissions(path, Permissions::from_mode(0o600));
    }
    if found != Found::Empty {
        let copy = copy(connection, path, taken)?;
        tracing::info!(
            "copied the database `{}` to `{}` before bringing it up to date",
            path.display(),
            copy.display()
        );
    }
    let mut run = || -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for step in &STEPS[taken..] {
            transaction.execute_batch(step)?;
        }
        // With the tables themselves, so that there is no moment at which nobody seems to have been in them.
        if found == Found::Empty && salvage::was_set_aside(path) {
            access::accounts_may_be_lost(&transaction)?;
        }
        if found == Found::Original {
            let (rows, skipped) = original::import(&transaction, origin, Timestamp::now())?;
            notes.push(Note::info(format!(
                "took over {rows} log entries of an earlier wigo from `{}`; {skipped} were skipped; \
                 a copy of it as it was is beside it",
                path.display()
            )));
        }
        transaction.pragma_update(None, "user_version", VERSION as i64)?;
        transaction.commit()
    };
    run().map_err(|error| Trouble::of("bring up to date", path, &error))?;
    Ok(notes)
}

/// Copies the database to `<name>.before-v<next version>`, by way of a temporary name.
fn copy(connection: &Connection, path: &Path, taken: usize) -> Result<PathBuf, Trouble> {
    let target = beside(path, &format!(".before-v{}", taken + 1));
    let partial = beside(path, ".copying");
    let io = |error: std::io::Error| Trouble::io("copy the database to", &target, &error);
    let _ = fs::remove_file(&partial);
    super::database::create_private(&partial).map_err(io)?;
    let name = partial.to_str().ok_or_else(|| io(std::io::ErrorKind::InvalidFilename.into()))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| {
        let _ = fs::remove_file(&partial);
        Trouble::of("copy, before bringing it up to date,", path, &error)
    })?;
    fs::rename(&partial, &target).map_err(io)?;
    Ok(target)
}
