//! What `generate_cert` makes: a certificate that signs itself, and its key.
//!
//! The original made RSA keys only. Here they are made on demand, by the `rsa` crate, which nothing else
//! uses: ring, which does the rest, cannot make them.

mod options;

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType,
};
use rsa::{
    RsaPrivateKey,
    pkcs1::{EncodeRsaPrivateKey as _, LineEnding},
};
use rustls_pki_types::{DnsName, PrivateKeyDer, pem::PemObject as _};
use thiserror::Error;

use super::{
    Fingerprint,
    ca::{random_serial, san},
    key::Key,
};

pub use options::{BadOption, Command, parse};

/// RSA keys that ring can use afterwards, in bits.
pub const RSA_BITS: [u16; 3] = [2048, 3072, 4096];
/// The latest end of a certificate, in seconds after 1970: the year 9999, the last that X.509 can write.
const MAX_END: Duration = Duration::from_secs(253_402_300_799);
/// Who the certificate belongs to. Authorities of different hosts are told apart by the common name.
const ORGANIZATION: &str = "Wigo";
/// The longest common name, in bytes (RFC 5280, upper bounds).
const MAX_COMMON_NAME: usize = 64;

/// The kind of key to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyKind {
    P256,
    P384,
    /// One of [`RSA_BITS`].
    Rsa(u16),
}

/// What to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Host names and addresses, at least one; the first is the common name too.
    pub hosts: Vec<String>,
    /// Whether it may sign other certificates.
    pub authority: bool,
    pub key: KeyKind,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

/// A certificate and its key, in PEM form.
#[derive(Debug)]
pub struct Made {
    pub certificate_pem: String,
    pub key_pem: String,
    pub fingerprint: Fingerprint,
}

#[derive(Debug, Error)]
pub enum CannotGenerate {
    #[error("`{0}` is neither a host name nor an address")]
    Host(String),
    #[error("a certificate cannot end before it begins, or after the year 9999")]
    Dates,
    #[error("an RSA key of {0} bits cannot be made: 2048, 3072 and 4096 are possible")]
    RsaBits(u16),
    #[error("the RSA key cannot be made")]
    Rsa(#[from] rsa::Error),
    #[error("the key cannot be used: {0}")]
    Key(String),
    #[error("the certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
}

/// Makes a key, and a certificate for it.
pub fn generate(plan: &Plan) -> Result<Made, CannotGenerate> {
    let end = plan.not_after.duration_since(SystemTime::UNIX_EPOCH);
    if plan.not_after <= plan.not_before || end.is_ok_and(|end| end > MAX_END) {
        return Err(CannotGenerate::Dates);
    }
    let mut params = CertificateParams::default();
    params.subject_alt_names =
        plan.hosts.iter().map(|host| name(host)).collect::<Result<_, _>>()?;
    let key_pem = make_key(plan.key)?;
    let private = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|error| CannotGenerate::Key(error.to_string()))?;
    let key = Key::from_der(&private).map_err(CannotGenerate::Key)?;

    params.not_before = plan.not_before.into();
    params.not_after = plan.not_after.into();
    params.serial_number = Some(random_serial());
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    if let Some(first) = plan.hosts.first().filter(|host| host.len() <= MAX_COMMON_NAME) {
        params.distinguished_name.push(DnType::CommonName, first.as_str());
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if matches!(plan.key, KeyKind::Rsa(_)) {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    if plan.authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages.extend([KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]);
        // What it signs may do no more than it may itself, and it signs clients.
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    } else {
        params.is_ca = IsCa::ExplicitNoCa;
    }
    let certificate = params.self_signed(&key)?;
    Ok(Made {
        fingerprint: Fingerprint::of_certificate(certificate.der()),
        certificate_pem: certificate.pem(),
        key_pem,
    })
}

fn name(host: &str) -> Result<SanType, CannotGenerate> {
    let bad = || CannotGenerate::Host(host.to_owned());
    // A certificate for all hosts of a domain has a star in front.
    let plain = host.strip_prefix("*.").unwrap_or(host);
    match san(host).ok_or_else(bad)? {
        SanType::DnsName(_) if DnsName::try_from(plain).is_err() => Err(bad()),
        name => Ok(name),
    }
}

/// A new key as PEM: PKCS #1 for RSA, which the original can read as well, else PKCS #8.
fn make_key(kind: KeyKind) -> Result<String, CannotGenerate> {
    let algorithm = match kind {
        KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyKind::Rsa(bits) if !RSA_BITS.contains(&bits) => {
            return Err(CannotGenerate::RsaBits(bits));
        }
        KeyKind::Rsa(bits) => {
            let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits.into())?;
            let pem = key.to_pkcs1_pem(LineEnding::LF).map_err(rsa::Error::from)?;
            return Ok(pem.to_string());
        }
    };
    Ok(rcgen::KeyPair::generate_for(algorithm)?.serialize_pem())
}

#[cfg(test)]
mod tests;
