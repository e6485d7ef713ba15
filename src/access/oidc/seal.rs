//! What a browser keeps for us while its user is at the provider: sealed, so that it can neither be read
//! nor made up, and nothing has to be kept here for everybody who only begins.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};

/// Bytes of the key.
const KEY_LEN: usize = 32;
/// Longest text that is opened, in bytes: ours have a path of 512 at most in them.
const MAX_SEALED: usize = 4 << 10;

/// An attempt to sign in that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Comes back with the browser.
    pub state: String,
    /// Comes back in the provider's word.
    pub nonce: String,
    /// Proves to the provider that we have begun this.
    pub verifier: String,
    /// Where the browser goes afterwards, a path of ours.
    pub next: String,
    /// Unix seconds: when it is too late.
    pub until: i64,
}

/// The key of this process: what another one has sealed is not opened.
pub struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Seal {
    /// A new key.
    pub fn new() -> Seal {
        let random = SystemRandom::new();
        let key: [u8; KEY_LEN] = fill(&random);
        let key = UnboundKey::new(&AES_256_GCM, &key).expect("the key has the length it needs");
        Seal { key: LessSafeKey::new(key), random }
    }

    /// As text that is good for a cookie.
    pub fn close(&self, attempt: &Attempt) -> String {
        let nonce: [u8; NONCE_LEN] = fill(&self.random);
        let mut sealed = serde_json::to_vec(attempt).expect("it is made of texts and a number");
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(unique, Aad::empty(), &mut sealed)
            .expect("it is far shorter than the longest there may be");
        BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// What was sealed here; `None` for anything else.
    pub fn open(&self, text: &str) -> Option<Attempt> {
        let bytes =
            (text.len() <= MAX_SEALED).then(|| BASE64_URL_SAFE_NO_PAD.decode(text).ok())??;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?;
        serde_json::from_slice(opened).ok()
    }
}

fn fill<const N: usize>(random: &SystemRandom) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes).expect("the system has random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_here_is_opened() {
        let attempt = Attempt {
            state: "s".into(),
            nonce: "n".into(),
            verifier: "v".into(),
            next: "/hosts/a".into(),
            until: 7,
        };
        let (seal, other) = (Seal::new(), Seal::new());
        let text = seal.close(&attempt);
        assert_eq!(seal.open(&text), Some(attempt.clone()));
        assert_ne!(seal.close(&attempt), text);
        assert_eq!(other.open(&text), None);
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(seal.open(&BASE64_URL_SAFE_NO_PAD.encode(bytes)), None);
        for nonsense in ["", "AAAA", "!", &"A".repeat(MAX_SEALED + 4)] {
            assert_eq!(seal.open(nonsense), None);
        }
    }
}
