//! Finds the keys of a file that nobody asked for: retired ones, misspelled ones, ones in the wrong
//! section.

use std::{collections::BTreeSet, ops::Range};

use toml::de::{DeTable, DeValue};

use super::{
    problem::Severity,
    reader::{Known, Reader, find},
};

/// A name longer than this is not compared with known names.
const MAX_COMPARED_CHARS: usize = 64;
/// At most so many sections are named as the place where a key belongs.
const MAX_PLACES: usize = 3;

/// Keys that older versions had, or that their sample showed, and what became of them.
const RETIRED: [(&str, &str); 9] = [
    ("ListenPort", "write `Port` in [Http] instead"),
    ("ListenAddress", "write `Address` in [Http] instead"),
    ("OpenTSDBEnabled", "write `Enabled` in [OpenTSDB] instead"),
    ("OpenTSDBAddress", "write `Address` in [OpenTSDB] instead"),
    ("OpenTSDBPort", "write the port into `Address` in [OpenTSDB], as \"host:port\""),
    ("OpenTSDBMetricPrefix", "write `MetricPrefix` in [OpenTSDB] instead"),
    ("RemoteWigosCheckInterval", "write `CheckInterval` in [RemoteWigos] instead"),
    ("ConfigFile", "give the path with `--config` instead"),
    ("CheckRemotes", "write `CheckRemotesDepth` in [[AdvancedList]] instead"),
];

/// Warns about everything in the file that was not read.
pub(super) fn warn_about_unknown(reader: &Reader<'_>) {
    let known = reader.known();
    Search { reader, known: &known }.walk("", reader.table());
}

struct Search<'a> {
    reader: &'a Reader<'a>,
    known: &'a Known,
}

impl Search<'_> {
    fn walk(&self, path: &str, table: &DeTable<'_>) {
        let Some(keys) = self.known.get(path).filter(|keys| !keys.is_empty()) else {
            // A section in which the user chooses the names.
            return;
        };
        let read: BTreeSet<&str> = keys
            .iter()
            .filter_map(|key| find(table, key))
            .map(|(key, _)| key.get_ref().as_ref())
            .collect();
        for (name, value) in table {
            if read.contains(name.get_ref().as_ref()) {
                self.enter(path, keys, name.get_ref(), value.get_ref());
            } else {
                self.warn(path, name.get_ref(), name.span(), value.get_ref());
            }
        }
    }

    /// Goes on with the sections below a key that was read.
    fn enter(&self, path: &str, keys: &BTreeSet<&str>, name: &str, value: &DeValue<'_>) {
        let known = keys.iter().find(|key| key.eq_ignore_ascii_case(name)).copied().unwrap_or(name);
        let path = join(path, known);
        match value {
            DeValue::Table(table) => self.walk(&path, table),
            DeValue::Array(entries) => {
                let tables = entries.iter().filter_map(|entry| entry.get_ref().as_table());
                tables.for_each(|table| self.walk(&path, table));
            }
            _ => {}
        }
    }

    fn warn(&self, path: &str, name: &str, span: Range<usize>, value: &DeValue<'_>) {
        let shown = name.escape_debug();
        let (message, help) = if let Some(help) = retired(name) {
            (format!("`{shown}` is retired and has no effect"), Some(help.to_owned()))
        } else if self.is_known(path, name) {
            let message = format!("`{shown}` is ignored: it is there twice, in other capitals");
            (message, Some("remove one of the two".to_owned()))
        } else if holds_tables(value) {
            let section = join(path, name);
            (format!("unknown section `{}`", section.escape_debug()), self.nearest(path, name))
        } else if path.is_empty() {
            (format!("unknown key `{shown}` outside any section"), self.nearest(path, name))
        } else {
            (format!("unknown key `{shown}` in [{path}]"), self.nearest(path, name))
        };
        self.reader.problem(Severity::Warning, Some(span), message, help);
    }

    fn is_known(&self, path: &str, name: &str) -> bool {
        self.known
            .get(path)
            .is_some_and(|keys| keys.iter().any(|key| key.eq_ignore_ascii_case(name)))
    }

    /// What was probably meant.
    fn nearest(&self, path: &str, name: &str) -> Option<String> {
        if name.chars().count() > MAX_COMPARED_CHARS || !self.reader.has_room() {
            return None;
        }
        let folded = fold(name);
        // A third of the letters may be wrong.
        let tolerance = (folded.len() / 3).max(1);
        let here = self.known.get(path).into_iter().flatten();
        let near = here.map(|key| (distance(&folded, &fold(key)), key));
        let near = near.filter(|(distance, _)| *distance <= tolerance).min();
        if let Some((_, key)) = near {
            return Some(format!("did you mean `{key}`?"));
        }
        let places = self.known.keys().filter(|place| self.is_known(place, name));
        let places: Vec<_> = places
            .filter(|place| !place.is_empty())
            .map(|place| format!("[{place}]"))
            .take(MAX_PLACES)
            .collect();
        (!places.is_empty()).then(|| format!("it belongs in {}", places.join(" or ")))
    }
}

fn retired(name: &str) -> Option<&'static str> {
    RETIRED.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, help)| *help)
}

/// Whether this is a section or a list of sections.
fn holds_tables(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(entries) => entries.iter().any(|entry| entry.get_ref().is_table()),
        _ => false,
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A name without what people spell differently: capitals, `_` and `-`.
fn fold(name: &str) -> Vec<char> {
    name.chars().filter(|c| !"_-".contains(*c)).flat_map(char::to_lowercase).collect()
}

/// How many letters must be added, dropped, replaced or swapped with their neighbour to make `b` of `a`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests;
