//! What a client asks to have signed: of its request, the key is used and nothing else.

use rcgen::{PublicKeyData as _, SubjectPublicKeyInfo};
use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject as _};
use thiserror::Error;
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer as _};

use super::Fingerprint;

/// The longest request, in bytes of PEM: one with an RSA key of 8192 bits has 4 KiB.
const MAX_REQUEST_BYTES: usize = 16 << 10;

/// A certificate signing request that is not signed.
#[derive(Debug, PartialEq, Error)]
pub enum BadRequest {
    #[error("the certificate request has {0} bytes, more than {MAX_REQUEST_BYTES}")]
    TooLong(usize),
    #[error("the certificate request is not in PEM form: {0}")]
    Pem(String),
    #[error("the certificate request cannot be read")]
    Unreadable,
    #[error("the certificate request is not signed by its own key")]
    Signature,
    #[error("the key in the certificate request is of no kind that can be used: {0}")]
    Key(String),
    #[error("the certificate cannot be made: {0}")]
    Signing(String),
}

/// The fingerprint of the key that would be signed, for people to compare before they say yes.
pub fn csr_key(csr_pem: &str) -> Result<Fingerprint, BadRequest> {
    public_key(csr_pem).map(|key| Fingerprint::of_key(&key.subject_public_key_info()))
}

/// The public key of a request whose sender holds the private one.
pub(super) fn public_key(csr_pem: &str) -> Result<SubjectPublicKeyInfo, BadRequest> {
    if csr_pem.len() > MAX_REQUEST_BYTES {
        return Err(BadRequest::TooLong(csr_pem.len()));
    }
    let der = CertificateSigningRequestDer::from_pem_slice(csr_pem.as_bytes())
        .map_err(|error| BadRequest::Pem(error.to_string()))?;
    let (rest, request) =
        X509CertificationRequest::from_der(&der).map_err(|_| BadRequest::Unreadable)?;
    if !rest.is_empty() {
        return Err(BadRequest::Unreadable);
    }
    request.verify_signature().map_err(|_| BadRequest::Signature)?;
    let spki = request.certification_request_info.subject_pki.raw;
    SubjectPublicKeyInfo::from_der(spki).map_err(|error| BadRequest::Key(error.to_string()))
}
