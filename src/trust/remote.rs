//! The TLS of whoever asks a server over HTTPS: pull, and `wigocli`.

use std::{path::PathBuf, sync::Arc};

use rustls_pki_types::CertificateDer;
use tokio_rustls::rustls::{
    ClientConfig,
    version::{TLS12, TLS13},
};

use super::{
    BadCertificate, Fingerprint, files,
    verify::{self, Rule},
};

/// Which server is believed.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteTrust {
    /// What this system trusts.
    System,
    /// What this system trusts, and exactly this certificate, whatever it says.
    SystemOr(CertificateDer<'static>),
    /// What the certificates of this PEM file signed, and these certificates themselves.
    Authority(PathBuf),
    /// Exactly the certificate with this SHA-256, for any name, at any time.
    Pinned(Fingerprint),
}

/// The TLS of an HTTPS client: 1.2 and 1.3. A certificate that is refused becomes an error in which
/// [`super::untrusted`] finds the fingerprint to pin.
pub fn remote_client_config(trust: RemoteTrust) -> Result<Arc<ClientConfig>, BadCertificate> {
    let rule = match trust {
        RemoteTrust::System => Rule::system(None),
        RemoteTrust::SystemOr(certificate) => Rule::system(Some(certificate)),
        RemoteTrust::Authority(file) => Rule::anchors(files::certificates(&file)?)?,
        RemoteTrust::Pinned(fingerprint) => Rule::Exactly(fingerprint),
    };
    let mut config = verify::client_builder(rule, &[&TLS13, &TLS12]).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
