//! Messages over XMPP (Jabber). Without the feature `xmpp` only its settings are known, to say so.

use std::{path::PathBuf, time::Duration};

use super::kinds::{Built, Configured};
use crate::config::{Endpoint, Secret, Section};

#[cfg(feature = "xmpp")]
mod session;
#[cfg(feature = "xmpp")]
pub use session::Xmpp;

/// How long one attempt may take: a login and a few answers.
const LIMIT: Duration = Duration::from_secs(30);
/// The port of servers that say none.
const PORT: u16 = 5222;
/// The most recipients of one channel.
const MAX_RECIPIENTS: usize = 100;

/// The keys of `Type = "xmpp"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `From`: our address, `wigo@example.org`.
    pub from: String,
    /// `Password`.
    pub password: Secret,
    /// `To`: addresses. One at least.
    pub to: Vec<String>,
    /// `Server`: where the server of our address is; `None`: as DNS says.
    pub server: Option<Endpoint>,
    /// `CaFile`: certificates that the server's has to be signed by; `None`: those the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        if !cfg!(feature = "xmpp") && !entry.is_rehearsal() {
            let message = "this wigo was built without XMPP".to_owned();
            entry.error("Type", message, "build it with the feature `xmpp`, or use another type");
        }
        for key in ["From", "To"] {
            entry.need(key);
        }
        let to = entry.parsed_list("To", address);
        if to.len() > MAX_RECIPIENTS {
            let message = format!("`To` has more than {MAX_RECIPIENTS} addresses");
            entry.error("To", message, "make several channels of it");
        }
        Settings {
            from: entry.parsed("From", address).unwrap_or_default(),
            password: entry.needed_secret("Password"),
            to,
            server: entry.parsed("Server", |text| Endpoint::parse(text, PORT)),
            ca_file: entry.optional_path("CaFile"),
        }
    }
}

impl Settings {
    pub(super) fn limit(&self) -> Duration {
        LIMIT
    }

    #[cfg(feature = "xmpp")]
    pub(super) fn build(&self) -> Built {
        Ok(std::sync::Arc::new(Xmpp::new(self.clone())?))
    }

    #[cfg(not(feature = "xmpp"))]
    pub(super) fn build(&self) -> Built {
        Err("this wigo was built without XMPP".to_owned())
    }
}

/// `name@server`, with or without a resource.
fn address(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_some = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    match text.split_once('@') {
        Some((name, server)) if is_some(name) && is_some(server) && !server.contains('@') => {
            Ok(text.to_owned())
        }
        _ => {
            let shown = text.escape_debug();
            Err(format!("an address such as \"wigo@example.org\", not \"{shown}\""))
        }
    }
}
