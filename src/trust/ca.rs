//! The authority of a push server: it signs its clients, knows them again, and vouches for the server.
//!
//! The configured certificate plays both parts, as it did in the original. One that says `CA:FALSE` is
//! shown as the server's own. One that says `CA:TRUE` may not be, so it signs a short-lived certificate
//! for the server and both are shown; clients pin the configured one either way.

use std::{
    ops::Range,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig,
    crypto::ring::Ticketer,
    server::{ProducesTickets, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use uuid::Uuid;

use super::{
    ALPN, BadCertificate, BadPeer, BadRequest, ClientIdentity, Fingerprint, client_identity, files,
    identity, key::Key, provider, request, signed,
};

/// How long a client's certificate is valid, in days; it is renewed from half of them on.
pub const CLIENT_CERTIFICATE_DAYS: u32 = 30;
/// How long the server's own certificate is valid, in days, where the authority has to sign one.
const SERVER_CERTIFICATE_DAYS: u32 = 90;
/// Certificates are valid this long before they are made, for clocks that are behind.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(3_600);
/// Random bytes of a serial number; RFC 5280 allows 20.
const SERIAL_BYTES: usize = 16;

/// The authority of a push server.
pub struct Ca {
    certificate: CertificateDer<'static>,
    not_after: SystemTime,
    issuer: Issuer<'static, Key>,
    /// Who the server's own certificate is for; none where the configured one is shown itself.
    names: Option<Vec<SanType>>,
    clients: Arc<dyn ClientCertVerifier>,
    /// Outlives the configurations, so that sessions do too.
    tickets: Arc<dyn ProducesTickets>,
    served: ArcSwap<Served>,
}

/// A client's certificate, just signed.
#[derive(Clone, Debug)]
pub struct Signed {
    pub certificate_pem: String,
    /// The SHA-256 of the client's public key.
    pub key: Fingerprint,
    pub not_after: SystemTime,
}

struct Served {
    config: Arc<ServerConfig>,
    /// When it is to be used; none: always.
    within: Option<Range<SystemTime>>,
}

impl Ca {
    /// Loads the first certificate of a PEM file and its key. `host_name`, `localhost` and its addresses
    /// are what the server is called if the certificate names no host at all.
    pub fn load(certificate: &Path, key: &Path, host_name: &str) -> Result<Ca, BadCertificate> {
        let bad = |why: String| BadCertificate::Authority { path: certificate.into(), why };
        let der = files::certificates(certificate)?.swap_remove(0);
        let private = Key::load(key)?;
        CertifiedKey::new(vec![der.clone()], private.signer()).keys_match().map_err(|source| {
            BadCertificate::Pair { certificate: certificate.into(), key: key.into(), source }
        })?;
        let parsed = identity::parse(&der).ok_or_else(|| bad("it cannot be read".into()))?;
        let is_ca = parsed.is_ca();
        let mut names = names(&parsed);
        if names.is_empty() && is_ca {
            names = names_of_machine(host_name);
        } else if names.is_empty() {
            tracing::warn!(
                "certificate `{}` is for no host name, so no push client will accept it: make one \
                 with `generate_cert -ca -host NAME`",
                certificate.display()
            );
        }
        let not_after = identity::time(parsed.validity().not_after);
        let not_after = not_after.ok_or_else(|| bad("it has no sensible end".into()))?;
        let issuer = Issuer::from_ca_cert_der(&der, private).map_err(|e| bad(e.to_string()))?;
        let clients = client_verifier(&der).map_err(&bad)?;
        let tickets = Ticketer::new().map_err(|error| bad(error.to_string()))?;
        let names = is_ca.then_some(names);
        let now = SystemTime::now();
        let served = serve(&der, &issuer, names.as_deref(), &clients, &tickets, now);
        let served = ArcSwap::from_pointee(served.map_err(&bad)?);
        let ca = Ca { certificate: der, not_after, issuer, names, clients, tickets, served };
        ca.try_out(now).map_err(bad)?;
        Ok(ca)
    }

    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub fn certificate_pem(&self) -> String {
        files::pem("CERTIFICATE", &self.certificate)
    }

    /// What operators compare and clients pin: the SHA-256 of the configured certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_certificate(&self.certificate)
    }

    /// When the configured certificate ends. Clients that pinned it do not mind, other programs do.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Signs the key in a client's request for the instance `uuid`; whatever else the request asks for is
    /// not looked at.
    pub fn sign_client(
        &self,
        csr_pem: &str,
        uuid: Uuid,
        now: SystemTime,
    ) -> Result<Signed, BadRequest> {
        self.sign_key(&request::public_key(csr_pem)?, uuid, now).map_err(BadRequest::Signing)
    }

    /// Verifies a client's chain as the TLS handshake does, and reads who it is. For connections without
    /// TLS; and with TLS too, since a resumed session may be older than the end of its certificate.
    pub fn verify_client(
        &self,
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<ClientIdentity, BadPeer> {
        let (leaf, intermediates) = chain.split_first().ok_or(BadPeer::Missing)?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| BadPeer::Date)?;
        self.clients
            .verify_client_cert(leaf, intermediates, UnixTime::since_unix_epoch(now))
            .map_err(BadPeer::from)?;
        client_identity(chain)
    }

    /// A signature with the authority's key, for [`super::verify_signature`].
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        signed::sign(self.issuer.key(), message)
    }

    /// The TLS of the push listener: 1.3 only, client certificates verified when shown, sessions resumed
    /// by tickets. To be asked for each connection, since the server's certificate is renewed.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server_config_at(SystemTime::now())
    }

    pub(super) fn server_config_at(&self, now: SystemTime) -> Arc<ServerConfig> {
        let served = self.served.load();
        if served.within.as_ref().is_none_or(|within| within.contains(&now)) {
            return served.config.clone();
        }
        let names = self.names.as_deref();
        match serve(&self.certificate, &self.issuer, names, &self.clients, &self.tickets, now) {
            Ok(new) => {
                let config = new.config.clone();
                self.served.store(Arc::new(new));
                config
            }
            Err(why) => {
                tracing::error!("the push server's certificate cannot be renewed: {why}");
                served.config.clone()
            }
        }
    }

    fn sign_key(
        &self,
        key: &impl PublicKeyData,
        uuid: Uuid,
        now: SystemTime,
    ) -> Result<Signed, String> {
        let (mut params, not_after) = template(now, CLIENT_CERTIFICATE_DAYS);
        let name = uuid.urn().to_string().try_into().map_err(text)?;
        params.subject_alt_names = vec![SanType::URI(name)];
        params.distinguished_name.push(DnType::CommonName, uuid.to_string());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(key, &self.issuer).map_err(text)?;
        let key = Fingerprint::of_key(&key.subject_public_key_info());
        Ok(Signed { certificate_pem: certificate.pem(), key, not_after })
    }

    /// Signs a client that does not exist and looks whether it would be let in: there are many ways in
    /// which a certificate from elsewhere can be no authority, and a start is the time to say so.
    fn try_out(&self, now: SystemTime) -> Result<(), String> {
        let signed = self.sign_key(&Key::make().0, Uuid::new_v4(), now)?;
        let chain = files::certificates_of(signed.certificate_pem.as_bytes()).map_err(text)?;
        self.verify_client(&chain, now).map(drop).map_err(|error| {
            format!(
                "what it signs does not verify ({error}); make another one with `generate_cert -ca`"
            )
        })
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// What all certificates have that we sign; and their end.
fn template(now: SystemTime, days: u32) -> (CertificateParams, SystemTime) {
    let not_after = now + Duration::from_secs(u64::from(days) * 86_400);
    let mut params = CertificateParams::default();
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = not_after.into();
    params.serial_number = Some(random_serial());
    params.distinguished_name = DistinguishedName::new();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    (params, not_after)
}

pub(super) fn random_serial() -> SerialNumber {
    let mut serial = [0; SERIAL_BYTES];
    SystemRandom::new().fill(&mut serial).expect("Linux has random numbers");
    // Positive, and never shorter for a zero in front.
    serial[0] = serial[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&serial)
}

fn client_verifier(ca: &CertificateDer<'static>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).map_err(text)?;
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated() // enrolment
        .build()
        .map_err(text)
}

/// The TLS of the listener from `now` on, with a certificate for `names` if there are any.
fn serve(
    ca: &CertificateDer<'static>,
    issuer: &Issuer<'static, Key>,
    names: Option<&[SanType]>,
    clients: &Arc<dyn ClientCertVerifier>,
    tickets: &Arc<dyn ProducesTickets>,
    now: SystemTime,
) -> Result<Served, String> {
    let (certified, within) = match names {
        None => (CertifiedKey::new(vec![ca.clone()], issuer.key().signer()), None),
        Some(names) => {
            let (mut params, not_after) = template(now, SERVER_CERTIFICATE_DAYS);
            params.subject_alt_names = names.to_vec();
            params.distinguished_name.push(DnType::CommonName, "wigo push server");
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let (key, _) = Key::make();
            let leaf = params.signed_by(&key, issuer).map_err(text)?;
            let half = now + not_after.duration_since(now).unwrap_or_default() / 2;
            let chain = vec![leaf.into(), ca.clone()];
            (CertifiedKey::new(chain, key.signer()), Some(now - CLOCK_SKEW..half))
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error: rustls::Error| error.to_string())?
        .with_client_cert_verifier(clients.clone())
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.ticketer = tickets.clone();
    Ok(Served { config: Arc::new(config), within })
}

/// The hosts that a certificate is for: its alternative names, or its common name if there is none.
fn names(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Vec<SanType> {
    use rustls_pki_types::DnsName;
    let shown = identity::host_names(certificate);
    if !shown.is_empty() {
        return shown.iter().filter_map(|name| san(name)).collect();
    }
    let common = certificate.subject().iter_common_name().next();
    let common = common.and_then(|name| name.as_str().ok());
    common
        .filter(|name| name.parse::<std::net::IpAddr>().is_ok() || DnsName::try_from(*name).is_ok())
        .and_then(san)
        .into_iter()
        .collect()
}

fn names_of_machine(host_name: &str) -> Vec<SanType> {
    [host_name, "localhost", "127.0.0.1", "::1"]
        .into_iter()
        .filter(|name| !name.is_empty())
        .filter_map(san)
        .collect()
}

/// An address or a host name; none if it is no ASCII.
pub(super) fn san(name: &str) -> Option<SanType> {
    match name.parse() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) => name.try_into().ok().map(SanType::DnsName),
    }
}

#[cfg(test)]
mod tests;
