//! `[RemoteWigos]` and `[[AdvancedList]]`: instances that are asked over HTTP.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::{
    endpoint::Endpoint,
    http::{self, Http},
    secret::Secret,
    section::Section,
};
use crate::trust::Fingerprint;

/// The longest pause between two polls, in seconds: a day.
const MAX_CHECK_INTERVAL_S: u64 = 86_400;
/// The deepest tree that can be asked for, in levels.
const MAX_DEPTH: i64 = 1_000;

/// The section `[RemoteWigos]`, and both lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Remotes {
    /// Those with settings of their own first, then the plain ones; every setting is resolved.
    pub list: Vec<Remote>,
}

/// One instance to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// The pause between two polls.
    pub check_interval: Duration,
    /// How many levels of its tree are kept (1: the host alone); `None`: all.
    pub depth: Option<u32>,
    pub ssl_enabled: bool,
    /// Trusted in place of the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// The one certificate that is trusted, whatever else is configured.
    pub cert_fingerprint: Option<Fingerprint>,
    /// Credentials are sent if both are there.
    pub login: String,
    pub password: Secret,
}

impl Remotes {
    /// `alive_timeout` is when a silent remote counts as down.
    pub(super) fn read(root: &Section<'_>, http: &Http, alive_timeout: Duration) -> Remotes {
        let section = root.section("RemoteWigos");
        let (ca_file, cert_fingerprint) = trust(&section);
        let plain = Remote {
            host: String::new(),
            port: if http.port == 0 { http::DEFAULT_PORT } else { http.port },
            check_interval: section.seconds("CheckInterval", 10, 1..=MAX_CHECK_INTERVAL_S),
            depth: None,
            ssl_enabled: section.boolean("SslEnabled", false),
            ca_file,
            cert_fingerprint,
            login: section.string("Login", ""),
            password: section.secret("Password"),
        };
        let may_be_plain = section.boolean("AllowPlainLogin", false);
        http::warn_about_half_login(&section, &plain.login, &plain.password, "no login is sent");

        let advanced = |entry: &Section<'_>| plain.advanced(entry, may_be_plain, alive_timeout);
        let mut list = root.list("AdvancedList", advanced);
        list.extend(section.list("AdvancedList", advanced));
        let mut list: Vec<Remote> = list.into_iter().flatten().collect();

        let hosts = section.parsed_list("List", |text| Address::parse(text, plain.port));
        if section.has("CheckInterval") || !hosts.is_empty() {
            warn_about_slow_polls(&section, plain.check_interval, alive_timeout);
        }
        let simple = hosts.into_iter().map(|Address { endpoint, tls }| Remote {
            host: endpoint.host,
            port: endpoint.port,
            ssl_enabled: tls.unwrap_or(plain.ssl_enabled),
            ..plain.clone()
        });
        let simple: Vec<Remote> = simple.collect();
        if let Some(remote) = simple.iter().find(|remote| !may_be_plain && remote.shows_login()) {
            warn_about_plain_login(&section, remote);
        }
        list.extend(simple);
        Remotes { list }
    }
}

impl Remote {
    /// `host:port`, the host in brackets where it needs them.
    pub fn address(&self) -> String {
        Endpoint { host: self.host.clone(), port: self.port }.to_string()
    }

    /// Where it is asked: `https://host:port`.
    pub fn url(&self) -> String {
        let scheme = if self.ssl_enabled { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// An entry of the advanced list, with what it leaves out taken from `self`.
    fn advanced(
        &self,
        entry: &Section<'_>,
        may_be_plain: bool,
        alive_timeout: Duration,
    ) -> Option<Remote> {
        let address = entry.parsed("Hostname", |text| Address::parse(text, self.port));
        let port = entry.integer("Port", 0, 0..=u16::MAX);
        let interval = entry.seconds("CheckInterval", 0, 0..=MAX_CHECK_INTERVAL_S);
        let depth = entry.integer("CheckRemotesDepth", 0, -MAX_DEPTH..=MAX_DEPTH);
        let tls = address.as_ref().and_then(|address| address.tls).unwrap_or(self.ssl_enabled);
        let ssl_enabled = entry.boolean("SslEnabled", tls);
        let own_trust = trust(entry);
        let login = entry.string("Login", "");
        let password = entry.secret("Password");
        let may_be_plain = entry.boolean("AllowPlainLogin", may_be_plain);
        if !interval.is_zero() {
            warn_about_slow_polls(entry, interval, alive_timeout);
        }
        let Some(Address { endpoint, tls }) = address else {
            if entry.is_blank("Hostname") {
                let help = "write `Hostname = \"…\"`, or remove the entry";
                entry.error(
                    "Hostname",
                    "an entry of `AdvancedList` has no `Hostname`".to_owned(),
                    help,
                );
            }
            return None;
        };
        if tls.is_some_and(|tls| tls != ssl_enabled) {
            let message = "`SslEnabled` says otherwise than the address in `Hostname`".to_owned();
            entry.error("SslEnabled", message, "remove one of the two");
        }
        // Who names a certificate for this remote does not want another to do as well.
        let (ca_file, cert_fingerprint) = match own_trust {
            (None, None) => (self.ca_file.clone(), self.cert_fingerprint),
            own => own,
        };
        let remote = Remote {
            host: endpoint.host,
            port: if port == 0 { endpoint.port } else { port },
            check_interval: if interval.is_zero() { self.check_interval } else { interval },
            depth: u32::try_from(depth).ok().filter(|depth| *depth > 0),
            ssl_enabled,
            ca_file,
            cert_fingerprint,
            login: if login.is_empty() { self.login.clone() } else { login },
            password: if password.is_empty() { self.password.clone() } else { password },
        };
        if !may_be_plain && remote.shows_login() {
            warn_about_plain_login(entry, &remote);
        }
        Some(remote)
    }

    /// Whether others on the network can read the login.
    fn shows_login(&self) -> bool {
        let loopback = self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        let has_login = !self.login.is_empty() && !self.password.is_empty();
        has_login && !self.ssl_enabled && !loopback && self.host != "localhost"
    }
}

/// Where a remote is, and whether its address says that it speaks TLS.
struct Address {
    endpoint: Endpoint,
    tls: Option<bool>,
}

impl Address {
    /// Reads `host`, `host:port`, `https://host:port` or `http://host:port`.
    fn parse(text: &str, default_port: u16) -> Result<Address, String> {
        let text = text.trim();
        let (tls, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Some(true), rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Some(false), rest),
            _ => (None, text),
        };
        let rest = if tls.is_some() { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        Ok(Address { endpoint: Endpoint::parse(rest, default_port)?, tls })
    }
}

/// `CaFile` and `CertFingerprint`.
fn trust(section: &Section<'_>) -> (Option<PathBuf>, Option<Fingerprint>) {
    let ca_file = section.parsed("CaFile", |path| Ok(PathBuf::from(path)));
    let fingerprint = section.parsed("CertFingerprint", |text| {
        Fingerprint::parse(text)
            .map_err(|_| "a SHA-256, 64 hexadecimal digits, with or without colons".to_owned())
    });
    if ca_file.is_some() && fingerprint.is_some() {
        let message = format!(
            "{} has no effect beside `CertFingerprint`, which trusts one certificate and no other",
            section.name_of("CaFile")
        );
        section.warn("CaFile", message, "remove one of the two");
    }
    (ca_file, fingerprint)
}

/// The original sends it all the same, so that is no error.
fn warn_about_plain_login(section: &Section<'_>, remote: &Remote) {
    let key = if section.has("Login") { "Login" } else { "Hostname" };
    let message = format!("the login for `{}` is sent unencrypted", remote.address());
    let help = "switch on `SslEnabled`, or write `AllowPlainLogin = true` if that is meant";
    section.warn(key, message, help);
}

/// With fewer than two polls before the time-out, one lost answer makes a remote look down.
fn warn_about_slow_polls(section: &Section<'_>, interval: Duration, alive_timeout: Duration) {
    if interval * 2 > alive_timeout {
        let message = format!(
            "`CheckInterval` of {} s is more than half of `AliveTimeout` in [Global], which is {} s",
            interval.as_secs(),
            alive_timeout.as_secs()
        );
        section.warn("CheckInterval", message, "one lost answer would make a remote look down");
    }
}
