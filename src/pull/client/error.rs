//! Why a remote gave no answer: what was tried, why it failed, what to do.

use std::{error::Error, io, time::Duration};

use thiserror::Error;

use super::{MAX_BODY_BYTES, MAX_DECODING_RATIO, MAX_HEAD_BYTES};
use crate::{
    pull::document::Unreadable,
    trust::{BadCertificate, Fingerprint},
};

/// A question that got no answer. The texts are shown to people as they are.
#[derive(Debug, Error)]
pub enum AskError {
    #[error("`{host}` is not known: {source}; is the name right?")]
    Lookup { host: String, source: io::Error },
    #[error("cannot connect to `{address}`: {source}; does an agent run there, on this port?")]
    Connect { address: String, source: io::Error },
    #[error("no connection to `{address}` within {} s; is the address right, does a firewall drop it?", limit.as_secs())]
    ConnectSlow { address: String, limit: Duration },
    #[error(transparent)]
    Trust(#[from] BadCertificate),
    #[error(
        "{why}; to trust it as it is, write `CertFingerprint = \"{fingerprint}\"` for this remote if that is \
         the fingerprint on its own host, or name its authority in `CaFile`"
    )]
    Untrusted { why: String, fingerprint: Fingerprint },
    #[error(
        "`{address}` does not speak TLS: write `SslEnabled = false` for it, or switch TLS on there"
    )]
    NoTls { address: String },
    #[error("TLS with `{address}` failed: {source}")]
    Tls { address: String, source: io::Error },
    #[error("`{address}` has not answered in full within {} s", limit.as_secs())]
    Slow { address: String, limit: Duration },
    #[error("`{address}` closed the connection in the middle: {why}")]
    Broken { address: String, why: String },
    #[error("`{address}` does not answer in HTTP: {why}; is it the right port, does it want TLS?")]
    NotHttp { address: String, why: String },
    #[error("the head of the answer of `{address}` has more than {} KiB", MAX_HEAD_BYTES >> 10)]
    HeadTooBig { address: String },
    #[error(
        "`{address}` leads to `{to}` (HTTP {code}), which is not followed: configure that address"
    )]
    Redirect { address: String, code: u16, to: String },
    #[error("`{address}` wants a login (HTTP {code}): set `Login` and `Password` for it")]
    LoginWanted { address: String, code: u16 },
    #[error(
        "`{address}` refuses the login (HTTP {code}): compare `Login` and `Password` with its own"
    )]
    LoginRefused { address: String, code: u16 },
    #[error("`{address}` answers with HTTP {code}{text}")]
    Status { address: String, code: u16, text: String },
    #[error("`{address}` answers with a web page: this is no Wigo; is the port right?")]
    Page { address: String },
    #[error("the answer of `{address}` has more than {} MiB", MAX_BODY_BYTES >> 20)]
    TooBig { address: String },
    #[error(
        "the answer of `{address}` grows more than {MAX_DECODING_RATIO} times when decompressed: it is refused"
    )]
    Bomb { address: String },
    #[error("the answer of `{address}` cannot be decompressed: {why}")]
    Undecodable { address: String, why: String },
    #[error("what `{address}` answers cannot be used: {why}")]
    Unreadable { address: String, why: String },
}

impl AskError {
    /// Whether the next second may bring another outcome: the way to the remote failed, not the remote.
    pub fn may_pass(&self) -> bool {
        matches!(self, AskError::Lookup { .. } | AskError::Connect { .. } | AskError::Broken { .. })
    }

    /// The reason of hyper's error about a connection to `address`.
    pub fn http(address: &str, error: &hyper::Error) -> AskError {
        let (address, why) = (address.to_owned(), cause(error));
        if error.is_parse_too_large() {
            AskError::HeadTooBig { address }
        } else if error.is_parse() {
            AskError::NotHttp { address, why }
        } else {
            AskError::Broken { address, why }
        }
    }

    /// An answer that came in full and cannot be used.
    pub fn unreadable(address: &str, why: &Unreadable) -> AskError {
        AskError::Unreadable { address: address.into(), why: why.to_string() }
    }

    /// The reason of a TLS handshake that failed.
    pub fn tls(address: &str, source: io::Error) -> AskError {
        use tokio_rustls::rustls;
        let address = address.to_owned();
        if let Some(refused) = crate::trust::untrusted(&source) {
            return AskError::Untrusted {
                why: refused.to_string(),
                fingerprint: refused.fingerprint,
            };
        }
        let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidMessage(_)) => AskError::NoTls { address },
            _ => AskError::Tls { address, source },
        }
    }
}

/// The innermost reason, which is the one that says something.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
