//! Secrets that we give out, and prints by which we know again what must not be stored.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};

use super::oidc;
use crate::config::{MAX_NAME, Role, Secret, changes_reading};

/// Random bytes in a secret.
const SECRET_BYTES: usize = 32;
/// How the tokens of programs begin.
pub const TOKEN_PREFIX: &str = "wigo_";
/// The length of a secret in base64.
const SECRET_CHARACTERS: usize = 43;

/// A new secret.
pub fn secret() -> Secret {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    Secret::new(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// A new token for a program.
pub fn token() -> Secret {
    Secret::new(format!("{TOKEN_PREFIX}{}", secret().expose()))
}

/// The hash under which a cookie is known; `None` if the text is none of ours.
pub fn session_hash(text: &str) -> Option<[u8; 32]> {
    let of_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (text.len() == SECRET_CHARACTERS && text.bytes().all(of_base64)).then(|| hash(text))
}

/// The hash under which a token is known; `None` if the text is none.
pub fn token_hash(text: &str) -> Option<[u8; 32]> {
    session_hash(text.strip_prefix(TOKEN_PREFIX)?).map(|_| hash(text))
}

/// Whether a token can be called this: by a name that looks like no other.
pub fn check_token_name(name: &str) -> Result<(), String> {
    let is_bad = |char: char| char.is_control() || changes_reading(char);
    let is_short = name.chars().count() <= MAX_NAME;
    let is_of_provider = name.trim_start().to_ascii_lowercase().starts_with(oidc::MARK);
    match is_short && !name.trim().is_empty() && !name.chars().any(is_bad) && !is_of_provider {
        true => Ok(()),
        false => Err(format!(
            "`name` must be a text of at most {MAX_NAME} characters that can all be seen, and not begin \
             with `{}`",
            oidc::MARK
        )),
    }
}

/// SHA-256: enough for a text of 256 random bits.
fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

/// Tells one state of an account from another: name, role and password. It cannot be tried out without
/// the key.
pub fn print(key: &[u8], name: &str, role: Role, password: &Secret) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in [name, role.word(), password.expose()] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut print = [0; 32];
    print.copy_from_slice(context.sign().as_ref());
    print
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_hash_and_nothing_else_is() {
        let (cookie, token) = (secret(), token());
        assert_ne!(cookie, secret());
        assert!(session_hash(cookie.expose()).is_some() && token_hash(cookie.expose()).is_none());
        assert!(token_hash(token.expose()).is_some() && session_hash(token.expose()).is_none());
        for bad in ["", "wigo_", "wigo_short", &format!("{}x", token.expose())] {
            assert_eq!(token_hash(bad), None, "{bad}");
        }
        assert_eq!(format!("{token:?}"), "hidden");
    }

    #[test]
    fn a_token_is_not_called_like_somebody_else() {
        for good in ["ci", "CI of the web team: nightly", "Zoë", &"x".repeat(MAX_NAME)] {
            assert_eq!(check_token_name(good), Ok(()), "{good}");
        }
        let long = "x".repeat(MAX_NAME + 1);
        for bad in ["", " ", &long, "a\nb", "a\u{202e}b", "al\u{200b}ice", "oidc:bob", " OIDC:bob"]
        {
            assert!(check_token_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_print_changes_with_each_part() {
        let secret = Secret::new("x");
        let one = print(b"k", "eve", Role::Readonly, &secret);
        assert_eq!(one, print(b"k", "eve", Role::Readonly, &secret));
        for other in [
            print(b"j", "eve", Role::Readonly, &secret),
            print(b"k", "ev", Role::Readonly, &secret),
            print(b"k", "eve", Role::Operator, &secret),
            print(b"k", "eve", Role::Readonly, &Secret::new("y")),
        ] {
            assert_ne!(one, other);
        }
    }
}
