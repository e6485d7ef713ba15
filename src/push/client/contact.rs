//! The way to one master: connect, prove who we are or ask to be admitted, report; and come back when it
//! ends, for ever.

mod no_session;
mod proof;
mod renewal;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls_pki_types::CertificateDer;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::rustls::ClientConfig;
use uuid::Uuid;

use self::{
    no_session::{NoSession, causes, is_about_certificate, unexpected},
    renewal::renew,
};
use super::{
    BadCredentials, Credentials, Ending, Order, Reporter, Session, Told, Troubles,
    network::Stream,
    pace::{Pace, anywhere_within, told},
};
use crate::{
    config::{Endpoint, PushClient},
    push::protocol::{
        channel,
        greeting::{self, GREETING_LIMIT},
        hello::{
            Answer, Enrol, Hello, Introduction, Login, PlainIdentity, WAITING_EVERY, receive, send,
        },
        transport::Traffic,
    },
};

/// For the connection to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// For the TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long a master that has an operator to ask may be silent.
const WAITING_LIMIT: Duration = Duration::from_secs(3 * WAITING_EVERY.as_secs());

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
    /// Whether we report now, for people.
    is_reporting: Arc<AtomicBool>,
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
        is_reporting: Arc<AtomicBool>,
    ) -> Contact {
        Contact {
            reporter,
            master,
            first,
            settings,
            troubles,
            is_reporting,
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
            self.is_reporting.store(false, Ordering::Relaxed);
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
                self.is_reporting.store(true, Ordering::Relaxed);
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
        let told = Told { farewell: said, orders: self.reporter.orders.clone() };
        let (client, driver) = channel::connect(stream, told, traffic);
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
