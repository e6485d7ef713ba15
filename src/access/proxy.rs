//! What trusted proxies in front of us say of who asks. What anybody else says of it is not believed.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::config::{Role, TrustedProxy};

/// The longest name that a proxy may give, in bytes.
const MAX_NAME: usize = 256;

/// Where a request comes from, as far as it can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The one who asks; `None` if not known.
    pub address: Option<IpAddr>,
    /// The connection is encrypted, ours or that to the trusted proxy.
    pub is_secure: bool,
}

/// Who a trusted proxy says is asking.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub name: String,
    pub groups: Vec<String>,
    pub role: Role,
}

/// Where a request comes from that `peer` has handed in.
pub fn origin(
    proxy: &TrustedProxy,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    is_encrypted: bool,
) -> Origin {
    let Some(trusted) = peer.filter(|peer| proxy.is_trusted(*peer)) else {
        return Origin { address: peer, is_secure: is_encrypted };
    };
    let secure = values(headers, "x-forwarded-proto").pop();
    let is_secure =
        is_encrypted || secure.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let mut address = trusted;
    // From the nearest on: the first that is no proxy of ours is the one; before it anybody may have lied.
    for hop in values(headers, "x-forwarded-for").iter().rev() {
        let Some(hop) = address_in(hop) else { break };
        address = hop;
        if !proxy.is_trusted(hop) {
            break;
        }
    }
    Origin { address: Some(address), is_secure }
}

/// A trusted proxy names somebody in a way that cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable;

/// Who a trusted proxy says is asking; `None` if it is not trusted with that, or says nothing.
pub fn told(
    proxy: &TrustedProxy,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<Option<Told>, Unusable> {
    if proxy.user_header.is_empty() || !peer.is_some_and(|peer| proxy.is_trusted(peer)) {
        return Ok(None);
    }
    let mut names = headers.get_all(proxy.user_header.as_str()).iter();
    let Some(name) = names.next() else { return Ok(None) };
    // Two of them: the proxy has not taken away what came in, so neither is believed.
    if names.next().is_some() {
        return Err(Unusable);
    }
    let name = name.to_str().map_err(|_| Unusable)?.trim();
    if name.is_empty() {
        return Ok(None);
    }
    if name.len() > MAX_NAME {
        return Err(Unusable);
    }
    let groups = match proxy.groups_header.as_str() {
        "" => Vec::new(),
        header => values(headers, header),
    };
    let role = proxy.role_of(&groups);
    Ok(Some(Told { name: name.to_owned(), groups, role }))
}

/// The parts of a header that may come several times, with commas in it.
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let parts = lines.flat_map(|line| line.split(',')).map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// An address, with a port or without.
fn address_in(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests;
