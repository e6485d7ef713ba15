//! A private key of any kind that ring can use, for TLS and for certificates alike.

use std::{fmt, path::Path, sync::Arc};

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use tokio_rustls::rustls::{
    self, SignatureScheme, crypto::ring::sign::any_supported_type, sign::SigningKey,
};
use x509_parser::prelude::FromDer as _;

use super::{BadCertificate, Fingerprint, files};

/// How each kind of key signs certificates and messages. The first that fits is taken.
const SCHEMES: [(SignatureScheme, &rcgen::SignatureAlgorithm); 4] = [
    (SignatureScheme::ECDSA_NISTP256_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256),
    (SignatureScheme::ECDSA_NISTP384_SHA384, &rcgen::PKCS_ECDSA_P384_SHA384),
    (SignatureScheme::ED25519, &rcgen::PKCS_ED25519),
    (SignatureScheme::RSA_PKCS1_SHA256, &rcgen::PKCS_RSA_SHA256),
];

/// A private key: RSA (2048, 3072 or 4096 bits), ECDSA P-256 or P-384, Ed25519.
#[derive(Clone)]
pub(super) struct Key {
    signer: Arc<dyn SigningKey>,
    scheme: SignatureScheme,
    algorithm: &'static rcgen::SignatureAlgorithm,
    /// The public key, without what says of which kind it is.
    public: Vec<u8>,
}

impl Key {
    /// The key of a PEM file: PKCS #8, PKCS #1 (`RSA PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`).
    pub(super) fn load(path: &Path) -> Result<Key, BadCertificate> {
        let private = PrivateKeyDer::from_pem_slice(&files::read("private key", path)?)
            .map_err(|error| BadCertificate::pem("private key", path, error))?;
        if files::everybody_may_read(path) {
            tracing::warn!(
                "every user may read the private key `{0}`: chmod o= {0}",
                path.display()
            );
        }
        Key::from_der(&private).map_err(|why| BadCertificate::Key { path: path.into(), why })
    }

    pub(super) fn from_der(private: &PrivateKeyDer<'_>) -> Result<Key, String> {
        const KINDS: &str =
            "RSA with 2048, 3072 or 4096 bits, ECDSA P-256 or P-384, or Ed25519 is needed";
        let signer = any_supported_type(private).map_err(|error| format!("{error}; {KINDS}"))?;
        let (scheme, algorithm) = SCHEMES
            .into_iter()
            .find(|(scheme, _)| signer.choose_scheme(&[*scheme]).is_some())
            .ok_or(KINDS)?;
        let spki = signer.public_key().ok_or("it does not say its public key")?;
        let (_, spki) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&spki)
            .map_err(|error| error.to_string())?;
        let public = spki.subject_public_key.data.to_vec();
        Ok(Key { signer, scheme, algorithm, public })
    }

    /// A new P-256 key, and its PKCS #8 as PEM.
    pub(super) fn make() -> (Key, String) {
        let made =
            rcgen::KeyPair::generate().expect("ring makes P-256 keys if it has random numbers");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.serialized_der()));
        let key = Key::from_der(&private).expect("a key that was just made");
        (key, made.serialize_pem())
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_key(&rcgen::PublicKeyData::subject_public_key_info(self))
    }

    pub(super) fn signer(&self) -> Arc<dyn SigningKey> {
        self.signer.clone()
    }

    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signer = self.signer.choose_scheme(&[self.scheme]).expect("it was asked when loaded");
        signer.sign(message)
    }
}

impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.try_sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

impl fmt::Debug for Key {
    /// Says which key it is, and never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {})", self.algorithm, self.fingerprint())
    }
}
