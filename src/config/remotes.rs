//! `[RemoteWigos]` and `[[AdvancedList]]`: instances that are asked over HTTP.

use std::time::Duration;

use super::{
    endpoint::Endpoint,
    http::{self, Http},
    secret::Secret,
    section::Section,
};

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
    /// Credentials are sent if both are there.
    pub login: String,
    pub password: Secret,
}

impl Remotes {
    /// `alive_timeout` is when a silent remote counts as down.
    pub(super) fn read(root: &Section<'_>, http: &Http, alive_timeout: Duration) -> Remotes {
        let section = root.section("RemoteWigos");
        let plain = Remote {
            host: String::new(),
            port: if http.port == 0 { http::DEFAULT_PORT } else { http.port },
            check_interval: section.seconds("CheckInterval", 10, 1..=MAX_CHECK_INTERVAL_S),
            depth: None,
            ssl_enabled: section.boolean("SslEnabled", false),
            login: section.string("Login", ""),
            password: section.secret("Password"),
        };
        http::warn_about_half_login(&section, &plain.login, &plain.password, "no login is sent");

        let advanced = |entry: &Section<'_>| plain.advanced(entry, alive_timeout);
        let mut list = root.list("AdvancedList", advanced);
        list.extend(section.list("AdvancedList", advanced));
        let mut list: Vec<Remote> = list.into_iter().flatten().collect();

        let hosts = section.parsed_list("List", |text| Endpoint::parse(text, plain.port));
        if section.has("CheckInterval") || !hosts.is_empty() {
            warn_about_slow_polls(&section, plain.check_interval, alive_timeout);
        }
        list.extend(hosts.into_iter().map(|Endpoint { host, port }| Remote {
            host,
            port,
            ..plain.clone()
        }));
        Remotes { list }
    }
}

impl Remote {
    /// An entry of the advanced list, with what it leaves out taken from `self`.
    fn advanced(&self, entry: &Section<'_>, alive_timeout: Duration) -> Option<Remote> {
        let endpoint = entry.parsed("Hostname", |text| Endpoint::parse(text, self.port));
        let port = entry.integer("Port", 0, 0..=u16::MAX);
        let interval = entry.seconds("CheckInterval", 0, 0..=MAX_CHECK_INTERVAL_S);
        let depth = entry.integer("CheckRemotesDepth", 0, -MAX_DEPTH..=MAX_DEPTH);
        let ssl_enabled = entry.boolean("SslEnabled", false);
        let login = entry.string("Login", "");
        let password = entry.secret("Password");
        if !interval.is_zero() {
            warn_about_slow_polls(entry, interval, alive_timeout);
        }
        let Some(endpoint) = endpoint else {
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
        Some(Remote {
            host: endpoint.host,
            port: if port == 0 { endpoint.port } else { port },
            check_interval: if interval.is_zero() { self.check_interval } else { interval },
            depth: u32::try_from(depth).ok().filter(|depth| *depth > 0),
            ssl_enabled: ssl_enabled || self.ssl_enabled,
            login: if login.is_empty() { self.login.clone() } else { login },
            password: if password.is_empty() { self.password.clone() } else { password },
        })
    }
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
