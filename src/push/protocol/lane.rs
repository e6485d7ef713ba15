//! What tarpc takes for a transport: two small queues between it and the connection, which both
//! directions of calls share.
//!
//! Whoever drives the connection polls tarpc again after it has filled or emptied a queue, so nobody has
//! to be woken.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_util::{Sink, Stream};

/// Frames that tarpc may have written before the connection takes them.
const MAX_WRITTEN: usize = 4;

struct Queues<In> {
    arrived: Option<In>,
    written: VecDeque<Vec<u8>>,
}

/// tarpc's end. Encodes at once, so that a message that is too long fails alone.
pub struct Lane<In, Out> {
    queues: Arc<Mutex<Queues<In>>>,
    encode: fn(Out) -> io::Result<Vec<u8>>,
}

/// The connection's end.
pub struct Port<In>(Arc<Mutex<Queues<In>>>);

/// Both ends of a lane.
pub fn lane<In, Out>(encode: fn(Out) -> io::Result<Vec<u8>>) -> (Lane<In, Out>, Port<In>) {
    let queues = Queues { arrived: None, written: VecDeque::new() };
    let queues = Arc::new(Mutex::new(queues));
    (Lane { queues: Arc::clone(&queues), encode }, Port(queues))
}

impl<In> Port<In> {
    /// Hands a message to tarpc. Only while [`Port::is_free`].
    pub fn put(&self, message: In) {
        lock(&self.0).arrived = Some(message);
    }

    /// Whether the last message was taken.
    pub fn is_free(&self) -> bool {
        lock(&self.0).arrived.is_none()
    }

    /// The next frame that tarpc has written.
    pub fn take(&self) -> Option<Vec<u8>> {
        lock(&self.0).written.pop_front()
    }

    /// Whether nothing waits, either way.
    pub fn is_empty(&self) -> bool {
        let queues = lock(&self.0);
        queues.arrived.is_none() && queues.written.is_empty()
    }
}

fn lock<In>(queues: &Mutex<Queues<In>>) -> MutexGuard<'_, Queues<In>> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<In, Out> Stream for Lane<In, Out> {
    type Item = io::Result<In>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<In>>> {
        match lock(&self.queues).arrived.take() {
            Some(message) => Poll::Ready(Some(Ok(message))),
            None => Poll::Pending,
        }
    }
}

impl<In, Out> Sink<Out> for Lane<In, Out> {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match lock(&self.queues).written.len() < MAX_WRITTEN {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn start_send(self: Pin<&mut Self>, message: Out) -> io::Result<()> {
        let frame = (self.encode)(message)?;
        lock(&self.queues).written.push_back(frame);
        Ok(())
    }

    /// The connection takes what is written. tarpc flushes until there is room, so without room this
    /// must not be ready.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        <Self as Sink<Out>>::poll_ready(self, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        <Self as Sink<Out>>::poll_flush(self, cx)
    }
}
