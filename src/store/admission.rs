//! The tables `client`, `join_token` and `revoked_client`: which push clients may connect, the tokens that
//! admit them, and (`revoked`) who was revoked.
//!
//! Each call is a transaction of its own that is on the disk when it returns (see `direct.rs`), also from
//! another process such as `wigo token join`.

mod revoked;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{
    StoreError,
    direct::{Direct, rows, time},
};

pub(super) use self::revoked::REVOKED_COLUMNS;
pub use self::revoked::{MAX_REVOKED, Revoked};

/// In the order in which a [`Row`] is read.
pub(super) const CLIENT_COLUMNS: &str = "uuid, key, name, since";
/// In the order in which a [`Row`] is read.
pub(super) const TOKEN_COLUMNS: &str = "hash, uses_left, expires, grp, host, created, used";

/// The most clients that are read.
const MAX_CLIENTS: usize = 100_000;
/// The most tokens there can be, those included that are used up or expired and not removed yet.
pub const MAX_TOKENS: usize = 1_000;
/// How long a token that is of no use any more is kept, to be told apart from one that never was.
const KEEP_SPENT: SignedDuration = SignedDuration::from_hours(24);

/// A push client that may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub uuid: Uuid,
    /// SHA-256 of the public key it is bound to.
    pub key: [u8; 32],
    /// Of its host.
    pub name: String,
    /// When the key was bound.
    pub since: Timestamp,
}

/// A token that admits push clients without an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    pub uses_left: u32,
    /// No use from then on.
    pub expires: Timestamp,
    /// Only for clients of this group.
    pub group: Option<String>,
    /// Only for hosts whose name matches; `*` stands for any text, case does not matter.
    pub host: Option<String>,
    pub created: Timestamp,
    /// When it was used last.
    pub used: Option<Timestamp>,
}

/// What came of the attempt to use a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenUse {
    /// It admits; one use less is left.
    Good,
    Unknown,
    UsedUp,
    Expired,
    /// It is for clients of another group.
    OtherGroup,
    /// It is for hosts of another name.
    OtherHost,
}

/// Which push clients may connect, and the tokens that admit them. Every call blocks, for a lock of
/// others up to about five seconds.
#[derive(Clone, Debug)]
pub struct Admission {
    direct: Direct,
}

/// For the command line: the same in the database at `path`, which a running wigo may have open. It is
/// neither made nor brought up to date.
pub fn open_for_tokens(path: &Path) -> Result<Admission, StoreError> {
    let admission = Admission::at(path);
    admission.direct.connect()?;
    Ok(admission)
}

impl Admission {
    pub(super) fn at(path: &Path) -> Admission {
        Admission { direct: Direct::at(path) }
    }

    /// All clients.
    pub fn clients(&self) -> Result<Vec<Client>, StoreError> {
        let sql = format!("SELECT {CLIENT_COLUMNS} FROM client ORDER BY uuid LIMIT {MAX_CLIENTS}");
        self.direct
            .read("read the push clients from", |connection| rows(connection, &sql, read_client))
    }

    /// Lets a client connect, with this key and no other.
    pub fn bind_client(&self, uuid: Uuid, key: [u8; 32], name: &str) -> Result<(), StoreError> {
        self.direct.write("write the key of a push client to", |connection| {
            bind(connection, uuid, key, name)
        })
    }

    /// Forgets the key of a client. Returns whether there was one.
    pub fn unbind_client(&self, uuid: Uuid) -> Result<bool, StoreError> {
        self.direct.write("remove the key of a push client from", |connection| {
            let sql = "DELETE FROM client WHERE uuid = ?1";
            Ok(connection.execute(sql, [uuid.as_bytes()])? > 0)
        })
    }

    /// Makes a token good: `hash` is the SHA-256 of its secret. With `group` and `host` it is only for
    /// clients of that group and of hosts whose name matches (`*` stands for any text).
    pub fn mint_token(
        &self,
        hash: [u8; 32],
        uses: u32,
        expires: Timestamp,
        group: Option<String>,
        host: Option<String>,
    ) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let minted = self.direct.write("write a token to", |connection| {
            purge_tokens(connection, now)?;
            let sql = "INSERT INTO join_token (hash, uses_left, expires, grp, host, created) \
                       SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM join_token) < ?7";
            let (expires, now) = (expires.as_millisecond(), now.as_millisecond());
            let values = params![hash, uses, expires, group, host, now, MAX_TOKENS as i64];
            Ok(connection.execute(sql, values)? > 0)
        })?;
        let problem = || {
            format!(
                "cannot write a token to the database `{}`: it holds {MAX_TOKENS} already; drop some \
                 or wait until they expire",
                self.direct.path().display()
            )
        };
        if minted { Ok(()) } else { Err(StoreError::Admission { problem: problem() }) }
    }

    /// Whether a token is good for a client of this group and host name. Takes no use of it.
    pub fn look_at_token(
        &self,
        hash: [u8; 32],
        now: Timestamp,
        group: &str,
        host: &str,
    ) -> Result<TokenUse, StoreError> {
        self.direct
            .read("read a token from", |connection| verdict(connection, hash, now, group, host))
    }

    /// Uses a token for a client of this group and host name, which may connect from then on, with this
    /// key. Nothing changes unless the token is good.
    pub fn bind_by_token(
        &self,
        hash: [u8; 32],
        now: Timestamp,
        group: &str,
        host: &str,
        uuid: Uuid,
        key: [u8; 32],
    ) -> Result<TokenUse, StoreError> {
        self.direct.write("use a token of", |connection| {
            let verdict = verdict(connection, hash, now, group, host)?;
            if verdict == TokenUse::Good {
                let sql = "UPDATE join_token SET uses_left = uses_left - 1, used = ?2 \
                           WHERE hash = ?1";
                connection.execute(sql, params![hash, now.as_millisecond()])?;
                bind(connection, uuid, key, host)?;
            }
            Ok(verdict)
        })
    }

    /// Takes back what [`Admission::bind_by_token`] has changed.
    pub fn unbind_by_token(&self, hash: [u8; 32], uuid: Uuid) -> Result<(), StoreError> {
        self.direct.write("give a token back to", |connection| {
            connection.execute("DELETE FROM client WHERE uuid = ?1", [uuid.as_bytes()])?;
            let sql = "UPDATE join_token SET uses_left = uses_left + 1 WHERE hash = ?1";
            connection.execute(sql, [hash]).map(drop)
        })
    }

    /// All tokens, the newest first.
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let sql = format!("SELECT {TOKEN_COLUMNS} FROM join_token ORDER BY created DESC, hash");
        self.direct.read("read the tokens from", |connection| rows(connection, &sql, read_token))
    }

    /// Makes a token unknown. Returns whether it was known.
    pub fn drop_token(&self, hash: [u8; 32]) -> Result<bool, StoreError> {
        self.direct.write("remove a token from", |connection| {
            Ok(connection.execute("DELETE FROM join_token WHERE hash = ?1", [hash])? > 0)
        })
    }
}

fn bind(connection: &Connection, uuid: Uuid, key: [u8; 32], name: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO client (uuid, key, name, since) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT DO UPDATE SET name = excluded.name, key = excluded.key, \
               since = iif(key = excluded.key, since, excluded.since)";
    let now = Timestamp::now().as_millisecond();
    connection.execute(sql, params![uuid.as_bytes(), key, name, now]).map(drop)
}

fn verdict(
    connection: &Connection,
    hash: [u8; 32],
    now: Timestamp,
    group: &str,
    host: &str,
) -> rusqlite::Result<TokenUse> {
    let sql = format!("SELECT {TOKEN_COLUMNS} FROM join_token WHERE hash = ?1");
    let token = connection.query_row(&sql, [hash], |row| Ok(read_token(row))).optional()?;
    Ok(token.flatten().map_or(TokenUse::Unknown, |token| token.verdict(now, group, host)))
}

/// Removes the tokens that have been of no use for a day.
pub(super) fn purge_tokens(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let cutoff = now.as_millisecond().saturating_sub(KEEP_SPENT.as_millis() as i64);
    let sql = "DELETE FROM join_token WHERE expires < ?1 OR uses_left <= 0 AND used < ?1";
    connection.execute(sql, [cutoff]).map(drop)
}

impl Token {
    fn verdict(&self, now: Timestamp, group: &str, host: &str) -> TokenUse {
        match () {
            () if now >= self.expires => TokenUse::Expired,
            () if self.uses_left == 0 => TokenUse::UsedUp,
            () if self.group.as_ref().is_some_and(|wanted| wanted != group) => TokenUse::OtherGroup,
            () if self.host.as_ref().is_some_and(|pattern| !matches(pattern, host)) => {
                TokenUse::OtherHost
            }
            () => TokenUse::Good,
        }
    }
}

/// Whether a name matches a pattern in which `*` stands for any text. Case does not matter, as in DNS.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    // To take each piece where it comes first leaves the most for those after it.
    for piece in pieces {
        match left.split_once(piece) {
            _ if piece.is_empty() => {}
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

fn read_client(row: &Row<'_>) -> Option<Client> {
    Some(Client {
        uuid: Uuid::from_bytes(row.get(0).ok()?),
        key: row.get(1).ok()?,
        name: row.get(2).ok()?,
        since: time(row, 3)?,
    })
}

fn read_token(row: &Row<'_>) -> Option<Token> {
    Some(Token {
        hash: row.get(0).ok()?,
        uses_left: row.get(1).ok()?,
        expires: time(row, 2)?,
        group: row.get(3).ok()?,
        host: row.get(4).ok()?,
        created: time(row, 5)?,
        used: time(row, 6),
    })
}

#[cfg(test)]
mod tests;
