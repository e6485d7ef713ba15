//! The certificate of the HTTP server, loaded again when its files change.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use arc_swap::ArcSwap;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::{BadCertificate, files};

/// Between two looks at whether the files have changed, in seconds. A look happens at a handshake only.
const LOOK_EVERY: u64 = 1;

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
    let chain = files::certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&files::read("private key", key)?)
        .map_err(|error| BadCertificate::pem("private key", key, error))?;
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
