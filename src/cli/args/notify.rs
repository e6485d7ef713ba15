//! The command line of what people are told: why, incidents, what holds messages back.

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Subcommand};

use super::since;

/// The most rows that can be asked for at once.
const MAX_ROWS: i64 = 500;

/// A host, or one of its probes.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct WhyArgs {
    /// Host name or uuid
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub host: String,
    /// One of its probes; without it, the host itself
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub probe: Option<String>,
    /// What was decided by then: an age (1h, 2d), a date (2025-03-04T09:15:00Z) or Unix seconds
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub at: Option<i64>,
    /// At most so many decisions, the newest
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
}

/// Which incidents to show.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct IncidentsArgs {
    /// One incident with all that is known of it; the first 8 digits of its id are enough
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    #[arg(conflicts_with_all = ["closed", "host", "probe", "group", "limit"])]
    pub id: Option<String>,
    /// Those that are over, the newest first
    #[arg(long)]
    pub closed: bool,
    /// With this host in it
    #[arg(long)]
    pub host: Option<String>,
    /// With a probe of this name in it
    #[arg(long)]
    pub probe: Option<String>,
    /// With a host of this group in it
    #[arg(long)]
    pub group: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MAX_ROWS))]
    pub limit: u32,
}

/// Who looks after what.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct AckArgs {
    /// Host name or uuid, or the id of an incident
    #[arg(value_name = "HOST|ID", value_parser = NonEmptyStringValueParser::new())]
    pub what: String,
    /// One probe of the host; without it, the host and all its probes
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub probe: Option<String>,
    /// Why, for those who wonder
    #[arg(long)]
    pub reason: Option<String>,
    /// Not longer than this: 30m, 4h, 7d; without it, until it is over or worse
    #[arg(long = "for", value_name = "TIME")]
    pub span: Option<String>,
}

/// Of what nothing is to be said.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(group = ArgGroup::new("whom").required(true).args(["host", "group", "labels"]))]
pub struct SilenceArgs {
    #[command(flatten)]
    pub covered: Covered,
    /// How long: 30m, 4h, 7d
    #[arg(long = "for", value_name = "TIME", value_parser = NonEmptyStringValueParser::new())]
    pub span: String,
    /// Why, for those who wonder
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub reason: String,
}

/// Of what something is to be said again.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(group = ArgGroup::new("whom").required(true).args(["host", "group", "labels", "id"]))]
pub struct UnsilenceArgs {
    #[command(flatten)]
    pub covered: Covered,
    /// The one of this number, as `wigocli held` shows it
    #[arg(long, value_name = "N", conflicts_with_all = ["probe", "of_probe"])]
    pub id: Option<u64>,
}

/// Whom a silence covers: one of host, group and labels.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Covered {
    /// Host name or uuid
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub host: Option<String>,
    /// One probe of the host; without it, the host and all its probes
    #[arg(value_parser = NonEmptyStringValueParser::new(), requires = "host")]
    pub probe: Option<String>,
    /// All hosts of this group, also those that join
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub group: Option<String>,
    /// All hosts with these labels: key=value,key=value
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub labels: Option<String>,
    /// Only this probe of them
    #[arg(long = "probe", value_name = "PROBE", id = "of_probe", conflicts_with = "host")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub of_probe: Option<String>,
}

impl Covered {
    /// The probe, whichever way it is named.
    pub fn probe(&self) -> Option<&str> {
        self.probe.as_deref().or(self.of_probe.as_deref())
    }
}

/// What to do about maintenance windows.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum MaintenanceAction {
    /// Show the windows: what is open first, then what opens next
    List,
    /// Make a window in which nothing is said
    Add(WindowArgs),
    /// Show when such a window would be open, and make none
    Preview(WindowArgs),
    /// Remove a window: what is bad is told then
    Remove {
        /// Its number, as it is listed
        id: u64,
    },
}

/// A maintenance window: once from `--from` to `--to` or for some time, or every week or month.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(group = ArgGroup::new("whom").required(true).args(["host", "group", "labels", "all"]))]
pub struct WindowArgs {
    /// What is done then
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
    /// This host
    #[arg(long)]
    pub host: Option<String>,
    /// All hosts of this group, also those that join
    #[arg(long)]
    pub group: Option<String>,
    /// All hosts with these labels: key=value,key=value
    #[arg(long)]
    pub labels: Option<String>,
    /// Everything
    #[arg(long)]
    pub all: bool,
    /// Only this probe
    #[arg(long, conflicts_with = "all")]
    pub probe: Option<String>,
    /// Why, for those who wonder
    #[arg(long)]
    pub reason: Option<String>,
    /// When it begins: 2025-03-04T09:15 (of the time zone), a date with offset, or Unix seconds; now if
    /// left out
    #[arg(long, value_name = "WHEN", conflicts_with = "every")]
    pub from: Option<String>,
    /// When it ends
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["every", "span"])]
    pub to: Option<String>,
    /// How long it is open: 30m, 4h, 2d
    #[arg(long = "for", value_name = "TIME", id = "span", required_unless_present = "to")]
    pub span: Option<String>,
    /// It comes again, every week or month
    #[arg(long, value_parser = ["week", "month"], requires = "days", requires = "at")]
    pub every: Option<String>,
    /// On which days: mon,sun or 1,15,last
    #[arg(long, requires = "every")]
    pub days: Option<String>,
    /// At what time of the day: 02:00
    #[arg(long, value_name = "TIME", requires = "every")]
    pub at: Option<String>,
    /// Of which time zone the times are, such as Europe/Paris; without it, that of the agent
    #[arg(long)]
    pub zone: Option<String>,
    /// After this it does not come back
    #[arg(long, value_name = "WHEN", requires = "every")]
    pub ends: Option<String>,
}

/// Which messages to show.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct NotificationsArgs {
    /// Those that nobody took and that are not tried any more
    #[arg(long, conflicts_with_all = ["waiting", "sent", "expired"])]
    pub dead: bool,
    /// Those that are not delivered yet
    #[arg(long, conflicts_with_all = ["sent", "expired"])]
    pub waiting: bool,
    /// Those that were delivered
    #[arg(long, conflicts_with = "expired")]
    pub sent: bool,
    /// Those that waited for too long
    #[arg(long)]
    pub expired: bool,
    /// About this host
    #[arg(long)]
    pub host: Option<String>,
    /// About this probe
    #[arg(long)]
    pub probe: Option<String>,
    /// Over this channel
    #[arg(long)]
    pub channel: Option<String>,
    /// Of this incident
    #[arg(long, value_name = "ID")]
    pub incident: Option<String>,
    /// From here on: an age (1h, 2d), a date (2025-03-04T09:15:00Z) or Unix seconds
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub since: Option<i64>,
    /// At most this many, the newest
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MAX_ROWS))]
    pub limit: u32,
}
