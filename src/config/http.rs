//! `[Http]`: the API and the web page, and who may do what there.

use std::path::PathBuf;

use super::{secret::Secret, section::Section};

/// The port when the file names none; also that of remotes without one.
pub(super) const DEFAULT_PORT: u16 = 4000;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Nothing.
    None,
    /// See everything.
    Readonly,
    /// See and change everything.
    Operator,
}

/// The section `[Http]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    pub enabled: bool,
    /// The address to listen on; an IPv6 address without its brackets.
    pub address: String,
    /// 0: any free port.
    pub port: u16,
    pub ssl_enabled: bool,
    pub ssl_cert: PathBuf,
    pub ssl_key: PathBuf,
    /// Basic authentication needs both a login and a password.
    pub login: String,
    pub password: Secret,
    /// Whether answers are compressed.
    pub gzip: bool,
    /// Whether callers may enable, disable, re-time and run this host's probes.
    pub allow_write_actions: bool,
    /// What a caller without credentials may do.
    pub anonymous_role: Role,
}

impl Http {
    pub(super) fn read(section: &Section<'_>) -> Http {
        let login = section.string("Login", "");
        let password = section.secret("Password");
        warn_about_half_login(section, &login, &password, "nobody can log in");
        Http {
            enabled: section.boolean("Enabled", true),
            address: listen_address(section),
            port: section.integer("Port", DEFAULT_PORT, 0..=u16::MAX),
            ssl_enabled: section.boolean("SslEnabled", false),
            ssl_cert: section.path("SslCert", "/etc/wigo/ssl/wigo.crt"),
            ssl_key: section.path("SslKey", "/etc/wigo/ssl/wigo.key"),
            gzip: section.boolean("Gzip", true),
            allow_write_actions: section.boolean("AllowWriteActions", false),
            anonymous_role: anonymous_role(section, login.is_empty() && password.is_empty()),
            login,
            password,
        }
    }
}

/// Where to listen: a host without a port, all IPv4 addresses by default.
pub(super) fn listen_address(section: &Section<'_>) -> String {
    let host = |text: &str| match super::endpoint::split(text)? {
        (host, None) => Ok(host.to_owned()),
        (_, Some(_)) => Err("an address without a port; the port has a key of its own".to_owned()),
    };
    section.parsed("Address", host).unwrap_or_else(|| "0.0.0.0".to_owned())
}

/// A login without a password protects nothing, and the reverse.
pub(super) fn warn_about_half_login(
    section: &Section<'_>,
    login: &str,
    password: &Secret,
    effect: &str,
) {
    let (given, missing) = match (login.is_empty(), password.is_empty()) {
        (false, true) => ("Login", "Password"),
        (true, false) => ("Password", "Login"),
        _ => return,
    };
    let message = format!("{} without `{missing}`: {effect}", section.name_of(given));
    section.warn(given, message, "set both, or neither");
}

/// Who has set half of a login meant to lock the door, so it counts as locked.
fn anonymous_role(section: &Section<'_>, open: bool) -> Role {
    let role = section.string("AnonymousRole", "");
    match role.trim().to_ascii_lowercase().as_str() {
        "" if open => Role::Operator,
        "" | "none" => Role::None,
        "readonly" => Role::Readonly,
        "operator" => Role::Operator,
        _ => {
            let message = format!("`AnonymousRole` \"{}\" is unknown", role.escape_debug());
            let help =
                "it counts as \"readonly\"; allowed are \"none\", \"readonly\" and \"operator\"";
            section.warn("AnonymousRole", message, help);
            Role::Readonly
        }
    }
}
