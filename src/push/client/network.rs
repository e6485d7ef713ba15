//! What connections to masters run on. The rules above it do not know, so that tests can put a network in
//! its place that loses, delays and breaks on purpose.

use std::{io, pin::Pin};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::config::Endpoint;

/// What a session runs on.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Some stream.
pub type AnyStream = Box<dyn Stream>;

/// A connection that is about to stand.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<AnyStream>> + Send + 'a>>;

/// The way to masters. How long it may take is for the caller to say.
pub trait Network: Send + Sync + 'static {
    /// Connects with a master.
    fn connect<'a>(&'a self, master: &'a Endpoint) -> Connecting<'a>;
}

/// The network of the machine.
pub struct Tcp;

impl Network for Tcp {
    fn connect<'a>(&'a self, master: &'a Endpoint) -> Connecting<'a> {
        Box::pin(async move {
            let stream = TcpStream::connect((master.host.as_str(), master.port)).await?;
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream) as AnyStream)
        })
    }
}
