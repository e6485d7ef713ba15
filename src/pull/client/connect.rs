//! From a configured remote to a stream of bytes: the name, TCP, TLS.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::{Arc, OnceLock},
};

use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};

use super::{AskError, CONNECT_LIMIT};
use crate::{
    config::Remote,
    trust::{BadCertificate, RemoteTrust, remote_client_config},
};

/// Names looked up at once. A resolver that hangs keeps a thread each, and there are others who need
/// threads.
const LOOKUPS_AT_ONCE: usize = 16;

/// What all remotes share on their way to the network.
#[derive(Clone)]
pub struct Net(Arc<Shared>);

struct Shared {
    lookups: Arc<Semaphore>,
    /// The TLS of those who are trusted by the system's roots, which are many.
    system: OnceLock<Arc<ClientConfig>>,
}

impl Default for Net {
    fn default() -> Net {
        let lookups = Arc::new(Semaphore::new(LOOKUPS_AT_ONCE));
        Net(Arc::new(Shared { lookups, system: OnceLock::new() }))
    }
}

/// A connection, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Net {
    /// Connects. Takes as long as it takes: the caller has the limit.
    pub async fn connect(&self, remote: &Remote) -> Result<Box<dyn Stream>, AskError> {
        let address = remote.address();
        // Before anything is sent: without a usable authority there is no connection.
        let tls = if remote.ssl_enabled { Some(self.tls(remote).await?) } else { None };
        let stream = self.tcp(remote).await?;
        let Some(tls) = tls else { return Ok(Box::new(stream)) };
        let host = remote.host.split('%').next().unwrap_or_default().to_owned();
        let name = ServerName::try_from(host).map_err(|error| AskError::Tls {
            address: address.clone(),
            source: io::Error::other(error),
        })?;
        let stream = TlsConnector::from(tls).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|source| AskError::tls(&address, source))?))
    }

    /// The first address that answers; each gets an equal part of the time.
    async fn tcp(&self, remote: &Remote) -> Result<TcpStream, AskError> {
        let addresses = self.lookup(remote).await?;
        let share = CONNECT_LIMIT / 2 / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A question is one small packet. Fails only on what is no TCP.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => {
                    let text = format!("no answer within {} ms", share.as_millis());
                    last = io::Error::new(io::ErrorKind::TimedOut, text);
                }
            }
        }
        Err(AskError::Connect { address: remote.address(), source: last })
    }

    async fn lookup(&self, remote: &Remote) -> Result<Vec<SocketAddr>, AskError> {
        let (host, port) = (remote.host.clone(), remote.port);
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let closed = "the semaphore is never closed";
        let permit = self.0.lookups.clone().acquire_owned().await.expect(closed);
        let found = tokio::task::spawn_blocking(move || {
            // Held until the resolver is done, also if nobody waits for it any more.
            let _permit = permit;
            (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
        });
        let failed = |source| AskError::Lookup { host: remote.host.clone(), source };
        found.await.map_err(io::Error::other).and_then(|found| found).map_err(failed)
    }

    async fn tls(&self, remote: &Remote) -> Result<Arc<ClientConfig>, BadCertificate> {
        let trust = match (remote.cert_fingerprint, &remote.ca_file) {
            (Some(fingerprint), _) => RemoteTrust::Pinned(fingerprint),
            (None, Some(file)) => RemoteTrust::Authority(file.clone()),
            (None, None) => return self.system(),
        };
        // Read anew for each connection, so that a file that was replaced counts.
        remote_client_config(trust)
    }

    fn system(&self) -> Result<Arc<ClientConfig>, BadCertificate> {
        if let Some(config) = self.0.system.get() {
            return Ok(config.clone());
        }
        let config = remote_client_config(RemoteTrust::System)?;
        Ok(self.0.system.get_or_init(|| config).clone())
    }
}
