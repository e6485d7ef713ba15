//! After the greeting: who are you? One message at a time, each in a frame of its own.
//!
//! ```text
//! client                                server
//! Opening (only without TLS)        →
//!                                   ←   Introduction
//! Hello::Enrol or Hello::Report     →
//!                                   ←   Answer (Waiting, again and again, until it is another)
//! ```
//!
//! With TLS the handshake has proved who both are. Without it each signs a [`challenge`] made of fresh
//! numbers of both. That shows that the real one answered at that moment, and no more: what follows is
//! not bound to it, so whoever is on the way can let both prove themselves and then go on in their names.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use uuid::Uuid;

use super::{
    codec::{self, PREFIX_BYTES},
    greeting::{GREETING_LIMIT, Unacquainted, broken, within},
};

/// The longest message before the channel begins, in bytes.
pub const MAX_HELLO_BYTES: u32 = 64 << 10;
/// The longest name, group or version in a hello, in bytes.
pub const MAX_WORD_BYTES: usize = 1 << 10;
/// While a client waits to be admitted the server says so this often, as a sign of life.
pub const WAITING_EVERY: Duration = Duration::from_secs(10);
/// What is read from a stream at once, in bytes: a message grows by this much as it arrives.
const STEP_BYTES: usize = 4 << 10;

/// A number that was never used before, 32 random bytes.
pub type Nonce = [u8; 32];

/// The client's first message without TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub uuid: Uuid,
    pub nonce: Nonce,
}

/// The server says who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    pub uuid: Uuid,
    pub name: String,
    /// Name and version, such as `Wigo v1.0.0`.
    pub version: String,
    pub nonce: Nonce,
    /// Its CA certificate (DER), without TLS.
    pub certificate: Option<Vec<u8>>,
    /// The [`challenge`] signed with the CA's key, without TLS.
    pub proof: Option<Vec<u8>>,
}

/// The client says who it is and what it wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hello {
    Enrol(Enrol),
    Report(Login),
}

/// A client wants a certificate.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrol {
    pub uuid: Uuid,
    pub version: String,
    pub host: String,
    pub group: String,
    /// The certificate request, PEM.
    pub csr: String,
    /// A join token, if it has one.
    pub token: Option<String>,
}

impl fmt::Debug for Enrol {
    /// Leaves out the token, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        let mut shown = f.debug_struct("Enrol");
        shown.field("uuid", &self.uuid).field("version", &self.version).field("host", &self.host);
        shown.field("group", &self.group).field("csr", &self.csr).field("token", &token).finish()
    }
}

/// A client that is admitted wants to report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    pub uuid: Uuid,
    pub version: String,
    pub host: String,
    /// The longest it will be silent, in milliseconds.
    pub heartbeat_ms: u32,
    /// The last id in its journal.
    pub journal_highest: u64,
    /// Who it is, without TLS.
    pub identity: Option<PlainIdentity>,
}

/// What a TLS handshake would have shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainIdentity {
    /// The client's certificate and those that signed it, DER.
    pub chain: Vec<Vec<u8>>,
    /// The [`challenge`] signed with the client's key.
    pub proof: Vec<u8>,
}

/// What the server says to a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Report. The channel begins.
    Welcome {
        /// Where the client's journal is to be continued; `None`: from its beginning.
        position: Option<u64>,
        /// A sign of life is wanted this often, in milliseconds.
        heartbeat_ms: u32,
        /// After this much silence the other side counts as gone, in milliseconds.
        silence_ms: u32,
        /// After a lost connection, come back at a random time within this many milliseconds: the more
        /// clients there are, the longer.
        return_ms: u32,
    },
    /// The certificate, PEM.
    Granted { certificate: String },
    /// A person has to decide. The SHA-256 of the client's key, for comparison.
    Waiting { key: [u8; 32] },
    /// Come back after this many milliseconds.
    Busy { retry_ms: u32 },
    /// No, and whether asking again later makes sense.
    Refused { why: String, retry: bool },
    /// The client's certificate is not accepted any more: it may ask to be admitted anew.
    Unknown { why: String },
}

/// Who signs a challenge. Keeps the proof of one from being shown as that of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// What a proof of identity signs: fresh numbers of these two, in this version. `authority` is the SHA-256
/// of the server's CA certificate, so that a proof for one server is none for another that says it has the
/// same uuid.
pub fn challenge(
    role: Role,
    client: Uuid,
    server: Uuid,
    authority: &[u8; 32],
    client_nonce: &Nonce,
    server_nonce: &Nonce,
    version: u16,
) -> Vec<u8> {
    let role: &[u8] = match role {
        Role::Client => b"client\0",
        Role::Server => b"server\0",
    };
    let parts: [&[u8]; 8] = [
        b"wigo push, proof of identity\0",
        role,
        client.as_bytes(),
        server.as_bytes(),
        authority,
        client_nonce,
        server_nonce,
        &version.to_be_bytes(),
    ];
    parts.concat()
}

/// A message of the hello that may be sent and received here.
pub trait Message: Serialize + DeserializeOwned {
    /// What it is called in error texts.
    const WHAT: &'static str;

    /// Why its texts cannot be taken, if they cannot.
    fn flaw(&self) -> Option<String> {
        None
    }
}

impl Message for Opening {
    const WHAT: &'static str = "the opening";
}

impl Message for Introduction {
    const WHAT: &'static str = "the introduction";

    fn flaw(&self) -> Option<String> {
        flaw_of([("name", &self.name), ("version", &self.version)])
    }
}

impl Message for Hello {
    const WHAT: &'static str = "the hello";

    fn flaw(&self) -> Option<String> {
        match self {
            Hello::Enrol(Enrol { version, host, group, .. }) => {
                flaw_of([("version", version), ("host name", host), ("group", group)])
            }
            Hello::Report(Login { version, host, .. }) => {
                flaw_of([("version", version), ("host name", host)])
            }
        }
    }
}

impl Message for Answer {
    const WHAT: &'static str = "the answer to the hello";

    fn flaw(&self) -> Option<String> {
        match self {
            Answer::Refused { why, .. } | Answer::Unknown { why } => flaw_of([("reason", why)]),
            _ => None,
        }
    }
}

fn flaw_of<'a>(words: impl IntoIterator<Item = (&'static str, &'a String)>) -> Option<String> {
    words.into_iter().find_map(|(what, word)| {
        let why = word_flaw(word)?;
        Some(format!("the {what} {why}"))
    })
}

/// Why a text is no word for people, if it is none: too long, or control characters in it.
pub(super) fn word_flaw(word: &str) -> Option<String> {
    if word.len() > MAX_WORD_BYTES {
        return Some(format!("has {} bytes; the limit is {MAX_WORD_BYTES}", word.len()));
    }
    word.chars().any(char::is_control).then(|| "has a control character in it".to_owned())
}

/// Sends one message, within [`GREETING_LIMIT`].
pub async fn send<S, M>(stream: &mut S, message: &M) -> Result<(), Unacquainted>
where
    S: AsyncWrite + Unpin,
    M: Message,
{
    let bytes = codec::encode(message, MAX_HELLO_BYTES).map_err(|error| broken(M::WHAT, error))?;
    let sending = async {
        stream.write_all(&bytes).await.map_err(|error| broken(M::WHAT, error))?;
        stream.flush().await.map_err(|error| broken(M::WHAT, error))
    };
    within(GREETING_LIMIT, M::WHAT, "", sending).await
}

/// Receives one message, within `limit`: [`GREETING_LIMIT`], longer for what a person decides.
pub async fn receive<S, M>(stream: &mut S, limit: Duration) -> Result<M, Unacquainted>
where
    S: AsyncRead + Unpin,
    M: Message,
{
    let what = M::WHAT;
    let bytes = within(limit, what, "", receive_bytes(stream, what)).await?;
    let message: M = codec::decode(&bytes)
        .map_err(|error| Unacquainted::Nonsense { what, why: error.to_string() })?;
    match message.flaw() {
        Some(why) => Err(Unacquainted::Nonsense { what, why }),
        None => Ok(message),
    }
}

async fn receive_bytes<S: AsyncRead + Unpin>(
    stream: &mut S,
    what: &'static str,
) -> Result<Vec<u8>, Unacquainted> {
    let mut prefix = [0; PREFIX_BYTES];
    stream.read_exact(&mut prefix).await.map_err(|error| broken(what, error))?;
    let length = codec::announced(prefix, MAX_HELLO_BYTES)
        .map_err(|error| Unacquainted::Nonsense { what, why: error.to_string() })?;
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let before = bytes.len();
        bytes.resize(length.min(before + STEP_BYTES), 0);
        stream.read_exact(&mut bytes[before..]).await.map_err(|error| broken(what, error))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
