//! What runs when on one host, as it is told between instances and to whoever asks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    probe::{
        catalog::EXAMPLES,
        pool::{Off, Overview, Scheduled},
    },
    store::StoredDisabled,
    tree::Disabled,
};

/// Most probes of a schedule that is taken from another instance.
const MAX_PROBES: usize = 11_000;
/// Longest text in one, in characters.
const MAX_TEXT: usize = 4_096;

/// The probes of one host, on disk and in the schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Schedule {
    pub hostname: String,
    /// Whether this host's probes may be changed over its own API.
    pub write_actions_allowed: bool,
    pub probes: Vec<ScheduledProbe>,
    /// Probes that said they do not apply to this host (exit 13).
    pub skipped_probes: Vec<String>,
    /// Probes that somebody has switched off.
    pub disable_records: Vec<DisableRecord>,
    /// Probes that said they are switched off (exit 12).
    pub disabled_by_configuration: Vec<String>,
    pub not_run: Vec<NotRun>,
}

/// A probe in a schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct ScheduledProbe {
    pub name: String,
    /// The interval folder, or `examples` for a probe that is not enabled.
    pub directory: String,
    /// Seconds; 0 for a probe that is not enabled.
    pub interval: u32,
    pub enabled: bool,
    /// Unix seconds with fraction; null when it will not run.
    pub next_run: Option<f64>,
    /// Unix seconds with fraction: the end of the last run.
    pub last_run: Option<f64>,
    pub duration_ms: Option<f64>,
    pub cpu_ms: Option<f64>,
    pub peak_memory_bytes: Option<u64>,
    /// The dialect in which it answered.
    pub answer: Option<String>,
    pub skipped_runs: u64,
    /// Why it is not run although it is due.
    pub refused: Option<String>,
}

/// That somebody has switched a probe off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct DisableRecord {
    pub probe: String,
    pub reason: String,
    pub author: String,
    /// How often it ran before, in seconds.
    pub interval: u32,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; 0: until somebody switches it on.
    pub until: i64,
}

/// Something in the probes folder that is not run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct NotRun {
    pub path: String,
    pub why: String,
}

impl DisableRecord {
    /// As it is told.
    pub fn of(probe: &str, disabled: &Disabled) -> DisableRecord {
        DisableRecord {
            probe: probe.to_owned(),
            reason: disabled.reason.clone(),
            author: disabled.author.clone(),
            interval: disabled.interval,
            created_at: disabled.created.as_second(),
            until: disabled.until.map_or(0, jiff::Timestamp::as_second),
        }
    }
}

impl Schedule {
    /// As the pool has it.
    pub(super) fn new<'records>(
        hostname: String,
        write_actions_allowed: bool,
        overview: &Overview,
        records: impl Iterator<Item = &'records StoredDisabled>,
    ) -> Schedule {
        let Overview { probes, catalog } = overview;
        let off = |wanted: Off| {
            let those = probes.iter().filter(move |probe| probe.off == Some(wanted));
            those.map(|probe| probe.name.to_string()).collect()
        };
        let installed = catalog.disabled.iter().map(|name| ScheduledProbe {
            name: name.clone(),
            directory: EXAMPLES.to_owned(),
            ..ScheduledProbe::default()
        });
        let not_run = catalog
            .not_run
            .iter()
            .map(|one| NotRun { path: one.path.display().to_string(), why: one.why.clone() });
        Schedule {
            hostname,
            write_actions_allowed,
            skipped_probes: off(Off::Skipped),
            disabled_by_configuration: off(Off::Disabled),
            disable_records: records
                .map(|stored| DisableRecord::of(stored.probe.as_str(), &stored.disabled))
                .collect(),
            not_run: not_run.collect(),
            probes: probes.iter().map(ScheduledProbe::new).chain(installed).collect(),
        }
    }

    /// Reads what another instance tells, which may be anything. Nothing is required but that it is an
    /// object; what is too much or too long is cut.
    pub fn read(json: &str) -> Option<Schedule> {
        if crate::json::nesting(json) > 8 {
            return None;
        }
        let mut read: Schedule = serde_json::from_str(json).ok()?;
        read.probes.truncate(MAX_PROBES);
        read.disable_records.truncate(MAX_PROBES);
        read.not_run.truncate(MAX_PROBES);
        read.skipped_probes.truncate(MAX_PROBES);
        read.disabled_by_configuration.truncate(MAX_PROBES);
        read.texts_mut().for_each(|text| *text = super::plain(text, MAX_TEXT));
        Some(read)
    }

    fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let probes = self.probes.iter_mut().flat_map(|probe| {
            let required = [&mut probe.name, &mut probe.directory].into_iter();
            required.chain(probe.answer.as_mut()).chain(probe.refused.as_mut())
        });
        let records = self.disable_records.iter_mut().flat_map(|record| {
            [&mut record.probe, &mut record.reason, &mut record.author].into_iter()
        });
        let not_run = self.not_run.iter_mut().flat_map(|one| [&mut one.path, &mut one.why]);
        std::iter::once(&mut self.hostname)
            .chain(probes)
            .chain(records)
            .chain(not_run)
            .chain(&mut self.skipped_probes)
            .chain(&mut self.disabled_by_configuration)
    }
}

impl ScheduledProbe {
    fn new(probe: &Scheduled) -> ScheduledProbe {
        let seconds = |at: jiff::Timestamp| at.as_millisecond() as f64 / 1e3;
        let milliseconds = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let last = probe.last.as_ref();
        let directory = probe.entry.path.parent().and_then(|folder| folder.file_name());
        ScheduledProbe {
            name: probe.name.to_string(),
            directory: directory.unwrap_or_default().to_string_lossy().into_owned(),
            interval: probe.entry.interval,
            enabled: probe.off.is_none(),
            next_run: probe.next.map(seconds),
            last_run: last.map(|last| seconds(last.ended)),
            duration_ms: last.map(|last| milliseconds(last.took)),
            cpu_ms: last.map(|last| milliseconds(last.cpu)),
            peak_memory_bytes: last.map(|last| last.peak_memory),
            answer: last.map(|last| last.dialect.name().to_owned()),
            skipped_runs: probe.skipped_runs,
            refused: probe.entry.refused.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_instance_tells_is_read_within_bounds() {
        let text = r#"{"Hostname":"old\nhost","Probes":[{"Name":"load","Interval":60,"More":{}}]}"#;
        let read = Schedule::read(text).unwrap();
        assert_eq!((read.hostname.as_str(), read.probes[0].interval), ("old host", 60));
        assert_eq!(Schedule::read(&serde_json::to_string(&read).unwrap()), Some(read));
        for text in ["", "[]1", "\"refused\"", r#"{"Probes":7}"#, &"[".repeat(100)] {
            assert_eq!(Schedule::read(text), None, "{text}");
        }
        let long = format!(r#"{{"Hostname":"{}"}}"#, "x".repeat(10_000));
        assert_eq!(Schedule::read(&long).unwrap().hostname.len(), MAX_TEXT);
    }
}
