//! One question after the other to one remote, over a connection that is kept open.
//!
//! Between two questions nothing runs: no task waits on the connection. That it was closed meanwhile is
//! found out at the next question, which is then asked again over a new one. A question is `GET`, so
//! asking twice does no harm. No redirect is followed: login and request go where they were configured to
//! go and nowhere else.

mod body;
mod connect;
mod error;
mod send;

use std::{pin::Pin, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{self, HeaderMap, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

#[cfg(test)]
use self::connect::Stream;
pub use self::{body::Body, connect::Net, error::AskError, send::Reply};
use crate::config::Remote;

/// For a connection: looking the name up, TCP, TLS.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// For a question with its whole answer.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Largest body of an answer, compressed or not, in bytes.
pub const MAX_BODY_BYTES: usize = 32 << 20;
/// Times that a body may grow when it is decompressed.
pub const MAX_DECODING_RATIO: usize = 100;
/// Largest head of an answer, in bytes.
pub const MAX_HEAD_BYTES: usize = 16 << 10;
/// Room for what a connection has read and not yet handed on, in bytes.
const MAX_BUFFER: usize = 64 << 10;
/// How much of a refusal is read, in bytes.
const MAX_REFUSAL: usize = 1 << 10;
/// How much of one is shown, in bytes.
const SHOWN_OF_REFUSAL: usize = 200;
/// Longest tag of a document that is sent back, in bytes.
const MAX_TAG: usize = 256;

/// What a remote answered.
pub enum Answer {
    /// What it answered last time still holds.
    Same,
    /// A body, and the tag by which to ask whether it still holds.
    Fresh { body: Body, tag: Option<HeaderValue> },
}

/// What asks one remote.
pub struct Client {
    remote: Remote,
    /// `host:port`, for requests and messages.
    address: String,
    net: Net,
    login: Option<HeaderValue>,
    open: Option<Open>,
    /// [`ANSWER_LIMIT`] but in tests.
    limit: Duration,
}

/// A connection, with the work that it needs done while something is asked.
struct Open {
    sender: SendRequest<Empty<Bytes>>,
    work: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
}

impl Client {
    /// A client that has not connected yet.
    pub fn new(remote: Remote, net: Net) -> Client {
        let login = login(&remote);
        Client { address: remote.address(), remote, net, login, open: None, limit: ANSWER_LIMIT }
    }

    /// Asks for `path`, unless the answer is still the one with this tag.
    pub async fn get(&mut self, path: &str, tag: Option<&HeaderValue>) -> Result<Answer, AskError> {
        let limit = self.limit;
        let answer = timeout(limit, self.ask(path, tag))
            .await
            .unwrap_or_else(|_| Err(AskError::Slow { address: self.address.clone(), limit }));
        if answer.is_err() {
            // Half an answer may be in it.
            self.open = None;
        }
        answer
    }

    async fn ask(&mut self, path: &str, tag: Option<&HeaderValue>) -> Result<Answer, AskError> {
        if let Some(open) = self.open.take() {
            match self.exchange(open, path, tag).await {
                // It was closed while it was idle.
                Err(AskError::Broken { .. }) => {}
                answer => return answer,
            }
        }
        let open = self.connect().await?;
        self.exchange(open, path, tag).await
    }

    async fn connect(&mut self) -> Result<Open, AskError> {
        let slow =
            |_| AskError::ConnectSlow { address: self.address.clone(), limit: CONNECT_LIMIT };
        let stream =
            timeout(CONNECT_LIMIT, self.net.connect(&self.remote)).await.map_err(slow)??;
        let (sender, work) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .max_header_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| AskError::http(&self.address, &error))?;
        Ok(Open { sender, work: Box::pin(work) })
    }

    /// One question and its answer, working on the connection meanwhile.
    async fn exchange(
        &mut self,
        open: Open,
        path: &str,
        tag: Option<&HeaderValue>,
    ) -> Result<Answer, AskError> {
        let Open { mut sender, mut work } = open;
        let request = self.request(path, tag);
        let failed = |error| AskError::http(&self.address, &error);
        let (address, has_login) = (&*self.address, self.login.is_some());
        let mut talk = Box::pin(async {
            sender.ready().await.map_err(failed)?;
            let response = sender.send_request(request).await.map_err(failed)?;
            understand(address, has_login, response).await
        });
        let answer = tokio::select! {
            biased;
            answer = &mut talk => answer.map(|answer| (answer, Some(work))),
            _ = &mut work => {
                // As long as it exists, a question that it never took would wait for an answer.
                drop(work);
                // What was received before the end is still on its way to us.
                talk.as_mut().await.map(|answer| (answer, None))
            }
        };
        drop(talk);
        let (answer, work) = answer?;
        if let Some(work) = work
            && !sender.is_closed()
        {
            self.open = Some(Open { sender, work });
        }
        Ok(answer)
    }

    fn request(&self, path: &str, tag: Option<&HeaderValue>) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = path.parse().expect("a path of ours is one of HTTP");
        let headers = request.headers_mut();
        let host = HeaderValue::try_from(&self.address);
        headers.insert(header::HOST, host.unwrap_or(HeaderValue::from_static("")));
        let agent = concat!("Wigo/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some(login) = &self.login {
            headers.insert(header::AUTHORIZATION, login.clone());
        }
        if let Some(tag) = tag {
            headers.insert(header::IF_NONE_MATCH, tag.clone());
        }
        request
    }
}

/// Basic authentication, if both login and password are configured.
fn login(remote: &Remote) -> Option<HeaderValue> {
    if remote.login.is_empty() || remote.password.is_empty() {
        return None;
    }
    let pair = format!("{}:{}", remote.login, remote.password.expose());
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        .expect("base64 is ASCII");
    value.set_sensitive(true);
    Some(value)
}

async fn understand(
    address: &str,
    has_login: bool,
    response: Response<Incoming>,
) -> Result<Answer, AskError> {
    let (head, body) = response.into_parts();
    let (status, headers) = (head.status, head.headers);
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED => return Ok(Answer::Same),
        _ => return Err(refusal(address, has_login, status, &headers, body).await),
    }
    if is_page(&headers) {
        return Err(AskError::Page { address: address.into() });
    }
    let tag = headers.get(header::ETAG).filter(|tag| tag.len() <= MAX_TAG).cloned();
    let body = Body::read(address, &headers, body).await?;
    Ok(Answer::Fresh { body, tag })
}

async fn refusal(
    address: &str,
    has_login: bool,
    status: StatusCode,
    headers: &HeaderMap,
    body: Incoming,
) -> AskError {
    let (address, code) = (address.to_owned(), status.as_u16());
    if status.is_redirection() {
        let to = headers.get(header::LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()));
        let to = super::document::line(&to.unwrap_or_default(), SHOWN_OF_REFUSAL);
        return AskError::Redirect { address, code, to };
    }
    match (status, has_login) {
        (StatusCode::UNAUTHORIZED, false) => return AskError::LoginWanted { address, code },
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, true) => {
            return AskError::LoginRefused { address, code };
        }
        _ => {}
    }
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    let said =
        if is_page(headers) { String::new() } else { body::beginning(body, MAX_REFUSAL).await };
    // Our own refusals are JSON texts, the original's are plain.
    let said = serde_json::from_str(&said).unwrap_or(said);
    let said = super::document::line(&said, SHOWN_OF_REFUSAL);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    AskError::Status { address, code, text: format!("{reason}{said}") }
}

/// Whether the answer is meant for a browser. An original says what it likes about its JSON, so that is
/// all that the type is good for.
fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml"].iter().any(|page| kind.eq_ignore_ascii_case(page))
}

#[cfg(test)]
pub mod fake;
#[cfg(test)]
mod tests;
