//! How all channels speak HTTP: one client, its limits, and what an answer means.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

/// How long a request may take, from the connection to the end of the answer.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How long a connection that is not used is kept.
const KEPT_IDLE: Duration = Duration::from_secs(90);

/// Why there is no client.
#[derive(Debug, Error)]
pub enum BadClient {
    #[error("the certificates in `{path}` cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("`{path}` holds no certificates in PEM form: {source}")]
    Pem { path: PathBuf, source: reqwest::Error },
    #[error("HTTPS cannot be set up on this machine: {0}")]
    Setup(#[source] reqwest::Error),
}

/// Sends requests. Cheap to clone; connections are kept and shared.
///
/// TLS is always verified, by the authorities this machine trusts and those of `ca_file`. Proxies are
/// those of the environment (`HTTPS_PROXY`, `NO_PROXY` …). Redirects are not followed: they would carry
/// secrets to where nobody meant them to go.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

impl Client {
    /// A client that also trusts the authorities in `ca_file` (PEM). Reads files: not for the runtime.
    pub fn new(ca_file: Option<&Path>) -> Result<Client, BadClient> {
        Client::with_deadline(ca_file, DEADLINE)
    }

    fn with_deadline(ca_file: Option<&Path>, deadline: Duration) -> Result<Client, BadClient> {
        crate::trust::install_provider();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("Wigo/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(deadline)
            .pool_idle_timeout(KEPT_IDLE);
        if let Some(path) = ca_file {
            let pem =
                fs::read(path).map_err(|source| BadClient::Read { path: path.into(), source })?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|source| BadClient::Pem { path: path.into(), source })?;
            builder = builder.tls_certs_merge(roots);
        }
        builder.build().map(Client).map_err(BadClient::Setup)
    }
}
