//! Messages over XMPP (Jabber).

use std::path::PathBuf;

use crate::config::{Secret, Section};

/// Who we are there, and whom to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `From`: our address, `wigo@example.org`.
    pub from: String,
    /// `Password`.
    pub password: Secret,
    /// `To`: addresses.
    pub to: Vec<String>,
    /// `CaFile`: certificates that the server's has to be signed by; `None`: those the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        if !cfg!(feature = "xmpp") && !entry.is_rehearsal() {
            let message = "this wigo was built without XMPP".to_owned();
            entry.error("Type", message, "build it with the feature `xmpp`, or use another type");
        }
        for key in ["From", "To"] {
            entry.need(key);
        }
        Settings {
            from: entry.parsed("From", address).unwrap_or_default(),
            password: entry.needed_secret("Password"),
            to: entry.parsed_list("To", address),
            ca_file: entry.optional_path("CaFile"),
        }
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
