//! Where something listens: a host and a port.

use std::{fmt, net::Ipv6Addr};

/// The longest name that DNS allows, in bytes.
const MAX_HOST_BYTES: usize = 253;

/// A host and a port, as written `host:port`, `[::1]:port` or with the port left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
}

/// The host and the text behind the `:`, if there is one. The error says what is allowed.
pub(super) fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    let bad = || {
        format!(
            "a host as \"name\", \"name:port\" or \"[::1]:port\", not \"{}\"",
            text.escape_debug()
        )
    };
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
        let port =
            if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(bad)?) };
        return if is_ipv6(host) { Ok((host, port)) } else { Err(bad()) };
    }
    if is_ipv6(text) {
        return Ok((text, None));
    }
    match text.split_once(':') {
        None if is_name(text) => Ok((text, None)),
        Some((host, port)) if is_name(host) && !port.contains(':') => Ok((host, Some(port))),
        _ => Err(bad()),
    }
}

impl Endpoint {
    /// Reads `host`, or `host:port`; `default` stands in for a port that is left out or 0.
    pub fn parse(text: &str, default: u16) -> Result<Endpoint, String> {
        let (host, port) = split(text)?;
        let port = match port {
            None | Some("") => 0,
            Some(port) => port.parse().map_err(|_| {
                format!("a host with a port from 1 to 65535, not \"{}\"", text.escape_debug())
            })?,
        };
        Ok(Endpoint { host: host.to_owned(), port: if port == 0 { default } else { port } })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Whether `text` is an IPv6 address, with or without a zone (`fe80::1%eth0`).
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    address.parse::<Ipv6Addr>().is_ok() && is_name(zone)
}

/// Whether `text` can be the name of a host, or an IPv4 address.
fn is_name(text: &str) -> bool {
    (1..=MAX_HOST_BYTES).contains(&text.len())
        && text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(Endpoint::parse(text, 4000).unwrap().to_string(), expected);
    }

    #[test]
    fn hosts_may_come_with_a_port() {
        check("web1", "web1:4000");
        check("web1:", "web1:4000");
        check("web1:0", "web1:4000");
        check("web1.example.org:4001", "web1.example.org:4001");
        check("192.0.2.1:80", "192.0.2.1:80");
    }

    #[test]
    fn ipv6_addresses_stay_whole() {
        check("::1", "[::1]:4000");
        check("[::1]", "[::1]:4000");
        check("[2001:db8::7]:4001", "[2001:db8::7]:4001");
        check("[fe80::1%eth0]:9", "[fe80::1%eth0]:9");
        assert_eq!(Endpoint::parse("[::1]:4001", 1).unwrap().host, "::1");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "http://web1",
            "a b",
            "a:b:c",
            "[::1",
            "[::1]4000",
            "[web1]:1",
            "user@web1",
            "a:70000",
        ] {
            assert!(Endpoint::parse(text, 1).is_err(), "{text}");
        }
    }
}
