//! Asks an agent over HTTP, with a bound on everything: time, size, redirects (none).
//!
//! Blocking, because wigocli has nothing else to do. No proxy from the environment: the agent is on this
//! host or on one that the user named, and a login must not travel through anybody else.

mod target;

use std::{io::Read as _, path::Path, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::de::DeserializeOwned;
pub use target::{Target, percent_encoded};
use ureq::{
    Agent, Body,
    config::Config,
    http::{Response, StatusCode, header},
    unversioned::{
        resolver::DefaultResolver,
        transport::{Connector as _, TcpConnector},
    },
};

use crate::trust::{RemoteTrust, TlsConnector, Untrusted, remote_client_config, untrusted};

/// For one answer in all: name, connection, TLS, request and body.
const ANSWER_SECONDS: u64 = 10;
/// The same where a probe is run meanwhile.
const ORDER_SECONDS: u64 = 40;
/// The size of an answer after decompression. A tree of 10,000 hosts has about 40 MiB.
const ANSWER_BYTES: u64 = 64 * 1024 * 1024;
/// How much of a refusal is shown.
const REFUSAL_BYTES: u64 = 300;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "`{url}` is not the address of an agent: {why}; give `http://host:port` or `https://host:port`"
    )]
    Address { url: String, why: &'static str },
    #[error("cannot ask `{url}`: {why}")]
    Unreachable { url: String, why: String },
    #[error(
        "cannot ask `{url}`: it is not trusted: {why}; nor is it {pinned}; name the host as the \
         certificate does with --url, or run `wigocli` on the agent's own host with its configuration"
    )]
    Untrusted { url: String, why: Box<Untrusted>, pinned: String },
    #[error(
        "cannot ask `{url}`: the agent asks for a login: run as a user who may read Login and Password \
         in the agent's configuration, name that file with --config, or give \
         --url http://user:password@host:port"
    )]
    Login { url: String },
    #[error(
        "cannot ask `{url}`: the agent refused the login: Login and Password in its configuration are \
         others, or were changed and not read again (SIGHUP)"
    )]
    LoginRefused { url: String },
    #[error("cannot ask `{url}`: the agent answered {status}: {text}{}", hint(text))]
    Refused { url: String, status: StatusCode, text: String },
    #[error("nothing was changed: `{url}` answered {status}: {text}{}", hint(text))]
    Unchanged { url: String, status: StatusCode, text: String },
    #[error("cannot read the answer of `{url}`: {why}")]
    Answer { url: String, why: String },
    #[error(
        "cannot read the answer of `{url}`: it is not what an agent says; is this wigo's HTTP port?"
    )]
    NotJson { url: String, source: serde_json::Error },
}

/// What to do about a refusal that does not say so itself.
fn hint(text: &str) -> &'static str {
    match text {
        "Push server is not started" => {
            "; it takes no push clients: set Enabled in [PushServer] of its configuration and restart it"
        }
        "404 page not found" => "; it is no wigo, or too old for this",
        _ => "",
    }
}

/// The first certificate of a PEM file, which by custom is the server's own.
///
/// An agent's certificate is mostly self-signed, names the host and not 127.0.0.1, and often calls itself
/// a CA, which webpki refuses in a server. Since the agent is asked from its own host, where that
/// certificate lies in a file, the bytes are compared instead: the same certificate is trusted whatever
/// it says, any other must convince the system.
fn first_certificate(file: &Path) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_file(file).ok()
}

/// An answer, and the mark by which the agent knows whether it is still the same.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub text: String,
    /// The `ETag`, if the agent gives one.
    pub tag: Option<String>,
}

/// Asks one agent. Connections are kept open between requests.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    target: Target,
}

impl Client {
    /// Prepares to ask `target`; nothing is sent yet.
    pub fn new(target: Target) -> Client {
        let config = Config::builder()
            .timeout_global(Some(Duration::from_secs(ANSWER_SECONDS)))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("wigocli/", env!("CARGO_PKG_VERSION")))
            .build();
        let pinned = target.ca_file.as_deref().and_then(first_certificate);
        let trust = pinned.map_or(RemoteTrust::System, RemoteTrust::SystemOr);
        let tls = remote_client_config(trust).expect("no file is read for these");
        let connector = ().chain(TcpConnector::default()).chain(TlsConnector::new(tls));
        Client { agent: Agent::with_parts(config, connector, DefaultResolver::default()), target }
    }

    /// The answer to `GET path`, for example `/api`, as text.
    pub fn get_text(&self, path: &str) -> Result<String, Error> {
        let answer = self.get_if_changed(path, None)?;
        answer.map(|answer| answer.text).ok_or_else(|| Error::Answer {
            url: self.url(path),
            why: "the agent says that nothing changed since an answer it never gave".into(),
        })
    }

    /// The answer to `GET path`, taken apart.
    pub fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.parse(path, &self.get_text(path)?)
    }

    /// The answer to `GET path`, unless it is still the one that `tag` marks: `None`.
    pub fn get_if_changed(&self, path: &str, tag: Option<&str>) -> Result<Option<Answer>, Error> {
        let mut request = self.agent.get(self.url(path));
        if let Some(login) = self.login() {
            request = request.header(header::AUTHORIZATION, login);
        }
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let mut response = request.call().map_err(|error| self.unreachable(path, error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(None),
            StatusCode::UNAUTHORIZED => return Err(self.no_login(path)),
            status => {
                let (url, text) = (self.url(path), self.refusal(path, &mut response));
                return Err(Error::Refused { url, status, text });
            }
        }
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.map(str::to_owned);
        let body = self.body(path, &mut response, ANSWER_BYTES + 1)?;
        if body.len() as u64 > ANSWER_BYTES {
            let why = format!("it is larger than {ANSWER_BYTES} bytes");
            return Err(Error::Answer { url: self.url(path), why });
        }
        let text = String::from_utf8(body)
            .map_err(|error| Error::Answer { url: self.url(path), why: error.to_string() })?;
        Ok(Some(Answer { text, tag }))
    }

    /// Asks for a change by `POST path`.
    pub fn post(&self, path: &str) -> Result<(), Error> {
        // A page of another site that a browser shows cannot send this header.
        let mut request = self.agent.post(self.url(path)).header("X-Wigo-Request", "1");
        if let Some(login) = self.login() {
            request = request.header(header::AUTHORIZATION, login);
        }
        let mut response = request.send_empty().map_err(|error| self.unreachable(path, error))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED => Err(self.no_login(path)),
            status => {
                let (url, text) = (self.url(path), self.refusal(path, &mut response));
                Err(Error::Unchanged { url, status, text })
            }
        }
    }

    /// Asks for a change by `POST path` that may take its time, and returns what is answered.
    pub fn post_for_answer(&self, path: &str) -> Result<String, Error> {
        let request = self.agent.post(self.url(path)).header("X-Wigo-Request", "1");
        let limit = Some(Duration::from_secs(ORDER_SECONDS));
        let mut request = request.config().timeout_global(limit).build();
        if let Some(login) = self.login() {
            request = request.header(header::AUTHORIZATION, login);
        }
        let mut response = request.send_empty().map_err(|error| self.unreachable(path, error))?;
        match response.status() {
            status if status.is_success() => {
                let body = self.body(path, &mut response, ANSWER_BYTES)?;
                Ok(String::from_utf8_lossy(&body).into_owned())
            }
            StatusCode::UNAUTHORIZED => Err(self.no_login(path)),
            status => {
                let (url, text) = (self.url(path), self.refusal(path, &mut response));
                Err(Error::Unchanged { url, status, text })
            }
        }
    }

    /// The header that carries the login, if there is one.
    fn login(&self) -> Option<String> {
        let Target { login, password, .. } = &self.target;
        let has_login = !login.is_empty() && !password.is_empty();
        has_login
            .then(|| format!("Basic {}", BASE64_STANDARD.encode(format!("{login}:{password}"))))
    }

    fn no_login(&self, path: &str) -> Error {
        let url = self.url(path);
        if self.login().is_some() { Error::LoginRefused { url } } else { Error::Login { url } }
    }

    /// Why the agent refuses: mostly a JSON string, a sentence.
    fn refusal(&self, path: &str, response: &mut Response<Body>) -> String {
        let body = self.body(path, response, REFUSAL_BYTES).unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        serde_json::from_str(text.trim()).unwrap_or_else(|_| text.trim().to_owned())
    }

    /// Takes apart `text`, which is what the agent answered to `GET path`.
    pub fn parse<T: DeserializeOwned>(&self, path: &str, text: &str) -> Result<T, Error> {
        serde_json::from_str(text).map_err(|source| Error::NotJson { url: self.url(path), source })
    }

    /// The address that is asked for `path`, without the login.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.target.url)
    }

    /// At most `limit` bytes of the decompressed body. The limit of ureq itself counts compressed bytes.
    fn body(
        &self,
        path: &str,
        response: &mut Response<Body>,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        let read = response.body_mut().as_reader().take(limit).read_to_end(&mut body);
        let why = |error: std::io::Error| match ureq::Error::from(error) {
            ureq::Error::Timeout(_) => format!("it was not complete after {ANSWER_SECONDS} s"),
            error => error.to_string(),
        };
        read.map_err(|error| Error::Answer { url: self.url(path), why: why(error) })?;
        Ok(body)
    }

    fn unreachable(&self, path: &str, error: ureq::Error) -> Error {
        use std::io::ErrorKind::ConnectionRefused;
        let url = self.url(path);
        let why = match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                return Error::Address { url, why: "it cannot be read as an address" };
            }
            ureq::Error::Timeout(_) => format!("no answer within {ANSWER_SECONDS} s"),
            ureq::Error::HostNotFound => "no such host name".into(),
            ureq::Error::Io(error) if error.kind() == ConnectionRefused => {
                "nothing listens there; is wigo running, with Enabled in [Http]?".into()
            }
            ureq::Error::Io(error) => match untrusted(&error) {
                Some(why) => {
                    let (why, pinned) = (Box::new(why.clone()), self.pinned());
                    return Error::Untrusted { url, why, pinned };
                }
                None => error.to_string(),
            },
            error => error.to_string(),
        };
        Error::Unreachable { url, why }
    }

    /// Which certificate is trusted whatever it says, for the error text.
    fn pinned(&self) -> String {
        match &self.target.ca_file {
            Some(file) if first_certificate(file).is_some() => {
                format!("the one in `{}`", file.display())
            }
            Some(file) => format!("the one in `{}`, which cannot be read", file.display()),
            None => "the one of a configuration".into(),
        }
    }
}

#[cfg(test)]
mod tests;
