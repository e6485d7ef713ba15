//! `[OpenTSDB]`: where the values of probes are sent.

use std::{collections::BTreeMap, time::Duration};

use super::{endpoint::Endpoint, section::Section};

/// The port of an OpenTSDB when the file names none.
const DEFAULT_PORT: u16 = 4242;
/// The longest time for which an unchanged value is held back, in seconds: a day.
const MAX_DEDUPLICATION_S: u64 = 86_400;
/// The longest queue, in puts.
const MAX_BUFFER_SIZE: usize = 1_000_000;

/// The section `[OpenTSDB]`.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenTsdb {
    pub enabled: bool,
    pub addresses: Vec<Endpoint>,
    pub ssl_enabled: bool,
    /// What every metric's name starts with.
    pub metric_prefix: String,
    /// How long an unchanged value is not sent again; zero: always sent.
    pub deduplication: Duration,
    /// How many puts may wait.
    pub buffer_size: usize,
    /// Tags of every put, stronger than all others.
    pub tags: BTreeMap<String, String>,
}

impl OpenTsdb {
    pub(super) fn read(section: &Section<'_>) -> OpenTsdb {
        let enabled = section.boolean("Enabled", false);
        let addresses = section.parsed_list("Address", |text| Endpoint::parse(text, DEFAULT_PORT));
        if enabled && addresses.is_empty() {
            let message = "[OpenTSDB] is enabled and has no `Address`".to_owned();
            section.warn("Address", message, "name a server, or nothing is sent");
        }
        OpenTsdb {
            enabled,
            addresses,
            ssl_enabled: section.boolean("SslEnabled", false),
            metric_prefix: section
                .parsed("MetricPrefix", word)
                .unwrap_or_else(|| "wigo".to_owned()),
            deduplication: section.seconds("Deduplication", 600, 0..=MAX_DEDUPLICATION_S),
            buffer_size: section.integer("BufferSize", 10_000, 1..=MAX_BUFFER_SIZE),
            tags: section.section("Tags").named_texts(|name, value| {
                word(name).and(word(value)).map(drop).map_err(|allowed| {
                    format!("tag `{}` in [OpenTSDB.Tags] must be {allowed}", name.escape_debug())
                })
            }),
        }
    }
}

/// What a line of OpenTSDB can carry as a name or a value.
fn word(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_./".contains(c)) {
        Ok(text.to_owned())
    } else {
        Err("made of letters, digits and `-_./`".to_owned())
    }
}
