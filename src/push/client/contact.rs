//! The way to one master: connect, prove who we are or ask to be admitted, report; and come back when it
//! ends, for ever.

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls_pki_types::{CertificateDer, ServerName};
use thiserror::Error;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, AlertDescription, ClientConfig},
};
use uuid::Uuid;

use super::{
    BadCredentials, Credentials, Ending, Order, Reporter, Session, Told, Troubles,
    network::{AnyStream, Stream},
    pace::{Pace, anywhere_within, told},
};
use crate::{
    config::{Endpoint, PushClient},
    push::protocol::{
        channel::{self, MasterClient, deadline},
        greeting::{self, GREETING_LIMIT, Unacquainted},
        hello::{
            Answer, Enrol, Hello, Introduction, Login, Opening, PlainIdentity, Role, WAITING_EVERY,
            challenge, receive, send,
        },
        transport::Traffic,
    },
    push::{JoinToken, nonce},
    trust::{
        BadCertificate, Fingerprint, FirstContact, Refusal, ServerTrust, push_client_config,
        verify_signature,
    },
};

/// For the connection to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// For the TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long a master that has an operator to ask may be silent.
const WAITING_LIMIT: Duration = Duration::from_secs(3 * WAITING_EVERY.as_secs());
/// For a renewed certificate.
const RENEW_LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked whether the certificate is to be renewed.
const RENEW_LOOK: Duration = Duration::from_secs(3600);

/// Why there is no session with a master.
#[derive(Debug, Error)]
enum NoSession {
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("cannot connect: no answer within {} s", .0.as_secs())]
    ConnectSlow(Duration),
    #[error("no TLS with it: {0}")]
    Tls(String),
    #[error("{0}")]
    Credentials(#[from] BadCredentials),
    #[error("{0}")]
    Certificate(#[from] BadCertificate),
    #[error("{0}")]
    Hello(#[from] Unacquainted),
    #[error(
        "its authority is not known and RequireFingerprint is set: put its SHA-256, as `wigocli \
         authority list` shows it on the master, into CaFingerprint, or use a join token"
    )]
    NoFingerprint,
    #[error(
        "a join token needs TLS: set SslEnabled in [PushClient] here and in [PushServer] there, or remove \
         JoinToken and have an operator allow us"
    )]
    TokenNeedsTls,
    #[error("{why}")]
    Untrusted { why: String },
    #[error("it refuses us: {why}")]
    Refused { why: String, retry: bool },
    #[error("it is busy")]
    Busy { retry: Duration },
}

/// What became of an attempt.
enum Outcome {
    Ended(Ending),
    /// There is a certificate now.
    Enrolled,
}

/// One master and how to reach it.
pub(super) struct Contact {
    reporter: Reporter,
    master: Endpoint,
    first: bool,
    settings: PushClient,
    troubles: Troubles,
    pace: Pace,
    /// The configuration of the last connection, whose sessions can be resumed, and what it was made of.
    tls: Option<(Arc<ClientConfig>, Vec<CertificateDer<'static>>)>,
    /// The master does not take our certificate: ask to be admitted anew.
    rejected: bool,
    /// When the last session began.
    began: Option<Instant>,
    /// There is a session, which obeys orders itself.
    in_session: Arc<AtomicBool>,
}

impl Contact {
    pub fn new(
        reporter: Reporter,
        master: Endpoint,
        first: bool,
        settings: PushClient,
        troubles: Troubles,
    ) -> Contact {
        Contact {
            reporter,
            master,
            first,
            settings,
            troubles,
            pace: Pace::default(),
            tls: None,
            rejected: false,
            began: None,
            in_session: Arc::default(),
        }
    }

    /// Reports until ordered otherwise.
    pub async fn run(mut self, mut orders: watch::Receiver<Order>) {
        if !self.settings.ssl_enabled {
            tracing::warn!(
                "SslEnabled is off in [PushClient]: what is sent to {} can be read and changed on its way",
                self.master
            );
        }
        loop {
            let in_session = Arc::new(AtomicBool::new(false));
            self.in_session = in_session.clone();
            let attempt = self.attempt(orders.clone());
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                // A session takes leave by itself; everything before it can simply be dropped.
                () = ordered_before_session(&mut orders, &in_session) => return,
            };
            let pause = match outcome {
                Ok(Outcome::Ended(Ending::Left)) => return,
                Ok(Outcome::Enrolled) => Duration::ZERO,
                Ok(Outcome::Ended(Ending::Lost(why))) => {
                    self.trouble(format!(
                        "the connection to the master {} broke: {why}",
                        self.master
                    ));
                    self.pace.after_loss(self.lasted())
                }
                Ok(Outcome::Ended(Ending::Closed(farewell))) => {
                    self.trouble(format!(
                        "the master {} sent us away: {}",
                        self.master, farewell.why
                    ));
                    match farewell.retry {
                        Some(within) => anywhere_within(told(within)),
                        None => self.pace.after_refusal(true),
                    }
                }
                Err(error) => {
                    let pause = match &error {
                        NoSession::Busy { retry } => *retry,
                        NoSession::Refused { retry, .. } => self.pace.after_refusal(*retry),
                        NoSession::NoFingerprint | NoSession::TokenNeedsTls => {
                            self.pace.after_refusal(false)
                        }
                        _ => self.pace.after_failure(),
                    };
                    let why = causes(&error);
                    self.trouble(format!("cannot report to the master {}: {why}", self.master));
                    pause
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = ordered(&mut orders) => return,
            }
        }
    }

    /// How long the last session lasted, if it ends now.
    fn lasted(&self) -> Duration {
        self.began.map(|began| began.elapsed()).unwrap_or_default()
    }

    /// Says what is wrong, once as long as it stays the same.
    fn trouble(&self, what: String) {
        if self.troubles.is_news(&self.master, &what) {
            tracing::warn!("{what}");
        }
        self.troubles.set(&self.master, Some(what));
    }

    async fn attempt(&mut self, orders: watch::Receiver<Order>) -> Result<Outcome, NoSession> {
        let (settings, master, first) = (self.settings.clone(), self.master.clone(), self.first);
        let uuid = self.reporter.uuid;
        let load = move || Credentials::load(&settings, &master, first, uuid);
        let mut credentials = blocking(load).await?;
        if self.rejected {
            credentials.certificate = None;
        }
        let connecting = self.reporter.network.connect(&self.master);
        let stream = timeout(CONNECT_LIMIT, connecting)
            .await
            .map_err(|_| NoSession::ConnectSlow(CONNECT_LIMIT))?
            .map_err(NoSession::Connect)?;
        if !self.settings.ssl_enabled {
            return self.plain(stream, credentials, orders).await;
        }
        let stream = self.secure(stream, &mut credentials).await?;
        let mut stream = Box::pin(stream);
        // With TLS 1.3 a server says only now what it thinks of our certificate.
        greeting::greet(&mut stream).await.inspect_err(|error| {
            self.rejected |= credentials.certificate.is_some() && is_about_certificate(error);
        })?;
        let introduction: Introduction = receive(&mut stream, GREETING_LIMIT).await?;
        self.acquainted(stream, introduction, credentials, None, orders).await
    }

    /// Puts TLS on the connection; learns the authority at first contact.
    async fn secure(
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
    fn tls_config(
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
    fn expected(&self) -> Vec<Fingerprint> {
        let configured = self.settings.ca_fingerprints.iter();
        let configured = configured.filter_map(|text| Fingerprint::parse(text).ok());
        configured.chain(self.token().map(|token| token.ca())).collect()
    }

    fn token(&self) -> Option<JoinToken> {
        JoinToken::parse(self.settings.join_token.expose()).ok()
    }

    /// Without TLS: each side proves who it is by signing what the other made up.
    async fn plain(
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

    /// Both know who the other is.
    async fn acquainted<S: Stream>(
        &mut self,
        mut stream: S,
        introduction: Introduction,
        credentials: Credentials,
        identity: Option<PlainIdentity>,
        orders: watch::Receiver<Order>,
    ) -> Result<Outcome, NoSession> {
        if introduction.uuid == self.reporter.uuid {
            let why = "that is ourselves, or a copy of this machine with the same uuid; check \
                       Address in [PushClient], or remove UuidFile on one of them";
            return Err(NoSession::Untrusted { why: why.to_owned() });
        }
        let host = self.reporter.hub.read(|tree| tree.me().host.clone());
        let (uuid, version) = (self.reporter.uuid, self.reporter.version.to_owned());
        if credentials.certificate.is_none() {
            let token = self.settings.join_token.expose();
            if !self.settings.ssl_enabled && !token.is_empty() {
                return Err(NoSession::TokenNeedsTls);
            }
            let enrol = Enrol {
                uuid,
                version,
                group: host.group,
                csr: credentials.key.csr(uuid, &host.name),
                host: host.name,
                token: (!token.is_empty()).then(|| token.to_owned()),
            };
            send(&mut stream, &Hello::Enrol(enrol)).await?;
            return self.enrolled(stream, introduction, credentials).await;
        }
        let heartbeat_ms = u32::try_from(self.settings.push_interval.as_millis());
        let login = Login {
            uuid,
            version,
            host: host.name,
            heartbeat_ms: heartbeat_ms.unwrap_or(u32::MAX),
            journal_highest: self.reporter.hub.newest_id(),
            identity,
        };
        send(&mut stream, &Hello::Report(login)).await?;
        match receive(&mut stream, GREETING_LIMIT).await? {
            Answer::Welcome { position, heartbeat_ms, return_ms, .. } => {
                self.in_session.store(true, Ordering::Relaxed);
                self.pace.met(return_ms);
                self.began = Some(Instant::now());
                self.troubles.set(&self.master, None);
                tracing::info!("reporting to the master {} ({})", self.master, introduction.name);
                let heartbeat = Duration::from_millis(heartbeat_ms.max(100).into());
                let name = format!("the master {}", introduction.name);
                let meeting = Meeting { master: introduction.uuid, name, position, heartbeat };
                Ok(Outcome::Ended(self.session(stream, meeting, credentials, orders).await))
            }
            Answer::Unknown { why } => {
                // So that an operator sees us again.
                self.rejected = true;
                Err(NoSession::Refused { why, retry: true })
            }
            other => Err(unexpected(other)),
        }
    }

    /// Waits for the certificate.
    async fn enrolled<S: Stream>(
        &mut self,
        mut stream: S,
        introduction: Introduction,
        mut credentials: Credentials,
    ) -> Result<Outcome, NoSession> {
        loop {
            match receive(&mut stream, WAITING_LIMIT).await? {
                Answer::Granted { certificate } => {
                    blocking(move || credentials.keep(&certificate)).await?;
                    tracing::info!(
                        "admitted by the master {} ({})",
                        self.master,
                        introduction.name
                    );
                    self.troubles.set(&self.master, None);
                    self.rejected = false;
                    return Ok(Outcome::Enrolled);
                }
                Answer::Waiting { .. } => {
                    let key = credentials.key.fingerprint();
                    self.trouble(format!(
                        "waiting to be admitted by the master {} ({}): an operator there has to \
                         allow {}; SHA-256 of our key {key}",
                        self.master, introduction.name, self.reporter.uuid
                    ));
                }
                Answer::Refused { why, retry } => return Err(NoSession::Refused { why, retry }),
                other => return Err(unexpected(other)),
            }
        }
    }

    async fn session<S: Stream>(
        &self,
        stream: S,
        meeting: Meeting,
        credentials: Credentials,
        orders: watch::Receiver<Order>,
    ) -> Ending {
        let (said, farewell) = watch::channel(None);
        let mut dismissed = farewell.clone();
        let traffic = Arc::new(Traffic::default());
        let (client, driver) = channel::connect(stream, Told(said), traffic);
        let Meeting { master, name, position, heartbeat } = meeting;
        let renewing = renew(client.clone(), credentials, self.reporter.clone());
        let session =
            Session::new(&self.reporter, client, master, name, position, heartbeat).run(orders);
        tokio::pin!(driver, session, renewing);
        loop {
            tokio::select! {
                ending = &mut session => return ending,
                ended = &mut driver => {
                    if let Some(farewell) = farewell.borrow().clone() {
                        return Ending::Closed(farewell);
                    }
                    let why = ended.err().map(|ended| ended.to_string());
                    return Ending::Lost(why.unwrap_or_else(|| "the master closed it".to_owned()));
                }
                Ok(_) = dismissed.wait_for(Option::is_some) => {
                    if let Some(farewell) = farewell.borrow().clone() {
                        return Ending::Closed(farewell);
                    }
                }
                () = &mut renewing => {}
            }
        }
    }
}

/// What the master said in its welcome.
struct Meeting {
    master: Uuid,
    name: String,
    position: Option<u64>,
    heartbeat: Duration,
}

/// Has the certificate renewed when half of its life is over. Never ends.
async fn renew(client: MasterClient, mut credentials: Credentials, reporter: Reporter) {
    loop {
        let now = std::time::SystemTime::now();
        if credentials.certificate.as_ref().is_some_and(|held| held.wants_renewal(now)) {
            let host = reporter.hub.read(|tree| tree.me().host.name.clone());
            let csr = credentials.key.csr(reporter.uuid, &host);
            let outcome = match client.renew(deadline(RENEW_LIMIT), csr).await {
                Ok(Ok(pem)) => {
                    let mut kept = credentials.clone();
                    match blocking(move || kept.keep(&pem).map(|()| kept)).await {
                        Ok(kept) => {
                            credentials = kept;
                            tracing::info!("our certificate was renewed");
                            Ok(())
                        }
                        Err(error) => Err(causes(&error)),
                    }
                }
                Ok(Err(why)) => Err(why),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = outcome {
                tracing::warn!("our certificate could not be renewed and is tried again: {why}");
            }
        }
        sleep(RENEW_LOOK).await;
    }
}

/// Waits for an order that ends us, unless a session is there to obey it: that one takes leave first.
async fn ordered_before_session(orders: &mut watch::Receiver<Order>, in_session: &AtomicBool) {
    ordered(orders).await;
    if in_session.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

async fn ordered(orders: &mut watch::Receiver<Order>) {
    // Nobody left to give orders is an order too.
    let _ = orders.wait_for(|order| *order != Order::Work).await;
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

fn tls_error(error: &std::io::Error) -> String {
    match crate::trust::untrusted(error) {
        Some(untrusted) if matches!(untrusted.why, Refusal::Unknown | Refusal::Other(_)) => {
            format!(
                "{untrusted}: if the master's authority was replaced on purpose, remove the file named by \
             SslCert, else somebody is in between"
            )
        }
        Some(untrusted) => untrusted.to_string(),
        None if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            format!("{error}; is SslEnabled the same on both sides?")
        }
        None => error.to_string(),
    }
}

/// Whether the server has refused our certificate, as after its authority was replaced.
fn is_about_certificate(error: &Unacquainted) -> bool {
    use AlertDescription as A;
    let Unacquainted::Io { source, .. } = error else { return false };
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::AlertReceived(alert)) = inner else { return false };
    matches!(
        alert,
        A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::DecryptError
    )
}

fn unexpected(answer: Answer) -> NoSession {
    match answer {
        Answer::Busy { retry_ms } => NoSession::Busy { retry: told(retry_ms) },
        Answer::Refused { why, retry } => NoSession::Refused { why, retry },
        _ => NoSession::Untrusted { why: "it gave an answer that makes no sense here".to_owned() },
    }
}

/// An error with all that caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BadCredentials> + Send + 'static,
) -> Result<T, BadCredentials> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
