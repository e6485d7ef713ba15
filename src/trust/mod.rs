//! Certificates: loaded, checked, reloaded when their files change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use arc_swap::ArcSwap;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, ServerConfig, crypto::CryptoProvider},
};

/// Between two looks at whether the files have changed, in seconds. A look happens at a handshake only.
const LOOK_EVERY: u64 = 1;

/// A certificate or key that cannot be used.
#[derive(Debug, Error)]
pub enum BadCertificate {
    #[error("the {what} `{path}` cannot be read")]
    Read { what: &'static str, path: PathBuf, source: io::Error },
    #[error("`{path}` holds no {what} in PEM form: {why}")]
    Pem { what: &'static str, path: PathBuf, why: String },
    #[error("certificate `{certificate}` and key `{key}` cannot be used together")]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
}

/// Makes ring the one that does the cryptography, once per process.
pub fn install_provider() {
    // Fails only if it was done before.
    let _ = CryptoProvider::install_default(rustls::crypto::ring::default_provider());
}

/// The certificate of a server, kept equal to its files.
pub struct ServerTls {
    certificate: PathBuf,
    key: PathBuf,
    config: ArcSwap<ServerConfig>,
    stamps: Mutex<Stamps>,
    started: Instant,
    /// Seconds after `started` of the last look.
    looked: AtomicU64,
}

type Stamps = [Option<(SystemTime, u64)>; 2];

impl ServerTls {
    /// Loads a PEM certificate chain and its key.
    pub fn load(certificate: &Path, key: &Path) -> Result<ServerTls, BadCertificate> {
        let stamps = [stamp(certificate), stamp(key)];
        Ok(ServerTls {
            config: ArcSwap::from_pointee(server_config(certificate, key)?),
            certificate: certificate.into(),
            key: key.into(),
            stamps: Mutex::new(stamps),
            started: Instant::now(),
            looked: AtomicU64::new(0),
        })
    }

    /// What accepts the next connection, with the files as they are now.
    pub async fn acceptor(self: &Arc<ServerTls>) -> TlsAcceptor {
        let now = self.started.elapsed().as_secs();
        if self.looked.fetch_max(now, Ordering::Relaxed) + LOOK_EVERY <= now {
            let tls = self.clone();
            let _ = tokio::task::spawn_blocking(move || tls.reload_if_changed()).await;
        }
        TlsAcceptor::from(self.config.load_full())
    }

    /// Loads the files again if they changed; what cannot be used leaves the old certificate in place.
    pub fn reload_if_changed(&self) {
        let stamps = [stamp(&self.certificate), stamp(&self.key)];
        let mut held = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == stamps {
            return;
        }
        match server_config(&self.certificate, &self.key) {
            Ok(config) => {
                self.config.store(Arc::new(config));
                *held = stamps;
                tracing::info!("certificate `{}` was loaded again", self.certificate.display());
            }
            // Tried again at the next look: certificate and key are seldom replaced in one instant.
            Err(error) => tracing::error!(
                "the old certificate is still in use: {:#}",
                anyhow::Error::from(error)
            ),
        }
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, BadCertificate> {
    let read = |what, path: &Path| {
        fs::read(path).map_err(|source| BadCertificate::Read { what, path: path.into(), source })
    };
    let pem = |what, path: &Path, why: String| BadCertificate::Pem { what, path: path.into(), why };
    let text = read("certificate", certificate)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem("certificate", certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(pem("certificate", certificate, "nothing found".into()));
    }
    let private = PrivateKeyDer::from_pem_slice(&read("private key", key)?)
        .map_err(|error| pem("private key", key, error.to_string()))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|source| BadCertificate::Pair {
            certificate: certificate.into(),
            key: key.into(),
            source,
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
