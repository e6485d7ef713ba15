//! Join tokens: a secret that admits a client without an operator, together with what the client needs to
//! know its push server by.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use thiserror::Error;

use crate::trust::Fingerprint;

/// What every token begins with, so that people and scanners for secrets recognise one.
const PREFIX: &str = "wigo-join_";
/// Random bytes of a secret.
const SECRET_BYTES: usize = 16;
/// Characters of a secret: at least those of [`SECRET_BYTES`] in base64, at most this many.
const SECRET_CHARACTERS: std::ops::RangeInclusive<usize> = 22..=128;

/// `wigo-join_<secret>_<SHA-256 of the CA certificate>`. Only [`JoinToken::reveal`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    secret: String,
    ca: Fingerprint,
}

/// A text that is no join token. It does not repeat the text, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "it is no join token, which looks like {PREFIX}…_… and comes from `wigo token join` on the push \
     server"
)]
pub struct NotAToken;

impl JoinToken {
    /// A new one, for clients of the push server with this CA certificate.
    pub fn new(ca: Fingerprint) -> JoinToken {
        let mut bytes = [0; SECRET_BYTES];
        SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
        JoinToken { secret: BASE64_URL_SAFE_NO_PAD.encode(bytes), ca }
    }

    /// Reads one, of any length that may come from a later version.
    pub fn parse(text: &str) -> Result<JoinToken, NotAToken> {
        // The secret may hold `_` itself, the fingerprint never does.
        let rest = text.trim().strip_prefix(PREFIX).ok_or(NotAToken)?;
        let (secret, ca) = rest.rsplit_once('_').ok_or(NotAToken)?;
        let of_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !SECRET_CHARACTERS.contains(&secret.len()) || !secret.bytes().all(of_base64) {
            return Err(NotAToken);
        }
        let ca = Fingerprint::parse(ca).map_err(|_| NotAToken)?;
        Ok(JoinToken { secret: secret.into(), ca })
    }

    /// The whole text, for the one who gets the token and the connection that uses it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.secret, self.ca)
    }

    /// The SHA-256 of the secret: all that the push server keeps.
    pub fn hash(&self) -> [u8; 32] {
        let digest = digest(&SHA256, self.secret.as_bytes());
        digest.as_ref().try_into().expect("a SHA-256 has 32 bytes")
    }

    /// The CA certificate by which the client recognises its push server.
    pub fn ca(&self) -> Fingerprint {
        self.ca
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ca() -> Fingerprint {
        Fingerprint::of_key(b"ca")
    }

    #[test]
    fn a_token_survives_being_written_down_and_differs_each_time() {
        let (one, other) = (JoinToken::new(ca()), JoinToken::new(ca()));
        assert_eq!(JoinToken::parse(&format!(" {}\n", one.reveal())), Ok(one.clone()));
        assert_ne!(one.hash(), other.hash());
        assert_eq!(one.ca(), ca());
        assert_eq!(one.reveal().len(), "wigo-join_".len() + 22 + 1 + 64);
        assert!(!format!("{one:?}").contains(&one.secret));
    }

    #[test]
    fn a_secret_may_hold_the_separator() {
        let text = format!("wigo-join_aaaaaaaaaa_-_bbbbbbbbb_{}", ca());
        assert_eq!(JoinToken::parse(&text).unwrap().secret, "aaaaaaaaaa_-_bbbbbbbbb");
    }

    #[test]
    fn other_texts_are_refused() {
        let secret = "a".repeat(22);
        let long = "a".repeat(129);
        let ca = ca();
        for text in [
            "",
            "wigo-join_",
            &secret,
            &format!("wigo-join_{secret}"),
            &format!("wigo-join_{secret}_"),
            &format!("wigo-join_{secret}_{}", "0".repeat(63)),
            &format!("wigo-join_short_{ca}"),
            &format!("wigo-join_{long}_{ca}"),
            &format!("wigo-join_{secret}\n_{ca}"),
            &format!("wigo-join_{}_{ca}", "é".repeat(22)),
            &format!("{secret}_{ca}"),
        ] {
            assert_eq!(JoinToken::parse(text), Err(NotAToken), "{text}");
        }
    }
}
