//! The first bytes of a connection, the same in every version for ever: who speaks which versions.
//!
//! The client sends `WIGO` and the lowest and highest version it speaks. The server answers `WIGO`, the
//! version chosen (0: none), its own lowest and highest, and a text: why none, and what to do. Numbers
//! have 16 bits, big endian; the text is UTF-8 after its length.

use std::{io, time::Duration};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time,
};

/// The oldest version of the protocol that is spoken.
pub const LOWEST_VERSION: u16 = 1;
/// The newest version of the protocol that is spoken.
pub const HIGHEST_VERSION: u16 = 1;
/// The longest that one step of a greeting or hello may take.
pub const GREETING_LIMIT: Duration = Duration::from_secs(5);

/// How every greeting begins.
const MAGIC: [u8; 4] = *b"WIGO";
/// The longest text that is read, in bytes.
const MAX_TEXT_BYTES: u16 = 1 << 10;

/// Why no connection comes about.
#[derive(Debug, Error)]
pub enum Unacquainted {
    #[error("the other side does not speak Wigo's protocol: {guess}")]
    Stranger { guess: String },
    #[error(
        "the other side speaks versions {theirs_lowest} to {theirs_highest} of the protocol, this \
         one {LOWEST_VERSION} to {HIGHEST_VERSION}: update {older}{}", said(.text)
    )]
    Versions { theirs_lowest: u16, theirs_highest: u16, older: &'static str, text: String },
    #[error("the other side chose version {chosen} of the protocol, which it was not offered")]
    NotOffered { chosen: u16 },
    #[error(
        "the other side closed the connection while {what} was awaited; its log or the certificates \
         may say why"
    )]
    Closed { what: &'static str },
    #[error("{what} did not arrive within {} s{hint}", .limit.as_secs())]
    Slow { what: &'static str, limit: Duration, hint: &'static str },
    #[error("{what} cannot be exchanged with the other side")]
    Io { what: &'static str, source: io::Error },
    #[error("{what} of the other side is nonsense: {why}")]
    Nonsense { what: &'static str, why: String },
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" (it says: {text})") }
}

/// Greets a server. Returns the version to speak.
pub async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<u16, Unacquainted> {
    let mut offer = [0; 8];
    offer[..4].copy_from_slice(&MAGIC);
    offer[4..6].copy_from_slice(&LOWEST_VERSION.to_be_bytes());
    offer[6..].copy_from_slice(&HIGHEST_VERSION.to_be_bytes());
    let exchange = async {
        stream.write_all(&offer).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        read_magic(stream).await?;
        let chosen = stream.read_u16().await.map_err(failed)?;
        let lowest = stream.read_u16().await.map_err(failed)?;
        let highest = stream.read_u16().await.map_err(failed)?;
        let length = stream.read_u16().await.map_err(failed)?;
        if length > MAX_TEXT_BYTES {
            let why = format!("a text of {length} bytes; the limit is {MAX_TEXT_BYTES}");
            return Err(Unacquainted::Nonsense { what: WHAT, why });
        }
        let mut text = vec![0; length.into()];
        stream.read_exact(&mut text).await.map_err(failed)?;
        Ok((chosen, lowest, highest, printable(&String::from_utf8_lossy(&text))))
    };
    let hint =
        "; an original Wigo stays silent: it has another protocol and must be replaced first";
    let (chosen, lowest, highest, text) = within(GREETING_LIMIT, WHAT, hint, exchange).await?;
    match chosen {
        0 => Err(mismatch(lowest, highest, text)),
        LOWEST_VERSION..=HIGHEST_VERSION => Ok(chosen),
        _ => Err(Unacquainted::NotOffered { chosen }),
    }
}

/// Answers the greeting of a client. Returns the version to speak.
pub async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
) -> Result<u16, Unacquainted> {
    let exchange = async {
        read_magic(stream).await?;
        let lowest = stream.read_u16().await.map_err(failed)?;
        let highest = stream.read_u16().await.map_err(failed)?;
        let chosen = choose(lowest, highest);
        let text = match chosen {
            Some(_) => String::new(),
            None => mismatch_text(lowest, highest),
        };
        let mut answer = Vec::with_capacity(12 + text.len());
        answer.extend_from_slice(&MAGIC);
        let length = u16::try_from(text.len()).unwrap_or_default();
        for number in [chosen.unwrap_or(0), LOWEST_VERSION, HIGHEST_VERSION, length] {
            answer.extend_from_slice(&number.to_be_bytes());
        }
        answer.extend_from_slice(&text.as_bytes()[..length.into()]);
        stream.write_all(&answer).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        chosen.ok_or_else(|| mismatch(lowest, highest, String::new()))
    };
    within(GREETING_LIMIT, WHAT, "", exchange).await
}

const WHAT: &str = "the greeting";

/// The newest version that both speak.
fn choose(lowest: u16, highest: u16) -> Option<u16> {
    let newest = highest.min(HIGHEST_VERSION);
    (newest >= lowest.max(LOWEST_VERSION)).then_some(newest)
}

fn mismatch(theirs_lowest: u16, theirs_highest: u16, text: String) -> Unacquainted {
    let older = if theirs_highest < LOWEST_VERSION { "the other side" } else { "this side" };
    Unacquainted::Versions { theirs_lowest, theirs_highest, older, text }
}

/// What a client is told whose versions do not overlap with ours.
fn mismatch_text(lowest: u16, highest: u16) -> String {
    let older = if highest < LOWEST_VERSION { "the client" } else { "the server" };
    format!(
        "the client speaks versions {lowest} to {highest}, the server {LOWEST_VERSION} to \
         {HIGHEST_VERSION}: update {older}"
    )
}

async fn read_magic<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(), Unacquainted> {
    let mut first = [0; MAGIC.len()];
    stream.read_exact(&mut first).await.map_err(failed)?;
    if first == MAGIC { Ok(()) } else { Err(Unacquainted::Stranger { guess: guess(first) }) }
}

/// What the first bytes of a stranger look like, and what to do.
fn guess(first: [u8; 4]) -> String {
    match first {
        // A TLS record of type handshake or alert.
        [0x16 | 0x15, 0x03, _, _] => "it speaks TLS where none is expected; set SslEnabled to the \
                                      same on both sides"
            .to_owned(),
        // A gob stream begins with the description of a type: length, then a negative type id.
        [_, 0xff, 0x81, _] => {
            "it looks like an original Wigo, which has another protocol; replace \
                               it first, or pull from it with [RemoteWigos]"
                .to_owned()
        }
        [b'G', b'E', b'T', b' ']
        | [b'H', b'E', b'A', b'D']
        | [b'P', b'O', b'S', b'T']
        | [b'P', b'U', b'T', b' ']
        | [b'H', b'T', b'T', b'P']
        | [b'O', b'P', b'T', b'I']
        | [b'P', b'R', b'I', b' '] => "it speaks HTTP; this is a port for push, the page and /api \
                                       are at [Http] Port"
            .to_owned(),
        _ => format!("it began with `{}`; check address and port", first.escape_ascii()),
    }
}

/// Runs one step of a greeting or hello under its time limit.
pub(super) async fn within<T>(
    limit: Duration,
    what: &'static str,
    hint: &'static str,
    step: impl Future<Output = Result<T, Unacquainted>>,
) -> Result<T, Unacquainted> {
    let slow = Unacquainted::Slow { what, limit, hint };
    time::timeout(limit, step).await.unwrap_or(Err(slow))
}

fn failed(error: io::Error) -> Unacquainted {
    broken(WHAT, error)
}

/// A stream that failed while `what` was exchanged.
pub(super) fn broken(what: &'static str, source: io::Error) -> Unacquainted {
    match source.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => Unacquainted::Closed { what },
        _ => Unacquainted::Io { what, source },
    }
}

/// Text of a stranger, fit for a log: no control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
