//! Passwords: making and checking Argon2id hashes, which is slow on purpose, so only a few at a time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use argon2::{
    Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _, password_hash::SaltString,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Secret;

/// Passwords that are checked at the same time: each takes a processor and about 19 MiB for a moment.
const AT_ONCE: usize = 2;
/// Passwords that wait for that.
const MAX_WAITING: usize = 16;
/// The shortest password that is taken, in characters.
pub const MIN_CHARACTERS: usize = 10;
/// The longest password, in bytes.
pub const MAX_BYTES: usize = 1_024;
/// Random bytes that make two hashes of one password differ.
const SALT_BYTES: usize = 16;

/// Why a password cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    #[error("the password is shorter than {MIN_CHARACTERS} characters: choose a longer one")]
    Short,
    #[error("the password is longer than {MAX_BYTES} bytes: choose a shorter one")]
    Long,
    #[error("the password has a line break or another control character: choose one without")]
    Control,
}

/// Too many passwords wait to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Whether somebody may choose this password.
pub fn check(password: &Secret) -> Result<(), BadPassword> {
    let text = password.expose();
    match () {
        () if text.len() > MAX_BYTES => Err(BadPassword::Long),
        () if text.chars().count() < MIN_CHARACTERS => Err(BadPassword::Short),
        () if text.chars().any(char::is_control) => Err(BadPassword::Control),
        () => Ok(()),
    }
}

/// The hash of a password, in PHC format. Takes tens of milliseconds.
pub fn hash(password: &Secret) -> Secret {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).expect("the system has random numbers");
    let salt = SaltString::encode_b64(&salt).expect("the salt is of a good length");
    let hash = Argon2::default().hash_password(password.expose().as_bytes(), &salt);
    Secret::new(hash.expect("the parameters are the defaults").to_string())
}

/// Checks passwords, a few at a time.
#[derive(Debug)]
pub struct Verifier {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Of no password, so that a name nobody has costs as much as one that somebody has.
    nobody: Secret,
}

/// The right to check one password.
pub struct Turn(OwnedSemaphorePermit);

impl Verifier {
    /// One that checks nothing yet. Takes tens of milliseconds.
    pub fn start() -> Verifier {
        let mut random = [0; 32];
        SystemRandom::new().fill(&mut random).expect("the system has random numbers");
        let nobody = hash(&Secret::new(random.map(|byte| format!("{byte:02x}")).concat()));
        Verifier {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicUsize::new(0),
            nobody,
        }
    }

    /// Waits for a turn, unless too many do.
    pub async fn turn(&self) -> Result<Turn, Busy> {
        struct Waits<'w>(&'w AtomicUsize);
        impl Drop for Waits<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let before = self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waits = Waits(&self.waiting);
        if before >= MAX_WAITING {
            return Err(Busy);
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map(Turn).map_err(|_| Busy)
    }

    /// Whether the password is the one of this hash; without a hash it is not, and that takes as long.
    pub async fn verify(&self, turn: Turn, hash: Option<Secret>, password: Secret) -> bool {
        let is_somebody = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.clone());
        let checked = tokio::task::spawn_blocking(move || {
            // Held to the end, also if nobody waits for the answer any more.
            let _turn = turn.0;
            // Longer ones were never taken; they would only cost.
            let text = &password.expose().as_bytes()[..password.expose().len().min(MAX_BYTES)];
            let is_whole = text.len() == password.expose().len();
            let known = PasswordHash::new(hash.expose());
            let good =
                known.is_ok_and(|known| Argon2::default().verify_password(text, &known).is_ok());
            good && is_whole
        });
        checked.await.unwrap_or(false) && is_somebody
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_have_a_least_and_a_greatest_length() {
        let check = |text: &str| check(&Secret::new(text));
        assert_eq!(check("123456789"), Err(BadPassword::Short));
        assert_eq!(check("äöüäöüäöüä"), Ok(()));
        assert_eq!(check(&"x".repeat(MAX_BYTES)), Ok(()));
        assert_eq!(check(&"x".repeat(MAX_BYTES + 1)), Err(BadPassword::Long));
        assert_eq!(check("1234567890\n"), Err(BadPassword::Control));
    }

    #[tokio::test]
    async fn only_the_password_of_a_hash_is_right() {
        let right = Secret::new("correct horse");
        let hashed = hash(&right);
        assert_eq!(crate::config::check_hash(hashed.expose()), Ok(()));
        assert_ne!(hashed, hash(&right), "each has a salt of its own");
        let verifier = Verifier::start();
        for (given, hash, good) in [
            (right.clone(), Some(hashed.clone()), true),
            (Secret::new("correct hors"), Some(hashed.clone()), false),
            (Secret::new(format!("correct horse{}", "x".repeat(MAX_BYTES))), Some(hashed), false),
            (right.clone(), Some(Secret::new("nonsense")), false),
            (right, None, false),
        ] {
            let turn = verifier.turn().await.unwrap_or_else(|_| panic!("nobody waits"));
            assert_eq!(verifier.verify(turn, hash, given).await, good);
        }
    }

    #[tokio::test]
    async fn a_bounded_number_waits() {
        let verifier = Arc::new(Verifier::start());
        let mut turns = Vec::new();
        for _ in 0..AT_ONCE {
            turns.push(verifier.turn().await.unwrap_or_else(|_| panic!("nobody waits")));
        }
        let waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| {
                let verifier = verifier.clone();
                tokio::spawn(async move { verifier.turn().await.map(drop) })
            })
            .collect();
        while verifier.waiting.load(Ordering::SeqCst) < MAX_WAITING {
            tokio::task::yield_now().await;
        }
        assert!(verifier.turn().await.is_err(), "one too many");
        drop(turns);
        for waits in waiting {
            assert_eq!(waits.await.unwrap(), Ok(()));
        }
        assert_eq!(verifier.waiting.load(Ordering::SeqCst), 0);
    }
}
