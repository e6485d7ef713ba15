//! Mail over SMTP.

use std::path::PathBuf;

use lettre::Address;

use crate::config::{Endpoint, Secret, Section};

/// The most recipients of one channel.
const MAX_RECIPIENTS: usize = 100;

/// How the connection to the server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// TLS is asked for after the greeting, and nothing is sent without it.
    Starttls,
    /// TLS from the first byte.
    Tls,
}

impl Security {
    /// The port that is usual for it.
    fn port(self) -> u16 {
        match self {
            Security::None => 25,
            Security::Starttls => 587,
            Security::Tls => 465,
        }
    }

    fn read(word: &str) -> Result<Security, String> {
        match word.trim().to_ascii_lowercase().as_str() {
            "none" => Ok(Security::None),
            "starttls" => Ok(Security::Starttls),
            "tls" => Ok(Security::Tls),
            _ => Err("\"none\", \"starttls\" or \"tls\"".to_owned()),
        }
    }
}

/// Which server takes our mail, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `SmtpServer`.
    pub server: Endpoint,
    /// `Security`.
    pub security: Security,
    /// `Login`; empty: the server wants none.
    pub login: String,
    /// `Password`.
    pub password: Secret,
    /// `CaFile`: certificates that the server's has to be signed by; `None`: those the system trusts.
    pub ca_file: Option<PathBuf>,
    /// `From`, an address.
    pub from: String,
    /// `FromName`; may be empty.
    pub from_name: String,
    /// `To`, addresses.
    pub to: Vec<String>,
}

impl Settings {
    /// A server that wants neither a login nor TLS.
    pub fn plain(server: Endpoint) -> Settings {
        Settings {
            server,
            security: Security::None,
            login: String::new(),
            password: Secret::default(),
            ca_file: None,
            from: String::new(),
            from_name: String::new(),
            to: Vec::new(),
        }
    }
}

impl super::kinds::Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        let security = entry.parsed("Security", Security::read).unwrap_or(Security::Starttls);
        for key in ["SmtpServer", "From", "To"] {
            entry.need(key);
        }
        let server = entry.parsed("SmtpServer", |text| Endpoint::parse(text, security.port()));
        let settings = Settings {
            security,
            login: entry.string("Login", ""),
            password: entry.secret("Password"),
            ca_file: entry.optional_path("CaFile"),
            from: entry.parsed("From", address).unwrap_or_default(),
            from_name: entry.string("FromName", "Wigo"),
            to: entry.parsed_list("To", address),
            ..Settings::plain(server.unwrap_or(Endpoint { host: String::new(), port: 0 }))
        };
        if settings.to.len() > MAX_RECIPIENTS {
            let message = format!("`To` has more than {MAX_RECIPIENTS} addresses");
            entry.error("To", message, "write to a mailing list instead");
        }
        if settings.login.is_empty() != entry.is_blank("Password") {
            let message = "`Login` and `Password` belong together".to_owned();
            entry.error("Login", message, "set both, or neither");
        } else if !settings.login.is_empty() && security == Security::None {
            let message = "the password is sent unprotected with `Security = \"none\"`".to_owned();
            entry.warn("Security", message, "use \"starttls\" or \"tls\"");
        }
        settings
    }
}

/// An address that mail can be sent to.
pub fn address(text: &str) -> Result<String, String> {
    match text.trim().parse::<Address>() {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(_) => Err(format!(
            "a mail address such as \"ops@example.org\", not \"{}\"",
            text.escape_debug()
        )),
    }
}
