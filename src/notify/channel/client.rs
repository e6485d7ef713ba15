//! How all channels speak HTTP: one client, its limits, and how a request is made.

use std::{
    error::Error as _,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use reqwest::{
    Method, RequestBuilder,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde::Serialize;
use thiserror::Error;

use super::{
    Delivery, Failed, Retry,
    address::Address,
    answer::{Answer, Hidden},
};
use crate::config::Secret;

/// How long a request may take, from the connection to the end of the answer.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How long a connection that is not used is kept.
const KEPT_IDLE: Duration = Duration::from_secs(90);
/// How many causes of an error are told, the innermost.
const TOLD_CAUSES: usize = 2;
/// Parts of an address that are at least so long, in bytes, are taken for secrets.
const MIN_SECRET: usize = 6;

/// Why there is no client.
#[derive(Debug, Error)]
pub enum BadClient {
    #[error("the certificates in `{path}` cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("`{path}` holds no certificates in PEM form")]
    Pem { path: PathBuf },
    #[error("HTTPS cannot be set up on this machine: {0}")]
    Setup(#[source] reqwest::Error),
}

/// Sends requests. Cheap to clone; connections are kept and shared.
///
/// TLS is always verified, by the authorities this machine trusts and those of `ca_file`. Proxies are
/// those of the environment (`HTTPS_PROXY`, `NO_PROXY` …). Redirects are not followed: they would carry
/// secrets to where nobody meant them to go.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    deadline: Duration,
}

impl Client {
    /// A client that also trusts the authorities in `ca_file` (PEM). Reads files: not for the runtime.
    pub fn new(ca_file: Option<&Path>) -> Result<Client, BadClient> {
        Client::with_deadline(ca_file, DEADLINE)
    }

    pub(super) fn with_deadline(
        ca_file: Option<&Path>,
        deadline: Duration,
    ) -> Result<Client, BadClient> {
        crate::trust::install_provider();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("Wigo/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(deadline)
            // Some receivers know headers by their capitals.
            .http1_title_case_headers()
            .pool_idle_timeout(KEPT_IDLE);
        if let Some(path) = ca_file {
            let pem =
                fs::read(path).map_err(|source| BadClient::Read { path: path.into(), source })?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if roots.is_empty() {
                return Err(BadClient::Pem { path: path.into() });
            }
            builder = builder.tls_certs_merge(roots);
        }
        Ok(Client { http: builder.build().map_err(BadClient::Setup)?, deadline })
    }

    /// A request to an address, or to what is below it.
    pub(super) fn post(&self, to: &Address, below: &[&str]) -> Call {
        self.call(Method::POST, to, below)
    }

    pub(super) fn get(&self, to: &Address, below: &[&str]) -> Call {
        self.call(Method::GET, to, below)
    }

    pub(super) fn put(&self, to: &Address, below: &[&str]) -> Call {
        self.call(Method::PUT, to, below)
    }

    fn call(&self, method: Method, to: &Address, below: &[&str]) -> Call {
        // An address may be a secret as a whole, or hold one anywhere.
        let url = to.url();
        let mut hidden = Hidden::default();
        let parts = [url.as_str(), url.path(), url.query().unwrap_or_default()];
        let segments = url.path_segments().into_iter().flatten();
        for part in parts.into_iter().chain(segments).filter(|part| part.len() >= MIN_SECRET) {
            hidden.add(part);
        }
        url.query_pairs().filter(|(_, value)| value.len() >= MIN_SECRET).for_each(|(_, value)| {
            hidden.add(&value);
        });
        url.password().into_iter().for_each(|password| hidden.add(password));
        let url = if below.is_empty() { url } else { to.below(below.iter().copied()) };
        let request = self.http.request(method, url);
        Call { request, host: to.host(), hidden, deadline: self.deadline }
    }
}

/// One request, until it is sent.
pub(super) struct Call {
    request: RequestBuilder,
    host: String,
    hidden: Hidden,
    deadline: Duration,
}

impl Call {
    pub(super) fn json(mut self, body: &impl Serialize) -> Call {
        self.request = self.request.json(body);
        self
    }

    pub(super) fn form(mut self, fields: &[(&str, &str)]) -> Call {
        self.request = self.request.form(fields);
        self
    }

    /// A body of JSON as it is.
    pub(super) fn body(mut self, json: Vec<u8>) -> Call {
        self.request = self.request.header(CONTENT_TYPE, "application/json").body(json);
        self
    }

    pub(super) fn bearer(self, token: &Secret) -> Call {
        self.authorization("Bearer", token.expose())
    }

    pub(super) fn basic(self, login: &str, password: &Secret) -> Call {
        let both = BASE64.encode(format!("{login}:{}", password.expose()));
        self.hide(password).authorization("Basic", &both)
    }

    /// By token if there is one, else by login if there is one.
    pub(super) fn either(self, token: &Secret, login: &str, password: &Secret) -> Call {
        match (token.is_empty(), login.is_empty()) {
            (false, _) => self.bearer(token),
            (true, false) => self.basic(login, password),
            (true, true) => self,
        }
    }

    pub(super) fn authorization(mut self, scheme: &str, secret: &str) -> Call {
        self.hidden.add(secret);
        self.secret_header(AUTHORIZATION.as_str(), &format!("{scheme} {secret}"))
    }

    /// A header that holds a secret.
    pub(super) fn secret_header(mut self, name: &str, value: &str) -> Call {
        self.hidden.add(value);
        self.header(name, value)
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Call {
        self.request = self.request.header(name, value);
        self
    }

    /// Keeps a secret that is sent out of what is said about the answer.
    pub(super) fn hide(mut self, secret: &Secret) -> Call {
        self.hidden.add(secret.expose());
        self
    }

    /// Sends it as one attempt of `delivery`, and reads the answer. An error if the receiver did not take
    /// it.
    pub(super) async fn send(self, delivery: &Delivery) -> Result<Answer, Failed> {
        self.send_as(delivery, &delivery.message.key).await
    }

    /// The same, where one message becomes several requests to one receiver: each needs a key of its own.
    pub(super) async fn send_as(self, delivery: &Delivery, key: &str) -> Result<Answer, Failed> {
        let Call { request, host, hidden, deadline } = self;
        let failed = |error| unsent(error, &host, deadline, &hidden);
        let mut answer =
            request.header("idempotency-key", visible(key)).send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            let room = MAX_ANSWER_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == MAX_ANSWER_BYTES {
                break;
            }
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { host, status, headers, body, hidden }.taken(delivery.now)
    }
}

/// A key as headers may hold it: what is not visible ASCII is encoded.
fn visible(key: &str) -> String {
    let mut visible = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'!'..=b'~' => visible.push(char::from(byte)),
            _ => visible.push_str(&format!("%{byte:02X}")),
        }
    }
    visible
}

/// Why there was no answer, or not all of it.
fn unsent(error: reqwest::Error, host: &str, deadline: Duration, hidden: &Hidden) -> Failed {
    let error = error.without_url();
    if error.is_timeout() {
        let seconds = deadline.as_secs_f32();
        let why = format!("{host} did not answer within {seconds} s");
        return Failed { why, retry: Retry::Later };
    }
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    // The outer ones say no more than that it failed; some repeat what their cause says.
    causes.dedup();
    let causes = causes.split_off(causes.len().saturating_sub(TOLD_CAUSES));
    let causes = hidden.without(&causes.join(": "));
    let (what, retry) = if error.is_builder() {
        (
            "the request cannot be made; look for line breaks and the like in this channel's keys",
            Retry::Never,
        )
    } else if error.is_connect() {
        ("it cannot be reached", Retry::Later)
    } else {
        ("the connection broke before the answer was complete", Retry::Later)
    };
    Failed { why: format!("{host}: {what} ({causes})"), retry }
}
