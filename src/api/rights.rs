//! What one has to be allowed to do for each route. What is in no list is for operators, unless it only
//! reads.

use axum::http::Method;

use crate::config::Role;

/// Routes that everybody may ask, or the login page would not get far. They hold nothing back but what the
/// caller is or knows already.
const OPEN: [(&str, &str); 7] = [
    ("GET", "/api/whoami"),
    ("GET", "/api/login"),
    ("GET", "/api/logout"),
    ("POST", "/api/session"),
    ("POST", "/api/session/end"),
    ("GET", "/api/oidc/login"),
    ("GET", "/api/oidc/callback"),
];

/// What only operators may read: who may do what, and who has done what.
const OPERATOR_READS: [&str; 4] =
    ["/api/tokens", "/api/users", "/api/audit", "/api/authority/tokens"];

/// Whether a request with this method only reads.
pub fn only_reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// What a caller has to be for this route, written as in the router; [`Role::None`]: nothing.
pub fn needed(method: &Method, route: Option<&str>) -> Role {
    let Some(route) = route else { return Role::Operator };
    let verb = if *method == Method::HEAD { "GET" } else { method.as_str() };
    match () {
        () if OPEN.contains(&(verb, route)) => Role::None,
        () if !only_reads(method) || OPERATOR_READS.contains(&route) => Role::Operator,
        () => Role::Readonly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_list_is_not_open() {
        let needed = |method: &str, route| needed(&method.parse().unwrap(), route);
        assert_eq!(needed("GET", Some("/api")), Role::Readonly);
        assert_eq!(needed("HEAD", Some("/api/audit")), Role::Operator);
        assert_eq!(needed("POST", Some("/api")), Role::Operator);
        assert_eq!(needed("PROPFIND", Some("/api")), Role::Operator);
        assert_eq!(needed("GET", None), Role::Operator);
        assert_eq!(needed("POST", Some("/api/session")), Role::None);
        assert_eq!(needed("GET", Some("/api/session")), Role::Readonly);
        assert_eq!(needed("HEAD", Some("/api/whoami")), Role::None);
    }
}
