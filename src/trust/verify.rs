//! The one place where a server's certificate is judged by rules of our own, and so the only one with
//! `dangerous()` in it.
//!
//! No rule switches verification off. Each ends in one of three ways: the library's own verification
//! against chosen roots; the same bytes as a certificate that is known already; a fingerprint that a
//! person has given. That the server holds the certificate's key is always checked, by the library.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, OtherError,
    RootCertStore, SignatureScheme, SupportedProtocolVersion,
    client::{
        WantsClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{self, CryptoProvider},
};
use webpki::EndEntityCert;

use super::{BadCertificate, Fingerprint, Refusal, Untrusted, identity, provider};

/// Host names of a certificate that an error text repeats.
const MAX_SHOWN_NAMES: usize = 8;
/// Characters of each.
const MAX_SHOWN_NAME: usize = 100;

/// Whom to believe.
#[derive(Debug)]
pub(super) enum Rule {
    /// These certificates themselves, and what they signed.
    Anchors(Anchors),
    FirstContact(Arc<FirstContact>),
    /// The certificate with this SHA-256, for any name, at any time.
    Exactly(Fingerprint),
    /// What the system trusts, and one certificate more, for any name, at any time.
    System(System),
}

impl Rule {
    pub(super) fn anchors(
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<Rule, BadCertificate> {
        Anchors::new(certificates).map(Rule::Anchors).map_err(BadCertificate::Anchor)
    }

    pub(super) fn system(also: Option<CertificateDer<'static>>) -> Rule {
        Rule::System(System { also, verifier: OnceLock::new() })
    }
}

/// A client's TLS that believes those whom the rule says.
pub(super) fn client_builder(
    rule: Rule,
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = provider();
    let verifier = Arc::new(Verifier { rule, provider: provider.clone() });
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("ring speaks TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
}

/// The first connection to a push server whose authority is not known yet.
///
/// The last certificate that the server shows is taken for its authority, and everything else is verified
/// against it. It counts as learned once the server has also shown that it holds its key; from then on,
/// no other is accepted.
#[derive(Debug)]
pub struct FirstContact {
    expected: Vec<Fingerprint>,
    state: Mutex<Contact>,
}

#[derive(Debug, Default)]
struct Contact {
    /// A server's certificate and its authority, before the server has shown that it holds the key.
    shown: Option<[CertificateDer<'static>; 2]>,
    learned: Option<CertificateDer<'static>>,
}

impl FirstContact {
    /// Accepts an authority with one of these fingerprints; any, if there is none.
    pub fn new(expected: Vec<Fingerprint>) -> FirstContact {
        FirstContact { expected, state: Mutex::default() }
    }

    /// The authority of the server, after a handshake that succeeded.
    pub fn learned(&self) -> Option<CertificateDer<'static>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).learned.clone()
    }

    fn verify(&self, shown: &Shown<'_>) -> Result<(), Untrusted> {
        let (authority, between) = shown.rest.split_last().unwrap_or((shown.leaf, &[]));
        let fingerprint = Fingerprint::of_certificate(authority);
        let refuse = |why| Untrusted { host: shown.host(), fingerprint, why };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = match &state.learned {
            Some(learned) => &vec![Fingerprint::of_certificate(learned)],
            None => &self.expected,
        };
        if !expected.is_empty() && !expected.contains(&fingerprint) {
            return Err(refuse(Refusal::Fingerprint(expected.clone())));
        }
        let authority = authority.clone().into_owned();
        Anchors::new(vec![authority.clone()])
            .and_then(|anchors| anchors.verify(&Shown { rest: between, ..*shown }))
            .map_err(|error| refuse(shown.refusal(error)))?;
        state.shown = Some([shown.leaf.clone().into_owned(), authority]);
        Ok(())
    }

    /// The holder of this certificate's key is on the other side.
    fn proven(&self, leaf: &CertificateDer<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some([_, authority]) =
            state.shown.take_if(|[shown, _]| shown.as_ref() == leaf.as_ref())
        {
            state.learned = Some(authority);
        }
    }
}

/// Certificates that are trusted themselves, and what they signed.
#[derive(Debug)]
pub(super) struct Anchors {
    certificates: Vec<CertificateDer<'static>>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Anchors {
    fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Anchors, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone())?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(Anchors { certificates, verifier })
    }

    fn verify(&self, shown: &Shown<'_>) -> Result<(), rustls::Error> {
        if self.certificates.iter().any(|certificate| certificate == shown.leaf) {
            return shown.verify_name_and_date();
        }
        let Shown { leaf, rest, name, ocsp, now } = shown;
        self.verifier.verify_server_cert(leaf, rest, name, ocsp, *now).map(drop)
    }
}

/// What the system trusts, and one certificate more.
#[derive(Debug)]
pub(super) struct System {
    also: Option<CertificateDer<'static>>,
    /// Made when it is needed: reading the system's certificates takes a while.
    verifier: OnceLock<Result<rustls_platform_verifier::Verifier, rustls::Error>>,
}

impl System {
    fn verify(&self, shown: &Shown<'_>) -> Result<(), rustls::Error> {
        if self.also.as_ref().is_some_and(|also| also == shown.leaf) {
            return Ok(());
        }
        let verifier =
            self.verifier.get_or_init(|| rustls_platform_verifier::Verifier::new(provider()));
        // A system without any certificates trusts nobody.
        let verifier = verifier.as_ref().map_err(|_| CertificateError::UnknownIssuer)?;
        let Shown { leaf, rest, name, ocsp, now } = shown;
        verifier.verify_server_cert(leaf, rest, name, ocsp, *now).map(drop)
    }
}

/// What a server shows in the handshake.
#[derive(Clone, Copy)]
struct Shown<'a> {
    leaf: &'a CertificateDer<'a>,
    rest: &'a [CertificateDer<'a>],
    name: &'a ServerName<'a>,
    ocsp: &'a [u8],
    now: UnixTime,
}

impl Shown<'_> {
    fn host(&self) -> String {
        self.name.to_str().into_owned()
    }

    /// For a certificate that webpki would not take as a server's, because it calls itself an authority.
    fn verify_name_and_date(&self) -> Result<(), rustls::Error> {
        let bad = CertificateError::BadEncoding;
        EndEntityCert::try_from(self.leaf)
            .map_err(|_| bad.clone())?
            .verify_is_valid_for_subject_name(self.name)
            .map_err(|_| CertificateError::NotValidForName)?;
        let parsed = identity::parse(self.leaf).ok_or(bad)?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(self.now.as_secs());
        if identity::time(parsed.validity().not_before).is_some_and(|begin| now < begin) {
            return Err(CertificateError::NotValidYet.into());
        }
        if identity::time(parsed.validity().not_after).is_none_or(|end| now > end) {
            return Err(CertificateError::Expired.into());
        }
        Ok(())
    }

    fn refusal(&self, error: rustls::Error) -> Refusal {
        use CertificateError as E;
        match error {
            rustls::Error::InvalidCertificate(why) => match why {
                E::NotValidForName | E::NotValidForNameContext { .. } => {
                    Refusal::Name(self.names())
                }
                E::Expired | E::ExpiredContext { .. } => Refusal::Expired,
                E::NotValidYet | E::NotValidYetContext { .. } => Refusal::NotYetValid,
                E::UnknownIssuer => Refusal::Unknown,
                E::Other(error) => Refusal::Other(error.to_string()),
                why => Refusal::Other(why.to_string()),
            },
            error => Refusal::Other(error.to_string()),
        }
    }

    /// The certificate's names, which a stranger wrote.
    fn names(&self) -> Vec<String> {
        let names = identity::parse(self.leaf).map(|leaf| identity::host_names(&leaf));
        let names = names.unwrap_or_default().into_iter().take(MAX_SHOWN_NAMES);
        names
            .map(|name| name.chars().take(MAX_SHOWN_NAME).collect::<String>())
            .map(|name| format!("`{}`", name.escape_debug()))
            .collect()
    }
}

#[derive(Debug)]
struct Verifier {
    rule: Rule,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Untrusted> {
        let fingerprint = Fingerprint::of_certificate(shown.leaf);
        let refuse = |why| Untrusted { host: shown.host(), fingerprint, why };
        match &self.rule {
            Rule::Anchors(anchors) => anchors.verify(shown).map_err(|e| refuse(shown.refusal(e))),
            Rule::FirstContact(contact) => contact.verify(shown),
            Rule::Exactly(expected) if *expected == fingerprint => Ok(()),
            Rule::Exactly(expected) => Err(refuse(Refusal::Fingerprint(vec![*expected]))),
            Rule::System(system) => system.verify(shown).map_err(|e| refuse(shown.refusal(e))),
        }
    }

    fn proven(&self, leaf: &CertificateDer<'_>) {
        if let Rule::FirstContact(contact) = &self.rule {
            contact.proven(leaf);
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.judge(&Shown { leaf, rest, name, ocsp, now }) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(untrusted) => Err(CertificateError::Other(OtherError(Arc::new(untrusted))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
            .inspect(|_| self.proven(certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
            .inspect(|_| self.proven(certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
