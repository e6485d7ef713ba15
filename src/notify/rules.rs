//! What the policy goes by: the configuration as plain data.

use std::{collections::BTreeMap, time::Duration};

use jiff::{civil::Time, tz::TimeZone};

use crate::{
    config::{self, Config},
    status::{Level, Status},
};

/// All rules. Durations of zero mean "never" or "at once", as said.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The name of this host and where its page is found, for messages; empty: no links.
    pub sender: String,
    pub page_url: String,
    /// The lowest status worth a message.
    pub min_level: Status,
    pub on_probe_change: bool,
    pub on_host_change: bool,
    /// Only recoveries are sent.
    pub rescue_only: bool,
    /// `None`: changes are not counted.
    pub flapping: Option<Flapping>,
    /// The first that matches counts; the last one matches all.
    pub confirm: Vec<Confirm>,
    pub group_by: GroupBy,
    /// How long the first message of an incident waits for more; zero: not at all.
    pub group_wait: Duration,
    /// Within this time what breaks joins the incident; and what joined is told once, at its end.
    pub group_window: Duration,
    pub repeat: Option<Repeat>,
    /// After this time an incident that lasts is told to channels for escalation too; zero: never.
    pub escalate_after: Duration,
    pub quiet: Option<Quiet>,
    pub dependencies: Vec<Dependency>,
    pub channels: Vec<Channel>,
    /// How long a message may wait for its delivery.
    pub expire: Duration,
    /// There are witnesses, so that we can be blind.
    pub has_witnesses: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Flapping {
    pub window: Duration,
    pub threshold: u32,
}

/// A change counts when `runs` of the last `of` runs say so, for the better and the worse: more than half.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    pub matches: Matcher,
    pub runs: u32,
    pub of: u32,
}

/// Which subjects. Lists that are empty match all; `*` in a name stands for any text; names of groups and
/// hosts match in any capitals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matcher {
    /// Groups or hosts: either will do, if both are given.
    pub groups: Vec<String>,
    pub hosts: Vec<String>,
    pub probes: Vec<String>,
    /// All of them must be there with that value.
    pub labels: BTreeMap<String, String>,
}

/// What becomes one incident, within the window.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupBy {
    Host,
    Group,
    Label(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    pub interval: Duration,
    pub backoff: Backoff,
    /// The number of repeats after which waits do not grow any more.
    pub limit: u32,
    /// Each reminder has a higher priority than the message before.
    pub raise: bool,
}

/// How waits between repeats grow: the interval times the number of the repeat to this power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    None,
    Linear,
    Square,
    Cubic,
}

/// A time of day in which messages wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Quiet {
    /// Later than `to` when it holds midnight.
    pub from: Time,
    pub to: Time,
    pub zone: TimeZone,
    /// What is at least this bad does not wait; `None`: everything waits.
    pub min_level: Option<Status>,
}

/// While one of `on` is down, nothing is said about what matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    pub group: Option<String>,
    pub host: Option<String>,
    pub on: Vec<String>,
}

/// A channel as the policy sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Unique.
    pub name: String,
    pub matches: Matcher,
    /// The lowest status for it; that of all channels counts too.
    pub min_level: Status,
    /// It is told only what lasts.
    pub escalation: bool,
    /// It is told nothing but reminders.
    pub reminders_only: bool,
    /// Only when the one that names it as its fallback has failed.
    pub only_fallback: bool,
    /// When it is told, on these days (1 Monday … 7 Sunday; none: all), between these times; what comes at
    /// another time is not for it.
    pub hours: Option<Hours>,
    /// Messages a minute; more become a digest.
    pub per_minute: u32,
}

/// Days of the week and a time of each. Earlier `to` than `from`: it holds midnight, and belongs to the day on
/// which it began. Both the same: the whole day.
#[derive(Clone, Debug, PartialEq)]
pub struct Hours {
    pub days: Vec<i8>,
    pub from: Time,
    pub to: Time,
    pub zone: TimeZone,
}

impl Rules {
    /// Those that a configuration says.
    pub fn of(config: &Config) -> Rules {
        let told = &config.notifications;
        Rules {
            sender: config.global.hostname.clone(),
            page_url: told.page_url.clone(),
            min_level: least(told.min_level_to_send),
            on_probe_change: told.on_probe_change,
            on_host_change: told.on_host_change,
            rescue_only: told.rescue_only,
            flapping: told.flapping.clone(),
            confirm: told.confirm.clone(),
            group_by: told.group_by.clone(),
            group_wait: told.group_wait,
            group_window: told.group_window,
            repeat: told.repeat.clone(),
            escalate_after: told.escalate_after,
            quiet: told.quiet_hours.clone(),
            dependencies: config.dependencies.iter().filter_map(dependency).collect(),
            channels: told.channels.iter().map(channel).collect(),
            expire: told.expire_after,
            has_witnesses: !told.witnesses.is_empty(),
        }
    }
}

/// What is OK is no problem, whatever the configuration says.
fn least(level: u16) -> Status {
    Status::new(level.into()).unwrap_or(Status::OK).max(Level::Info.least())
}

/// `None` for a rule that can do nothing; the configuration has warned of it.
fn dependency(rule: &config::Dependency) -> Option<Dependency> {
    let names_some = rule.group.is_some() || rule.host.is_some();
    let dependency = || Dependency {
        group: rule.group.clone(),
        host: rule.host.clone(),
        on: rule.depends_on.clone(),
    };
    (names_some && !rule.depends_on.is_empty()).then(dependency)
}

fn channel(channel: &config::ChannelConfig) -> Channel {
    Channel {
        name: channel.name.clone(),
        matches: channel.matches.clone(),
        min_level: channel.min_level.max(Level::Info.least()),
        escalation: channel.escalation,
        reminders_only: channel.reminders_only,
        only_fallback: channel.only_fallback,
        hours: channel.hours.clone(),
        per_minute: channel.per_minute,
    }
}

#[cfg(test)]
mod tests;
