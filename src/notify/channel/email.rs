//! Mail over SMTP: one mail to all recipients of a channel, each incident a thread.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lettre::{
    Address,
    transport::smtp::client::{Certificate, CertificateStore, TlsParameters},
};

use super::{
    Channel, Delivery, Sending,
    kinds::{Built, Configured},
    memory::Recipients,
};
use crate::config::{Endpoint, Secret, Section};

mod letter;
mod session;

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

/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The keys of `Type = "email"`; the original has `EmailSmtpServer`, `EmailRecipients`, `EmailFromName`,
/// `EmailFromAddress` for some of them.
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

impl Configured for Settings {
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

impl Settings {
    pub(super) fn limit(&self) -> Duration {
        LIMIT
    }

    pub(super) fn build(&self) -> Built {
        Ok(Arc::new(Email::new(self.clone())?))
    }
}

/// The channel.
pub struct Email {
    settings: Settings,
    /// How it is spoken of: host and port.
    server: String,
    from: Address,
    to: Vec<Address>,
    /// `None`: without TLS.
    tls: Option<TlsParameters>,
    recipients: Recipients,
}

impl Email {
    /// Reads the CA file: not for the runtime. The error says what cannot be used.
    pub fn new(settings: Settings) -> Result<Email, String> {
        let parse = |text: &String| {
            text.parse::<Address>().map_err(|error| format!("`{text}` is no mail address: {error}"))
        };
        let tls = match settings.security {
            Security::None => None,
            Security::Starttls | Security::Tls => Some(tls(&settings)?),
        };
        Ok(Email {
            server: settings.server.to_string(),
            from: parse(&settings.from)?,
            to: settings.to.iter().map(parse).collect::<Result<_, _>>()?,
            tls,
            settings,
            recipients: Recipients::default(),
        })
    }
}

fn tls(settings: &Settings) -> Result<TlsParameters, String> {
    crate::trust::install_provider();
    let mut builder = TlsParameters::builder(settings.server.host.clone());
    if let Some(path) = &settings.ca_file {
        let shown = path.display();
        let pem = std::fs::read(path)
            .map_err(|error| format!("the certificates in `{shown}` cannot be read: {error}"))?;
        let certificate = Certificate::from_pem(&pem)
            .map_err(|_| format!("`{shown}` holds no certificates in PEM form"))?;
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| format!("TLS cannot be set up on this machine: {error}"))
}

impl Channel for Email {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(async move {
            let letter = letter::write(&self.settings, &self.from, &self.to, delivery)?;
            let key = &delivery.message.key;
            let send = |open: Vec<usize>| self.hand_over(&letter, open);
            self.recipients.send_together(key, &self.settings.to, send).await
        })
    }
}

#[cfg(test)]
mod tests;
