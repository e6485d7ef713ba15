//! Where an agent is reached, and with which login.

use std::{fmt, path::PathBuf};

use super::Error;

/// Where an agent is reached, and with which login.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Scheme, host and port, without login and without a slash at the end: `http://127.0.0.1:4000`.
    pub url: String,
    /// Sent only if both login and password are non-empty.
    pub login: String,
    pub password: String,
    /// A certificate in PEM that is trusted exactly as it is, whatever host name it names, beside those
    /// of the system.
    pub ca_file: Option<PathBuf>,
}

impl Target {
    /// The agent whose `[Http]` section says this, asked from its own host.
    pub fn local(
        address: &str,
        port: u16,
        ssl: bool,
        login: &str,
        password: &str,
        ssl_cert: impl Into<PathBuf>,
    ) -> Target {
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        let host = match bare {
            "" | "0.0.0.0" => "127.0.0.1".into(),
            "::" => "[::1]".into(),
            bare if bare.contains(':') => format!("[{bare}]"),
            bare => bare.to_owned(),
        };
        let scheme = if ssl { "https" } else { "http" };
        Target {
            url: format!("{scheme}://{host}:{port}"),
            login: login.into(),
            password: password.into(),
            ca_file: ssl.then(|| ssl_cert.into()),
        }
    }

    /// The agent at an address that the user wrote, `https://user:password@host:port/path` with
    /// everything but scheme and host left out at will.
    pub fn at(url: &str) -> Result<Target, Error> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = host.rsplit_once('@').unwrap_or(("", host));
        let path = path.trim_end_matches('/');
        let wrong = |why| {
            let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
            Err(Error::Address { url: format!("{scheme}{host}{path}"), why })
        };
        if !matches!(scheme, "http" | "https") {
            return wrong("it does not begin with http:// or https://");
        }
        if host.is_empty() {
            return wrong("there is no host in it");
        }
        if path.contains(['?', '#']) || host.contains(['?', '#']) {
            return wrong("there is a query in it");
        }
        let (login, password) = user.split_once(':').unwrap_or((user, ""));
        let (Some(login), Some(password)) = (percent_decoded(login), percent_decoded(password))
        else {
            return wrong("its login is not percent-encoded UTF-8");
        };
        Ok(Target { url: format!("{scheme}://{host}{path}"), login, password, ca_file: None })
    }
}

impl Default for Target {
    /// The agent on this host with the settings it has without a configuration.
    fn default() -> Target {
        Target::local("", 4000, false, "", "", "")
    }
}

/// The password stays out of logs and crash texts.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target { url, login, password: _, ca_file } = self;
        write!(f, "Target {{ url: {url:?}, login: {login:?}, ca_file: {ca_file:?}, .. }}")
    }
}

/// `%40` is `@`; `None` if a `%` stands without two digits or the result is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// `text` as a segment of a path or a value of a query.
pub fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_agent_is_asked_where_it_listens() {
        let check = |address, ssl, url| {
            assert_eq!(Target::local(address, 4000, ssl, "", "", "/crt").url, url);
        };
        check("0.0.0.0", false, "http://127.0.0.1:4000");
        check("", false, "http://127.0.0.1:4000");
        check("::", false, "http://[::1]:4000");
        check("[::]", true, "https://[::1]:4000");
        check("fe80::1", false, "http://[fe80::1]:4000");
        check("[fe80::1]", false, "http://[fe80::1]:4000");
        check("192.0.2.1", true, "https://192.0.2.1:4000");
        check("hub.example.net", false, "http://hub.example.net:4000");
    }

    #[test]
    fn the_certificate_matters_only_with_tls() {
        assert_eq!(Target::local("", 1, false, "", "", "/crt").ca_file, None);
        assert_eq!(Target::local("", 1, true, "", "", "/crt").ca_file, Some("/crt".into()));
    }

    #[test]
    fn an_address_is_taken_apart() {
        let check = |url, bare: &str, login: &str, password: &str| {
            let target = Target::at(url).unwrap();
            let seen = (&*target.url, &*target.login, &*target.password);
            assert_eq!(seen, (bare, login, password), "{url}");
        };
        check("http://hub:4000", "http://hub:4000", "", "");
        check("https://hub/", "https://hub", "", "");
        check("https://hub/wigo/", "https://hub/wigo", "", "");
        check("http://me:p%40ss:w%3a@hub", "http://hub", "me", "p@ss:w:");
        check("http://me@[::1]:4000", "http://[::1]:4000", "me", "");
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_the_password() {
        let check = |url: &str, why: &str| {
            let error = Target::at(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        };
        check("hub:4000", "begin with http");
        check("me:secret@hub:4000", "begin with http");
        check("ftp://me:secret@hub", "begin with http");
        check("http://me:secret@", "no host");
        check("http://me:secret@hub/?a", "query");
        check("http://me:secret%zz@hub", "percent-encoded");
        check("http://me:secret%c3@hub", "percent-encoded");
        assert!(!format!("{:?}", Target::at("http://me:secret@hub").unwrap()).contains("secret"));
    }
}
