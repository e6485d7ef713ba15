//! `hardware_disks`: space and inodes of the local file systems, with the percentages of `df`.
//!
//! `mounts` reads the table of mounts and says which are local, `usage` does the arithmetic.

mod mounts;
mod usage;

use std::collections::BTreeMap;
use std::path::Path;

use rustix::io::Errno;
use serde::Deserialize;
use serde_json::json;

use super::pattern::{Pattern, Whole, any};
use super::{Answer, Call, Failure, file, settings};
use crate::status::Status;
use mounts::Mount;
use usage::{Usage, human};

/// A disk that fills up is announced louder than other warnings.
const DISK_WARN: i64 = 250;

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Settings {
    /// Percent of the space in use.
    warn_level: f64,
    crit_level: f64,
    /// Percent of the inodes in use, the same as for the space unless given.
    inode_warn_level: Option<f64>,
    inode_crit_level: Option<f64>,
    /// Device, mount point or type of file systems that are left alone.
    excluded_partitions: Vec<Pattern<Whole>>,
    /// Device or mount point → levels of its own.
    level_overrides: BTreeMap<String, Override>,
}

/// Levels of one file system; what is not given is as everywhere.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Override {
    warn_level: Option<f64>,
    crit_level: Option<f64>,
    inode_warn_level: Option<f64>,
    inode_crit_level: Option<f64>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            warn_level: 80.0,
            crit_level: 95.0,
            inode_warn_level: None,
            inode_crit_level: None,
            excluded_partitions: Pattern::fixed([
                "rootfs",
                "tmpfs",
                "cgmfs",
                "devtmpfs",
                "udev",
                "none",
                "/vz/private/.*",
                "/dev/loop.*",
                "/snap/.*",
                "/sys/firmware/efi/efivars",
                "efivarfs",
            ]),
            level_overrides: BTreeMap::new(),
        }
    }
}

/// Percentages above which a status is raised.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limits {
    warn: f64,
    crit: f64,
}

impl Limits {
    fn status(self, percentage: u64) -> Status {
        if percentage as f64 > self.crit {
            Status::CRIT
        } else if percentage as f64 > self.warn {
            Status::new(DISK_WARN).expect("250 is on the scale")
        } else {
            Status::OK
        }
    }
}

impl Settings {
    fn excludes(&self, mount: &Mount) -> bool {
        let excluded = |text: &str| any(&self.excluded_partitions, text);
        excluded(&mount.device) || excluded(&mount.point.to_string_lossy()) || excluded(&mount.kind)
    }

    /// Limits for space and for inodes. The mount point says more than the device.
    fn limits(&self, mount: &Mount) -> (Limits, Limits) {
        let named = |name: &str| self.level_overrides.get(name).copied();
        let own = named(&mount.point.to_string_lossy()).or_else(|| named(&mount.device));
        let own = own.unwrap_or_default();
        let space = Limits {
            warn: own.warn_level.unwrap_or(self.warn_level),
            crit: own.crit_level.unwrap_or(self.crit_level),
        };
        let inodes = Limits {
            warn: own.inode_warn_level.or(self.inode_warn_level).unwrap_or(space.warn),
            crit: own.inode_crit_level.or(self.inode_crit_level).unwrap_or(space.crit),
        };
        (space, inodes)
    }
}

pub(super) fn run(call: &Call) -> Result<Answer, Failure> {
    let settings: Settings = settings::load(call)?.unwrap_or_default();
    let table = file::read_proc_bytes("/proc/self/mounts")?;
    let mounts = mounts::local(&table, |mount| !settings.excludes(mount));
    let measured = mounts.into_iter().map(|mount| {
        let usage = measure(&mount.point);
        (mount, usage)
    });
    Ok(judge(measured, &settings))
}

/// `Ok(None)` where there is nothing to measure.
fn measure(point: &Path) -> Result<Option<Usage>, Errno> {
    match rustix::fs::statvfs(point) {
        Ok(stat) => Ok(Usage::new(&stat)),
        // Below a folder of another user, or unmounted meanwhile.
        Err(Errno::ACCESS | Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn judge(
    measured: impl Iterator<Item = (Mount, Result<Option<Usage>, Errno>)>,
    settings: &Settings,
) -> Answer {
    let mut answer = Answer::new("no local file system found");
    let mut worst = None;
    for (mount, usage) in measured {
        let point = mount.point.to_string_lossy();
        // What to say about this one: worst status first, then the fullest.
        let rank = match usage {
            Ok(None) => continue,
            Ok(Some(usage)) => report(&mut answer, &mount, &usage, settings.limits(&mount)),
            Err(error) => {
                let device = &mount.device;
                answer.note(device, json!({ "MountPoint": point, "Error": error.to_string() }));
                let sentence = format!("cannot read `{device}` on `{point}`: {error}");
                (Status::CRIT, 100, sentence)
            }
        };
        answer.raise(rank.0);
        if worst
            .as_ref()
            .is_none_or(|worst: &(Status, u64, String)| (rank.0, rank.1) > (worst.0, worst.1))
        {
            worst = Some(rank);
        }
    }
    if let Some((_, _, sentence)) = worst {
        answer.say(sentence);
    }
    answer
}

/// Metrics and detail of one file system; returns its status, its percentage and the sentence for it.
fn report(
    answer: &mut Answer,
    mount: &Mount,
    usage: &Usage,
    (space, inodes): (Limits, Limits),
) -> (Status, u64, String) {
    let (device, point) = (mount.device.as_str(), mount.point.to_string_lossy());
    let percentage = usage.percentage();
    let tags = [("Partition", device), ("MountPoint", &point)];
    answer.measure(&tags, percentage as f64);
    let mut detail = json!({
        "MountPoint": point,
        "Size": human(usage.size),
        "Used": human(usage.used),
        "Free": human(usage.free),
        "Percentage": percentage,
    });
    let free = human(usage.free);
    let mut rank = (
        space.status(percentage),
        percentage,
        format!("{percentage}% of `{device}` on `{point}` used, {free} free"),
    );
    if let Some(percentage) = usage.inode_percentage() {
        answer.measure(&[tags[0], tags[1], ("metric", "inodes")], percentage as f64);
        detail["InodePercentage"] = percentage.into();
        detail["InodesFree"] = usage.inodes_free.into();
        let status = inodes.status(percentage);
        if status > rank.0 {
            let free = usage.inodes_free;
            let sentence =
                format!("{percentage}% of the inodes of `{device}` on `{point}` used, {free} free");
            rank = (status, percentage, sentence);
        }
    }
    answer.note(device, detail);
    rank
}

#[cfg(test)]
mod tests;
