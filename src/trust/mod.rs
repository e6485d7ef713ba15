//! Certificates: who a peer is, who signs that, and the TLS configurations that follow.
//!
//! - `fingerprint`, `key`, `files`, `signed`: the small parts: SHA-256 of a certificate or key, a private
//!   key of any kind, files written so that nobody else reads them, signatures outside TLS.
//! - `server`: the certificate of the HTTP server, loaded again when its files change.
//! - `ca`: the authority of a push server, which signs its clients (`request`) and knows them (`identity`).
//! - `client`: the key, the certificate and the TLS of a push client; `remote`: the TLS of whoever else
//!   asks, and `connector` puts it under ureq.
//! - `verify`: the one place where a server's certificate is judged by rules of our own; `refusal`: what is
//!   said then.
//! - `generate`: what the program `generate_cert` makes.

mod ca;
mod client;
mod connector;
mod files;
mod fingerprint;
pub mod generate;
mod identity;
mod key;
mod refusal;
mod remote;
mod request;
mod server;
mod signed;
mod verify;

#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio_rustls::rustls::{
    self,
    crypto::{self, CryptoProvider},
};

pub use ca::{CLIENT_CERTIFICATE_DAYS, Ca, Signed};
pub use client::{ClientCertificate, ClientKey, ServerTrust, push_client_config};
pub use connector::TlsConnector;
pub use files::{Existing, Readers, certificate_fingerprint, certificate_pem, write};
pub use fingerprint::{Fingerprint, NotAFingerprint};
pub use identity::{BadPeer, ClientIdentity, client_identity};
pub use refusal::{Refusal, Untrusted, untrusted};
pub use remote::{RemoteTrust, remote_client_config};
pub use request::{BadRequest, csr_key};
pub use server::ServerTls;
pub use signed::verify_signature;
pub use verify::FirstContact;

/// The protocol inside TLS between push client and push server.
const ALPN: &[u8] = b"wigo";

/// A certificate or key that cannot be used.
#[derive(Debug, Error)]
pub enum BadCertificate {
    #[error("the {what} `{path}` cannot be read")]
    Read { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the {what} `{path}` cannot be written")]
    Write { what: &'static str, path: PathBuf, source: io::Error },
    #[error("`{path}` holds no {what} in PEM form: {why}")]
    Pem { what: &'static str, path: PathBuf, why: String },
    #[error("the private key `{path}` cannot be used: {why}")]
    Key { path: PathBuf, why: String },
    #[error("certificate `{certificate}` and key `{key}` cannot be used together")]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("certificate `{path}` cannot sign the certificates of others: {why}")]
    Authority { path: PathBuf, why: String },
    #[error(
        "certificate `{path}` does not say who this client is: {source}; remove it to enrol again"
    )]
    Identity { path: PathBuf, source: BadPeer },
    #[error("the certificate of the server that is trusted cannot be used")]
    Anchor(#[source] rustls::Error),
    #[error(
        "the client's certificate and its key do not belong together; remove the certificate to enrol again"
    )]
    ClientPair(#[source] rustls::Error),
}

impl BadCertificate {
    fn pem(what: &'static str, path: &Path, why: impl ToString) -> BadCertificate {
        BadCertificate::Pem { what, path: path.into(), why: why.to_string() }
    }
}

/// Makes ring the one that does the cryptography, once per process.
pub fn install_provider() {
    // Fails only if it was done before.
    let _ = CryptoProvider::install_default(crypto::ring::default_provider());
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}
