//! `wigo probe run` and `wigo probe list`: for who writes and installs probes.

use std::{
    cell::RefCell,
    fmt::Write as _,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Subcommand;
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;

use super::{
    Error, Verdict, args::Global, client::Client, configured, printable::printable, repeat,
    screen::Screen,
};
use crate::{
    config::{self, Config, LoadError},
    json::Json,
    probe::{
        answer::{self, About, Answer},
        catalog::{Catalog, EXAMPLES, Version},
        orphans::Family,
        pool::Settings,
        run::{self, End, Ended, Order, Over},
    },
    tree::{ProbeName, ProbeResult},
};

/// The interval of a probe that no interval folder holds, in seconds.
const USUAL_INTERVAL: u32 = 60;

/// What can be done with probes.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one now, as the agent would, and show how it is understood. Exits like wigocli.
    Run {
        /// A name from an interval folder or from examples/, or a path with a `/` in it.
        probe: String,
        /// Seconds between runs, which set the time limit; else those of its folder.
        #[arg(long, value_parser = clap::value_parser!(u32).range(2..=86_400))]
        interval: Option<u32>,
    },
    /// Show every probe: its interval, whether it is enabled, when it runs next, how long it took.
    List,
}

/// Does what the command line asks.
pub fn run(command: Command, config: Option<&Path>) -> Result<Verdict, Error> {
    let screen = Screen::of_stdout(false);
    match command {
        Command::Run { probe, interval } => {
            let family = Arc::new(Family::new());
            let (runs, config) = (family.clone(), config.map(PathBuf::from));
            let verdict = repeat::until_interrupted(move |_| {
                run_one(&probe, interval, config.as_deref(), &screen, &runs)
            });
            // Nothing of it goes on when we were interrupted.
            family.end();
            verdict
        }
        Command::List => {
            screen.print(&list(config)?)?;
            Ok(Verdict::Fine)
        }
    }
}

/// The configuration, or the defaults if none was named and there is none.
fn read_config(path: Option<&Path>) -> Result<Config, Error> {
    let named = path.unwrap_or(Path::new(config::DEFAULT_PATH));
    match config::load_beside(named) {
        Ok(loaded) => Ok(loaded.config),
        Err(LoadError::Read { .. }) if path.is_none() => {
            Ok(config::parse("", named).map_err(Error::Config)?.config)
        }
        Err(error) => Err(Error::Config(error)),
    }
}

fn run_one(
    probe: &str,
    interval: Option<u32>,
    config: Option<&Path>,
    screen: &Screen,
    family: &Family,
) -> Result<Verdict, Error> {
    let config = read_config(config)?;
    let (path, found_interval) = find(probe, &config)?;
    let interval = interval.unwrap_or(found_interval);
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = ProbeName::new(&file_name)
        .map_err(|why| Error::BadProbe { path: path.clone(), why: why.to_string() })?;
    let mut text = format!("{:<13}{}\n", "file", printable(&path.display().to_string()));
    let (answer, ended) = match Version::check_whole(&path) {
        Err(why) => (answer::refused(&about(&name, interval), &why), None),
        Ok(_) => execute(&name, &path, interval, &config, family, &mut text)?,
    };
    let verdict = describe(&mut text, &answer, ended.as_ref());
    screen.print(&text)?;
    Ok(verdict)
}

fn about(name: &ProbeName, interval: u32) -> About<'_> {
    About { name, interval, date: Timestamp::now() }
}

/// Where a probe lies and the interval it has there.
fn find(probe: &str, config: &Config) -> Result<(PathBuf, u32), Error> {
    if probe.contains('/') {
        let path = std::path::absolute(probe)
            .map_err(|source| Error::ProbeFile { path: probe.into(), source })?;
        let folder = path.parent().and_then(|folder| folder.file_name()?.to_str()?.parse().ok());
        return Ok((path, folder.filter(|n| (2..=86_400).contains(n)).unwrap_or(USUAL_INTERVAL)));
    }
    let root = &config.global.probes_directory;
    let catalog = Catalog::read(root).map_err(Error::Probes)?;
    if let Some(entry) = catalog.entries.get(probe) {
        return Ok((entry.path.clone(), entry.interval));
    }
    let installed = root.join(EXAMPLES).join(probe);
    match installed.exists() {
        true => Ok((installed, USUAL_INTERVAL)),
        false => Err(Error::NoSuchProbe { probe: probe.into(), root: root.clone() }),
    }
}

/// Runs the probe; lines about the circumstances go to `text`.
fn execute(
    name: &ProbeName,
    path: &Path,
    interval: u32,
    config: &Config,
    family: &Family,
    text: &mut String,
) -> Result<(Answer, Option<Ended>), Error> {
    let mut settings = Settings::of(config);
    // Only the agent's own user may touch what its probes remember; everybody else tries with nothing.
    let own = fs::metadata(&settings.environment.state_root)
        .is_ok_and(|folder| folder.uid() == rustix::process::geteuid().as_raw());
    let fresh = match own {
        true => None,
        false => Some(tempfile::tempdir().map_err(Error::Trial)?),
    };
    if let Some(fresh) = &fresh {
        settings.environment.state_root = fresh.path().into();
        let _ = writeln!(text, "{:<13}none: a fresh folder, removed afterwards", "state");
    }
    settings.environment.make_state_folder(name).map_err(Error::Trial)?;
    let order = Order {
        program: path.into(),
        environment: settings.environment.of(name, interval),
        limit: settings.limit(name, interval),
    };
    let killed = RefCell::new(None);
    let ended = match run::run(&order, family, || {}, |ended| *killed.borrow_mut() = Some(ended)) {
        Over::Ended(ended) => Some(ended),
        Over::Killed(_) => killed.into_inner(),
    };
    family.sweep(true);
    Ok(match ended {
        Some(ended) => {
            let answer = answer::understand(&about(name, interval), path, &ended);
            (answer, Some(ended))
        }
        None => (answer::refused(&about(name, interval), "it did not end"), None),
    })
}

/// Draws an answer and says what it means.
fn describe(text: &mut String, answer: &Answer, ended: Option<&Ended>) -> Verdict {
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<13}{value}");
    };
    if let Some(ended) = ended.filter(|ended| !matches!(ended.end, End::NotStarted(_))) {
        let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        line("time", &milliseconds(ended.took));
        line("CPU", &milliseconds(ended.cpu));
        line("peak memory", &format!("{:.1} MiB", ended.peak_memory as f64 / 1_048_576.0));
    }
    match answer {
        Answer::Disabled => {
            line(
                "understood",
                "exit 12: switched off by its configuration; not run again until \
                 the agent restarts, its file changes or the configuration is reloaded",
            );
            Verdict::Fine
        }
        Answer::Skipped => {
            line(
                "understood",
                "exit 13: does not apply to this host; not run again until the \
                 agent restarts, its file changes or the configuration is reloaded",
            );
            Verdict::Fine
        }
        Answer::Results { dialect, results, advice } => {
            line("understood", dialect.name());
            for result in results {
                describe_result(text, result);
            }
            for advice in advice {
                let _ = writeln!(text, "advice: {}", printable(advice));
            }
            let worst = results.iter().map(|result| result.status.number()).max();
            worst.map_or(Verdict::Unknown, |worst| Verdict::of(worst.into()))
        }
    }
}

fn describe_result(text: &mut String, result: &ProbeResult) {
    text.push('\n');
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<13}{value}");
    };
    line("probe", &printable(result.name.as_str()));
    line("status", &format!("{} {}", result.status, result.status.level().word()));
    let mut name = "message";
    for part in result.message.lines() {
        line(name, &printable(part));
        name = "";
    }
    line("exit code", &result.exit_code.to_string());
    if !result.version.is_empty() {
        line("version", &printable(&result.version));
    }
    for (name, json) in
        [("value", &result.value), ("metrics", &result.metrics), ("detail", &result.detail)]
    {
        if !json.is_null() && !matches!(json.as_str(), "[]" | "{}" | "\"\"") {
            line(name, &pretty(json));
        }
    }
}

/// JSON over several lines, indented to stand beside its name.
fn pretty(json: &Json) -> String {
    let value = json.to_value();
    if !value.is_array() && !value.is_object() {
        return printable(json.as_str()).into_owned();
    }
    let text = serde_json::to_string_pretty(&value).unwrap_or_default();
    super::printable::printable_json(&text).replace('\n', "\n             ")
}

/// What the running agent says of its schedule.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Schedule {
    probes: Vec<Row>,
    skipped_probes: Vec<String>,
    disabled_by_configuration: Vec<String>,
    not_run: Vec<NotRun>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Row {
    name: String,
    interval: u32,
    next_run: Option<f64>,
    duration_ms: Option<f64>,
    refused: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NotRun {
    path: String,
    why: String,
}

fn list(path: Option<&Path>) -> Result<String, Error> {
    let config = read_config(path)?;
    let global = Global { config: path.map(Into::into), url: None, json: false, watch: false };
    let asked = configured::target(&global)
        .and_then(|target| Ok(Client::new(target).get_json::<Schedule>("/api/probes")?));
    let (schedule, note) = match asked {
        Ok(schedule) => (schedule, None),
        Err(error) => (on_disk(&config)?, Some(error.to_string())),
    };
    let mut text = draw(&schedule, Timestamp::now());
    if let Some(why) = note {
        let _ = writeln!(
            text,
            "\nFrom the folders alone, without times: the agent did not answer ({})",
            printable(&why)
        );
    }
    Ok(text)
}

fn on_disk(config: &Config) -> Result<Schedule, Error> {
    let catalog = Catalog::read(&config.global.probes_directory).map_err(Error::Probes)?;
    let enabled = catalog.entries.into_iter().map(|(name, entry)| Row {
        name: name.to_string(),
        interval: entry.interval,
        refused: entry.refused,
        ..Row::default()
    });
    let installed = catalog.disabled.into_iter().map(|name| Row { name, ..Row::default() });
    let not_run = catalog
        .not_run
        .into_iter()
        .map(|one| NotRun { path: one.path.display().to_string(), why: one.why });
    Ok(Schedule {
        probes: enabled.chain(installed).collect(),
        not_run: not_run.collect(),
        ..Schedule::default()
    })
}

fn draw(schedule: &Schedule, now: Timestamp) -> String {
    let mut text =
        format!("{:<32} {:>8}  {:<26} {:>10}\n", "PROBE", "INTERVAL", "NEXT RUN", "TOOK");
    for row in &schedule.probes {
        let interval = match row.interval {
            0 => "-".to_owned(),
            seconds => format!("{seconds} s"),
        };
        let next = if row.interval == 0 {
            "disabled".to_owned()
        } else if row.refused.is_some() {
            "refused, see below".to_owned()
        } else if schedule.skipped_probes.contains(&row.name) {
            "skipped (exit 13)".to_owned()
        } else if schedule.disabled_by_configuration.contains(&row.name) {
            "switched off (exit 12)".to_owned()
        } else {
            row.next_run.map_or("-".to_owned(), |at| moment(at, now))
        };
        let took = row.duration_ms.map_or("-".to_owned(), |took| format!("{took:.1} ms"));
        let name = printable(&row.name);
        let _ = writeln!(text, "{name:<32} {interval:>8}  {next:<26} {took:>10}");
    }
    let refused = schedule.probes.iter().filter_map(|row| Some((&row.name, row.refused.as_ref()?)));
    for (name, why) in refused {
        let _ = writeln!(text, "\nrefused: {}: {}", printable(name), printable(why));
    }
    if !schedule.not_run.is_empty() {
        let _ = writeln!(text, "\nNot run:");
        for not_run in &schedule.not_run {
            let (path, why) = (printable(&not_run.path), printable(&not_run.why));
            let _ = writeln!(text, "  {path}: {why}");
        }
    }
    text
}

/// A moment as local time and how far away it is.
fn moment(seconds: f64, now: Timestamp) -> String {
    let Ok(at) = Timestamp::from_millisecond((seconds * 1e3) as i64) else { return "-".into() };
    let away = at.as_second() - now.as_second();
    format!("{} (in {away} s)", at.to_zoned(TimeZone::system()).strftime("%H:%M:%S"))
}
