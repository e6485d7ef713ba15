//! `wigo plan --replay`: what another configuration would have told people of what happened.
//!
//! The journal of the database goes through both configurations at once. Nothing is written or sent, so this
//! works while the agent runs.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use uuid::Uuid;

use super::{
    printable::printable,
    render::{Look, date},
    screen::Screen,
    story::level,
    tabular::columns,
};
use crate::{
    config::{self, Config, DEFAULT_PATH, LoadError},
    duration,
    notify::{
        Rules,
        replay::{
            Past, Replay,
            compare::{Compare, Counts, Difference, Side},
        },
    },
    store::{self, Entry, History, StoreError},
    tree::{Known, ProbeName},
};

/// Entries that are read at once.
const BATCH: usize = 1_000;
/// The longest time that is replayed: ten years, as history is kept.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);
/// The most differences that are listed; others are counted.
const MAX_LISTED: usize = 10_000;
/// What a probe that is not there any more is taken to have run at.
const USUAL_INTERVAL: Duration = Duration::from_secs(60);
/// Probes whose intervals are remembered.
const MAX_INTERVALS: usize = 1_000_000;

/// What to look at.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// Run what happened in this time through the configuration of --config: 24h, 30d
    #[arg(long, value_name = "TIME", value_parser = span)]
    replay: Duration,
    /// The configuration to compare with, whose database is read [default: /etc/wigo/wigo.conf]
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

/// Why nothing could be compared.
#[derive(Debug, Error)]
pub enum CannotPlan {
    #[error("name the configuration to try with --config")]
    NoConfig,
    #[error("the configuration `{}` cannot be used", path.display())]
    Config { path: PathBuf, source: LoadError },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("nothing can be replayed: the log of `{}` begins with no start of an agent", path.display())]
    Empty { path: PathBuf },
    #[error(transparent)]
    Output(#[from] super::Error),
}

fn span(text: &str) -> Result<Duration, String> {
    duration::parse(text, LONGEST).map_err(|allowed| format!("give {allowed}"))
}

/// Lists the differences. Whether there are any.
pub fn run(plan: &Plan, new: Option<&Path>) -> Result<bool, CannotPlan> {
    let read = |path: &Path| {
        let read = config::load_beside(path).map(|loaded| loaded.config);
        read.map_err(|source| CannotPlan::Config { path: path.to_owned(), source })
    };
    let new = read(new.ok_or(CannotPlan::NoConfig)?)?;
    let old = read(plan.against.as_deref().unwrap_or(DEFAULT_PATH.as_ref()))?;
    let screen = Screen::of_stdout(false);
    let outcome = compared(&old, &new, plan.replay, Timestamp::now())?;
    screen.print(&outcome.text(&screen.look))?;
    Ok(outcome.differs())
}

/// What two configurations tell of the same journal.
#[derive(Debug, Default)]
struct Outcome {
    /// When the first entry was learned.
    since: Option<Timestamp>,
    entries: usize,
    /// Of each channel.
    counts: BTreeMap<String, Counts>,
    /// At most [`MAX_LISTED`], in the order of time.
    differences: Vec<Difference>,
    appear: usize,
    vanish: usize,
    move_: usize,
}

fn compared(
    old: &Config,
    new: &Config,
    span: Duration,
    now: Timestamp,
) -> Result<Outcome, CannotPlan> {
    let path = &old.global.database;
    let history = store::open_history(path)?;
    let origin = history.origin()?.ok_or_else(|| CannotPlan::Empty { path: path.clone() })?;
    let known = history.known()?;
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    let since = now.saturating_sub(span).unwrap_or(Timestamp::MIN);
    let mut after = history.id_before(since)?;
    let mut sides =
        [(Side::Old, replay(old, origin, &known)), (Side::New, replay(new, origin, &known))];
    let (mut compare, mut outcome) = (Compare::default(), Outcome::default());
    let mut intervals = Intervals { history: &history, known: HashMap::new() };
    loop {
        let entries = history.after(after, BATCH)?;
        let Some(last) = entries.last() else { break };
        after = last.id;
        for entry in &entries {
            outcome.since.get_or_insert(entry.learned);
            outcome.entries += 1;
            let interval = intervals.of(entry)?;
            for (side, replay) in &mut sides {
                let said = replay.take(entry, interval);
                said.into_iter().for_each(|said| compare.take(*side, said));
            }
        }
        let settled = compare.settle(last.learned);
        outcome.add(settled);
    }
    for (side, replay) in &mut sides {
        replay.until(now).into_iter().for_each(|said| compare.take(*side, said));
    }
    let (rest, counts) = compare.end();
    outcome.add(rest);
    outcome.counts = counts;
    outcome.differences.sort_by_key(Difference::at);
    Ok(outcome)
}

fn replay(config: &Config, origin: Uuid, known: &[Known]) -> Replay {
    let (name, group) = (&config.global.hostname, &config.global.group);
    let past = Past::new(name, group, &config.labels, known);
    Replay::new(Rules::of(config), origin, past)
}

/// How often probes ran, as far as that is known.
struct Intervals<'a> {
    history: &'a History,
    known: HashMap<(Uuid, ProbeName), Duration>,
}

impl Intervals<'_> {
    fn of(&mut self, entry: &Entry) -> Result<Duration, StoreError> {
        let Some(probe) = &entry.transition.probe else { return Ok(USUAL_INTERVAL) };
        let key = (entry.origin, probe.clone());
        if let Some(interval) = self.known.get(&key) {
            return Ok(*interval);
        }
        let interval = self.history.interval(entry.origin, probe)?;
        let interval = interval.filter(|interval| !interval.is_zero()).unwrap_or(USUAL_INTERVAL);
        // What is forgotten is asked for again.
        if self.known.len() >= MAX_INTERVALS {
            self.known.clear();
        }
        self.known.insert(key, interval);
        Ok(interval)
    }
}

impl Outcome {
    fn add(&mut self, differences: Vec<Difference>) {
        for difference in differences {
            *match &difference {
                Difference::Appears(_) => &mut self.appear,
                Difference::Vanishes(_) => &mut self.vanish,
                Difference::Moves(..) => &mut self.move_,
            } += 1;
            if self.differences.len() < MAX_LISTED {
                self.differences.push(difference);
            }
        }
    }

    fn differs(&self) -> bool {
        !self.differences.is_empty()
    }

    fn text(&self, look: &Look) -> String {
        let mut text = columns(self.differences.iter().map(|difference| row(difference, look)));
        let listed = self.differences.len();
        let all = self.appear + self.vanish + self.move_;
        if all > listed {
            let _ = writeln!(text, "and {} more", all - listed);
        }
        if all > 0 {
            text.push('\n');
        }
        let since = self.since.map(|since| format!(" since {}", date(since.as_second(), look)));
        let _ = writeln!(text, "{} entries{}", self.entries, since.unwrap_or_default());
        let rows = self.counts.iter().map(|(channel, Counts { old, new })| {
            [printable(channel).into_owned(), format!("{old} messages"), format!("{new} then")]
        });
        text += &columns(rows);
        let Outcome { appear, vanish, move_, .. } = self;
        let _ = match all {
            0 => writeln!(text, "no message would be another"),
            _ => writeln!(text, "{appear} appear, {vanish} vanish, {move_} move"),
        };
        text
    }
}

fn row(difference: &Difference, look: &Look) -> [String; 6] {
    let said = difference.said();
    let (mark, time) = match difference {
        Difference::Appears(said) => ("+", date(said.at.as_second(), look)),
        Difference::Vanishes(said) => ("-", date(said.at.as_second(), look)),
        Difference::Moves(said, to) => {
            let [from, to] = [said.at, *to].map(|at| date(at.as_second(), look));
            (">", format!("{from} to {to}"))
        }
    };
    [
        mark.to_owned(),
        time,
        printable(&said.channel).into_owned(),
        said.kind.word().to_owned(),
        level(said.status.number().into()),
        printable(&said.title).into_owned(),
    ]
}

#[cfg(test)]
mod tests;
