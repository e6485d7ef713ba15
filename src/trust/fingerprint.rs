//! The SHA-256 by which people compare certificates and keys.

use std::{fmt, str::FromStr};

use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use thiserror::Error;

/// Bytes of a SHA-256.
const BYTES: usize = 32;

/// The SHA-256 of a certificate, or of a public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; BYTES]);

/// A text that is no fingerprint.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("a fingerprint is a SHA-256: 64 hexadecimal digits, with or without colons")]
pub struct NotAFingerprint;

impl Fingerprint {
    /// Of a whole certificate, as `openssl x509 -fingerprint -sha256` prints it.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Fingerprint {
        Fingerprint::of(certificate)
    }

    /// Of a public key, given as the DER of its `SubjectPublicKeyInfo`.
    pub fn of_key(spki_der: &[u8]) -> Fingerprint {
        Fingerprint::of(spki_der)
    }

    /// Takes the ways in which tools print a SHA-256: with colons, capitals, or its name in front.
    pub fn parse(text: &str) -> Result<Fingerprint, NotAFingerprint> {
        let text = text.trim().to_ascii_lowercase();
        let digits = text.strip_prefix("sha256:").unwrap_or(&text).replace(':', "");
        if digits.len() != 2 * BYTES {
            return Err(NotAFingerprint);
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = 16 * digit(pair[0])? + digit(pair[1])?;
        }
        Ok(Fingerprint(bytes))
    }

    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    fn of(bytes: &[u8]) -> Fingerprint {
        let digest = digest(&SHA256, bytes);
        Fingerprint(digest.as_ref().try_into().expect("a SHA-256 has 32 bytes"))
    }
}

fn digit(character: u8) -> Result<u8, NotAFingerprint> {
    let value = char::from(character).to_digit(16).ok_or(NotAFingerprint)?;
    Ok(u8::try_from(value).expect("a digit is below 16"))
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Fingerprint, NotAFingerprint> {
        Fingerprint::parse(text)
    }
}

impl fmt::Display for Fingerprint {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_it_is_read_and_one_is_written() {
        // Of "abc", from FIPS 180-2.
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let abc = Fingerprint::of_key(b"abc");
        assert_eq!(abc.to_string(), text);
        let pairs: Vec<&str> = (0..32).map(|i| &text[2 * i..2 * i + 2]).collect();
        let colons = pairs.join(":").to_uppercase();
        for way in [text, &colons, &format!("sha256:{text}"), &format!(" SHA256:{colons}\n")] {
            assert_eq!(Fingerprint::parse(way), Ok(abc), "{way}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        let z = "z".repeat(64);
        let sign = format!("+1{}", "0".repeat(62));
        let accents = "é".repeat(32);
        for text in ["", "ab", &"a".repeat(63), &"a".repeat(65), &z, &sign, &accents, "sha1:00"] {
            assert_eq!(Fingerprint::parse(text), Err(NotAFingerprint), "{text}");
        }
    }
}
