//! What a fleet costs its master: many push clients in this process, real TLS and the real protocol,
//! against a real `wigo` process on loopback.
//!
//! `make bench-fleet` runs all scenarios; words as arguments run those, each with the number after it:
//! `cargo bench --bench fleet -- steady 10000 flood`. `WIGO_BENCH_SECONDS` is how long is measured.
//! Clients and master share the cores of one machine, so times are those of a busy master.

mod fleet;
mod flood;
mod incidents;
mod load;
mod master;
mod page;
mod pulled;
mod report;

use std::{collections::BTreeMap, error::Error, time::Duration};

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Files that this process may have open, if the system allows it: one for each client.
const OPEN_FILES: u64 = 100_000;

/// A scenario, for this many clients.
type Scenario = fn(usize) -> Outcome;

/// Name, function, and the number of clients where none is given; in the order in which all are run.
const SCENARIOS: [(&str, Scenario, usize); 9] = [
    ("grow", load::grow, 10_000),
    ("steady", load::steady, 10_000),
    ("flood", flood::flood, 256),
    ("latency", incidents::latency, 1_000),
    ("restart", incidents::restart, 10_000),
    ("down", incidents::down, 2),
    ("api", load::api, 1_000),
    ("page", page::page, 10_000),
    ("pull", pulled::pull, 100),
];

fn main() -> Outcome {
    wigo::app::prepare_process();
    wigo::probe::run::raise_file_limit(OPEN_FILES);
    // Runs of the library that fail have something to say.
    wigo::log::Log::install(false);
    let mut wanted: BTreeMap<String, Option<usize>> = BTreeMap::new();
    let mut last = String::new();
    for word in std::env::args().skip(1).filter(|word| !word.starts_with('-')) {
        match word.parse() {
            Ok(number) => _ = wanted.insert(last.clone(), Some(number)),
            Err(_) => {
                last.clone_from(&word);
                wanted.insert(word, None);
            }
        }
    }
    for (name, scenario, clients) in SCENARIOS {
        // What grows is measured at its largest as steady is.
        let is_wanted = wanted.contains_key(name) || wanted.is_empty() && name != "steady";
        if is_wanted {
            scenario(wanted.get(name).copied().flatten().unwrap_or(clients))?;
        }
    }
    Ok(())
}

/// How long each figure is measured.
pub fn span() -> Duration {
    let seconds = std::env::var("WIGO_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(30))
}
