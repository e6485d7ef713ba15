//! Cookies: those that a request carries, and the one of a session.

use axum::http::{HeaderMap, header};

use super::LONGEST_SESSION;
use crate::config::{BasePath, Secret};

/// The name of the cookie of a session.
pub const SESSION_COOKIE: &str = "wigo_session";

/// The cookies of this name that a request carries. There can be several: a server of a neighbouring name
/// can plant one.
pub fn cookies<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}

/// The text that gives a browser the cookie of a session that has begun.
pub fn session_cookie(secret: &Secret, base: &BasePath, is_secure: bool) -> String {
    session(secret.expose(), LONGEST_SESSION.as_secs(), base, is_secure)
}

/// The text that takes it away.
pub fn no_session_cookie(base: &BasePath, is_secure: bool) -> String {
    session("", 0, base, is_secure)
}

fn session(value: &str, seconds: i64, base: &BasePath, is_secure: bool) -> String {
    let (path, secure) = (base.of_cookies(), if is_secure { "; Secure" } else { "" });
    format!(
        "{SESSION_COOKIE}={value}; HttpOnly; SameSite=Strict; Path={path}; Max-Age={seconds}{secure}"
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookies(&headers, "b").next(), None);
        headers.append(header::COOKIE, HeaderValue::from_static("x_b=1; a=b"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=d;  b=AbC-_ ; e=f;b=2"));
        assert_eq!(cookies(&headers, "b").collect::<Vec<_>>(), ["AbC-_", "2"]);
    }

    #[test]
    fn the_cookie_of_a_session_is_for_us_alone() {
        let secret = Secret::new("abc");
        let expected = "wigo_session=abc; HttpOnly; SameSite=Strict; Path=/; Max-Age=604800";
        let none = BasePath::default();
        assert_eq!(session_cookie(&secret, &none, false), expected);
        assert_eq!(session_cookie(&secret, &none, true), format!("{expected}; Secure"));
        let below = BasePath::parse("/wigo").unwrap();
        assert!(no_session_cookie(&below, false).contains("; Path=/wigo; Max-Age=0"));
    }
}
