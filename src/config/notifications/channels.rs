//! `[[Notifications.Channels]]`: ways of telling people, and what each is for.

use std::{collections::BTreeSet, ops::Range, path::PathBuf};

use super::{original, routes, times};
use crate::{
    config::section::Section,
    notify::{
        channel::{self, Kind},
        rules::{Hours, Matcher},
        template,
    },
    status::Status,
};

/// The longest name of a channel, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Messages a minute where nothing is said.
pub(super) const PER_MINUTE: u32 = 30;
/// The most messages a minute that can be asked for.
const MAX_PER_MINUTE: u32 = 6_000;
/// The longest template of a title or a body, in bytes.
const MAX_TEMPLATE_BYTES: usize = 16 * 1024;

/// A channel with what it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelConfig {
    /// Unique.
    pub name: String,
    /// How it tells people.
    pub settings: channel::Settings,
    pub matches: Matcher,
    /// The lowest status for it; that of the section counts too.
    pub min_level: Status,
    /// `None`: always.
    pub hours: Option<Hours>,
    /// It is told only what lasts.
    pub escalation: bool,
    /// It is told nothing but reminders.
    pub reminders_only: bool,
    /// It is told only what another channel could not deliver.
    pub only_fallback: bool,
    /// The name of the channel that is told what this one could not deliver.
    pub fallback: Option<String>,
    /// Messages a minute; more become a digest.
    pub per_minute: u32,
    /// Certificates that receivers over HTTP may be signed by, besides those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// Templates, checked; `None`: the usual ones.
    pub title: Option<String>,
    pub body: Option<String>,
}

impl ChannelConfig {
    /// One that is told everything.
    pub(super) fn new(name: &str, settings: channel::Settings) -> ChannelConfig {
        ChannelConfig {
            name: name.to_owned(),
            settings,
            matches: Matcher::default(),
            min_level: Status::OK,
            hours: None,
            escalation: false,
            reminders_only: false,
            only_fallback: false,
            fallback: None,
            per_minute: PER_MINUTE,
            ca_file: None,
            title: None,
            body: None,
        }
    }
}

/// Those of the original, and those of the list.
pub(super) fn read(section: &Section<'_>) -> Vec<ChannelConfig> {
    let mut channels = original::channels(section);
    let mut taken: BTreeSet<String> = channels.iter().map(|channel| channel.name.clone()).collect();
    channels.extend(
        section.list("Channels", |entry| entry_of(entry, &mut taken)).into_iter().flatten(),
    );
    check_fallbacks(section, &channels);
    channels
}

fn entry_of(entry: &Section<'_>, taken: &mut BTreeSet<String>) -> Option<ChannelConfig> {
    let settings = settings(entry);
    let name = name(entry, taken);
    let hours = times::hours(entry);
    if hours.is_none() && !entry.is_blank("TimeZone") && entry.is_blank("Hours") {
        let message =
            format!("{} has no effect without `Hours` or `Days`", entry.name_of("TimeZone"));
        entry.warn("TimeZone", message, "name hours or days, or leave it out");
    }
    let least = entry.level("MinLevel", 0);
    let is_http = settings.as_ref().is_some_and(|(kind, _)| kind.is_http);
    let ca_file = is_http.then(|| entry.optional_path("CaFile")).flatten();
    let channel = ChannelConfig {
        name,
        matches: routes::matcher(entry),
        min_level: Status::new(least.into()).unwrap_or(Status::OK),
        hours,
        escalation: entry.boolean("Escalation", false),
        reminders_only: entry.boolean("RemindersOnly", false),
        only_fallback: entry.boolean("OnlyFallback", false),
        fallback: entry.parsed("Fallback", |name| Ok(name.to_owned())),
        per_minute: entry.integer("PerMinute", PER_MINUTE, 1..=MAX_PER_MINUTE),
        ca_file,
        title: template(entry, "Title"),
        body: template(entry, "Body"),
        settings: settings?.1,
    };
    for key in entry.idle_keys() {
        let kind = channel.settings.word();
        let message = format!("`{}` means nothing to a channel of type `{kind}`", key.text);
        entry.warn_at(key.span, message, "remove it, or was another type meant?");
    }
    Some(channel)
}

/// What its type wants to know.
fn settings(entry: &Section<'_>) -> Option<(&'static Kind, channel::Settings)> {
    if entry.is_rehearsal() {
        // The names of the keys of all types are wanted.
        channel::KINDS.iter().for_each(|kind| drop((kind.read)(entry)));
    }
    entry.need("Type");
    let kind = entry.parsed("Type", |word| {
        let word = word.trim();
        let kind = channel::KINDS.iter().find(|kind| kind.word.eq_ignore_ascii_case(word));
        kind.ok_or_else(|| {
            let words: Vec<&str> = channel::KINDS.iter().map(|kind| kind.word).collect();
            format!("one of {}, not \"{}\"", words.join(", "), word.escape_debug())
        })
    })?;
    Some((kind, (kind.read)(entry)))
}

/// A name that is nobody else's, and fits into keys and addresses.
fn name(entry: &Section<'_>, taken: &mut BTreeSet<String>) -> String {
    entry.need("Name");
    let name = entry.parsed("Name", |name| {
        let is_word = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        match is_word && name.len() <= MAX_NAME_BYTES {
            true => Ok(name.to_owned()),
            false => Err(format!(
                "a name of letters, digits and `._-`, {MAX_NAME_BYTES} at most, that starts with a letter \
                 or digit"
            )),
        }
    });
    let name = name.unwrap_or_default();
    if !name.is_empty() && !taken.insert(name.clone()) {
        let message = format!("two channels are called `{name}`");
        entry.error("Name", message, "each needs a name of its own");
    }
    name
}

/// A template that can be parsed.
fn template(entry: &Section<'_>, key: &'static str) -> Option<String> {
    let text = entry.lines(key)?;
    if text.text.len() > MAX_TEMPLATE_BYTES {
        let message = format!("{} is longer than {MAX_TEMPLATE_BYTES} bytes", entry.name_of(key));
        entry.error_at(text.span, message);
        return None;
    }
    if let Err(mistake) = template::check(text.text) {
        let message = format!("{}: {mistake}", entry.name_of(key));
        entry.error_at(line_of(entry.source(text.span.clone()), &text.span, mistake.line), message);
        return None;
    }
    Some(text.text.to_owned())
}

/// Where a line of a text is that is written as `source` at `span`. The whole text, if it is written in one
/// line.
fn line_of(source: &str, span: &Range<usize>, line: usize) -> Range<usize> {
    let is_long = ["\"\"\"", "'''"].iter().any(|quotes| source.starts_with(quotes));
    let quotes = if is_long { 3 } else { return span.clone() };
    // A line break right behind the quotes is not part of the text.
    let behind = &source[quotes..];
    let skipped =
        ["\r\n", "\n"].iter().find(|end| behind.starts_with(**end)).map_or(0, |end| end.len());
    let mut start = quotes + skipped;
    for (n, text) in source[start..].split_inclusive('\n').enumerate() {
        if n + 1 == line {
            let start = span.start + start;
            return start..start + text.trim_end().len().max(1);
        }
        start += text.len();
    }
    span.clone()
}

/// Each names one that is there, and none leads back to where it began.
fn check_fallbacks(section: &Section<'_>, channels: &[ChannelConfig]) {
    let next = |channel: &ChannelConfig| {
        let wanted = channel.fallback.as_deref()?;
        channels.iter().find(|other| other.name == wanted)
    };
    for channel in channels {
        let Some(wanted) = &channel.fallback else { continue };
        let name = &channel.name;
        if next(channel).is_none() {
            let message =
                format!("the `Fallback` of channel `{name}` is `{wanted}`, which is no channel");
            section.error("Channels", message, "write the `Name` of another channel");
            continue;
        }
        let mut at = channel;
        for _ in channels {
            match next(at) {
                Some(other) if other.name == *name => {
                    let message =
                        format!("the `Fallback` of channel `{name}` leads back to itself");
                    section.error("Channels", message, "the last of them must have none");
                    break;
                }
                Some(other) => at = other,
                None => break,
            }
        }
    }
    for channel in channels.iter().filter(|channel| channel.only_fallback) {
        let is_named = channels.iter().any(|other| other.fallback.as_ref() == Some(&channel.name));
        if !is_named && channel.name != original::EMAIL {
            let message =
                format!("channel `{}` is only a fallback, and is that of no channel", channel.name);
            section.warn("Channels", message, "name it as the `Fallback` of another");
        }
    }
}
