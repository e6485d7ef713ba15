//! `[Http]`: the API and the web page, and who may do what there.

mod base_path;
mod users;

use std::{net::IpAddr, path::PathBuf};

use ipnet::IpNet;

use super::{secret::Secret, section::Section};
pub use base_path::BasePath;
pub use users::{MAX_NAME, User, changes_reading, check_hash, check_name};

/// The most names and addresses that one list of this section may have.
const MAX_LISTED: usize = 1_000;

/// The port when the file names none; also that of remotes without one.
pub(super) const DEFAULT_PORT: u16 = 4000;

/// What a caller may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Nothing.
    #[default]
    None,
    /// See everything.
    Readonly,
    /// See and change everything.
    Operator,
}

impl Role {
    /// One word, as it is configured, stored and answered.
    pub fn word(self) -> &'static str {
        match self {
            Role::None => "none",
            Role::Readonly => "readonly",
            Role::Operator => "operator",
        }
    }

    /// The role of this word, in any capitals.
    pub fn of(word: &str) -> Option<Role> {
        [Role::None, Role::Readonly, Role::Operator]
            .into_iter()
            .find(|role| word.trim().eq_ignore_ascii_case(role.word()))
    }

    /// The same for a configuration; the error says what is allowed.
    pub(super) fn read(word: &str) -> Result<Role, String> {
        Role::of(word).ok_or_else(|| ROLES.to_owned())
    }
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
    /// Below which path browsers see us.
    pub base_path: BasePath,
    /// Whether answers are compressed.
    pub gzip: bool,
    /// Whether callers may enable, disable, re-time and run this host's probes.
    pub allow_write_actions: bool,
    /// What a caller without credentials may do; `None`: everything as long as nobody can log in, then
    /// nothing.
    pub anonymous_role: Option<Role>,
    /// People who may log in, besides `login` and those in the database.
    pub users: Vec<User>,
    /// Names by which browsers may ask for us without a login, besides those that are known; `*` for all.
    pub host_names: Vec<String>,
    pub proxy: TrustedProxy,
}

/// The proxies in front of us that are believed, and what they may say of who asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustedProxy {
    pub addresses: Vec<IpNet>,
    /// The header with the name of who is logged in there; empty: none is believed.
    pub user_header: String,
    /// The header with their groups, separated by commas; empty: none.
    pub groups_header: String,
    pub operator_groups: Vec<String>,
    pub readonly_groups: Vec<String>,
    /// The role of those who are in none of these groups.
    pub role: Role,
}

impl TrustedProxy {
    /// Whether what comes from this address comes from such a proxy.
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.addresses.iter().any(|net| net.contains(&address))
    }

    /// What somebody in these groups may do.
    pub fn role_of(&self, groups: &[String]) -> Role {
        let is_in = |wanted: &[String]| wanted.iter().any(|group| groups.contains(group));
        match () {
            () if is_in(&self.operator_groups) => Role::Operator,
            () if is_in(&self.readonly_groups) => Role::Readonly.max(self.role),
            () => self.role,
        }
    }
}

impl Http {
    pub(super) fn read(section: &Section<'_>) -> Http {
        let login = section.string("Login", "");
        let password = section.secret("Password");
        warn_about_half_login(section, &login, &password, "nobody can log in");
        let users = users::read(section, &login);
        Http {
            enabled: section.boolean("Enabled", true),
            address: listen_address(section),
            port: section.integer("Port", DEFAULT_PORT, 0..=u16::MAX),
            ssl_enabled: section.boolean("SslEnabled", false),
            ssl_cert: section.path("SslCert", "/etc/wigo/ssl/wigo.crt"),
            ssl_key: section.path("SslKey", "/etc/wigo/ssl/wigo.key"),
            base_path: section.parsed("BasePath", BasePath::parse).unwrap_or_default(),
            gzip: section.boolean("Gzip", true),
            allow_write_actions: section.boolean("AllowWriteActions", false),
            anonymous_role: anonymous_role(section, &login, &password),
            login,
            password,
            users,
            host_names: host_names(section),
            proxy: trusted_proxy(section),
        }
    }

    /// Whether one name and password are configured for everybody.
    pub fn has_login(&self) -> bool {
        !self.login.is_empty() && !self.password.is_empty()
    }
}

/// Names as they stand in the `Host` header, without a port.
fn host_names(section: &Section<'_>) -> Vec<String> {
    let name = |text: &str| match super::endpoint::split(text) {
        _ if text == "*" => Ok(text.to_owned()),
        Ok((name, None)) => Ok(name.to_ascii_lowercase()),
        _ => Err("host names without a port, or \"*\" for all".to_owned()),
    };
    bounded(section, "HostNames", section.parsed_list("HostNames", name))
}

fn trusted_proxy(section: &Section<'_>) -> TrustedProxy {
    let net = |text: &str| {
        let single = || text.parse::<IpAddr>().map(IpNet::from);
        let explain = |_| {
            format!(
                "addresses such as \"127.0.0.1\" or \"10.0.0.0/8\", not \"{}\"",
                text.escape_debug()
            )
        };
        text.parse::<IpNet>().or_else(|_| single()).map_err(explain)
    };
    let header = |key| section.parsed(key, header_name).unwrap_or_default();
    let proxy = TrustedProxy {
        addresses: bounded(section, "TrustedProxies", section.parsed_list("TrustedProxies", net)),
        user_header: header("ProxyUserHeader"),
        groups_header: header("ProxyGroupsHeader"),
        operator_groups: section.strings("ProxyOperatorGroups"),
        readonly_groups: section.strings("ProxyReadonlyGroups"),
        role: section.parsed("ProxyRole", Role::read).unwrap_or_default(),
    };
    if proxy.addresses.is_empty() && !proxy.user_header.is_empty() {
        let message = "`ProxyUserHeader` without `TrustedProxies` is never believed".to_owned();
        section.warn("ProxyUserHeader", message, "name the addresses of the proxies");
    }
    proxy
}

/// The name of a header, in small letters.
fn header_name(text: &str) -> Result<String, String> {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // These say something else already.
    let is_taken = ["authorization", "cookie", "host", "origin"]
        .iter()
        .any(|taken| text.eq_ignore_ascii_case(taken));
    match is_name && !is_taken {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("the name of a header such as \"X-Forwarded-User\"".to_owned()),
    }
}

fn bounded<T>(section: &Section<'_>, key: &'static str, list: Vec<T>) -> Vec<T> {
    if list.len() > MAX_LISTED {
        let message = format!("{} has more than {MAX_LISTED} entries", section.name_of(key));
        section.error(key, message, "name networks instead of addresses, or \"*\"");
        return Vec::new();
    }
    list
}

/// What may be written where a role is wanted.
const ROLES: &str = "\"none\", \"readonly\" or \"operator\"";

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
fn anonymous_role(section: &Section<'_>, login: &str, password: &Secret) -> Option<Role> {
    let text = section.string("AnonymousRole", "");
    if text.trim().is_empty() {
        return (login.is_empty() != password.is_empty()).then_some(Role::None);
    }
    Some(Role::of(&text).unwrap_or_else(|| {
        let message = format!("`AnonymousRole` \"{}\" is unknown", text.escape_debug());
        let help = "it counts as \"readonly\"; allowed are \"none\", \"readonly\" and \"operator\"";
        section.warn("AnonymousRole", message, help);
        Role::Readonly
    }))
}
