//! The files of a client: its key, its certificate for each master, and the authority of each master.
//!
//! The first master has the files that are configured, as it always was. A further one has its own beside
//! them, `<file>.<host>_<port>`, since each master signs for itself. The key is the same for all.

use std::{ffi::OsString, io, path::PathBuf, time::SystemTime};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use thiserror::Error;
use uuid::Uuid;

use crate::{
    config::{Endpoint, PushClient},
    trust::{
        self, BadCertificate, BadPeer, ClientCertificate, ClientKey, Existing, Fingerprint, Readers,
    },
};

/// Why the files cannot be used.
#[derive(Debug, Error)]
pub enum BadCredentials {
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    #[error("cannot write `{path}`: check the rights of its folder")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read the certificate of the master in `{path}`: {why}")]
    Authority { path: PathBuf, why: String },
    #[error("the certificate that the master sent is not ours: {why}")]
    NotOurs { why: String },
}

/// What a client has to show and whom it believes, for one master.
#[derive(Clone)]
pub struct Credentials {
    uuid: Uuid,
    certificate_path: PathBuf,
    authority_path: PathBuf,
    pub key: ClientKey,
    /// One that can be used.
    pub certificate: Option<ClientCertificate>,
    /// The authorities of the master, if they are known.
    pub authority: Option<Vec<CertificateDer<'static>>>,
}

fn beside(path: &std::path::Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

impl Credentials {
    /// Reads the files; makes a key if there is none. Blocks.
    pub fn load(
        settings: &PushClient,
        master: &Endpoint,
        first: bool,
        uuid: Uuid,
    ) -> Result<Credentials, BadCredentials> {
        let own = |path: &PathBuf| match first {
            true => path.clone(),
            false => beside(path, &format!(".{}_{}", master.host, master.port)),
        };
        let certificate_path = own(&settings.uuid_sig);
        let authority_path = own(&settings.ssl_cert);
        let key = ClientKey::load_or_make(&beside(&settings.uuid_sig, ".key"))?;
        let certificate = usable(&certificate_path, &key, uuid);
        let authority =
            match std::fs::read(&authority_path) {
                Ok(text) => Some(authorities(&text).map_err(|why| BadCredentials::Authority {
                    path: authority_path.clone(),
                    why,
                })?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => {
                    let why = error.to_string();
                    return Err(BadCredentials::Authority { path: authority_path, why });
                }
            };
        Ok(Credentials { uuid, certificate_path, authority_path, key, certificate, authority })
    }

    /// Keeps the authority of the master, from now on the only one. `expected`: an operator has given us
    /// its fingerprint. Blocks.
    pub fn pin(
        &mut self,
        authority: CertificateDer<'static>,
        expected: bool,
    ) -> Result<(), BadCredentials> {
        let pem = trust::certificate_pem(&authority);
        trust::write(&self.authority_path, pem.as_bytes(), Readers::Everybody, Existing::Keep)
            .map_err(|source| BadCredentials::Write {
                path: self.authority_path.clone(),
                source,
            })?;
        let (path, shown) =
            (self.authority_path.display(), Fingerprint::of_certificate(&authority));
        if expected {
            tracing::info!("the master's authority is the expected one, kept in `{path}`");
        } else {
            tracing::warn!(
                "the master's authority was not known and is trusted from now on, `{path}`: SHA-256 \
                 {shown}; compare it with what `wigocli authority list` shows on the master"
            );
        }
        self.authority = Some(vec![authority]);
        Ok(())
    }

    /// Keeps the certificate that the master has signed. Blocks.
    pub fn keep(&mut self, pem: &str) -> Result<(), BadCredentials> {
        let not_ours = |error: BadPeer| BadCredentials::NotOurs { why: error.to_string() };
        let certificate = ClientCertificate::from_pem(pem).map_err(not_ours)?;
        if certificate.uuid != self.uuid || certificate.key != self.key.fingerprint() {
            let why = format!("it is for {}", certificate.uuid);
            return Err(BadCredentials::NotOurs { why });
        }
        let path = &self.certificate_path;
        // The original kept a signature of its own under this name.
        let is_foreign = matches!(ClientCertificate::load(path), Ok(None)) && path.exists();
        let kept =
            if is_foreign { std::fs::rename(path, beside(path, ".original")) } else { Ok(()) };
        kept.and_then(|()| trust::write(path, pem.as_bytes(), Readers::Owner, Existing::Replace))
            .map_err(|source| BadCredentials::Write { path: path.clone(), source })?;
        self.certificate = Some(certificate);
        Ok(())
    }
}

/// The certificate in the file, if it is ours and valid.
fn usable(path: &std::path::Path, key: &ClientKey, uuid: Uuid) -> Option<ClientCertificate> {
    let useless = |why: &str| {
        tracing::warn!("the certificate `{}` is not used: {why}; enrolling again", path.display());
        None
    };
    match ClientCertificate::load(path) {
        Ok(None) => None,
        Ok(Some(found)) if found.uuid != uuid => useless("it is for another uuid"),
        Ok(Some(found)) if found.key != key.fingerprint() => useless("it is for another key"),
        Ok(Some(found)) if found.expired(SystemTime::now()) => useless("it has expired"),
        Ok(Some(found)) => Some(found),
        Err(error) => useless(&format!("{:#}", anyhow::Error::from(error))),
    }
}

fn authorities(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if found.is_empty() => Err("there is no certificate in it".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(error.to_string()),
    }
}
