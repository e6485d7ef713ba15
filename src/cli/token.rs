//! `wigo token`: lets push clients in without an operator, and programs use the API, for as long and as
//! often as is said here.
//!
//! Works on the files of the agent, its database and the certificate of its authority, so that it
//! needs no login and a running agent no further way in.

mod api;

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Subcommand, builder::NonEmptyStringValueParser};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::{printable::printable, screen::Screen, shell};
use crate::{
    config::{self, Config, DEFAULT_PATH, LoadError},
    duration,
    push::JoinToken,
    store::{self, Admission, Audit, MAX_API_TOKENS, StoreError, Token},
    trust::{BadCertificate, certificate_fingerprint},
};

/// The most clients that one token admits.
const MAX_USES: i64 = 100_000;
/// The longest life of a token: a year.
const MAX_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// Hexadecimal digits by which a token is named in a list.
const ID_DIGITS: usize = 12;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a token that admits push clients without an operator. It is printed once and kept nowhere.
    Join(Join),
    /// Make a token with which a program may use the API. It is printed once and kept nowhere.
    Create(api::Create),
    /// Show the tokens there are, those for push clients and those for programs. The tokens themselves are
    /// not known any more.
    List,
    /// Make the token of a program useless, at once.
    Revoke {
        /// Its number in the list.
        id: i64,
    },
    /// Make a token for push clients useless. Clients that it has admitted stay.
    Drop {
        /// Its number in the list.
        id: String,
    },
}

/// What a new token is good for.
#[derive(Debug, clap::Args)]
pub struct Join {
    /// How many clients it admits.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_USES))]
    uses: u32,
    /// How long it is good: 90s, 30m, 24h or 7d.
    #[arg(long = "for", value_name = "TIME", default_value = "24h", value_parser = life)]
    life: Duration,
    /// Only for clients of this group.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    group: Option<String>,
    /// Only for hosts whose name matches; `*` stands for any text.
    #[arg(long, value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    host: Option<String>,
}

/// Why nothing could be done.
#[derive(Debug, Error)]
pub enum CannotDo {
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error(
        "cannot read the certificate of the push server's authority: run this on the push server, as root \
         or its user, and set SslCert in [PushServer]; generate_cert makes one"
    )]
    Authority(#[source] BadCertificate),
    #[error(
        "cannot open the database `{}`: run this on the push server, as root or its user, once it has \
         started",
        path.display()
    )]
    Database { path: PathBuf, source: Box<StoreError> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there is no token `{0}`: `wigo token list` shows those there are")]
    NoSuchToken(String),
    #[error("a token cannot be called that: {0}")]
    Name(String),
    #[error("there are {MAX_API_TOKENS} tokens already: revoke some and wait")]
    Full,
    #[error("`{0}` means several tokens: write more of its digits")]
    Ambiguous(String),
    #[error("the token is made, and cannot be printed: {0}; drop it and make another")]
    Output(#[source] super::Error),
}

/// Does what the command line asks.
pub fn run(command: Command, path: Option<&Path>) -> Result<(), CannotDo> {
    let config = config::load_beside(path.unwrap_or(DEFAULT_PATH.as_ref()))?.config;
    let database = &config.global.database;
    let tokens = store::open_for_tokens(database)
        .map_err(|error| CannotDo::Database { path: database.clone(), source: error.into() })?;
    let screen = Screen::of_stdout(false);
    let text = match command {
        Command::Join(join) => {
            let (token, expires) = mint(&join, &config, &tokens)?;
            // Where the token is piped to a program, the standard error may go to a log.
            let shown = if io::stdout().is_terminal() { token.as_str() } else { "…" };
            screen.complain(&explanation(&config, &join, expires, shown));
            format!("{token}\n")
        }
        Command::Create(create) => format!("{}\n", api::create(&create, &config)?),
        Command::Revoke { id } => {
            api::revoke(id, &config)?;
            String::new()
        }
        Command::List => {
            let now = Timestamp::now();
            let join = list(&tokens.tokens()?, now);
            let programs = api::list(api::open(&config)?.load()?.tokens.values(), now);
            let part = |title: &str, lines: &str| match lines.is_empty() {
                true => String::new(),
                false => format!("{title}\n{lines}"),
            };
            part("For push clients:", &join) + &part("For programs:", &programs)
        }
        Command::Drop { id } => {
            let hash = named(&tokens.tokens()?, &id)?;
            shell::audited(&audit(&config), "join-token.drop", &self::id(&hash), None, || {
                tokens.drop_token(hash)
            })?;
            String::new()
        }
    };
    screen.print(&text).map(drop).map_err(CannotDo::Output)
}

fn audit(config: &Config) -> Audit {
    store::open_audit(&config.global.database)
}

/// Makes a token, and says until when it is good.
fn mint(join: &Join, config: &Config, tokens: &Admission) -> Result<(String, Timestamp), CannotDo> {
    let ca = certificate_fingerprint(&config.push_server.ssl_cert).map_err(CannotDo::Authority)?;
    let token = JoinToken::new(ca);
    let life = SignedDuration::try_from(join.life).unwrap_or(SignedDuration::MAX);
    let expires = Timestamp::now().saturating_add(life).unwrap_or(Timestamp::MAX);
    let (hash, uses) = (token.hash(), join.uses);
    let Join { group, host, .. } = join;
    let after = serde_json::json!({
        "Uses": uses, "ExpiresAt": expires.as_second(), "Group": group, "Host": host,
    });
    shell::audited(&audit(config), "join-token.create", &id(&hash), Some(after), || {
        tokens.mint_token(hash, uses, expires, group.clone(), host.clone())
    })?;
    Ok((token.reveal(), expires))
}

/// What to do with a token, for people.
fn explanation(config: &Config, join: &Join, expires: Timestamp, token: &str) -> String {
    let clients =
        if join.uses == 1 { "one client".into() } else { format!("{} clients", join.uses) };
    let group = join.group.as_ref().map(|group| format!(", of the group {}", printable(group)));
    let host = join.host.as_ref().map(|host| format!(", on hosts named {}", printable(host)));
    let server = &config.push_server;
    let off = if server.enabled { "" } else { "Enabled is false in [PushServer] here: set it.\n" };
    let plain = if server.ssl_enabled { "" } else { "SslEnabled = false\n" };
    format!(
        "{off}Admits {clients} until {expires:.0}{}{}. In the wigo.conf of the client:\n\n\
         [PushClient]\nEnabled = true\nAddress = \"{}\"\nPort = {}\n{plain}JoinToken = \"{token}\"\n",
        group.unwrap_or_default(),
        host.unwrap_or_default(),
        printable(&config.global.hostname),
        server.port,
    )
}

fn id(hash: &[u8; 32]) -> String {
    hash.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(ID_DIGITS).fold(
        String::new(),
        |mut id, digit| {
            let _ = write!(id, "{digit:x}"); // writing to a text cannot fail
            id
        },
    )
}

fn list(tokens: &[Token], now: Timestamp) -> String {
    let mut text = String::new();
    for token in tokens {
        let left = match token.uses_left {
            0 => "used up".to_owned(),
            _ if token.expires <= now => "expired".to_owned(),
            uses => format!("{uses} left"),
        };
        let group = token.group.as_ref().map(|group| format!("  group {}", printable(group)));
        let host = token.host.as_ref().map(|host| format!("  hosts {}", printable(host)));
        let (group, host) = (group.unwrap_or_default(), host.unwrap_or_default());
        let line =
            format!("{}  {left:<12}until {:.0}{group}{host}\n", id(&token.hash), token.expires);
        text.push_str(&line);
    }
    text
}

/// The one token whose number begins like this.
fn named(tokens: &[Token], wanted: &str) -> Result<[u8; 32], CannotDo> {
    let digits = wanted.to_ascii_lowercase();
    let mut found = tokens.iter().filter(|token| id(&token.hash).starts_with(&digits));
    match (found.next(), found.next()) {
        _ if digits.is_empty() => Err(CannotDo::NoSuchToken(wanted.into())),
        (None, _) => Err(CannotDo::NoSuchToken(wanted.into())),
        (Some(token), None) => Ok(token.hash),
        (Some(_), Some(_)) => Err(CannotDo::Ambiguous(wanted.into())),
    }
}

/// Reads `24h`.
fn life(text: &str) -> Result<Duration, String> {
    duration::parse(text, MAX_LIFE)
}

#[cfg(test)]
mod tests;
