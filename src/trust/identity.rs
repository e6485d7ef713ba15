//! Who a push client is, by its certificate.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use rustls_pki_types::CertificateDer;
use thiserror::Error;
use tokio_rustls::rustls::{self, CertificateError};
use uuid::Uuid;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, time::ASN1Time};

use super::Fingerprint;

/// What a client's certificate says.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientIdentity {
    /// The instance, from the only subject alternative name.
    pub uuid: Uuid,
    /// The SHA-256 of its public key.
    pub key: Fingerprint,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

/// A client's certificate that is not accepted.
#[derive(Debug, PartialEq, Error)]
pub enum BadPeer {
    #[error("there is no certificate")]
    Missing,
    #[error("the certificate cannot be read")]
    Unreadable,
    #[error("the certificate does not name one instance as `urn:uuid:…` and nothing else")]
    Name,
    #[error("it did not prove that it holds the key of its certificate")]
    Unproved,
    #[error("the certificate is valid only later or no longer; is the clock right?")]
    Date,
    #[error("the certificate is not one of this push server's clients: {0}")]
    Untrusted(rustls::Error),
}

impl From<rustls::Error> for BadPeer {
    fn from(error: rustls::Error) -> BadPeer {
        use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
        match error {
            rustls::Error::InvalidCertificate(
                Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
            ) => BadPeer::Date,
            error => BadPeer::Untrusted(error),
        }
    }
}

/// Reads the leaf of a chain that is verified already, by TLS or by [`super::Ca::verify_client`].
pub fn client_identity(chain: &[CertificateDer<'_>]) -> Result<ClientIdentity, BadPeer> {
    let leaf = parse(chain.first().ok_or(BadPeer::Missing)?).ok_or(BadPeer::Unreadable)?;
    let validity = leaf.validity();
    Ok(ClientIdentity {
        uuid: uuid_of(&leaf).ok_or(BadPeer::Name)?,
        key: Fingerprint::of_key(leaf.public_key().raw),
        not_before: time(validity.not_before).ok_or(BadPeer::Unreadable)?,
        not_after: time(validity.not_after).ok_or(BadPeer::Unreadable)?,
    })
}

/// A certificate, if that is what the bytes are, all of them.
pub(super) fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    match x509_parser::parse_x509_certificate(certificate) {
        Ok(([], parsed)) => Some(parsed),
        _ => None,
    }
}

/// A time in a certificate; none before 1970.
pub(super) fn time(time: ASN1Time) -> Option<SystemTime> {
    let seconds = u64::try_from(time.timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The host names and addresses among the alternative names, as a certificate spells them.
pub(super) fn host_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(|octets| IpAddr::from(octets).to_string());
            v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(|o| IpAddr::from(o).to_string())).ok()
        }
        _ => None,
    };
    names.value.general_names.iter().filter_map(host).collect()
}

fn uuid_of(leaf: &X509Certificate<'_>) -> Option<Uuid> {
    let names = leaf.subject_alternative_name().ok()??;
    let [GeneralName::URI(name)] = names.value.general_names[..] else { return None };
    let uuid = Uuid::try_parse(name.strip_prefix("urn:uuid:")?).ok()?;
    // One spelling only, so that two texts never mean the same instance.
    (uuid.urn().to_string() == name).then_some(uuid)
}
