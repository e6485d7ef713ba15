//! Prometheus Alertmanager, API v2: one alert for each incident, to each of several Alertmanagers.

use std::{collections::BTreeMap, time::Duration};

use super::{address::Address, client::Client};
use crate::config::Secret;

/// How long an alert lasts there when nothing more is heard from here.
pub const ENDS_AFTER: Duration = Duration::from_secs(24 * 3600);
/// What can be asked for instead, in seconds: five minutes to 30 days.
const MIN_ENDS_AFTER_S: u64 = 300;
const MAX_ENDS_AFTER_S: u64 = 30 * 86_400;

/// The keys of `Type = "alertmanager"`. With a token, login and password are not used.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `Urls`: where each Alertmanager is, such as `http://am1.example.org:9093`; with the path of
    /// `--web.route-prefix`, without `/api/v2`. One at least. All members of a cluster belong here.
    pub urls: Vec<Address>,
    /// `Login`: empty: none.
    pub login: String,
    /// `Password`
    pub password: Secret,
    /// `Token`: empty: none.
    pub token: Secret,
    /// `AlertLabels`: labels that each alert gets besides its own.
    pub labels: BTreeMap<String, String>,
    /// `EndsAfter`: [`ENDS_AFTER`]. Alertmanager takes a problem that was not repeated for so long as
    /// over, so `RenotifyInterval` should be shorter.
    pub ends_after: Duration,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &crate::config::Section<'_>) -> Settings {
        super::reading::check_login(entry);
        let ends_after = ENDS_AFTER.as_secs();
        Settings {
            urls: super::reading::addresses(entry, "Urls"),
            login: entry.string("Login", ""),
            password: entry.secret("Password"),
            token: entry.secret("Token"),
            labels: entry.section("AlertLabels").named_texts(|name, _| {
                let is_name = !name.starts_with(|c: char| c.is_ascii_digit())
                    && !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                match is_name {
                    true => Ok(()),
                    false => Err(format!("`{}` is no name of a label there", name.escape_debug())),
                }
            }),
            ends_after: entry.seconds("EndsAfter", ends_after, MIN_ENDS_AFTER_S..=MAX_ENDS_AFTER_S),
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Alertmanager {
    settings: Settings,
    client: Client,
}

impl Alertmanager {
    pub fn new(settings: Settings, client: Client) -> Alertmanager {
        Alertmanager { settings, client }
    }
}
