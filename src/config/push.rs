//! `[PushServer]` and `[PushClient]`: instances that report to one above them.

use std::{path::PathBuf, time::Duration};

use super::{endpoint::Endpoint, http::listen_address, secret::Secret, section::Section};

/// The port of a push server when the file names none.
const DEFAULT_PORT: u16 = 4001;
/// The longest waiting list.
const MAX_WAITING_CLIENTS: usize = 1_000;
/// The longest pause between two pushes, in seconds: a day.
const MAX_PUSH_INTERVAL_S: u64 = 86_400;
/// Hexadecimal digits of a SHA-256.
const FINGERPRINT_DIGITS: usize = 64;

/// The section `[PushServer]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PushServer {
    pub enabled: bool,
    /// The address to listen on; an IPv6 address without its brackets.
    pub address: String,
    /// 0: any free port.
    pub port: u16,
    pub ssl_enabled: bool,
    /// The CA that signs the clients' certificates, and its key.
    pub ssl_cert: PathBuf,
    pub ssl_key: PathBuf,
    /// Clients that an operator has admitted.
    pub allowed_clients_file: PathBuf,
    pub auto_accept_clients: bool,
    /// How many unknown clients may wait to be admitted.
    pub max_waiting_clients: usize,
}

/// The section `[PushClient]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PushClient {
    pub enabled: bool,
    /// The push servers to report to, never empty.
    pub addresses: Vec<Endpoint>,
    pub ssl_enabled: bool,
    /// The certificate of the server's authority, learned at first contact if the file is missing. Further
    /// masters have files of their own beside it, see `etc/wigo.conf`.
    pub ssl_cert: PathBuf,
    /// The certificate that the server has signed for this client; its key is beside it.
    pub uuid_sig: PathBuf,
    /// The pause between two signs of life; what changes is sent at once.
    pub push_interval: Duration,
    /// Whether the push server may act on this host's probes.
    pub allow_remote_control: bool,
    /// The SHA-256 of the CA certificates of servers, each of 64 lower-case hexadecimal digits.
    pub ca_fingerprints: Vec<String>,
    /// What admits this client without an operator, from `wigo token join`. May be empty.
    pub join_token: Secret,
    /// Whether a server is refused as long as its fingerprint is not known from elsewhere.
    pub require_fingerprint: bool,
}

impl PushServer {
    pub(super) fn read(section: &Section<'_>) -> PushServer {
        PushServer {
            enabled: section.boolean("Enabled", false),
            address: listen_address(section),
            port: section.integer("Port", DEFAULT_PORT, 0..=u16::MAX),
            ssl_enabled: section.boolean("SslEnabled", true),
            ssl_cert: section.path("SslCert", "/etc/wigo/ssl/wigo.crt"),
            ssl_key: section.path("SslKey", "/etc/wigo/ssl/wigo.key"),
            allowed_clients_file: section.path("AllowedClientsFile", "/var/lib/wigo/allowed"),
            auto_accept_clients: section.boolean("AutoAcceptClients", false),
            max_waiting_clients: section.integer("MaxWaitingClients", 100, 0..=MAX_WAITING_CLIENTS),
        }
    }
}

impl PushClient {
    pub(super) fn read(section: &Section<'_>) -> PushClient {
        let enabled = section.boolean("Enabled", false);
        PushClient {
            enabled,
            addresses: addresses(section, enabled),
            ssl_enabled: section.boolean("SslEnabled", true),
            ssl_cert: section.path("SslCert", "/var/lib/wigo/master.crt"),
            uuid_sig: section.path("UuidSig", "/var/lib/wigo/uuid.sig"),
            push_interval: section.seconds("PushInterval", 10, 1..=MAX_PUSH_INTERVAL_S),
            allow_remote_control: section.boolean("AllowRemoteControl", false),
            ca_fingerprints: section.parsed_list("CaFingerprint", fingerprint),
            join_token: join_token(section),
            require_fingerprint: section.boolean("RequireFingerprint", false),
        }
    }
}

/// A join token. One of another form was cut or mixed up; to go on without it would be to believe
/// whichever server answers.
fn join_token(section: &Section<'_>) -> Secret {
    let token = section.secret("JoinToken");
    let parts = token.expose().strip_prefix("wigo-join_").and_then(|rest| rest.rsplit_once('_'));
    let whole = parts.is_some_and(|(secret, ca)| !secret.is_empty() && fingerprint(ca).is_ok());
    if !token.is_empty() && !whole {
        let message =
            "`JoinToken` in [PushClient] is no join token: was it cut when it was copied?";
        let help = "it looks like wigo-join_…_ and 64 hexadecimal digits, and comes from `wigo token \
                    join` on the push server";
        section.error("JoinToken", message.to_owned(), help);
    }
    token
}

/// One server or several; this host when the file names none, as it always was.
fn addresses(section: &Section<'_>, enabled: bool) -> Vec<Endpoint> {
    let port = section.integer("Port", DEFAULT_PORT, 1..=u16::MAX);
    let addresses = section.parsed_list("Address", |text| Endpoint::parse(text, port));
    if !addresses.is_empty() {
        return addresses;
    }
    if enabled {
        let message =
            "`Address` in [PushClient] names no push server, so 127.0.0.1 is tried".to_owned();
        section.warn("Address", message, "name the push server");
    }
    vec![Endpoint { host: "127.0.0.1".to_owned(), port }]
}

/// Takes the ways in which tools print a SHA-256: with colons, capitals, or its name in front.
fn fingerprint(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.strip_prefix("sha256:").unwrap_or(&text).replace(':', "");
    if digits.len() == FINGERPRINT_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(digits)
    } else {
        Err(format!("a SHA-256, {FINGERPRINT_DIGITS} hexadecimal digits, with or without colons"))
    }
}

impl PushClient {
    /// Whether both reach their masters in the same way, so that a running client can go on. Which
    /// masters there are does not matter.
    pub fn same_way(&self, other: &PushClient) -> bool {
        PushClient { addresses: other.addresses.clone(), ..self.clone() } == *other
    }
}
