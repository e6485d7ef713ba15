//! What is asked of a provider, within bounds: no redirect, no plain HTTP beyond this machine, limited
//! time and size.

use std::{path::Path, time::Duration};

use openidconnect::{HttpRequest, HttpResponse, SyncHttpClient};
use thiserror::Error;
use ureq::{
    Agent,
    config::Config,
    http::{Method, Uri},
    unversioned::{
        resolver::DefaultResolver,
        transport::{Connector as _, TcpConnector},
    },
};

use crate::{
    config,
    trust::{BadCertificate, RemoteTrust, TlsConnector, remote_client_config},
};

/// For one answer in all: name, connection, TLS, request and body.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Largest body of an answer, in bytes.
const MAX_BODY: u64 = 1 << 20;
/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// The provider did not answer.
#[derive(Debug, Error)]
pub enum AskError {
    #[error("`{0}` is not asked: what goes there is not encrypted")]
    Plain(String),
    #[error("cannot ask `{address}`: {source}")]
    Failed { address: String, source: Box<ureq::Error> },
}

/// Asks a provider. Blocks.
#[derive(Debug)]
pub struct Http(Agent);

impl Http {
    /// Trusts what the certificates of `ca_file` have signed, or else what this system trusts.
    pub fn new(ca_file: Option<&Path>) -> Result<Http, BadCertificate> {
        Http::with_limit(ca_file, ANSWER_LIMIT)
    }

    /// The same with another time limit.
    pub(super) fn with_limit(
        ca_file: Option<&Path>,
        limit: Duration,
    ) -> Result<Http, BadCertificate> {
        let trust = ca_file.map_or(RemoteTrust::System, |file| RemoteTrust::Authority(file.into()));
        let tls = TlsConnector::new(remote_client_config(trust)?);
        let config = Config::builder()
            .timeout_global(Some(limit))
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_HEAD)
            .user_agent(concat!("Wigo/", env!("CARGO_PKG_VERSION")))
            .build();
        let connector = ().chain(TcpConnector::default()).chain(tls);
        Ok(Http(Agent::with_parts(config, connector, DefaultResolver::default())))
    }
}

impl SyncHttpClient for Http {
    type Error = AskError;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, AskError> {
        let address = shown(request.uri());
        // A provider may name any address as one of its own.
        if !config::is_safe(request.uri()) {
            return Err(AskError::Plain(address));
        }
        let ask = || {
            let answer = match *request.method() {
                Method::GET => self.0.run(request.map(drop)),
                _ => self.0.run(request),
            };
            let (head, mut body) = answer?.into_parts();
            let body = body.with_config().limit(MAX_BODY).read_to_vec()?;
            Ok(HttpResponse::from_parts(head, body))
        };
        ask().map_err(|error: ureq::Error| AskError::Failed { address, source: Box::new(error) })
    }
}

/// An address without its query, in which there may be secrets.
fn shown(address: &Uri) -> String {
    let text = address.to_string();
    text.split('?').next().unwrap_or_default().to_owned()
}
