//! The client's end of a push: its key, its certificate, and which server it believes.

use std::{io, path::Path, sync::Arc, time::SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use rustls_pki_types::CertificateDer;
use tokio_rustls::rustls::{
    ClientConfig,
    client::Resumption,
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use uuid::Uuid;

use super::{
    ALPN, BadCertificate, BadPeer, Existing, Fingerprint, FirstContact, Readers, client_identity,
    files,
    key::Key,
    signed,
    verify::{self, Rule},
};

/// Sessions that a client remembers: rustls keeps 8 per server, and a server may have several names.
const REMEMBERED_SESSIONS: usize = 4 * 8;
/// The longest common name, in characters (RFC 5280, upper bounds).
const MAX_COMMON_NAME: usize = 64;

/// The key of this instance, which never leaves it.
#[derive(Clone, Debug)]
pub struct ClientKey(Key);

/// What the push server has signed for this instance.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientCertificate {
    /// The leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    pub uuid: Uuid,
    /// The SHA-256 of the public key.
    pub key: Fingerprint,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

/// Which push server is believed.
#[derive(Debug)]
pub enum ServerTrust {
    /// One that shows one of these certificates, or one that they signed, for the name it is reached by.
    Pinned(Vec<CertificateDer<'static>>),
    /// Any that is consistent in itself, to learn its authority.
    FirstContact(Arc<FirstContact>),
}

impl ClientKey {
    /// Loads the key, or makes a P-256 key if there is no such file.
    pub fn load_or_make(path: &Path) -> Result<ClientKey, BadCertificate> {
        if path.exists() {
            return Key::load(path).map(ClientKey);
        }
        let (key, pem) = Key::make();
        match files::write(path, pem.as_bytes(), Readers::Owner, Existing::Keep) {
            Ok(()) => Ok(ClientKey(key)),
            // Somebody else was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Key::load(path).map(ClientKey)
            }
            Err(source) => {
                Err(BadCertificate::Write { what: "private key", path: path.into(), source })
            }
        }
    }

    /// A request to have this key signed, in PEM form. The server decides uuid and name itself; they are
    /// in it for people who look at it.
    pub fn csr(&self, uuid: Uuid, host_name: &str) -> String {
        let mut params = CertificateParams::default();
        let name = uuid.urn().to_string().try_into().expect("a uuid is ASCII");
        params.subject_alt_names = vec![SanType::URI(name)];
        params.distinguished_name = DistinguishedName::new();
        let common: String = host_name.chars().take(MAX_COMMON_NAME).collect();
        params.distinguished_name.push(DnType::CommonName, common);
        let request = params.serialize_request(&self.0).expect("a key that was loaded can sign");
        files::pem("CERTIFICATE REQUEST", request.der())
    }

    /// The SHA-256 of the public key, which the server shows its operator too.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    /// A signature for [`super::verify_signature`].
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        signed::sign(&self.0, message)
    }
}

impl ClientCertificate {
    /// Loads the certificate. None if there is no such file, or one that is not in PEM form: the original
    /// kept a signature there.
    pub fn load(path: &Path) -> Result<Option<ClientCertificate>, BadCertificate> {
        let text = match files::read_bounded(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(BadCertificate::Read {
                    what: "certificate",
                    path: path.into(),
                    source,
                });
            }
        };
        if !text.windows(BEGIN.len()).any(|window| window == BEGIN) {
            return Ok(None);
        }
        let chain = files::certificates_of(&text)
            .map_err(|why| BadCertificate::pem("certificate", path, why))?;
        ClientCertificate::new(chain)
            .map(Some)
            .map_err(|source| BadCertificate::Identity { path: path.into(), source })
    }

    /// What a server has answered, before it is written to a file.
    pub fn from_pem(text: &str) -> Result<ClientCertificate, BadPeer> {
        let chain = files::certificates_of(text.as_bytes()).map_err(|_| BadPeer::Unreadable)?;
        ClientCertificate::new(chain)
    }

    fn new(chain: Vec<CertificateDer<'static>>) -> Result<ClientCertificate, BadPeer> {
        let identity = client_identity(&chain)?;
        Ok(ClientCertificate {
            chain,
            uuid: identity.uuid,
            key: identity.key,
            not_before: identity.not_before,
            not_after: identity.not_after,
        })
    }

    /// It is over: only enrolling again helps.
    pub fn expired(&self, now: SystemTime) -> bool {
        now > self.not_after
    }

    /// Half of its life is over.
    pub fn wants_renewal(&self, now: SystemTime) -> bool {
        let life = self.not_after.duration_since(self.not_before).unwrap_or_default();
        now >= self.not_before + life / 2
    }
}

/// How PEM begins.
const BEGIN: &[u8] = b"-----BEGIN ";

/// The TLS of a push client: 1.3 only. To be kept between connections, since sessions are resumed only
/// within one configuration.
pub fn push_client_config(
    trust: ServerTrust,
    identity: Option<(&ClientCertificate, &ClientKey)>,
) -> Result<Arc<ClientConfig>, BadCertificate> {
    let rule = match trust {
        ServerTrust::Pinned(certificates) => Rule::anchors(certificates)?,
        ServerTrust::FirstContact(contact) => Rule::FirstContact(contact),
    };
    let builder = verify::client_builder(rule, &[&TLS13]);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let certified = CertifiedKey::new(certificate.chain.clone(), key.0.signer());
            certified.keys_match().map_err(BadCertificate::ClientPair)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::in_memory_sessions(REMEMBERED_SESSIONS);
    Ok(Arc::new(config))
}
