//! `[OpenIdConnect]`: people who sign in at a provider that others run.

use std::{net::IpAddr, path::PathBuf};

use hyper::Uri;

use super::{http::Role, secret::Secret, section::Section};

/// The route to which the provider sends people back.
const CALLBACK: &str = "/api/oidc/callback";

/// The section `[OpenIdConnect]`.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenIdConnect {
    pub enabled: bool,
    /// The provider, exactly as it calls itself.
    pub issuer: String,
    /// What the provider calls us.
    pub client_id: String,
    /// Empty: the provider asks for none (a public client).
    pub client_secret: Secret,
    /// Where the provider sends people back: our callback as their browsers reach it.
    pub redirect_url: String,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim with the name of a person; empty: the first there is of the usual ones.
    pub name_claim: String,
    /// The claim with the groups of a person; with dots for one within another.
    pub groups_claim: String,
    pub operator_groups: Vec<String>,
    pub readonly_groups: Vec<String>,
    /// What somebody may do who is in none of these groups.
    pub default_role: Role,
    /// What the button at the login page says.
    pub display_name: String,
    /// The certificates that the provider's has to be signed by; `None`: those the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl OpenIdConnect {
    pub(super) fn read(section: &Section<'_>) -> OpenIdConnect {
        let address = |key| section.parsed(key, web_address).unwrap_or_default();
        let redirect = address("RedirectUrl");
        let public = address("PublicUrl");
        let scopes = section.strings("Scopes");
        let or = |text: String, default: &str| if text.is_empty() { default.into() } else { text };
        let settings = OpenIdConnect {
            enabled: section.boolean("Enabled", false),
            issuer: address("Issuer"),
            client_id: section.string("ClientId", ""),
            client_secret: section.secret("ClientSecret"),
            redirect_url: match public.is_empty() {
                false if redirect.is_empty() => {
                    format!("{}{CALLBACK}", public.trim_end_matches('/'))
                }
                _ => redirect,
            },
            scopes: match section.has("Scopes") {
                true => scopes,
                false => ["profile", "email"].map(str::to_owned).into(),
            },
            name_claim: section.string("NameClaim", ""),
            groups_claim: or(section.string("GroupsClaim", ""), "groups"),
            operator_groups: section.strings("OperatorGroups"),
            readonly_groups: section.strings("ReadonlyGroups"),
            default_role: section.parsed("DefaultRole", Role::read).unwrap_or(Role::None),
            display_name: or(section.string("DisplayName", ""), "OpenID Connect"),
            ca_file: (!section.is_blank("CaFile")).then(|| section.path("CaFile", "")),
        };
        if settings.enabled {
            settings.check(section);
        }
        settings
    }

    fn check(&self, section: &Section<'_>) {
        for (key, value) in [("Issuer", &self.issuer), ("ClientId", &self.client_id)] {
            if value.is_empty() && section.is_blank(key) {
                let message = format!("{} is needed", section.name_of(key));
                section.error(key, message, "take it from the provider, or set `Enabled = false`");
            }
        }
        if self.redirect_url.is_empty()
            && section.is_blank("RedirectUrl")
            && section.is_blank("PublicUrl")
        {
            let message = format!("{} is needed", section.name_of("PublicUrl"));
            let help =
                "write the address under which browsers reach this wigo: \"https://wigo.example\"";
            section.error("PublicUrl", message, help);
        }
        let has_groups = !self.operator_groups.is_empty() || !self.readonly_groups.is_empty();
        if self.default_role == Role::None && !has_groups {
            let message =
                "nobody may do anything: no group has a role, and neither has who is in none";
            let help = "set `OperatorGroups`, `ReadonlyGroups` or `DefaultRole`";
            section.warn("OperatorGroups", message.to_owned(), help);
        }
    }
}

/// An address that nobody on the way can change: `https`, or `http` on this machine.
fn web_address(text: &str) -> Result<String, String> {
    match text.parse::<Uri>() {
        Ok(uri) if is_safe(&uri) && !text.contains(['?', '#']) => Ok(text.to_owned()),
        _ => Err("an address that begins with https:// (http:// only for this machine itself), without `?` \
                  and `#`"
            .into()),
    }
}

/// Whether what goes to this address is encrypted, or does not leave this machine.
pub fn is_safe(address: &Uri) -> bool {
    let Some(host) = address.host().filter(|host| !host.is_empty()) else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = bare.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    match address.scheme_str() {
        Some("https") => true,
        Some("http") => is_here,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{LoadError, parse};

    fn read(keys: &str) -> Result<OpenIdConnect, String> {
        match parse(&format!("[OpenIdConnect]\n{keys}"), Path::new("wigo.conf")) {
            Ok(loaded) => Ok(loaded.config.oidc),
            Err(LoadError::Invalid(problems)) => Err(problems.to_string()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_needed_is_asked_for_only_when_it_is_enabled() {
        assert!(!read("").unwrap().enabled);
        let said = read("Enabled = true").unwrap_err();
        for key in ["Issuer", "ClientId", "PublicUrl"] {
            assert!(said.contains(key), "{said}");
        }
    }

    #[test]
    fn the_callback_follows_from_the_public_address() {
        let keys = "Enabled = true\nIssuer = \"https://id.example/realm\"\nClientId = \"wigo\"\n";
        let settings = read(&format!("{keys}PublicUrl = \"https://wigo.example/\"")).unwrap();
        assert_eq!(settings.redirect_url, "https://wigo.example/api/oidc/callback");
        assert_eq!(settings.default_role, Role::None);
        assert_eq!(settings.scopes, ["profile", "email"]);
        let settings = read(&format!("{keys}RedirectUrl = \"https://wigo.example/back\"")).unwrap();
        assert_eq!(settings.redirect_url, "https://wigo.example/back");
    }

    #[test]
    fn plain_http_does_not_leave_this_machine() {
        for good in
            ["https://id.example", "http://127.0.0.1:80/x", "http://localhost", "http://[::1]:8"]
        {
            assert_eq!(web_address(good), Ok(good.to_owned()));
        }
        for bad in
            ["http://id.example", "ftp://localhost", "id.example", "https://", "https://a?b=c"]
        {
            assert!(web_address(bad).is_err(), "{bad}");
        }
        assert!(read("Issuer = \"http://id.example\"").unwrap_err().contains("https"));
        assert!(read("DefaultRole = \"admin\"").unwrap_err().contains("readonly"));
    }
}
