//! Signatures outside TLS: a proof of identity on a plain connection.

use rcgen::SigningKey as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::EndEntityCert;

use super::key::Key;

/// Stands before every message that is signed, so that nobody gets a certificate or a TLS handshake signed
/// by asking for the signature of a "message".
const CONTEXT: &[u8] = b"wigo signed message 1\0";

/// How [`Key`] signs, for each kind.
static ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 4] = [
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::ED25519,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
];

/// A signature that [`verify_signature`] recognises.
pub(super) fn sign(key: &Key, message: &[u8]) -> Vec<u8> {
    key.sign(&[CONTEXT, message].concat()).expect("a key that was loaded can sign")
}

/// Whether the holder of this certificate's key has signed the message. Says nothing about whether the
/// certificate is to be trusted.
pub fn verify_signature(
    certificate: &CertificateDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let message = [CONTEXT, message].concat();
    EndEntityCert::try_from(certificate).is_ok_and(|certificate| {
        ALGORITHMS
            .iter()
            .any(|algorithm| certificate.verify_signature(*algorithm, &message, signature).is_ok())
    })
}
