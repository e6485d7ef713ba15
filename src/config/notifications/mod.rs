//! `[Notifications]`: what people are told, when, and over which channel.
//!
//! What is decided by it is read into the types of `notify::rules`; the channels of the original and those
//! of `[[Notifications.Channels]]` become one list.

mod channels;
mod original;
mod routes;
mod times;

use std::time::Duration;

use hyper::Uri;

use super::{
    endpoint::{self, Endpoint},
    section::Section,
};
use crate::notify::rules::{Backoff, Confirm, Flapping, GroupBy, Matcher, Quiet, Repeat};
pub use channels::ChannelConfig;

/// The longest time for repeats, escalation and the like, in seconds: 30 days.
const MAX_WAIT_S: u64 = 30 * 86_400;
/// The longest time that a message waits for others, in seconds: an hour.
const MAX_GROUPING_S: u64 = 3_600;
/// The shortest time after which a message that could not be delivered is given up, in seconds.
const MIN_EXPIRY_S: u64 = 60;
/// The most changes of status that flap detection counts.
const MAX_FLAP_THRESHOLD: u32 = 1_000;
/// The most runs that are looked at before a change counts.
const MAX_CONFIRM_RUNS: u32 = 100;
/// The most repeats after which waits may still grow.
const MAX_BACKOFF_LIMIT: u32 = 100;
/// The longest pause between two looks at witnesses, in seconds.
const MAX_WITNESS_INTERVAL_S: u64 = 3_600;
/// The most witnesses.
const MAX_WITNESSES: usize = 16;

/// The section `[Notifications]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Notifications {
    /// The lowest status that is worth a message.
    pub min_level_to_send: u16,
    pub on_probe_change: bool,
    /// Hosts going down and up.
    pub on_host_change: bool,
    /// Only recoveries are sent.
    pub rescue_only: bool,
    /// `None`: changes are not counted.
    pub flapping: Option<Flapping>,
    /// The first that matches counts; the last one matches all.
    pub confirm: Vec<Confirm>,
    pub group_by: GroupBy,
    /// How long the first message of an incident waits for more.
    pub group_wait: Duration,
    /// Within this time what breaks joins an incident.
    pub group_window: Duration,
    /// `None`: a message is not repeated.
    pub repeat: Option<Repeat>,
    /// When channels for escalation are told as well; zero: never.
    pub escalate_after: Duration,
    pub quiet_hours: Option<Quiet>,
    /// Where browsers find the page, without a `/` at the end; empty: messages have no links.
    pub page_url: String,
    /// If none of these can be reached, it is our own network that is gone.
    pub witnesses: Vec<Endpoint>,
    pub witness_interval: Duration,
    /// How long a message waits for its delivery.
    pub expire_after: Duration,
    /// In the order of the file, after those of the original; names are unique.
    pub channels: Vec<ChannelConfig>,
}

impl Notifications {
    pub(super) fn read(section: &Section<'_>) -> Notifications {
        // The second name is the one in older samples.
        let on_host_change =
            section.boolean("OnHostChange", false) | section.boolean("OnWigoChange", false);
        let notifications = Notifications {
            min_level_to_send: section.level("MinLevelToSend", 101),
            on_probe_change: section.boolean("OnProbeChange", false),
            on_host_change,
            rescue_only: section.boolean("RescueOnly", false),
            flapping: flapping(section),
            confirm: confirm(section),
            group_by: section.parsed("GroupBy", group_by).unwrap_or(GroupBy::Host),
            group_wait: section.seconds("GroupWait", 0, 0..=MAX_GROUPING_S),
            group_window: section.seconds("GroupWindow", 30, 0..=MAX_GROUPING_S),
            repeat: repeat(section),
            escalate_after: section.seconds("EscalateAfter", 0, 0..=MAX_WAIT_S),
            quiet_hours: times::quiet_hours(section),
            page_url: section.parsed("PageUrl", page_url).unwrap_or_default(),
            witnesses: witnesses(section),
            witness_interval: section.seconds("WitnessInterval", 30, 1..=MAX_WITNESS_INTERVAL_S),
            expire_after: section.seconds("ExpireAfter", 86_400, MIN_EXPIRY_S..=MAX_WAIT_S),
            channels: channels::read(section),
        };
        notifications.warn_of_what_is_never_told(section);
        notifications
    }

    /// Channels that nothing ever reaches, as far as that can be seen from here.
    fn warn_of_what_is_never_told(&self, section: &Section<'_>) {
        let asked = section.has("Channels") && !self.channels.is_empty();
        if asked && !self.on_probe_change && !self.on_host_change {
            let message = "there are channels, and neither probes nor hosts are told of".to_owned();
            section.warn(
                "Channels",
                message,
                "set `OnProbeChange`, `OnHostChange` or both to true",
            );
        }
        let any = |wanted: fn(&ChannelConfig) -> bool| self.channels.iter().any(wanted);
        if any(|channel| channel.escalation) && self.escalate_after.is_zero() {
            let message =
                "a channel for escalation is never told without `EscalateAfter`".to_owned();
            section.warn("EscalateAfter", message, "set it to a number of seconds");
        }
        if !self.escalate_after.is_zero() && !any(|channel| channel.escalation) {
            let message = "`EscalateAfter` has no effect: no channel has `Escalation`".to_owned();
            section.warn("EscalateAfter", message, "set `Escalation = true` for one");
        }
        if any(|channel| channel.reminders_only) && self.repeat.is_none() {
            let message =
                "a channel for reminders is never told without `RenotifyInterval`".to_owned();
            section.warn("RenotifyInterval", message, "set it to a number of seconds");
        }
    }
}

fn flapping(section: &Section<'_>) -> Option<Flapping> {
    let flapping = Flapping {
        window: section.seconds("FlapWindow", 3_600, 1..=MAX_WAIT_S),
        threshold: section.integer("FlapThreshold", 5, 2..=MAX_FLAP_THRESHOLD),
    };
    section.boolean("FlapDetection", true).then_some(flapping)
}

/// `[[Notifications.Confirm]]`, and for all others the two keys of the section.
fn confirm(section: &Section<'_>) -> Vec<Confirm> {
    let mut rules = section.list("Confirm", |entry| {
        let (runs, of) = runs(entry, "Runs", "Of");
        Confirm { matches: routes::matcher(entry), runs, of }
    });
    let (runs, of) = runs(section, "ConfirmRuns", "ConfirmOf");
    rules.push(Confirm { matches: Matcher::default(), runs, of });
    rules
}

/// How many runs of how many; without the second, all of the first.
fn runs(section: &Section<'_>, key: &'static str, of_key: &'static str) -> (u32, u32) {
    let runs = section.integer(key, 1, 1..=MAX_CONFIRM_RUNS);
    let of = section.integer(of_key, runs, 1..=MAX_CONFIRM_RUNS);
    if runs > of {
        let message = format!("{} is more than `{of_key}`", section.name_of(key));
        section.error(key, message, "of 3 runs at most 3 can say so");
    } else if runs * 2 <= of {
        let message = format!("{} must be more than half of `{of_key}`", section.name_of(key));
        let help = "else both would be confirmed at once: that it is bad and that it is well";
        section.error(key, message, help);
    }
    (runs, of)
}

fn group_by(text: &str) -> Result<GroupBy, String> {
    match text.trim() {
        "host" => Ok(GroupBy::Host),
        "group" => Ok(GroupBy::Group),
        text => match text.strip_prefix("label:").map(str::trim) {
            Some(label) if !label.is_empty() => Ok(GroupBy::Label(label.to_owned())),
            _ => Err("\"host\", \"group\" or \"label:\" with the name of a label".to_owned()),
        },
    }
}

fn repeat(section: &Section<'_>) -> Option<Repeat> {
    let interval = section.seconds("RenotifyInterval", 0, 0..=MAX_WAIT_S);
    let repeat = Repeat {
        interval,
        backoff: section.parsed("RenotifyBackoff", backoff).unwrap_or(Backoff::None),
        limit: section.integer("RenotifyBackoffLimit", 3, 1..=MAX_BACKOFF_LIMIT),
        raise: section.boolean("RenotifyRaisesPriority", false),
    };
    if interval.is_zero() && (repeat.backoff != Backoff::None || repeat.raise) {
        let key = if repeat.raise { "RenotifyRaisesPriority" } else { "RenotifyBackoff" };
        let message = format!("`{key}` has no effect without `RenotifyInterval`");
        section.warn(key, message, "set `RenotifyInterval` to a number of seconds");
    }
    (!interval.is_zero()).then_some(repeat)
}

fn backoff(text: &str) -> Result<Backoff, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "none" => Ok(Backoff::None),
        "linear" => Ok(Backoff::Linear),
        "square" => Ok(Backoff::Square),
        "cubic" => Ok(Backoff::Cubic),
        _ => Err("\"none\", \"linear\", \"square\" or \"cubic\"".to_owned()),
    }
}

fn page_url(text: &str) -> Result<String, String> {
    let address = text.trim().trim_end_matches('/');
    let is_web = address.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    match is_web && !address.contains(['?', '#', '@']) {
        true => Ok(address.to_owned()),
        false => Err("the address of the page, such as \"https://wigo.example.org\"".to_owned()),
    }
}

fn witnesses(section: &Section<'_>) -> Vec<Endpoint> {
    let witness = |text: &str| match endpoint::split(text)? {
        (_, None | Some("" | "0")) => {
            Err("a host with its port, such as \"192.0.2.1:53\"".to_owned())
        }
        _ => Endpoint::parse(text, 0),
    };
    let mut witnesses = section.parsed_list("Witnesses", witness);
    if witnesses.len() > MAX_WITNESSES {
        let message = format!("`Witnesses` has more than {MAX_WITNESSES} entries");
        section.error("Witnesses", message, "two or three that fail independently are enough");
        witnesses.truncate(MAX_WITNESSES);
    }
    witnesses
}

#[cfg(test)]
mod tests;
