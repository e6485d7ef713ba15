//! Under which names a browser may ask without credentials.
//!
//! A foreign page can make its own name mean this machine (DNS rebinding); its browser then takes us for
//! that page's home and lets it read our answers. The name in `Host` gives it away.

use std::net::IpAddr;

use axum::http::uri::Authority;

/// The name in a `Host` header, without port and brackets; `None` if it is none.
pub fn name_in(header: &str) -> Option<String> {
    let host: Authority = header.parse().ok()?;
    let name = host.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    (!name.is_empty() && !header.contains('@')).then(|| name.to_ascii_lowercase())
}

/// Whether this is a name of this machine that no name server gives out.
pub fn is_loopback(name: &str) -> bool {
    name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether this is a name of ours: an address, localhost, the configured name of this host or its first
/// part, or one of `more`.
pub fn is_ours(name: &str, hostname: &str, more: &[String]) -> bool {
    let hostname = hostname.trim_end_matches('.').to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || (!hostname.is_empty() && (name == hostname || Some(name) == hostname.split('.').next()))
        || more.iter().any(|one| one == "*" || one.trim_end_matches('.') == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_are_ours() {
        let ours = |header: &str| {
            let more = ["wigo.example.net".to_owned()];
            name_in(header).is_some_and(|name| is_ours(&name, "Web1.example.org", &more))
        };
        for good in [
            "192.0.2.1:4000",
            "[2001:db8::1]:4000",
            "localhost",
            "LOCALHOST:1",
            "web1",
            "web1.example.org:4000",
            "WEB1.example.org.",
            "wigo.example.net",
        ] {
            assert!(ours(good), "{good}");
        }
        for bad in [
            "",
            "a b",
            "evil.example",
            "web1.evil.example",
            "127.0.0.1.evil.example",
            "web1@evil.example",
            "example.org",
            "2.example.net",
        ] {
            assert!(!ours(bad), "{bad}");
        }
        assert!(is_ours("anything", "", &["*".into()]) && !is_ours("", "", &[]));
    }
}
