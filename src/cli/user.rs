//! `wigo user`: people who may log in, kept in the database of this agent.
//!
//! Works on the database itself, so that the first user can be made, and one that has lost the password
//! helped. A running agent notices within a second or so.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use thiserror::Error;

use super::{printable::printable, screen::Screen, shell};
use crate::{
    access::password::{self, BadPassword, MAX_BYTES},
    config::{self, Config, DEFAULT_PATH, LoadError, Secret, check_name},
    store::{self, Accounts, MAX_USERS, StoreError, UserChange},
};

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a user. The password is asked for, or read from the standard input.
    Add {
        name: String,
        /// What the user may do.
        #[arg(long, value_enum)]
        role: Role,
    },
    /// Show who may log in.
    List,
    /// Give a user another password. It ends their sessions.
    Password { name: String },
    /// Give a user another role. It ends their sessions.
    Role {
        name: String,
        #[arg(value_enum)]
        role: Role,
    },
    /// Remove a user. It ends their sessions.
    Remove { name: String },
    /// End all sessions of somebody, who may log in again. Also for those who log in by OpenID Connect.
    Logout { name: String },
    /// Print the hash of a password, for PasswordHash in the configuration.
    Hash,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// See everything.
    Readonly,
    /// See and change everything.
    Operator,
}

impl From<Role> for config::Role {
    fn from(role: Role) -> config::Role {
        match role {
            Role::Readonly => config::Role::Readonly,
            Role::Operator => config::Role::Operator,
        }
    }
}

/// Why nothing could be done.
#[derive(Debug, Error)]
pub enum CannotDo {
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error(
        "cannot open the database `{}`: run this on the host of the agent, as root or its user, once it \
         has started",
        path.display()
    )]
    Database { path: PathBuf, source: Box<StoreError> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("`{name}` cannot be a user: give {allowed}")]
    Name { name: String, allowed: String },
    #[error("there is a user `{0}` already: `wigo user password` gives another password")]
    Exists(String),
    #[error("the user `{0}` is in the configuration: change it there")]
    Configured(String),
    #[error("there is no user `{0}` in the database: `wigo user list` shows those there are")]
    Unknown(String),
    #[error("nobody is logged in with a browser as `{0}`")]
    NotLoggedIn(String),
    #[error("there are {MAX_USERS} users already: remove some")]
    Full,
    #[error(transparent)]
    Password(#[from] BadPassword),
    #[error("the two passwords differ: nothing was changed")]
    Differ,
    #[error("cannot read a password")]
    Read(#[source] io::Error),
    #[error(transparent)]
    Output(#[from] super::Error),
}

/// Does what the command line asks.
pub fn run(command: Command, path: Option<&Path>) -> Result<(), CannotDo> {
    let screen = Screen::of_stdout(false);
    if matches!(command, Command::Hash) {
        let hash = password::hash(&new_password("Password: ")?);
        return Ok(screen.print(&format!("{}\n", hash.expose())).map(drop)?);
    }
    let config = config::load_beside(path.unwrap_or(DEFAULT_PATH.as_ref()))?.config;
    let database = &config.global.database;
    let tables = store::open_access(database)
        .map_err(|error| CannotDo::Database { path: database.clone(), source: error.into() })?;
    let audit = store::open_audit(database);
    let change = |action: &str,
                  name: &str,
                  after: Option<serde_json::Value>,
                  change: &dyn Fn() -> Result<UserChange, StoreError>| {
        shell::audited(&audit, action, name, after, || done(change()?, name))
    };
    let of_role = |role: Role| Some(serde_json::json!({"Role": config::Role::from(role).word()}));
    match command {
        Command::List => {
            screen.print(&list(&config, &tables.load()?))?;
        }
        Command::Add { name, role } => {
            check_name(&name).map_err(|allowed| CannotDo::Name { name: name.clone(), allowed })?;
            changeable(&config, &name)?;
            let hash = password::hash(&new_password("Password: ")?);
            let add = || tables.add_user(&name, role.into(), &hash);
            change("user.add", &name, of_role(role), &add)?;
        }
        Command::Password { name } => {
            changeable(&config, &name)?;
            let hash = password::hash(&new_password("New password: ")?);
            change("user.password", &name, None, &|| tables.set_password(&name, &hash))?;
        }
        Command::Role { name, role } => {
            changeable(&config, &name)?;
            let set = || tables.set_role(&name, role.into());
            change("user.role", &name, of_role(role), &set)?;
        }
        Command::Remove { name } => {
            changeable(&config, &name)?;
            change("user.remove", &name, None, &|| tables.remove_user(&name))?;
            let none_left = tables.load()?.users.is_empty();
            let http = &config.http;
            if none_left
                && !http.has_login()
                && http.users.is_empty()
                && http.proxy.user_header.is_empty()
                && http.anonymous_role.is_none()
            {
                screen.complain(
                    "that was the last user: unless people log in by OpenID Connect, everybody may see \
                     everything now; AnonymousRole in [Http] changes that",
                );
            }
        }
        Command::Logout { name } => {
            shell::audited(&audit, "user.logout", &name, None, || {
                match tables.end_sessions_of(&name)? {
                    0 => Err(CannotDo::NotLoggedIn(name.clone())),
                    _ => Ok(()),
                }
            })?;
        }
        Command::Hash => {}
    }
    Ok(())
}

fn changeable(config: &Config, name: &str) -> Result<(), CannotDo> {
    let http = &config.http;
    match http.login == name || http.users.iter().any(|user| user.name == name) {
        true => Err(CannotDo::Configured(name.into())),
        false => Ok(()),
    }
}

fn done(change: UserChange, name: &str) -> Result<(), CannotDo> {
    match change {
        UserChange::Done => Ok(()),
        UserChange::Exists => Err(CannotDo::Exists(name.into())),
        UserChange::Unknown => Err(CannotDo::Unknown(name.into())),
        UserChange::Full => Err(CannotDo::Full),
    }
}

/// Asks for a new password: twice on a terminal, where nobody sees what is typed.
fn new_password(prompt: &str) -> Result<Secret, CannotDo> {
    let password = if io::stdin().is_terminal() {
        let ask = |prompt: &str| rpassword::prompt_password(prompt).map(Secret::new);
        let password = ask(prompt).map_err(CannotDo::Read)?;
        if ask("Once more: ").map_err(CannotDo::Read)? != password {
            return Err(CannotDo::Differ);
        }
        password
    } else {
        let mut line = String::new();
        // One more than is allowed, and a line break, so that what is too long is noticed.
        let mut input = io::stdin().lock().take(MAX_BYTES as u64 + 3);
        input.read_line(&mut line).map_err(CannotDo::Read)?;
        Secret::new(line.trim_end_matches(['\r', '\n']))
    };
    password::check(&password)?;
    Ok(password)
}

fn list(config: &Config, accounts: &Accounts) -> String {
    let http = &config.http;
    let login = http.has_login().then_some((&http.login, config::Role::Operator));
    let configured = http.users.iter().map(|user| (&user.name, user.role)).chain(login);
    let mut lines: Vec<String> = configured
        .map(|(name, role)| line(name, role, "in the configuration"))
        .chain(accounts.users.values().map(|user| {
            let since = Timestamp::from_second(user.created.as_second()).unwrap_or_default();
            let note = match changeable(config, &user.name) {
                Ok(()) => format!("since {since}"),
                Err(_) => "of no effect: one of this name is in the configuration".to_owned(),
            };
            line(&user.name, user.role, &note)
        }))
        .collect();
    lines.sort_unstable();
    lines.concat()
}

fn line(name: &str, role: config::Role, note: &str) -> String {
    format!("{:<24}  {:<8}  {note}\n", printable(name), role.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_where_each_user_is_kept() {
        let text = "[Http]\nLogin = \"me\"\nPassword = \"secret\"";
        let config = config::parse(text, Path::new("w")).unwrap().config;
        let at = Timestamp::from_second(0).unwrap();
        let user = |name: &str| store::User {
            name: name.into(),
            role: config::Role::Readonly,
            password: Secret::new("planted"),
            created: at,
            changed: at,
        };
        let users = [user("eve"), user("me")].map(|user| (user.name.clone(), user)).into();
        let text = list(&config, &Accounts { users, ..Accounts::default() });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("eve ") && lines[0].ends_with("since 1970-01-01T00:00:00Z"));
        assert!(lines[1].contains("operator") && lines[1].contains("in the configuration"));
        assert!(lines[2].contains("of no effect"));
        assert!(!text.contains("planted"));
    }
}
