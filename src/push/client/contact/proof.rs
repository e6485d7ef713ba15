//! Both sides prove who they are: by TLS, or without it by signing what the other made up.

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{sync::watch, time::timeout};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};

use super::{
    Contact, HANDSHAKE_LIMIT, Outcome, blocking,
    no_session::{NoSession, tls_error},
};
use crate::{
    push::{
        JoinToken,
        client::{Credentials, Order, network::AnyStream},
        nonce,
        protocol::{
            greeting::{self, GREETING_LIMIT},
            hello::{Introduction, Opening, PlainIdentity, Role, challenge, receive, send},
        },
    },
    trust::{Fingerprint, FirstContact, ServerTrust, push_client_config, verify_signature},
};

impl Contact {
    /// Puts TLS on the connection; learns the authority at first contact.
    pub(super) async fn secure(
        &mut self,
        stream: AnyStream,
        credentials: &mut Credentials,
    ) -> Result<tokio_rustls::client::TlsStream<AnyStream>, NoSession> {
        let name = ServerName::try_from(self.master.host.clone())
            .map_err(|_| NoSession::Tls(format!("`{}` is no name of a host", self.master.host)))?;
        let expected = self.expected();
        let contact = match &credentials.authority {
            Some(pinned) => {
                check_fingerprint(pinned, &expected)?;
                None
            }
            None if expected.is_empty() && self.settings.require_fingerprint => {
                return Err(NoSession::NoFingerprint);
            }
            None => Some(Arc::new(FirstContact::new(expected))),
        };
        let config = self.tls_config(credentials, contact.clone())?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        let stream = timeout(HANDSHAKE_LIMIT, handshake)
            .await
            .map_err(|_| NoSession::Tls("the handshake took too long".to_owned()))?
            .map_err(|error| NoSession::Tls(tls_error(&error)))?;
        if let Some(learned) = contact.and_then(|contact| contact.learned()) {
            let (mut known, expected) = (credentials.clone(), !self.expected().is_empty());
            *credentials = blocking(move || known.pin(learned, expected).map(|()| known)).await?;
        }
        Ok(stream)
    }

    /// The TLS of the next connection: that of the last one if nothing has changed, so that its session
    /// is resumed.
    pub(super) fn tls_config(
        &mut self,
        credentials: &Credentials,
        contact: Option<Arc<FirstContact>>,
    ) -> Result<Arc<ClientConfig>, NoSession> {
        let mut made_of = credentials.authority.clone().unwrap_or_default();
        let certificate = credentials.certificate.as_ref();
        made_of.extend(certificate.iter().flat_map(|certificate| certificate.chain.clone()));
        let held = self.tls.as_ref().filter(|(_, held)| *held == made_of && contact.is_none());
        if let Some((config, _)) = held {
            return Ok(config.clone());
        }
        let trust = match (contact, &credentials.authority) {
            (Some(contact), _) => ServerTrust::FirstContact(contact),
            (None, authority) => ServerTrust::Pinned(authority.clone().unwrap_or_default()),
        };
        let identity = certificate.map(|certificate| (certificate, &credentials.key));
        let config = push_client_config(trust, identity)?;
        self.tls = Some((config.clone(), made_of));
        Ok(config)
    }

    /// The fingerprints of authorities that an operator gave us.
    pub(super) fn expected(&self) -> Vec<Fingerprint> {
        let configured = self.settings.ca_fingerprints.iter();
        let configured = configured.filter_map(|text| Fingerprint::parse(text).ok());
        configured.chain(self.token().map(|token| token.ca())).collect()
    }

    pub(super) fn token(&self) -> Option<JoinToken> {
        JoinToken::parse(self.settings.join_token.expose()).ok()
    }

    /// Without TLS: each side proves who it is by signing what the other made up.
    pub(super) async fn plain(
        &mut self,
        mut stream: AnyStream,
        mut credentials: Credentials,
        orders: watch::Receiver<Order>,
    ) -> Result<Outcome, NoSession> {
        let version = greeting::greet(&mut stream).await?;
        let ours = nonce();
        send(&mut stream, &Opening { uuid: self.reporter.uuid, nonce: ours }).await?;
        let introduction: Introduction = receive(&mut stream, GREETING_LIMIT).await?;
        let untrusted = |why: String| NoSession::Untrusted { why };
        let (Some(certificate), Some(proof)) = (&introduction.certificate, &introduction.proof)
        else {
            return Err(untrusted("it does not prove who it is".to_owned()));
        };
        let authority = CertificateDer::from(certificate.clone());
        let uuid = self.reporter.uuid;
        let (server, theirs) = (introduction.uuid, introduction.nonce);
        let shown = Fingerprint::of_certificate(&authority);
        let digest = shown.as_bytes();
        let signed = challenge(Role::Server, uuid, server, digest, &ours, &theirs, version);
        if !verify_signature(&authority, &signed, proof) {
            return Err(untrusted("its proof of who it is, is false".to_owned()));
        }
        let expected = self.expected();
        match &credentials.authority {
            Some(pinned) if !pinned.contains(&authority) => {
                return Err(untrusted(format!(
                    "it shows another authority, SHA-256 {shown}, than the one that is known; if \
                     that is right, remove the file named by SslCert"
                )));
            }
            Some(pinned) => check_fingerprint(pinned, &expected)?,
            None if expected.is_empty() && self.settings.require_fingerprint => {
                return Err(NoSession::NoFingerprint);
            }
            None => {
                check_fingerprint(std::slice::from_ref(&authority), &expected)?;
                let (mut known, given) = (credentials.clone(), !expected.is_empty());
                credentials = blocking(move || known.pin(authority, given).map(|()| known)).await?;
            }
        }
        let identity = credentials.certificate.as_ref().map(|certificate| PlainIdentity {
            chain: certificate.chain.iter().map(|one| one.to_vec()).collect(),
            proof: credentials.key.sign(&challenge(
                Role::Client,
                uuid,
                server,
                digest,
                &ours,
                &theirs,
                version,
            )),
        });
        self.acquainted(stream, introduction, credentials, identity, orders).await
    }
}

fn check_fingerprint(
    authorities: &[CertificateDer<'static>],
    expected: &[Fingerprint],
) -> Result<(), NoSession> {
    let shown: Vec<Fingerprint> = authorities.iter().map(Fingerprint::of_certificate).collect();
    if expected.is_empty() || shown.iter().any(|shown| expected.contains(shown)) {
        return Ok(());
    }
    let list =
        |of: &[Fingerprint]| of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let why = format!(
        "its authority has the SHA-256 {}, and {} is expected (CaFingerprint or the join token); \
         somebody may be in between",
        list(&shown),
        list(expected)
    );
    Err(NoSession::Untrusted { why })
}
