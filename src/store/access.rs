//! The tables `user`, `session` and `api_token`: who may use the API, besides those of the configuration.
//!
//! As in `direct.rs`, what a call changed is on the disk when it returns. Each change also raises a number
//! in `meta`, by which a running agent notices what the command line has changed.

mod watch;

use std::{collections::HashMap, fs, path::Path};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, params};

pub use self::watch::AccessWatch;
use super::{
    StoreError,
    database::set_meta,
    direct::{Direct, rows, time},
};
use crate::config::{Role, Secret};

/// In the order in which a [`Row`] is read.
pub(super) const USER_COLUMNS: &str = "name, role, password, created, changed";
/// In the order in which a [`Row`] is read.
pub(super) const SESSION_COLUMNS: &str =
    "hash, name, role, how, stamp, address, created, used, expires";
/// In the order in which a [`Row`] is read.
pub(super) const TOKEN_COLUMNS: &str =
    "id, hash, name, role, creator, created, expires, revoked, used";

/// The most users in the database.
pub const MAX_USERS: usize = 1_000;
/// The most sessions; the one that was not used for longest goes for a new one.
pub const MAX_SESSIONS: usize = 1_000;
/// The most sessions of one user.
pub const MAX_SESSIONS_OF_USER: usize = 20;
/// The most tokens, those included that are revoked or expired.
pub const MAX_API_TOKENS: usize = 1_000;
/// How long a token that is of no use any more is shown.
const KEEP_USELESS_TOKENS: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The number in `meta` that each change raises.
const REVISION: &str = "access_revision";
/// Is in `meta` while this database has replaced a damaged one whose users could not be read.
const LOST: &str = "accounts_lost";

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub name: String,
    pub role: Role,
    /// Argon2id in PHC format.
    pub password: Secret,
    pub created: Timestamp,
    /// Password or role.
    pub changed: Timestamp,
}

/// Somebody who is logged in.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// SHA-256 of the secret of the cookie.
    pub hash: [u8; 32],
    pub name: String,
    pub role: Role,
    /// `password` or `oidc`.
    pub how: String,
    /// Of password and role at the login.
    pub stamp: Vec<u8>,
    /// Where from; empty if not known.
    pub address: String,
    pub created: Timestamp,
    pub used: Timestamp,
    pub expires: Timestamp,
}

/// A token of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiToken {
    pub id: i64,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    pub name: String,
    pub role: Role,
    pub creator: String,
    pub created: Timestamp,
    /// `None`: never.
    pub expires: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
    pub used: Option<Timestamp>,
}

impl ApiToken {
    /// Whether it is good.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// All three tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accounts {
    pub users: HashMap<String, User>,
    /// By the SHA-256 of their secrets.
    pub sessions: HashMap<[u8; 32], Session>,
    /// By the SHA-256 of their secrets.
    pub tokens: HashMap<[u8; 32], ApiToken>,
    /// There may have been others: this database has replaced a damaged one whose users could not be read.
    pub are_lost: bool,
}

/// What came of a change to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChange {
    Done,
    /// There is one of this name.
    Exists,
    Unknown,
    /// There are [`MAX_USERS`].
    Full,
}

/// The three tables. Every call blocks, for a lock of others up to about five seconds.
#[derive(Clone, Debug)]
pub struct AccessTables {
    direct: Direct,
}

/// For the command line: the tables in the database at `path`, which a running wigo may have open. It is
/// neither made nor brought up to date.
pub fn open_access(path: &Path) -> Result<AccessTables, StoreError> {
    let tables = AccessTables::at(path);
    tables.direct.connect()?;
    Ok(tables)
}

impl AccessTables {
    pub(super) fn at(path: &Path) -> AccessTables {
        AccessTables { direct: Direct::at(path) }
    }

    /// Whether there is a file in which somebody could be.
    pub fn exists(&self) -> bool {
        match fs::metadata(self.direct.path()) {
            Ok(file) => file.is_file() && file.len() > 0,
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// Everything.
    pub fn load(&self) -> Result<Accounts, StoreError> {
        self.direct.read("read users, sessions and tokens from", |connection| {
            let select = |columns: &str, table: &str, most: usize| {
                format!("SELECT {columns} FROM {table} LIMIT {most}")
            };
            let users = rows(connection, &select(USER_COLUMNS, "user", MAX_USERS), read_user)?;
            let sql = select(SESSION_COLUMNS, "session", MAX_SESSIONS);
            let sessions = rows(connection, &sql, read_session)?;
            let sql = select(TOKEN_COLUMNS, "api_token", MAX_API_TOKENS);
            let tokens = rows(connection, &sql, read_token)?;
            Ok(Accounts {
                users: users.into_iter().map(|user| (user.name.clone(), user)).collect(),
                sessions: sessions.into_iter().map(|one| (one.hash, one)).collect(),
                tokens: tokens.into_iter().map(|token| (token.hash, token)).collect(),
                are_lost: number(connection, LOST)?.is_some(),
            })
        })
    }

    /// Adds a user.
    pub fn add_user(
        &self,
        name: &str,
        role: Role,
        hash: &Secret,
    ) -> Result<UserChange, StoreError> {
        self.change("write a user to", |connection| {
            let count = count(connection, "user")?;
            if count >= MAX_USERS {
                return Ok(UserChange::Full);
            }
            let now = Timestamp::now().as_millisecond();
            let sql = "INSERT OR IGNORE INTO user (name, role, password, created, changed) \
                       VALUES (?1, ?2, ?3, ?4, ?4)";
            let added = connection.execute(sql, params![name, role.word(), hash.expose(), now])?;
            if added == 0 {
                return Ok(UserChange::Exists);
            }
            accounts_are_known(connection)?;
            Ok(UserChange::Done)
        })
    }

    /// Gives a user another password, and ends their sessions.
    pub fn set_password(&self, name: &str, hash: &Secret) -> Result<UserChange, StoreError> {
        self.change_user(
            name,
            "UPDATE user SET password = ?2, changed = ?3 WHERE name = ?1",
            hash.expose(),
        )
    }

    /// Gives a user another role, and ends their sessions.
    pub fn set_role(&self, name: &str, role: Role) -> Result<UserChange, StoreError> {
        self.change_user(
            name,
            "UPDATE user SET role = ?2, changed = ?3 WHERE name = ?1",
            role.word(),
        )
    }

    /// Removes a user, and ends their sessions.
    pub fn remove_user(&self, name: &str) -> Result<UserChange, StoreError> {
        self.change_user(name, "DELETE FROM user WHERE name = ?1 AND ?2 = '' AND ?3 > 0", "")
    }

    fn change_user(&self, name: &str, sql: &str, value: &str) -> Result<UserChange, StoreError> {
        self.change("write a user to", |connection| {
            let now = Timestamp::now().as_millisecond();
            if connection.execute(sql, params![name, value, now])? == 0 {
                return Ok(UserChange::Unknown);
            }
            let sql = "DELETE FROM session WHERE name = ?1 AND how = 'password'";
            connection.execute(sql, [name])?;
            Ok(UserChange::Done)
        })
    }

    /// Adds a session. Those that end without it make place: expired ones, and the ones that were not
    /// used for longest.
    pub fn add_session(&self, session: &Session, idle: SignedDuration) -> Result<(), StoreError> {
        self.change("write a session to", |connection| {
            let (now, idle) = (session.created.as_millisecond(), idle.as_millis() as i64);
            let sql = "DELETE FROM session WHERE expires <= ?1 OR used <= ?2";
            connection.execute(sql, params![now, now - idle])?;
            let sql = "DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE name = ?1 \
                       ORDER BY used DESC, hash LIMIT -1 OFFSET ?2)";
            connection.execute(sql, params![session.name, MAX_SESSIONS_OF_USER as i64 - 1])?;
            let sql = "DELETE FROM session WHERE hash IN (SELECT hash FROM session \
                       ORDER BY used DESC, hash LIMIT -1 OFFSET ?1)";
            connection.execute(sql, [MAX_SESSIONS as i64 - 1])?;
            let sql = format!(
                "INSERT INTO session ({SESSION_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
            );
            let values = params![
                session.hash,
                session.name,
                session.role.word(),
                session.how,
                session.stamp,
                session.address,
                now,
                session.used.as_millisecond(),
                session.expires.as_millisecond(),
            ];
            connection.execute(&sql, values).map(drop)
        })
    }

    /// Ends a session. Returns whether there was one.
    pub fn end_session(&self, hash: [u8; 32]) -> Result<bool, StoreError> {
        self.change("remove a session from", |connection| {
            Ok(connection.execute("DELETE FROM session WHERE hash = ?1", [hash])? > 0)
        })
    }

    /// Ends all sessions of somebody, however they began. Returns how many there were.
    pub fn end_sessions_of(&self, name: &str) -> Result<usize, StoreError> {
        self.change("remove sessions from", |connection| {
            connection.execute("DELETE FROM session WHERE name = ?1", [name])
        })
    }

    /// Makes a token good: `hash` is the SHA-256 of its secret. `None`: there are [`MAX_API_TOKENS`].
    pub fn add_token(
        &self,
        hash: [u8; 32],
        name: &str,
        role: Role,
        creator: &str,
        expires: Option<Timestamp>,
    ) -> Result<Option<ApiToken>, StoreError> {
        let created = Timestamp::now();
        self.change("write a token to", |connection| {
            let old = created.saturating_sub(KEEP_USELESS_TOKENS).unwrap_or(Timestamp::MIN);
            let sql = "DELETE FROM api_token WHERE expires < ?1 OR revoked < ?1";
            connection.execute(sql, [old.as_millisecond()])?;
            if count(connection, "api_token")? >= MAX_API_TOKENS {
                return Ok(None);
            }
            let sql = "INSERT INTO api_token (hash, name, role, creator, created, expires) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let until = expires.map(Timestamp::as_millisecond);
            let now = created.as_millisecond();
            connection.execute(sql, params![hash, name, role.word(), creator, now, until])?;
            let id = connection.last_insert_rowid();
            let (name, creator) = (name.to_owned(), creator.to_owned());
            let token = ApiToken {
                id,
                hash,
                name,
                role,
                creator,
                created,
                expires,
                revoked: None,
                used: None,
            };
            Ok(Some(token))
        })
    }

    /// Makes a token useless. Returns whether it was known; one that was revoked before stays so.
    pub fn revoke_token(&self, id: i64) -> Result<bool, StoreError> {
        self.change("revoke a token in", |connection| {
            let sql = "UPDATE api_token SET revoked = coalesce(revoked, ?2) WHERE id = ?1";
            let now = Timestamp::now().as_millisecond();
            Ok(connection.execute(sql, params![id, now])? > 0)
        })
    }

    /// Notes when sessions and tokens were used last, by the SHA-256 of their secrets.
    pub fn note_use(&self, used: &[([u8; 32], Timestamp)]) -> Result<(), StoreError> {
        self.direct.write("write the last use of sessions and tokens to", |connection| {
            for (hash, at) in used {
                for table in ["session", "api_token"] {
                    let sql = format!("UPDATE {table} SET used = ?2 WHERE hash = ?1");
                    connection.execute(&sql, params![hash, at.as_millisecond()])?;
                }
            }
            Ok(())
        })
    }

    fn change<T>(
        &self,
        doing: &str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.direct.write(doing, |connection| {
            let outcome = change(connection)?;
            raise_revision(connection)?;
            Ok(outcome)
        })
    }
}

/// Lets those who watch notice that the tables have changed.
pub(super) fn raise_revision(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, 1) \
               ON CONFLICT DO UPDATE SET value = value + 1";
    connection.execute(sql, [REVISION]).map(drop)
}

/// Notes that users may be missing here: a damaged database was replaced.
pub(super) fn accounts_may_be_lost(connection: &Connection) -> rusqlite::Result<()> {
    set_meta(connection, LOST, 1)
}

/// Nobody is missing, or an operator has begun anew.
pub(super) fn accounts_are_known(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM meta WHERE key = ?1", [LOST]).map(drop)
}

fn number(connection: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT max(value) FROM meta WHERE key = ?1";
    connection.query_row(sql, [key], |row| row.get(0))
}

fn count(connection: &Connection, table: &str) -> rusqlite::Result<usize> {
    let sql = format!("SELECT count(*) FROM {table}");
    connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(|count| count.max(0) as usize)
}

/// A role that makes no sense is none: such a row is left out.
fn role(row: &Row<'_>, column: usize) -> Option<Role> {
    Role::of(&row.get::<_, String>(column).ok()?).filter(|role| *role != Role::None)
}

fn read_user(row: &Row<'_>) -> Option<User> {
    Some(User {
        name: row.get(0).ok()?,
        role: role(row, 1)?,
        password: Secret::new(row.get::<_, String>(2).ok()?),
        created: time(row, 3)?,
        changed: time(row, 4)?,
    })
}

fn read_session(row: &Row<'_>) -> Option<Session> {
    Some(Session {
        hash: row.get(0).ok()?,
        name: row.get(1).ok()?,
        role: role(row, 2)?,
        how: row.get(3).ok()?,
        stamp: row.get(4).ok()?,
        address: row.get(5).ok()?,
        created: time(row, 6)?,
        used: time(row, 7)?,
        expires: time(row, 8)?,
    })
}

fn read_token(row: &Row<'_>) -> Option<ApiToken> {
    Some(ApiToken {
        id: row.get(0).ok()?,
        hash: row.get(1).ok()?,
        name: row.get(2).ok()?,
        role: role(row, 3)?,
        creator: row.get(4).ok()?,
        created: time(row, 5)?,
        expires: time(row, 6),
        revoked: time(row, 7),
        used: time(row, 8),
    })
}

#[cfg(test)]
mod tests;
