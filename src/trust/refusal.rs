//! Why a server was not believed, in words that say what to do about it.

use std::{error::Error, fmt, io};

use tokio_rustls::rustls::{self, CertificateError, OtherError};

use super::Fingerprint;

/// A server's certificate that was refused, and what a person needs to decide about it.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Untrusted {
    /// The name by which the server was reached.
    pub host: String,
    /// Of the certificate that would have to be trusted: the authority's at first contact, else the
    /// server's own.
    pub fingerprint: Fingerprint,
    pub why: Refusal,
}

#[derive(Clone, Debug)]
pub enum Refusal {
    /// It is for these host names only; escaped and cut for being printed.
    Name(Vec<String>),
    Expired,
    NotYetValid,
    /// Nobody who is trusted has signed it.
    Unknown,
    /// Another certificate is expected, one of these.
    Fingerprint(Vec<Fingerprint>),
    Other(String),
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Untrusted { host, fingerprint, why } = self;
        match why {
            Refusal::Name(names) if names.is_empty() => write!(
                f,
                "the certificate of `{host}` is for no host name at all: make one with \
                 `generate_cert -host {host}`"
            )?,
            Refusal::Name(names) => write!(
                f,
                "the certificate of `{host}` is for {} only: use one of these names, or make a \
                 certificate for this one",
                names.join(", ")
            )?,
            Refusal::Expired => write!(f, "the certificate of `{host}` is over: renew it")?,
            Refusal::NotYetValid => write!(
                f,
                "the certificate of `{host}` is not valid yet: compare the clocks of both hosts"
            )?,
            Refusal::Unknown => {
                write!(
                    f,
                    "the certificate of `{host}` is not signed by anybody who is trusted here"
                )?;
            }
            Refusal::Fingerprint(expected) => {
                let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
                return write!(
                    f,
                    "`{host}` shows a certificate with the SHA-256 {fingerprint}, expected was {}: \
                     if it was replaced on purpose, put in the new one, else somebody is in between",
                    expected.join(" or ")
                );
            }
            Refusal::Other(why) => {
                write!(f, "the certificate of `{host}` cannot be accepted: {why}")?;
            }
        }
        write!(f, " (its SHA-256 is {fingerprint})")
    }
}

/// The refused certificate behind a failed connection, if that is why it failed.
pub fn untrusted<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Untrusted> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))) =
            error.downcast_ref()
        {
            return inner.downcast_ref();
        }
        // What an io::Error carries is not its source, but that one's.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
