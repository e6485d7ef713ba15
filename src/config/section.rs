//! The keys of one section, one call a key: `section.integer("Port", 4000, 0..=65535)`.
//!
//! Such a call is the one place that knows a key: its name, its default and what it may hold. After a
//! mistake the default is returned and reading goes on, so that all mistakes are found.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    ops::{Range, RangeInclusive},
    path::PathBuf,
    time::Duration,
};

use jiff::tz::TimeZone;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    problem::Severity,
    reader::{Entry, Reader, find},
    references,
    secret::Secret,
};
use crate::status::{Level, Status};

/// A number with more digits is not shown; none that is allowed anywhere has as many.
const MAX_SHOWN_DIGITS: usize = 24;

/// A section, an entry of a list of sections, or the top level. It may be absent from the file: then
/// all its keys have their defaults.
pub(crate) struct Section<'r> {
    reader: &'r Reader<'r>,
    /// `Http`, `Notifications.AppriseTargets`; empty for the top level.
    path: String,
    table: Option<&'r DeTable<'r>>,
    /// Where its header is.
    span: Option<Range<usize>>,
    /// The keys that were asked for here.
    asked: RefCell<BTreeSet<&'static str>>,
}

/// A text with the place where it is written.
pub(crate) struct Text<'r> {
    pub text: &'r str,
    pub span: Range<usize>,
}

impl<'r> Section<'r> {
    /// The top level of a file.
    pub fn root(reader: &'r Reader<'r>, table: &'r DeTable<'r>) -> Section<'r> {
        Section::new(reader, String::new(), Some(table), None)
    }

    fn new(
        reader: &'r Reader<'r>,
        path: String,
        table: Option<&'r DeTable<'r>>,
        span: Option<Range<usize>>,
    ) -> Section<'r> {
        Section { reader, path, table, span, asked: RefCell::default() }
    }

    /// The section `key` of this one.
    pub fn section(&self, key: &'static str) -> Section<'r> {
        let path = self.path_of(key);
        let (table, span) = match self.find(key) {
            None => (None, None),
            Some((name, value)) => match value.get_ref() {
                DeValue::Table(table) => (Some(table), Some(name.span())),
                _ => {
                    self.wrong(key, value, &format!("a section, written `[{path}]`"));
                    (None, None)
                }
            },
        };
        Section::new(self.reader, path, table, span)
    }

    /// The list of sections `[[key]]`, each read by `read`.
    pub fn list<T>(&self, key: &'static str, mut read: impl FnMut(&Section<'r>) -> T) -> Vec<T> {
        let path = self.path_of(key);
        let entry = |table, span| Section::new(self.reader, path.clone(), table, span);
        // The names of its keys are wanted even if the file has no entry.
        self.reader.rehearse(|| read(&entry(None, None)));
        let Some((_, value)) = self.find(key) else { return Vec::new() };
        let wanted = format!("a list of sections, each written `[[{path}]]`");
        let DeValue::Array(entries) = value.get_ref() else {
            self.wrong(key, value, &wanted);
            return Vec::new();
        };
        let mut list = Vec::new();
        for value in entries {
            match value.get_ref() {
                DeValue::Table(table) => list.push(read(&entry(Some(table), Some(value.span())))),
                _ => self.wrong(key, value, &wanted),
            }
        }
        list
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &'static str, default: bool) -> bool {
        let Some((_, value)) = self.find(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(key, value, "true or false");
            default
        })
    }

    /// A whole number within `allowed`.
    pub fn integer<T>(&self, key: &'static str, default: T, allowed: RangeInclusive<T>) -> T
    where
        T: Copy + PartialOrd + Display + TryFrom<i64>,
    {
        let Some((_, value)) = self.find(key) else { return default };
        self.number(key, value, &allowed).unwrap_or(default)
    }

    /// A whole number of seconds within `allowed`.
    pub fn seconds(
        &self,
        key: &'static str,
        default: u64,
        allowed: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_secs(self.integer(key, default, allowed))
    }

    /// A switch that older files write as a number: 0 is off, all else on.
    pub fn on_off(&self, key: &'static str) -> bool {
        let Some((_, value)) = self.find(key) else { return false };
        match value.get_ref() {
            DeValue::Boolean(on) => *on,
            DeValue::Integer(_) => whole_number(value) != Some(0),
            _ => {
                self.wrong(key, value, "true or false (or 1 or 0)");
                false
            }
        }
    }

    /// A choice that is written as a number up to `highest`, or as false (0) or true (1).
    pub fn choice(&self, key: &'static str, highest: i64) -> i64 {
        match self.find(key) {
            None => 0,
            Some((_, value)) => match value.get_ref().as_bool() {
                Some(on) => on.into(),
                None => self.number(key, value, &(0..=highest)).unwrap_or(0),
            },
        }
    }

    /// A text of one line.
    pub fn string(&self, key: &'static str, default: &str) -> String {
        self.text(key).map_or(default, |text| text.text).to_owned()
    }

    /// A path that is not empty.
    pub fn path(&self, key: &'static str, default: &str) -> PathBuf {
        match self.text(key) {
            Some(text) if text.text.is_empty() => {
                let message = format!("{} must not be empty", self.name_of(key));
                self.problem_at(Severity::Error, text.span, message, None);
                default.into()
            }
            text => text.map_or(default, |text| text.text).into(),
        }
    }

    /// A path; absent and empty are the same.
    pub fn optional_path(&self, key: &'static str) -> Option<PathBuf> {
        (!self.is_blank(key)).then(|| self.path(key, ""))
    }

    /// A text that is never shown.
    pub fn secret(&self, key: &'static str) -> Secret {
        let Some(text) = self.text(key).filter(|text| !text.text.is_empty()) else {
            return Secret::default();
        };
        self.resolved(key, &text)
    }

    /// A list of texts that are never shown; one text will do as well.
    pub fn secrets(&self, key: &'static str) -> Vec<Secret> {
        let texts = self.texts(key);
        texts.iter().map(|text| self.resolved(key, text)).collect()
    }

    /// The text with the environment's and files' texts put in (see [`super::references`]).
    fn resolved(&self, key: &str, text: &Text<'r>) -> Secret {
        // Where a secret is named, and not written, readers of the file do not learn it.
        if !text.text.is_empty() && !text.text.contains("${") {
            self.reader.learn_secret(text.span.clone());
        }
        let environment = self.reader.environment();
        references::resolve(text.text, environment).unwrap_or_else(|why| {
            let severity = match environment.is_required {
                true => Severity::Error,
                false => Severity::Warning,
            };
            let message = format!("{}: {}", self.name_of(key), why.message);
            self.problem_at(severity, text.span.clone(), message, Some(why.help));
            Secret::default()
        })
    }

    /// A list of texts; one text will do as well.
    pub fn strings(&self, key: &'static str) -> Vec<String> {
        self.texts(key).iter().map(|text| text.text.to_owned()).collect()
    }

    /// A text that `parse` understands; `None` when it is absent or empty.
    pub fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(key).filter(|text| !text.text.is_empty())?;
        self.understood(key, &text, &parse)
    }

    /// A list of texts that `parse` understands; one text will do as well, and empty ones do not count.
    pub fn parsed_list<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let texts = self.texts(key);
        let texts = texts.iter().filter(|text| !text.text.is_empty());
        texts.filter_map(|text| self.understood(key, text, &parse)).collect()
    }

    /// A text with its place; absent and of a wrong type are the same, but for the error.
    pub fn text(&self, key: &'static str) -> Option<Text<'r>> {
        let (_, value) = self.find(key)?;
        self.line(key, value, "a text in quotes")
    }

    /// A text of any number of lines; `None` when it is absent or empty.
    pub fn lines(&self, key: &'static str) -> Option<Text<'r>> {
        let (_, value) = self.find(key)?;
        match value.get_ref().as_str() {
            Some(text) if text.chars().any(|c| c.is_control() && !"\n\r\t".contains(c)) => {
                let message = format!("{} has a control character", self.name_of(key));
                self.problem_at(Severity::Error, value.span(), message, None);
                None
            }
            Some(text) => {
                Some(Text { text, span: value.span() }).filter(|text| !text.text.is_empty())
            }
            None => {
                self.wrong(key, value, "a text in quotes");
                None
            }
        }
    }

    /// A text that has to be there.
    pub fn needed(&self, key: &'static str) -> String {
        self.need(key);
        self.string(key, "")
    }

    /// A secret that has to be there.
    pub fn needed_secret(&self, key: &'static str) -> Secret {
        self.need(key);
        self.secret(key)
    }

    /// Secrets, one at least.
    pub fn needed_secrets(&self, key: &'static str) -> Vec<Secret> {
        self.need(key);
        self.secrets(key).into_iter().filter(|secret| !secret.is_empty()).collect()
    }

    /// The texts of a section whose names are chosen by the user, never shown; `check` says what is wrong
    /// with a name.
    pub fn named_secrets(
        &self,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Vec<(String, Secret)> {
        let mut secrets = Vec::new();
        for (name, value) in self.names() {
            let Some(value) = self.line(name.text, value, "a text in quotes") else { continue };
            match check(name.text) {
                Ok(()) => {
                    secrets.push((name.text.to_owned(), self.resolved(name.text, &value)));
                }
                Err(message) => self.problem_at(Severity::Error, name.span, message, None),
            }
        }
        secrets
    }

    /// An error if `key` is absent or empty.
    pub fn need(&self, key: &'static str) {
        if self.is_blank(key) {
            self.error(key, format!("{} is missing", self.name_of(key)), "it has no default");
        }
    }

    /// A level as a number of the scale, or as the word for its range.
    pub fn level(&self, key: &'static str, default: u16) -> u16 {
        let Some((_, value)) = self.find(key) else { return default };
        match value.get_ref().as_str().map(Level::parse) {
            Some(Some(level)) => level.least().number(),
            Some(None) => {
                self.wrong(
                    key,
                    value,
                    "a number of the scale, or one of INFO, WARN, CRIT, ERROR, DOWN",
                );
                default
            }
            None => self.number(key, value, &(0..=Status::DOWN.number())).unwrap_or(default),
        }
    }

    /// A time zone by its name; absent or empty: that of this machine.
    pub fn zone(&self, key: &'static str) -> TimeZone {
        let zone = |name: &str| {
            TimeZone::get(name.trim()).map_err(|_| {
                format!("a time zone such as \"Europe/Paris\", not \"{}\"", name.escape_debug())
            })
        };
        self.parsed(key, zone).unwrap_or_else(TimeZone::system)
    }

    /// Whether this is no entry of the file, but a question for the names of all keys.
    pub fn is_rehearsal(&self) -> bool {
        self.reader.is_rehearsing()
    }

    /// Keys of this entry that nobody asked for here, and that mean something in other entries of the
    /// list.
    pub fn idle_keys(&self) -> Vec<Text<'r>> {
        let asked = self.asked.borrow();
        let is_in = |keys: &BTreeSet<&'static str>, name: &str| {
            keys.iter().any(|key| key.eq_ignore_ascii_case(name))
        };
        let known = self.reader.known().remove(&self.path).unwrap_or_default();
        let names = self.names().into_iter().map(|(name, _)| name);
        names.filter(|name| !is_in(&asked, name.text) && is_in(&known, name.text)).collect()
    }

    /// The bytes of the file at a place.
    pub fn source(&self, span: Range<usize>) -> &'r str {
        self.reader.text().get(span).unwrap_or_default()
    }

    /// A warning at a place in the file.
    pub fn warn_at(&self, span: Range<usize>, message: String, help: &str) {
        self.problem_at(Severity::Warning, span, message, Some(help.to_owned()));
    }

    /// All keys of a section whose names are chosen by the user, with their values.
    pub fn names(&self) -> Vec<(Text<'r>, &'r Spanned<DeValue<'r>>)> {
        let entries = self.table.into_iter().flat_map(|table| table.iter());
        let text = |name: &'r Spanned<_>| Text {
            text: AsRef::<str>::as_ref(name.get_ref()),
            span: name.span(),
        };
        entries.map(|(name, value)| (text(name), value)).collect()
    }

    /// The texts of a section whose names are chosen by the user; `check` says what is wrong with one.
    pub fn named_texts(
        &self,
        check: impl Fn(&str, &str) -> Result<(), String>,
    ) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for (name, value) in self.names() {
            let Some(value) = self.line(name.text, value, "a text in quotes") else { continue };
            match check(name.text, value.text) {
                Ok(()) => drop(texts.insert(name.text.to_owned(), value.text.to_owned())),
                Err(message) => self.problem_at(Severity::Error, name.span, message, None),
            }
        }
        texts
    }

    /// The value of `key` as a whole number within `allowed`.
    pub fn number<T>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        allowed: &RangeInclusive<T>,
    ) -> Option<T>
    where
        T: Copy + PartialOrd + Display + TryFrom<i64>,
    {
        let number = whole_number(value).and_then(|number| T::try_from(number).ok());
        let number = number.filter(|number| allowed.contains(number));
        if number.is_none() {
            let wanted = format!("a whole number from {} to {}", allowed.start(), allowed.end());
            match value.get_ref() {
                DeValue::Integer(number) if number.as_str().len() <= MAX_SHOWN_DIGITS => {
                    self.refuse(key, value, &wanted, &number.to_string());
                }
                _ => self.wrong(key, value, &wanted),
            }
        }
        number
    }

    /// Whether the file does not give this key, or as an empty text or list.
    pub fn is_blank(&self, key: &'static str) -> bool {
        self.find(key).is_none_or(|(_, value)| match value.get_ref() {
            DeValue::String(text) => text.is_empty(),
            DeValue::Array(values) => values.is_empty(),
            _ => false,
        })
    }

    /// Whether the file gives this key.
    pub fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// An error about `key`, or about the section where the key is absent.
    pub fn error(&self, key: &'static str, message: String, help: &str) {
        self.problem_at(Severity::Error, self.place_of(key), message, Some(help.to_owned()));
    }

    /// An error at a place in the file.
    pub fn error_at(&self, span: Range<usize>, message: String) {
        self.problem_at(Severity::Error, span, message, None);
    }

    /// A warning about `key`, or about the section where the key is absent.
    pub fn warn(&self, key: &'static str, message: String, help: &str) {
        self.problem_at(Severity::Warning, self.place_of(key), message, Some(help.to_owned()));
    }

    /// How people call a key of this section: `` `Port` in [Http] ``.
    pub fn name_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => format!("`{}`", key.escape_debug()),
            path => format!("`{}` in [{path}]", key.escape_debug()),
        }
    }

    fn understood<T>(
        &self,
        key: &'static str,
        text: &Text<'r>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let explain = |allowed| {
            let message = format!("{} must be {allowed}", self.name_of(key));
            self.problem_at(Severity::Error, text.span.clone(), message, None);
        };
        parse(text.text).map_err(explain).ok()
    }

    fn texts(&self, key: &'static str) -> Vec<Text<'r>> {
        let wanted = "a text in quotes, or a list of them";
        match self.find(key) {
            None => Vec::new(),
            Some((_, value)) => match value.get_ref() {
                DeValue::Array(values) => {
                    values.iter().filter_map(|value| self.line(key, value, wanted)).collect()
                }
                _ => self.line(key, value, wanted).into_iter().collect(),
            },
        }
    }

    /// A text without control characters, since it ends up in logs, headers and environments.
    fn line(&self, key: &str, value: &'r Spanned<DeValue<'r>>, wanted: &str) -> Option<Text<'r>> {
        match value.get_ref().as_str() {
            Some(text) if text.chars().any(char::is_control) => {
                let message =
                    format!("{} has a line break or another control character", self.name_of(key));
                self.problem_at(Severity::Error, value.span(), message, None);
                None
            }
            Some(text) => Some(Text { text, span: value.span() }),
            None => {
                self.wrong(key, value, wanted);
                None
            }
        }
    }

    /// An error: the value is of another type than `wanted`. Says nothing of the value itself, which may
    /// be a password without its quotes.
    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let given = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time without quotes",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        self.refuse(key, value, wanted, given);
    }

    fn refuse(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str, given: &str) {
        let message = format!("{} must be {wanted}, not {given}", self.name_of(key));
        self.problem_at(Severity::Error, value.span(), message, None);
    }

    fn problem_at(
        &self,
        severity: Severity,
        span: impl Into<Option<Range<usize>>>,
        message: String,
        help: Option<String>,
    ) {
        self.reader.problem(severity, span.into(), message, help);
    }

    fn place_of(&self, key: &'static str) -> Option<Range<usize>> {
        self.find(key).map(|(_, value)| value.span()).or_else(|| self.span.clone())
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Looks `key` up, and remembers that it is known.
    fn find(&self, key: &'static str) -> Option<Entry<'r>> {
        self.reader.learn(&self.path, key);
        self.asked.borrow_mut().insert(key);
        find(self.table?, key)
    }
}

fn whole_number(value: &Spanned<DeValue<'_>>) -> Option<i64> {
    match value.get_ref() {
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
