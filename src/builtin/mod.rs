//! The probes inside `wigo-probe`: what every host should know about itself, at almost no cost.
//!
//! One small executable answers to the name it is called by, so that `probes/60/hardware_memory` is a
//! link to it. It runs every minute on every host: a probe here is a plain function that reads a few
//! files of `/proc`; no runtime, no thread, no argument parser is started on its way. Each probe splits
//! in two: reading, and a pure function that judges the text that was read.
//!
//! `answer` is what a probe says, `failure` why it could not, `settings` its configuration, `pattern`
//! the regular expressions in it, `file` and `state` the two ways to the disk, `counters` the rates.

mod answer;
mod counters;
mod failure;
mod file;
mod pattern;
mod settings;
mod state;

mod check_process;
mod check_readonly_filesystem;
mod check_uptime;
mod hardware_disks;
mod hardware_load_average;
mod hardware_memory;
mod ifstat;
mod iostat;

pub use answer::Answer;
pub use failure::Failure;

use std::fs;
use std::path::{Path, PathBuf};

/// Every probe, by the name it answers to: the one place to register a new one.
pub const PROBES: &[(&str, Probe)] = &[
    ("check_process", check_process::run),
    ("check_readonly_filesystem", check_readonly_filesystem::run),
    ("check_uptime", check_uptime::run),
    ("hardware_disks", hardware_disks::run),
    ("hardware_load_average", hardware_load_average::run),
    ("hardware_memory", hardware_memory::run),
    ("ifstat", ifstat::run),
    ("iostat", iostat::run),
];

/// One run of a probe: what it found, or why it found nothing.
pub type Probe = fn(&Call) -> Result<Answer, Failure>;

/// Links followed from the name called to the name of a probe, as many as the kernel follows.
const MAX_LINKS: usize = 40;

/// Where a probe was called: which probe it is, under which name, with which folders.
#[derive(Clone, Debug)]
pub struct Call {
    /// The file name it was called by: it names the configuration and the state.
    pub name: String,
    /// The probe behind the name.
    pub probe: Probe,
    /// Folder of the configuration files (`WIGO_PROBE_CONFIG_ROOT`).
    pub config_root: PathBuf,
    /// Folder that the agent gave for state (`WIGO_PROBE_STATE`); none when started by hand.
    pub state_root: Option<PathBuf>,
}

impl Call {
    /// The call behind a path such as `argv[0]`, with the folders that the environment names.
    ///
    /// An unknown name is followed through its links, so that `my_disks -> ../examples/hardware_disks`
    /// is `hardware_disks` with the configuration `my_disks.conf`. `None` when that leads to no probe.
    pub fn from_path(path: &Path) -> Option<Call> {
        let folder =
            |key| std::env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
        Some(Call {
            name: path.file_name()?.to_str()?.to_owned(),
            probe: resolve(path)?,
            config_root: folder("WIGO_PROBE_CONFIG_ROOT")
                .unwrap_or_else(|| PathBuf::from("/etc/wigo/conf.d")),
            state_root: folder("WIGO_PROBE_STATE"),
        })
    }

    /// Runs the probe. Returns the line to print and the exit code.
    pub fn answer(&self) -> (String, u8) {
        match (self.probe)(self) {
            Ok(answer) => (answer.to_line(), 0),
            Err(failure) => (Answer::from(&failure).to_line(), failure.exit_code()),
        }
    }
}

/// The probe that a path stands for: by its own name, else by the name of what it links to.
fn resolve(path: &Path) -> Option<Probe> {
    let mut here = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        let name = here.file_name()?.to_str()?;
        if let Some((_, probe)) = PROBES.iter().find(|(known, _)| *known == name) {
            return Some(*probe);
        }
        let target = fs::read_link(&here).ok()?;
        here = here.parent()?.join(target);
    }
    None
}

#[cfg(test)]
mod tests;
