//! The HTTP listener: plain or TLS, each connection with limits on time, size and number.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use super::auth::{Encrypted, Peer};
use crate::{
    config::BasePath,
    connections::{Admitted, Connections},
    task::Stop,
    trust::ServerTls,
};

/// For the TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// For the head of a request; also how long a connection may be idle between two.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// For a client that does not take its answer.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Room for what a connection has read and not yet handled, in bytes.
const MAX_BUFFER: usize = 32 << 10;
/// Pause after a failed accept: the first, and the longest.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Connections at once.
pub(super) const MAX_CONNECTIONS: usize = 4_096;
/// Connections at once from one address.
const MAX_PER_ADDRESS: usize = 64;
/// For requests that are being answered when the server stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// The listener cannot be had.
#[derive(Debug, Error)]
#[error(
    "cannot listen on `{address}`: change [Http] Address or Port, or end what listens there already"
)]
pub struct CannotListen {
    address: String,
    source: io::Error,
}

/// A bound listener, not served yet.
pub struct Server {
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    connections: Connections,
}

impl Server {
    /// Binds. `address` is a name or an IP address, an IPv6 one with or without brackets.
    pub async fn bind(
        address: &str,
        port: u16,
        tls: Option<Arc<ServerTls>>,
    ) -> Result<Server, CannotListen> {
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        let bare = if bare.is_empty() { "::" } else { bare };
        let listener = TcpListener::bind((bare, port))
            .await
            .map_err(|source| CannotListen { address: format!("{address}:{port}"), source })?;
        let connections = Connections::new(MAX_CONNECTIONS, MAX_PER_ADDRESS);
        Ok(Server { listener, tls, connections })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The connections that are open.
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// Serves, below `base` as well as without it, until told to stop, then lets open requests finish for a moment.
    pub async fn serve(self, router: Router, base: BasePath, mut stop: Stop) {
        let graceful = GracefulShutdown::new();
        let mut pause = ACCEPT_PAUSE.0;
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.wait() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = ACCEPT_PAUSE.0;
                    // Too many: closed at once, which a client understands better than waiting.
                    if let Some(admitted) = self.connections.admit(peer.ip()) {
                        let (tls, router) = (self.tls.clone(), router.clone());
                        let base = base.clone();
                        let (watcher, stop) = (graceful.watcher(), stop.clone());
                        let served = Served { peer: peer.ip(), router, base, watcher };
                        tokio::spawn(connection(stream, tls, served, stop, admitted));
                    }
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE.1);
                }
            }
        }
        let _ = tokio::time::timeout(DRAIN_LIMIT, graceful.shutdown()).await;
    }
}

/// One connection.
struct Served {
    peer: IpAddr,
    router: Router,
    base: BasePath,
    watcher: Watcher,
}

async fn connection(
    stream: TcpStream,
    tls: Option<Arc<ServerTls>>,
    served: Served,
    mut stop: Stop,
    _admitted: Admitted,
) {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_LIMIT));
    let stream = Box::pin(stream);
    let Some(tls) = tls else { return served.http(stream, false).await };
    let handshake = tls.acceptor().await.accept(stream);
    let done = tokio::select! {
        done = tokio::time::timeout(HANDSHAKE_LIMIT, handshake) => done,
        () = stop.wait() => return,
    };
    if let Ok(Ok(stream)) = done {
        served.http(stream, true).await;
    }
}

/// `/api/hosts/` is `/api/hosts`, as in the original; so is `/wigo/api/hosts` below `/wigo`.
fn with_own_path(mut request: Request<Incoming>, base: &BasePath) -> Request<Incoming> {
    let uri = request.uri();
    let path = base.within(uri.path());
    let trimmed = Some(path.trim_end_matches('/')).filter(|path| !path.is_empty()).unwrap_or(path);
    if trimmed != uri.path() {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(uri) = format!("{trimmed}{query}").parse() {
            *request.uri_mut() = uri;
        }
    }
    request
}

impl Served {
    async fn http<Stream>(self, stream: Stream, is_encrypted: bool)
    where
        Stream: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let Served { peer, router, base, watcher } = self;
        let marked = move |request: Request<Incoming>| {
            let mut request = with_own_path(request, &base);
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(Encrypted(is_encrypted));
            request
        };
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_buf_size(MAX_BUFFER)
            .max_header_size(MAX_HEAD)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(router.map_request(marked)),
            );
        // A client that goes away or talks nonsense is its own business.
        if let Err(error) = watcher.watch(served).await {
            tracing::debug!("connection ended: {error}");
        }
    }
}
