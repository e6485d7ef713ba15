//! `[Global]`: who this agent is and where its files are.

use std::{path::PathBuf, time::Duration};

use super::section::Section;

/// The longest time without news after which a remote counts as down, in seconds: a day.
const MAX_ALIVE_TIMEOUT_S: u64 = 86_400;
/// The longest time that history is kept, in days: ten years.
const MAX_HISTORY_DAYS: u32 = 3_650;
/// The longest name of a host or a group, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// The section `[Global]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// The name of this host; where the file has none, the system's.
    pub hostname: String,
    /// The group of this host, never empty.
    pub group: String,
    /// Empty when there is none.
    pub log_file: PathBuf,
    /// The folder with a folder for each interval.
    pub probes_directory: PathBuf,
    /// The folder in which probes look for their own configuration.
    pub probes_config_directory: PathBuf,
    pub uuid_file: PathBuf,
    /// The SQLite file.
    pub database: PathBuf,
    /// A direct remote that was silent for longer is down.
    pub alive_timeout: Duration,
    pub debug: bool,
    pub trace: bool,
    /// How long values of probes are kept; 0 keeps none.
    pub metrics_retention_days: u32,
    /// How long changes of status are kept; 0 keeps none.
    pub status_history_days: u32,
}

impl Global {
    pub(super) fn read(section: &Section<'_>) -> Global {
        let hostname = section.parsed("Hostname", name).unwrap_or_else(system_hostname);
        Global {
            hostname,
            group: group(section),
            log_file: section.string("LogFile", "/var/log/wigo.log").into(),
            probes_directory: section.path("ProbesDirectory", "/usr/local/wigo/probes"),
            probes_config_directory: section.path("ProbesConfigDirectory", "/etc/wigo/conf.d"),
            uuid_file: section.path("UuidFile", "/var/lib/wigo/uuid"),
            database: section.path("Database", "/var/lib/wigo/wigo.db"),
            alive_timeout: section.seconds("AliveTimeout", 60, 1..=MAX_ALIVE_TIMEOUT_S),
            debug: section.boolean("Debug", false),
            trace: section.boolean("Trace", false),
            metrics_retention_days: section.integer(
                "MetricsRetentionDays",
                7,
                0..=MAX_HISTORY_DAYS,
            ),
            status_history_days: section.integer("StatusHistoryDays", 30, 0..=MAX_HISTORY_DAYS),
        }
    }
}

/// Files without the key and files with an empty one have long been two different groups.
fn group(section: &Section<'_>) -> String {
    let default = if section.has("Group") { "local" } else { "none" };
    section.parsed("Group", name).unwrap_or_else(|| default.to_owned())
}

fn name(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a name, not only spaces".to_owned()),
        name if name.len() > MAX_NAME_BYTES => Err(format!("at most {MAX_NAME_BYTES} bytes long")),
        name => Ok(name.to_owned()),
    }
}

/// What the kernel says, else `localhost`.
fn system_hostname() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    self::name(&name).unwrap_or_else(|_| "localhost".to_owned())
}
