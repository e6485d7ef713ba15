//! `[[Http.Users]]`: people who may log in.

use argon2::{Params, PasswordHash};

use super::Role;
use crate::config::{secret::Secret, section::Section};

/// The longest name of a user, in characters.
pub const MAX_NAME: usize = 64;
/// The most users in a configuration.
const MAX_USERS: usize = 1_000;
/// The most memory that checking one password may take, in KiB.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// The most passes over that memory.
const MAX_PASSES: u32 = 16;

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub name: String,
    pub role: Role,
    /// Argon2id in PHC format, checked to be that.
    pub password_hash: Secret,
}

pub(super) fn read(section: &Section<'_>, login: &str) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for user in section.list("Users", one).into_iter().flatten() {
        if users.len() >= MAX_USERS {
            let message = format!("{} has more than {MAX_USERS} entries", section.name_of("Users"));
            section.error("Users", message, "keep the others in the database: wigo user add");
            break;
        }
        if user.name == login || users.iter().any(|known| known.name == user.name) {
            let message = format!("the user \"{}\" is configured twice", user.name.escape_debug());
            section.error("Users", message, "names are told apart by capitals and count once");
            continue;
        }
        users.push(user);
    }
    users
}

fn one(section: &Section<'_>) -> Option<User> {
    let name = section.parsed("Name", |text| check_name(text).map(|()| text.to_owned()));
    let role = section.parsed("Role", |text| match Role::of(text) {
        Some(role) if role != Role::None => Ok(role),
        _ => Err("\"readonly\" or \"operator\"".to_owned()),
    });
    let password_hash = section.secret("PasswordHash");
    for (key, is_missing) in [
        ("Name", section.is_blank("Name")),
        ("Role", section.is_blank("Role")),
        ("PasswordHash", password_hash.is_empty()),
    ] {
        if is_missing {
            let message = format!("{} is missing", section.name_of(key));
            section.error(key, message, "a user has Name, Role and PasswordHash");
        }
    }
    if !password_hash.is_empty()
        && let Err(why) = check_hash(password_hash.expose())
    {
        let message = format!("{} cannot be used: {why}", section.name_of("PasswordHash"));
        section.error("PasswordHash", message, "`wigo user hash` makes one");
        return None;
    }
    if !password_hash.is_empty() && !takes_as_long(password_hash.expose()) {
        let message = format!(
            "{} has other parameters than the hashes of wigo: by the time that a login takes, others can \
             tell that there is a user of this name",
            section.name_of("PasswordHash")
        );
        section.warn("PasswordHash", message, "`wigo user hash` makes one that does not stand out");
    }
    Some(User { name: name?, role: role?, password_hash })
}

/// Whether this can be the name of a user; the error says what is allowed.
pub fn check_name(name: &str) -> Result<(), String> {
    // Nothing that looks like another name, and nothing that ends a name in a header or a path.
    let is_good = |c: char| c.is_alphanumeric() || "._@+-".contains(c);
    let starts_well = name.chars().next().is_some_and(char::is_alphanumeric);
    if !starts_well || !name.chars().all(is_good) || name.chars().count() > MAX_NAME {
        return Err(format!(
            "a name of at most {MAX_NAME} letters, digits and any of `._@+-`, beginning with a letter \
             or digit"
        ));
    }
    if name.eq_ignore_ascii_case("anonymous") {
        return Err("another name than \"anonymous\", which stands for nobody".to_owned());
    }
    Ok(())
}

/// Whether a character is not seen, or lets a name be read as another one.
pub fn changes_reading(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Whether checking against this hash takes as long as against those that we make: else the time it takes
/// tells that there is somebody of this name.
fn takes_as_long(text: &str) -> bool {
    let params = PasswordHash::new(text).ok().and_then(|hash| Params::try_from(&hash).ok());
    let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
    params.is_some_and(|params| costs(&params) == costs(&Params::DEFAULT))
}

/// Whether this is a hash that can be checked at a bearable price. Does not repeat it.
pub fn check_hash(text: &str) -> Result<(), &'static str> {
    let hash = PasswordHash::new(text).map_err(|_| "it is not in PHC format")?;
    if hash.algorithm.as_str() != "argon2id" {
        return Err("it is not of Argon2id");
    }
    let params = Params::try_from(&hash).map_err(|_| "its parameters are none of Argon2")?;
    if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES {
        return Err("checking it would take too much memory or time");
    }
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err("the salt or the hash itself is missing");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzYWx0$\
                        vQ9E1nB6yO4yM0CC0mY2mBwW1J8gYkM8YkVJ0YvWn1o";

    #[test]
    fn only_hashes_that_can_be_checked_are_taken() {
        assert_eq!(check_hash(GOOD), Ok(()));
        for bad in [
            "secret".to_owned(),
            GOOD.replace("argon2id", "argon2i"),
            GOOD.replace("m=64", "m=4194304"),
            GOOD.replace("t=1", "t=1000"),
            GOOD.rsplit_once('$').unwrap().0.to_owned(),
        ] {
            assert!(check_hash(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hash_that_stands_out_is_told_of() {
        let ours = "m=19456,t=2,p=1";
        assert!(takes_as_long(&GOOD.replace("m=64,t=1,p=1", ours)) && !takes_as_long(GOOD));
        let text = |costs| {
            let hash = GOOD.replace("m=64,t=1,p=1", costs);
            format!(
                "[[Http.Users]]\nName = \"eve\"\nRole = \"readonly\"\nPasswordHash = \"{hash}\""
            )
        };
        let warnings = |costs| {
            let path = std::path::Path::new("w");
            crate::config::parse(&text(costs), path).unwrap().warnings.to_string()
        };
        assert!(
            warnings("m=64,t=1,p=1").contains("other parameters"),
            "{}",
            warnings("m=64,t=1,p=1")
        );
        assert!(!warnings(ours).contains("other parameters"));
    }

    #[test]
    fn names_cannot_pass_for_others() {
        for good in ["alice", "Zoë", "a.b+c@example.org", "7"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "a".repeat(MAX_NAME + 1);
        for bad in ["", " a", "a b", "a:b", "a/b", "-a", "a\u{202e}", "Anonymous", &long] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
