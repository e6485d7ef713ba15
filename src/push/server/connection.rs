//! One connection from its first byte to its end.

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use rustls_pki_types::CertificateDer;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Host,
    heard::Heard,
    rhythm::Rhythm,
    running::{Entered, Running},
    session::Session,
};
use crate::{
    connections::Admitted,
    push::{
        authority::{Decision, EnrolRequest, Enrolment, Refusal},
        client_pause, nonce,
        protocol::{
            channel::{self, AgentLink, deadline},
            greeting::{self, GREETING_LIMIT, Unacquainted},
            hello::{
                Answer, Enrol, Hello, Introduction, Login, Nonce, Opening, Role, WAITING_EVERY,
                challenge, receive, send,
            },
        },
    },
    task::Stop,
    tree::{Contact, Event, Parting},
    trust::{BadPeer, ClientIdentity, Signed, verify_signature},
};

/// For the TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// From the first byte until it is known who connects.
const ACQUAINTANCE_LIMIT: Duration = Duration::from_secs(15);
/// How long a client may wait on one connection to be admitted; then it has to ask again.
const WAITING_LIMIT: Duration = Duration::from_secs(3600);
/// How long the connection of a client has to answer when the same client connects once more.
const STILL_THERE_LIMIT: Duration = Duration::from_secs(2);
/// Around this many milliseconds a client is to come back later when there are too many.
const BUSY_PAUSE_MS: u32 = 5_000;
/// What a client without TLS is told that shows a token.
const TOKEN_NEEDS_TLS: &str = "a join token needs TLS: set SslEnabled on both sides, or have an operator \
                               allow this client without a token";
/// Why a connection did not become a session.
#[derive(Debug, Error)]
enum NoSession {
    #[error("the TLS handshake failed: {0}")]
    Tls(std::io::Error),
    #[error("the TLS handshake took longer than {} s", HANDSHAKE_LIMIT.as_secs())]
    TlsSlow,
    #[error("it did not say who it is within {} s", ACQUAINTANCE_LIMIT.as_secs())]
    Slow,
    #[error("{0}")]
    Hello(#[from] Unacquainted),
    #[error("{0}")]
    Refused(String),
}

/// Serves one connection, whatever it runs on. `address` is where it comes from; it counts as that of a
/// `stranger` until it is known who connects.
pub async fn serve<S>(
    stream: S,
    address: SocketAddr,
    host: Arc<Host>,
    stranger: Admitted,
    stop: Stop,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // In a box that goes when it has ended: what it takes to become acquainted is several times what a
    // session takes, and sessions are many and last.
    let begun = Box::pin(begin(stream, address, host, stranger, stop)).await;
    match begun {
        Ok(Some(session)) => session.await,
        Ok(None) => {}
        // Scanners and accidents: the port is open to everybody.
        Err(error) => tracing::info!("push connection from {address} ended: {error}"),
    }
}

/// A session from its first message to its last.
type Lasting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Everything before the session, if there is to be one.
async fn begin<S>(
    stream: S,
    address: SocketAddr,
    host: Arc<Host>,
    stranger: Admitted,
    stop: Stop,
) -> Result<Option<Lasting>, NoSession>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if !host.encrypted {
        return acquainted(stream, address, None, &host, stranger, stop).await;
    }
    let acceptor = TlsAcceptor::from(host.ca.server_config());
    let stream = timeout(HANDSHAKE_LIMIT, acceptor.accept(stream))
        .await
        .map_err(|_| NoSession::TlsSlow)?
        .map_err(NoSession::Tls)?;
    let chain = stream.get_ref().1.peer_certificates().map(<[_]>::to_vec);
    acquainted(Box::pin(stream), address, Some(chain), &host, stranger, stop).await
}

/// What the client has to show: `None` without TLS.
type Shown = Option<Option<Vec<CertificateDer<'static>>>>;

async fn acquainted<S>(
    mut stream: S,
    address: SocketAddr,
    shown: Shown,
    host: &Arc<Host>,
    stranger: Admitted,
    mut stop: Stop,
) -> Result<Option<Lasting>, NoSession>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let until = timeout(ACQUAINTANCE_LIMIT, who(&mut stream, shown, host));
    let (hello, identity) = tokio::select! {
        acquainted = until => acquainted.map_err(|_| NoSession::Slow)??,
        () = stop.wait() => return Ok(None),
    };
    match hello {
        Hello::Enrol(enrol) => {
            let enrolling = enrolling(&mut stream, enrol, address, host, stranger);
            let waiting = timeout(WAITING_LIMIT, enrolling);
            tokio::select! {
                done = waiting => done.unwrap_or(Ok(()))?,
                () = stop.wait() => {}
            }
            Ok(None)
        }
        Hello::Report(login) => {
            let identity = match identity {
                Ok(identity) if identity.uuid == login.uuid => identity,
                Ok(identity) => {
                    let why = format!(
                        "its certificate is that of {}, and it says that it is {}",
                        identity.uuid, login.uuid
                    );
                    host.authority.report_refused(identity.uuid, format!("Client refused: {why}"));
                    return refuse(&mut stream, why, false).await;
                }
                Err(why) => return unknown(&mut stream, why.to_string()).await,
            };
            logged_in(stream, login, identity, address, host, stranger, stop).await
        }
    }
}

/// Asks who it is.
async fn who<S>(
    stream: &mut S,
    shown: Shown,
    host: &Host,
) -> Result<(Hello, Result<ClientIdentity, BadPeer>), NoSession>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let version = greeting::answer(stream).await?;
    let ours = nonce();
    let theirs = match shown {
        Some(_) => None,
        None => Some(receive::<_, Opening>(stream, GREETING_LIMIT).await?),
    };
    let name = host.hub.read(|tree| tree.me().host.name.clone());
    let mut introduction = Introduction {
        uuid: host.uuid,
        name,
        version: host.version.to_owned(),
        nonce: ours,
        certificate: None,
        proof: None,
    };
    if let Some(Opening { uuid, nonce }) = &theirs {
        let authority = host.ca.fingerprint();
        let signed =
            challenge(Role::Server, *uuid, host.uuid, authority.as_bytes(), nonce, &ours, version);
        introduction.certificate = Some(host.ca.certificate_der().to_vec());
        introduction.proof = Some(host.ca.sign(&signed));
    }
    send(stream, &introduction).await?;
    let hello: Hello = receive(stream, GREETING_LIMIT).await?;
    let now = std::time::SystemTime::now();
    let identity = match (shown, &theirs) {
        (Some(Some(chain)), _) => host.ca.verify_client(&chain, now),
        (None, Some(theirs)) => proved(&hello, &theirs.nonce, &ours, version, host),
        _ => Err(BadPeer::Missing),
    };
    Ok((hello, identity))
}

/// Who a client without TLS is, if it has proved it.
fn proved(
    hello: &Hello,
    theirs: &Nonce,
    ours: &Nonce,
    version: u16,
    host: &Host,
) -> Result<ClientIdentity, BadPeer> {
    let Hello::Report(Login { identity: Some(shown), uuid, .. }) = hello else {
        return Err(BadPeer::Missing);
    };
    let chain: Vec<CertificateDer<'_>> =
        shown.chain.iter().map(|one| CertificateDer::from(one.as_slice())).collect();
    let identity = host.ca.verify_client(&chain, std::time::SystemTime::now())?;
    let authority = host.ca.fingerprint();
    let signed =
        challenge(Role::Client, *uuid, host.uuid, authority.as_bytes(), theirs, ours, version);
    match chain.first().is_some_and(|leaf| verify_signature(leaf, &signed, &shown.proof)) {
        true => Ok(identity),
        false => Err(BadPeer::Unproved),
    }
}

async fn refuse<S: AsyncWrite + Unpin, T>(
    stream: &mut S,
    why: String,
    retry: bool,
) -> Result<T, NoSession> {
    send(stream, &Answer::Refused { why: why.clone(), retry }).await?;
    Err(NoSession::Refused(why))
}

async fn busy<S: AsyncWrite + Unpin, T>(stream: &mut S) -> Result<Option<T>, NoSession> {
    send(stream, &Answer::Busy { retry_ms: client_pause(BUSY_PAUSE_MS) }).await?;
    Ok(None)
}

async fn unknown<S: AsyncWrite + Unpin, T>(stream: &mut S, why: String) -> Result<T, NoSession> {
    send(stream, &Answer::Unknown { why: why.clone() }).await?;
    Err(NoSession::Refused(why))
}

/// A client wants to be admitted.
async fn enrolling<S>(
    stream: &mut S,
    enrol: Enrol,
    address: SocketAddr,
    host: &Host,
    stranger: Admitted,
) -> Result<(), NoSession>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if !host.encrypted && enrol.token.is_some() {
        return refuse(stream, TOKEN_NEEDS_TLS.to_owned(), false).await;
    }
    let Enrol { uuid, version, host: name, group, csr, token } = enrol;
    let request =
        EnrolRequest { uuid, host: name, group, version, csr, token, address: address.ip() };
    let (key, mut decision) = match host.authority.enrol(request).await {
        Enrolment::Granted(signed) => return granted(stream, signed).await,
        Enrolment::Refused(Refusal { why, retry }) => return refuse(stream, why, retry).await,
        Enrolment::Waiting { key, decision } => (key, decision),
    };
    // Those who wait for a person must not keep those out who are admitted already.
    let Some(_waiting) = host.live.waiting.admit(address.ip()) else {
        return busy::<_, ()>(stream).await.map(drop);
    };
    drop(stranger);
    loop {
        send(stream, &Answer::Waiting { key: *key.as_bytes() }).await?;
        let decided: Result<Decision, oneshot::error::RecvError> = tokio::select! {
            decided = &mut decision => decided,
            // A client that waits has nothing to say: this is its end.
            _ = tokio::io::AsyncReadExt::read_u8(stream) => return Ok(()),
            () = sleep(WAITING_EVERY) => continue,
        };
        return match decided {
            Ok(Decision::Granted(signed)) => granted(stream, signed).await,
            Ok(Decision::Refused(Refusal { why, retry })) => refuse(stream, why, retry).await,
            Err(_) => refuse(stream, "nobody has decided yet; ask again".to_owned(), true).await,
        };
    }
}

async fn granted<S: AsyncWrite + Unpin>(stream: &mut S, signed: Signed) -> Result<(), NoSession> {
    Ok(send(stream, &Answer::Granted { certificate: signed.certificate_pem }).await?)
}

/// A client has proved who it is.
async fn logged_in<S>(
    mut stream: S,
    login: Login,
    identity: ClientIdentity,
    address: SocketAddr,
    host: &Arc<Host>,
    stranger: Admitted,
    stop: Stop,
) -> Result<Option<Lasting>, NoSession>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let uuid = identity.uuid;
    let Some(login_place) = host.live.logins.admit(address.ip()) else {
        return busy(&mut stream).await;
    };
    if let Err(Refusal { why, retry: _ }) = host.authority.admit(&identity).await {
        return unknown(&mut stream, why).await;
    }
    let replaces = match host.live.get(uuid) {
        None => None,
        Some(held) if is_there(&held.agent).await => {
            host.authority.report_twice(uuid, address.ip());
            let why = format!(
                "a client with the uuid {uuid} is connected already, from {}: a copied machine? \
                 Remove UuidFile and UuidSig on the copy",
                held.address
            );
            return refuse(&mut stream, why, false).await;
        }
        Some(held) => Some(held.number),
    };
    let rhythm = Rhythm::of(&login, host);
    let welcome = rhythm.welcome(host.hub.position(uuid, login.journal_highest));
    let agent = AgentLink::new();
    // Before it is welcome, so that a client that is told so really is.
    let Some((number, closed)) = host.live.enter(uuid, address, agent.clone(), replaces) else {
        return Err(NoSession::Refused("the same client was quicker on another connection".into()));
    };
    let entered = Entered { host: host.clone(), uuid, number };
    if let Err(gone) = send(&mut stream, &welcome).await {
        entered.leave(Some(Parting::Lost));
        return Err(gone.into());
    }
    // It is no stranger any more.
    drop((stranger, login_place));
    let session = Session::new(host.clone(), identity);
    let shared = session.shared();
    let stream = Heard::new(stream, shared.clone());
    let driver = channel::accept(stream, &agent, session, host.traffic.clone());
    let contact = Contact::Push { address: address.to_string(), encrypted: host.encrypted };
    host.hub.handle(Event::Linked {
        link: uuid,
        name: login.host.clone(),
        contact,
        limit: rhythm.silence,
        grace: rhythm.grace,
    });
    // It may have been revoked since it was admitted, before there was a link to forget. From here on
    // whoever revokes finds both.
    if !host.authority.is_allowed(uuid) {
        host.hub.handle(Event::Forgotten { uuid, why: "revoked".to_owned() });
        host.live.close(uuid);
    }
    let running = Running { shared, agent, closed, silence: rhythm.silence, stop };
    let (driver, name) = (Box::pin(driver), login.host);
    Ok(Some(Box::pin(async move {
        let how = running.run(driver, &name, address).await;
        entered.leave(how);
    })))
}

/// Whether a connection still answers.
async fn is_there(agent: &AgentLink) -> bool {
    let asked = agent.client();
    let ping = asked.ping(deadline(STILL_THERE_LIMIT));
    matches!(timeout(STILL_THERE_LIMIT, ping).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests;
