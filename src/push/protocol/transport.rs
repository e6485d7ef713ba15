//! Frames on a stream: a length of four bytes and a message, in both directions.
//!
//! Made for many connections that are idle most of the time: buffers exist only while bytes are under way.
//! What a peer announces is checked before anything is allocated, and memory grows as bytes arrive.

use std::{
    io,
    mem::{self, MaybeUninit},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{Sink, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    codec::{PREFIX_BYTES, announced},
    rate::Rate,
};

/// The longest message of a channel, in bytes.
pub const MAX_FRAME_BYTES: u32 = 4 << 20;
/// Bytes that wait to be written; above, no further frame is taken.
pub const MAX_WAITING_BYTES: usize = 256 << 10;
/// How long a peer may take nothing of what it is sent.
pub const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long one frame may take from its first to its last byte.
pub const FRAME_LIMIT: Duration = Duration::from_secs(60);
/// What is read from the stream at once, in bytes.
const STEP_BYTES: usize = 4 << 10;

/// What went over connections. Shared by all that are counted together.
#[derive(Debug, Default)]
pub struct Traffic {
    pub messages_in: AtomicU64,
    pub messages_out: AtomicU64,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
}

/// A stream cut into frames: yields the messages that arrive, takes encoded ones with their length.
pub struct Transport<S> {
    stream: S,
    /// The beginning of the next frame, perhaps more. Empty and without memory between frames.
    input: Vec<u8>,
    output: Vec<u8>,
    /// How much of `output` is written.
    written: usize,
    /// The stream itself may hold back what was written.
    unflushed: bool,
    rate: Rate,
    frame_limit: Limit,
    write_limit: Limit,
    traffic: Arc<Traffic>,
}

impl<S> Transport<S> {
    pub fn new(stream: S, traffic: Arc<Traffic>) -> Transport<S> {
        Transport {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            unflushed: false,
            rate: Rate::new(),
            frame_limit: Limit::default(),
            write_limit: Limit::default(),
            traffic,
        }
    }

    /// Whether another frame is taken now.
    pub fn has_room(&self) -> bool {
        self.output.len() - self.written < MAX_WAITING_BYTES
    }

    /// Takes the first frame off the input, if all of it is there.
    fn take_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(prefix) = self.input.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let size = PREFIX_BYTES + announced(*prefix, MAX_FRAME_BYTES)?;
        if self.input.len() < size {
            return Ok(None);
        }
        // What follows is at most one step of reading.
        let rest = self.input.split_off(size);
        let mut frame = mem::replace(&mut self.input, rest);
        frame.drain(..PREFIX_BYTES);
        self.frame_limit.stop();
        self.rate.charge(size);
        self.traffic.messages_in.fetch_add(1, Relaxed);
        self.traffic.bytes_in.fetch_add(size as u64, Relaxed);
        Ok(Some(frame))
    }
}

impl<S: AsyncRead + Unpin> Stream for Transport<S> {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Vec<u8>>>> {
        loop {
            ready!(self.rate.poll_ready(cx))?;
            if let Some(frame) = self.take_frame()? {
                return Poll::Ready(Some(Ok(frame)));
            }
            let mut space = [MaybeUninit::uninit(); STEP_BYTES];
            let mut step = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut step) {
                Poll::Ready(Ok(())) if !step.filled().is_empty() => {
                    self.input.extend_from_slice(step.filled());
                }
                Poll::Ready(outcome) if self.input.is_empty() => return Poll::Ready(end(outcome)),
                Poll::Ready(Ok(())) => {
                    let why = "it ended in the middle of a message";
                    return Poll::Ready(Some(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        why,
                    ))));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending if self.input.is_empty() => return Poll::Pending,
                Poll::Pending => {
                    ready!(self.frame_limit.poll(cx, FRAME_LIMIT));
                    let why = format!("one message took more than {} s", FRAME_LIMIT.as_secs());
                    return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, why))));
                }
            }
        }
    }
}

/// The end of a stream between two messages, which is no error even if TLS misses its farewell.
fn end(outcome: io::Result<()>) -> Option<io::Result<Vec<u8>>> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Some(Err(error)),
        _ => None,
    }
}

impl<S: AsyncWrite + Unpin> Sink<Vec<u8>> for Transport<S> {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_room() {
            ready!(self.as_mut().poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Vec<u8>) -> io::Result<()> {
        self.traffic.messages_out.fetch_add(1, Relaxed);
        self.traffic.bytes_out.fetch_add(frame.len() as u64, Relaxed);
        // Frames that wait together are written together, in as few TLS records as possible.
        if self.output.is_empty() {
            self.output = frame;
        } else {
            self.output.extend_from_slice(&frame);
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.written < this.output.len() {
            let rest = &this.output[this.written..];
            match Pin::new(&mut this.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(more)) => {
                    this.written += more;
                    this.write_limit.stop();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return this.write_limit.poll(cx, WRITE_LIMIT).map(takes_nothing),
            }
        }
        if this.written > 0 {
            this.output = Vec::new();
            this.written = 0;
            this.unflushed = true;
        }
        if this.unflushed {
            match Pin::new(&mut this.stream).poll_flush(cx) {
                Poll::Ready(done) => done?,
                Poll::Pending => return this.write_limit.poll(cx, WRITE_LIMIT).map(takes_nothing),
            }
            this.unflushed = false;
            this.write_limit.stop();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_shutdown(cx) {
            Poll::Pending => this.write_limit.poll(cx, WRITE_LIMIT).map(takes_nothing),
            done => done,
        }
    }
}

fn takes_nothing((): ()) -> io::Result<()> {
    let why = format!("the other side took nothing for {} s", WRITE_LIMIT.as_secs());
    Err(io::Error::new(io::ErrorKind::TimedOut, why))
}

/// A time limit that costs nothing while it does not run.
#[derive(Default)]
struct Limit(Option<Pin<Box<Sleep>>>);

impl Limit {
    /// Ready when the limit has run out. The first call starts it.
    fn poll(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        self.0.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx)
    }

    fn stop(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests;
