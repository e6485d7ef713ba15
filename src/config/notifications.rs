//! `[Notifications]`: what people are told, when, and over which channel.

use std::{path::PathBuf, time::Duration};

use jiff::civil::Time;

use super::{
    endpoint::{self, Endpoint},
    secret::Secret,
    section::Section,
};

/// The highest number on the scale of statuses.
const MAX_LEVEL: u16 = 999;
/// The longest time for repeats, escalation and the like, in seconds: 30 days.
const MAX_WAIT_S: u64 = 30 * 86_400;
/// The most changes of status that flap detection counts.
const MAX_FLAP_THRESHOLD: u32 = 1_000;

/// The section `[Notifications]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Notifications {
    /// The lowest status that is worth a message.
    pub min_level_to_send: u16,
    pub on_probe_change: bool,
    /// Hosts going down and up.
    pub on_host_change: bool,
    pub flap_detection: bool,
    /// In how long a time changes are counted.
    pub flap_window: Duration,
    /// After how many changes in that time it is flapping.
    pub flap_threshold: u32,
    /// How often a message is repeated while the problem lasts; zero: never.
    pub renotify_interval: Duration,
    /// When targets for escalation are told as well; zero: never.
    pub escalate_after: Duration,
    pub quiet_hours: Option<QuietHours>,
    pub http: HttpCallback,
    pub email: Email,
    pub apprise: Apprise,
}

/// A time of day in which messages wait.
#[derive(Clone, Debug, PartialEq)]
pub struct QuietHours {
    /// Local time; later than `to` when the window holds midnight.
    pub from: Time,
    pub to: Time,
    /// What is at least this bad does not wait; 0: everything waits.
    pub min_level_to_send: u16,
}

/// The HTTP callback.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCallback {
    pub enabled: bool,
    /// Secret, because such addresses carry tokens.
    pub url: Secret,
}

/// When mail is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailMode {
    Off,
    Always,
    /// Only when the HTTP callback failed.
    AfterHttpFailure,
}

/// Mail.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    pub mode: EmailMode,
    pub smtp_server: Option<Endpoint>,
    pub recipients: Vec<String>,
    pub from_name: String,
    pub from_address: String,
}

/// The Apprise program.
#[derive(Clone, Debug, PartialEq)]
pub struct Apprise {
    pub enabled: bool,
    pub path: PathBuf,
    /// Told about everything.
    pub urls: Vec<Secret>,
    pub targets: Vec<AppriseTarget>,
}

/// Apprise addresses for some hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct AppriseTarget {
    pub name: String,
    pub urls: Vec<Secret>,
    /// Groups, in any capitals, `*` for all …
    pub groups: Vec<String>,
    /// … or hosts, likewise.
    pub hosts: Vec<String>,
    /// Told only when a problem lasts.
    pub escalation: bool,
}

impl Notifications {
    pub(super) fn read(section: &Section<'_>) -> Notifications {
        // The second name is the one in older samples.
        let on_host_change =
            section.boolean("OnHostChange", false) | section.boolean("OnWigoChange", false);
        let http = HttpCallback::read(section);
        Notifications {
            min_level_to_send: section.integer("MinLevelToSend", 101, 0..=MAX_LEVEL),
            on_probe_change: section.boolean("OnProbeChange", false),
            on_host_change,
            flap_detection: section.boolean("FlapDetection", true),
            flap_window: section.seconds("FlapWindow", 3_600, 1..=MAX_WAIT_S),
            flap_threshold: section.integer("FlapThreshold", 5, 2..=MAX_FLAP_THRESHOLD),
            renotify_interval: section.seconds("RenotifyInterval", 0, 0..=MAX_WAIT_S),
            escalate_after: section.seconds("EscalateAfter", 0, 0..=MAX_WAIT_S),
            quiet_hours: QuietHours::read(section),
            email: Email::read(section, http.enabled),
            http,
            apprise: Apprise::read(section),
        }
    }
}

impl QuietHours {
    fn read(section: &Section<'_>) -> Option<QuietHours> {
        let from = section.parsed("QuietHoursFrom", time_of_day);
        let to = section.parsed("QuietHoursTo", time_of_day);
        let min_level_to_send = section.integer("QuietHoursMinLevelToSend", 0, 0..=MAX_LEVEL);
        match (from, to) {
            (Some(from), Some(to)) if from != to => {
                return Some(QuietHours { from, to, min_level_to_send });
            }
            (Some(_), Some(_)) => {
                let message = "`QuietHoursFrom` and `QuietHoursTo` are the same".to_owned();
                section.warn("QuietHoursTo", message, "there are no quiet hours");
            }
            (Some(_), None) if section.is_blank("QuietHoursTo") => {
                let message = "`QuietHoursFrom` has no effect without `QuietHoursTo`".to_owned();
                section.warn("QuietHoursFrom", message, "set both, or neither");
            }
            (None, Some(_)) if section.is_blank("QuietHoursFrom") => {
                let message = "`QuietHoursTo` has no effect without `QuietHoursFrom`".to_owned();
                section.warn("QuietHoursTo", message, "set both, or neither");
            }
            _ => {}
        }
        None
    }
}

impl HttpCallback {
    fn read(section: &Section<'_>) -> HttpCallback {
        let enabled = section.on_off("HttpEnabled");
        let url = section.secret("HttpUrl");
        let is_http = ["http://", "https://"].iter().any(|scheme| url.expose().starts_with(scheme));
        if !url.is_empty() && !is_http {
            let message =
                "`HttpUrl` in [Notifications] must start with http:// or https://".to_owned();
            section.error("HttpUrl", message, "write the whole address of the receiver");
        }
        if enabled && url.is_empty() {
            let message = "`HttpEnabled` has no effect without `HttpUrl`".to_owned();
            section.warn("HttpEnabled", message, "set `HttpUrl`, or remove `HttpEnabled`");
        }
        HttpCallback { enabled, url }
    }
}

impl Email {
    fn read(section: &Section<'_>, http_enabled: bool) -> Email {
        let mode = match section.choice("EmailEnabled", 2) {
            0 => EmailMode::Off,
            1 => EmailMode::Always,
            _ => EmailMode::AfterHttpFailure,
        };
        let email = Email {
            mode,
            smtp_server: section.parsed("EmailSmtpServer", smtp_server),
            recipients: section.parsed_list("EmailRecipients", mail_address),
            from_name: section.string("EmailFromName", ""),
            from_address: section.parsed("EmailFromAddress", mail_address).unwrap_or_default(),
        };
        if mode == EmailMode::AfterHttpFailure && !http_enabled {
            let message =
                "`EmailEnabled = 2` sends only after a failed HTTP callback, which is off";
            section.warn("EmailEnabled", message.to_owned(), "write 1 to always send mail");
        }
        let missing = [
            ("EmailSmtpServer", section.is_blank("EmailSmtpServer")),
            ("EmailRecipients", email.recipients.is_empty()),
            ("EmailFromAddress", email.from_address.is_empty()),
        ];
        for (key, _) in missing.iter().filter(|(_, missing)| *missing && mode != EmailMode::Off) {
            let message = format!("`EmailEnabled` has no effect without `{key}`");
            section.warn("EmailEnabled", message, "set it, or remove `EmailEnabled`");
        }
        email
    }
}

impl Apprise {
    fn read(section: &Section<'_>) -> Apprise {
        let apprise = Apprise {
            enabled: section.on_off("AppriseEnabled"),
            path: section.path("ApprisePath", "/usr/local/bin/apprise"),
            urls: section.secrets("AppriseUrls"),
            targets: section.list("AppriseTargets", AppriseTarget::read),
        };
        if apprise.enabled && apprise.urls.is_empty() && apprise.targets.is_empty() {
            let message = "`AppriseEnabled` has no effect without addresses".to_owned();
            let help = "set `AppriseUrls` or add [[Notifications.AppriseTargets]]";
            section.warn("AppriseEnabled", message, help);
        }
        apprise
    }
}

impl AppriseTarget {
    fn read(entry: &Section<'_>) -> AppriseTarget {
        let target = AppriseTarget {
            name: entry.string("Name", ""),
            urls: entry.secrets("Urls"),
            groups: entry.strings("Groups"),
            hosts: entry.strings("Hosts"),
            escalation: entry.boolean("Escalation", false),
        };
        if target.groups.is_empty() && target.hosts.is_empty() {
            let message = "this target has neither `Groups` nor `Hosts`".to_owned();
            entry.warn(
                "Name",
                message,
                "it is never told anything; write `Groups = [\"*\"]` for all",
            );
        }
        if target.urls.is_empty() {
            let message = "this target has no `Urls`".to_owned();
            entry.warn("Name", message, "name at least one address");
        }
        target
    }
}

fn time_of_day(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text.trim())
        .map_err(|_| format!("a time of day such as \"22:30\", not \"{}\"", text.escape_debug()))
}

fn smtp_server(text: &str) -> Result<Endpoint, String> {
    match endpoint::split(text)? {
        (_, None) => Err("a mail server with its port, such as \"smtp.example.org:25\"".to_owned()),
        _ => Endpoint::parse(text, 25),
    }
}

fn mail_address(text: &str) -> Result<String, String> {
    match text.trim().split_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() => Ok(text.trim().to_owned()),
        _ => Err(format!(
            "a mail address such as \"ops@example.org\", not \"{}\"",
            text.escape_debug()
        )),
    }
}
