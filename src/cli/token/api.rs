//! Tokens of programs that call the API.

use jiff::{SignedDuration, Timestamp};

use super::CannotDo;
use crate::{
    access::{check_token_name, new_token, token_hash},
    cli::{printable::printable, shell, user::Role},
    config::Config,
    store::{self, AccessTables, ApiToken},
};

/// What a new token is good for.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// What it is for.
    name: String,
    /// What the program may do.
    #[arg(long, value_enum, default_value = "readonly")]
    role: Role,
    /// How long it is good: 90s, 30m, 24h or 30d; for ever if left out.
    #[arg(long = "for", value_name = "TIME", value_parser = super::life)]
    life: Option<std::time::Duration>,
}

/// Opens the tables in the database of the agent.
pub fn open(config: &Config) -> Result<AccessTables, CannotDo> {
    let path = &config.global.database;
    store::open_access(path)
        .map_err(|error| CannotDo::Database { path: path.clone(), source: error.into() })
}

/// Makes a token and returns it, the only time it can be seen.
pub fn create(create: &Create, config: &Config) -> Result<String, CannotDo> {
    check_token_name(&create.name).map_err(CannotDo::Name)?;
    let tables = open(config)?;
    let token = new_token();
    let hash = token_hash(token.expose()).expect("it is one of ours");
    let expires = create.life.map(|life| {
        let life = SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX);
        Timestamp::now().saturating_add(life).unwrap_or(Timestamp::MAX)
    });
    let role = create.role.into();
    let audit = store::open_audit(&config.global.database);
    shell::audited(&audit, "token.create", &create.name, None, || {
        let made = tables.add_token(hash, &create.name, role, &shell::user(), expires)?;
        made.map(|_| token.expose().to_owned()).ok_or(CannotDo::Full)
    })
}

/// Makes a token useless.
pub fn revoke(id: i64, config: &Config) -> Result<(), CannotDo> {
    let tables = open(config)?;
    let audit = store::open_audit(&config.global.database);
    shell::audited(&audit, "token.revoke", &id.to_string(), None, || {
        match tables.revoke_token(id)? {
            true => Ok(()),
            false => Err(CannotDo::NoSuchToken(id.to_string())),
        }
    })
}

/// All tokens, a line each, the newest first.
pub fn list<'t>(tokens: impl Iterator<Item = &'t ApiToken>, now: Timestamp) -> String {
    let mut tokens: Vec<&ApiToken> = tokens.collect();
    tokens.sort_by_key(|token| std::cmp::Reverse(token.id));
    let line = |token: &&ApiToken| {
        let state = match (token.revoked, token.expires) {
            (Some(at), _) => format!("revoked {at:.0}"),
            (None, Some(at)) if at <= now => format!("expired {at:.0}"),
            (None, Some(at)) => format!("until {at:.0}"),
            (None, None) => "for ever".to_owned(),
        };
        let used = token.used.map_or_else(|| "never used".into(), |at| format!("used {at:.0}"));
        let (role, name) = (token.role.word(), printable(&token.name));
        format!("{:<5} {role:<8}  {state}  {used}  {name}\n", token.id)
    };
    tokens.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_what_each_token_is_still_good_for() {
        let at = |second| Timestamp::from_second(second).ok();
        let token = |id, expires, revoked| ApiToken {
            id,
            hash: [0; 32],
            name: "c\u{1b}i".into(),
            role: crate::config::Role::Operator,
            creator: "eve".into(),
            created: Timestamp::UNIX_EPOCH,
            expires,
            revoked,
            used: at(5).filter(|_| id == 1),
        };
        let tokens = [
            token(1, None, None),
            token(2, at(10), None),
            token(3, at(90), None),
            token(4, at(90), at(7)),
        ];
        let text = list(tokens.iter(), at(50).unwrap());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("4 ") && lines[0].contains("revoked 1970"), "{text}");
        assert!(lines[1].contains("until 1970") && lines[1].contains("never used"), "{text}");
        assert!(lines[2].contains("expired 1970"), "{text}");
        assert!(lines[3].contains("for ever  used 1970"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
