//! What is for whom: groups, hosts, probes, labels.

use crate::{config::section::Section, notify::rules::Matcher};

/// The most names in one list of a route.
const MAX_NAMES: usize = 1_000;

/// `Groups`, `Hosts`, `Probes` and `Labels` of an entry.
pub(super) fn matcher(entry: &Section<'_>) -> Matcher {
    Matcher {
        groups: names(entry, "Groups"),
        hosts: names(entry, "Hosts"),
        probes: names(entry, "Probes"),
        labels: entry.section("Labels").named_texts(|name, _| match name.is_empty() {
            true => Err("a label has a name".to_owned()),
            false => Ok(()),
        }),
    }
}

/// Names, `*` in them for any text.
pub(super) fn names(entry: &Section<'_>, key: &'static str) -> Vec<String> {
    let mut names = entry.parsed_list(key, |text| Ok(text.trim().to_owned()));
    if names.len() > MAX_NAMES {
        let message = format!("{} has more than {MAX_NAMES} names", entry.name_of(key));
        entry.error(key, message, "use `*`, groups or labels");
        names.truncate(MAX_NAMES);
    }
    names
}
