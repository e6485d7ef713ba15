//! The server: takes the reports of clients, and is the way to reach them.
//!
//! - `connection`: one connection from its first byte to its end
//! - `rhythm`: the times that client and server keep to; `running`: how a session ends
//! - `session`: what a client reports becomes part of the tree
//! - `live`: which clients are connected
//! - `orders`: what clients are told to do
//! - `heard`: bytes are a sign of life
//!
//! Whoever is not known yet gets little: a bounded number of connections, a short time, small messages.

mod connection;
mod heard;
mod live;
mod orders;
mod rhythm;
mod running;
mod session;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{net::TcpListener, sync::broadcast::error::RecvError};
use uuid::Uuid;

pub use connection::serve;
pub use live::Live;
pub use orders::Below;

use super::protocol::{Pool, transport::Traffic};
use crate::{connections::Connections, hub::Hub, push::Authority, task::Stop, trust::Ca};

/// Connections at once that have not proved yet who they are.
const MAX_STRANGERS: usize = 1_024;
/// Of these, from one address.
const MAX_STRANGERS_PER_ADDRESS: usize = 64;
/// Pause after a failed accept: the first, and the longest.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Connections that the system may hold for us until they are accepted.
const BACKLOG: u32 = 4_096;
/// How often it is looked whether the list of allowed clients was edited.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How full the queue of the disk may be, as a share of what it holds, before others have to keep their
/// journal entries for a while.
pub const FULL_ENOUGH: f64 = 0.25;

/// The listener cannot be had.
#[derive(Debug, Error)]
#[error(
    "cannot listen on `{address}`: change [PushServer] Address or Port, or end what listens there \
     already"
)]
pub struct CannotListen {
    address: String,
    source: io::Error,
}

/// How much of the journal waits for the disk.
pub trait Pressure: Send + Sync + 'static {
    /// Entries that are not on the disk yet, as a share of what can wait, 0.0 to 1.0.
    fn waiting(&self) -> f64;
}

/// What every connection works with.
pub struct Host {
    pub uuid: Uuid,
    /// Name and version, such as `Wigo v1.0.0`.
    pub version: &'static str,
    pub ca: Arc<Ca>,
    pub authority: Arc<Authority>,
    pub hub: Arc<Hub>,
    pub pressure: Arc<dyn Pressure>,
    pub encrypted: bool,
    /// How long a client may be silent at most, whatever it promises.
    pub alive_timeout: Box<dyn Fn() -> Duration + Send + Sync>,
    pub live: Live,
    pub pool: Pool,
    pub traffic: Arc<Traffic>,
}

/// A bound listener, not served yet.
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Binds. `address` is a name or an IP address, an IPv6 one with or without brackets.
    pub async fn bind(address: &str, port: u16) -> Result<Server, CannotListen> {
        let failed = |source| CannotListen { address: format!("{address}:{port}"), source };
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        let bare = if bare.is_empty() { "::" } else { bare };
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in tokio::net::lookup_host((bare, port)).await.map_err(failed)? {
            match listen(address) {
                Ok(listener) => return Ok(Server { listener }),
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop. Connections are closed then; clients come back by themselves.
    pub async fn serve(self, host: Arc<Host>, mut stop: Stop) {
        if !host.encrypted {
            tracing::warn!(
                "SslEnabled is off in [PushServer]: what clients send can be read and changed on its \
                 way; use it only inside a network that is protected otherwise"
            );
        }
        let given = stop.clone();
        // None of these waits for another: above all no revocation for a disk.
        tokio::select! {
            () = accept(&self.listener, &host, &given) => {}
            () = close_revoked(&host) => {}
            () = notice_edits(&host) => {}
            () = stop.wait() => {}
        }
    }
}

/// Takes connections. Never ends.
async fn accept(listener: &TcpListener, host: &Arc<Host>, stop: &Stop) {
    let strangers = Connections::new(MAX_STRANGERS, MAX_STRANGERS_PER_ADDRESS);
    let mut pause = ACCEPT_PAUSE.0;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                pause = ACCEPT_PAUSE.0;
                // Too many: closed at once; a client that is meant well tries again.
                if let Some(stranger) = strangers.admit(peer.ip()) {
                    let _ = stream.set_nodelay(true);
                    let (host, stop) = (host.clone(), stop.clone());
                    tokio::spawn(serve(stream, peer, host, stranger, stop));
                }
            }
            Err(error) => {
                tracing::warn!("cannot accept a push client: {error}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE.1);
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Closes the connections of revoked clients. Never ends.
async fn close_revoked(host: &Host) {
    let mut revoked = host.authority.revoked();
    loop {
        match revoked.recv().await {
            Ok(uuid) => host.live.close(uuid),
            Err(RecvError::Lagged(_)) => {
                host.live.close_all_but(|uuid| host.authority.is_allowed(uuid));
            }
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Notices edits of the allowed list. Never ends.
async fn notice_edits(host: &Host) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        host.authority.look().await;
    }
}
