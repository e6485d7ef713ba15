//! How fast one peer may talk. Excess delays the reading of its stream, which slows the sender; who keeps
//! sending too many messages is cut off.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// Messages a second that one peer may send in the long run.
pub const MAX_MESSAGES_PER_SECOND: u32 = 100;
/// Messages that may come at once after a quiet time.
pub const MESSAGE_BURST: u32 = 500;
/// Bytes a second that one peer may send in the long run.
pub const MAX_BYTES_PER_SECOND: u32 = 4 << 20;
/// Bytes that may come at once after a quiet time.
pub const BYTE_BURST: u32 = 32 << 20;
/// How long a peer may want to send more messages than it may.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// A peer has slowed down when this many messages could come at once again.
const SLOWED_DOWN: f64 = MAX_MESSAGES_PER_SECOND as f64 / 2.0;

/// Two token buckets, and how long the first was empty. Negative: debt.
pub struct Rate {
    messages: f64,
    bytes: f64,
    /// When the buckets were filled last.
    filled: Instant,
    /// Since when the peer sends too many messages.
    over: Option<Instant>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Rate {
    pub fn new() -> Rate {
        let filled = Instant::now();
        let (messages, bytes) = (MESSAGE_BURST.into(), BYTE_BURST.into());
        Rate { messages, bytes, filled, over: None, wait: None }
    }

    /// Takes note of a message of this many bytes that has arrived.
    pub fn charge(&mut self, bytes: usize) {
        self.fill();
        self.messages -= 1.0;
        self.bytes -= bytes as f64;
        if self.messages >= SLOWED_DOWN {
            self.over = None;
        }
        let message_debt = (-self.messages / f64::from(MAX_MESSAGES_PER_SECOND)).max(0.0);
        let byte_debt = (-self.bytes / f64::from(MAX_BYTES_PER_SECOND)).max(0.0);
        let pause = message_debt.max(byte_debt);
        if message_debt > 0.0 {
            self.over.get_or_insert(self.filled);
        }
        if pause > 0.0 {
            self.wait = Some(Box::pin(tokio::time::sleep(Duration::from_secs_f64(pause))));
        }
    }

    /// Ready when more may be read. An error if the peer has been over its rate for [`PATIENCE`].
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(wait) = &mut self.wait else { return Poll::Ready(Ok(())) };
        ready!(wait.as_mut().poll(cx));
        self.wait = None;
        let over = self.over.filter(|_| self.messages < 0.0);
        if over.is_some_and(|since| since.elapsed() >= PATIENCE) {
            let why = format!(
                "more than {MAX_MESSAGES_PER_SECOND} messages a second for {} s",
                PATIENCE.as_secs()
            );
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        Poll::Ready(Ok(()))
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let seconds = (now - self.filled).as_secs_f64();
        self.filled = now;
        let more =
            |level: f64, rate: u32, most: u32| (level + seconds * f64::from(rate)).min(most.into());
        self.messages = more(self.messages, MAX_MESSAGES_PER_SECOND, MESSAGE_BURST);
        self.bytes = more(self.bytes, MAX_BYTES_PER_SECOND, BYTE_BURST);
    }
}
