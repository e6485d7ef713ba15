//! `[Probes]`, `[ProbeTimeouts]` and `[ProbeEnvironment]`: how probes are run.

use std::{collections::BTreeMap, thread};

use super::section::Section;
use crate::tree::ProbeName;

/// The most probes that may be set to run at once.
const MAX_CONCURRENT: usize = 1_024;
/// Probes that run at once on each core when the file does not say.
const CONCURRENT_PER_CORE: usize = 2;
/// The longest time for a probe, in seconds: the longest interval.
const MAX_TIMEOUT_S: u32 = 86_400;

/// The sections `[Probes]` and `[ProbeEnvironment]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Probes {
    /// How many probes may run at once, at least 1.
    pub max_concurrent: usize,
    /// Variables added to the environment of every probe.
    pub environment: BTreeMap<String, String>,
}

impl Probes {
    pub(super) fn read(root: &Section<'_>) -> Probes {
        let max_concurrent =
            match root.section("Probes").integer("MaxConcurrent", 0, 0..=MAX_CONCURRENT) {
                0 => CONCURRENT_PER_CORE * thread::available_parallelism().map_or(1, usize::from),
                number => number,
            };
        let environment = root.section("ProbeEnvironment").named_texts(|name, _| variable(name));
        Probes { max_concurrent, environment }
    }
}

/// How long each probe named in `[ProbeTimeouts]` may run, in seconds.
pub(super) fn timeouts(section: &Section<'_>) -> BTreeMap<String, u32> {
    let mut timeouts = BTreeMap::new();
    for (name, value) in section.names() {
        if let Err(reason) = ProbeName::new(name.text) {
            let message = format!("`{}` is no probe: {reason}", name.text.escape_debug());
            section.error_at(name.span, message);
        } else if let Some(seconds) = section.number(name.text, value, &(1..=MAX_TIMEOUT_S)) {
            timeouts.insert(name.text.to_owned(), seconds);
        }
    }
    timeouts
}

/// Names that a shell can use, without those that are ours or change how programs are loaded.
fn variable(name: &str) -> Result<(), String> {
    let shown = name.escape_debug();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return Err(format!(
            "`{shown}` in [ProbeEnvironment] must be made of letters, digits and `_`, not starting with a digit"
        ));
    }
    match ["WIGO_", "LD_"].iter().find(|prefix| name.starts_with(**prefix)) {
        Some(prefix) => Err(format!(
            "`{shown}` in [ProbeEnvironment] is refused: names with `{prefix}` are reserved"
        )),
        None => Ok(()),
    }
}
