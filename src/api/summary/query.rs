//! What is asked of a list: how much, from where on, and what of it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    api::{
        hosts::{has_label, labels_of, query_pairs},
        journal::read_level,
    },
    status::Level,
    tree::{Instance, Presence},
};

/// Rows of one answer when the caller does not say.
const DEFAULT_LIMIT: usize = 100;
/// Most rows of one answer.
const MAX_LIMIT: usize = 500;

/// The parameters that lists share. What is not given does not matter.
#[derive(Debug)]
pub struct Query {
    pub after: Option<String>,
    pub limit: usize,
    /// In small letters.
    pub text: String,
    /// This level or worse.
    pub level: Level,
    pub presence: Option<Presence>,
    pub group: Option<String>,
    pub labels: Vec<(String, String)>,
    /// Directly below this instance.
    pub below: Option<Uuid>,
    pub by_name: bool,
}

impl Query {
    /// Reads a query string. What makes no sense is refused; parameters that are not known are not looked
    /// at, nor are empty ones.
    pub fn read(query: &str) -> Result<Query, String> {
        let mut wanted = Query {
            after: None,
            limit: DEFAULT_LIMIT,
            text: String::new(),
            level: Level::Ok,
            presence: None,
            group: None,
            labels: labels_of(query)?,
            below: None,
            by_name: false,
        };
        for (name, value) in query_pairs(query).filter(|(_, value)| !value.is_empty()) {
            match name.as_str() {
                "after" => wanted.after = Some(value),
                "limit" => wanted.limit = number(&name, &value)?.clamp(1, MAX_LIMIT),
                "q" => wanted.text = value.to_lowercase(),
                "level" => wanted.level = read_level(&value)?,
                "presence" => wanted.presence = Some(presence(&value)?),
                "group" => wanted.group = Some(value),
                "below" => {
                    let uuid = Uuid::try_parse(&value);
                    let uuid = uuid.map_err(|_| format!("`below`: `{value}` is no uuid"))?;
                    wanted.below = Some(uuid);
                }
                "sort" => wanted.by_name = by_name(&value)?,
                _ => {}
            }
        }
        Ok(wanted)
    }

    /// Whether a host has the group and the labels that are asked for.
    pub fn takes_host(&self, instance: &Instance) -> bool {
        self.group.as_ref().is_none_or(|group| *group == instance.host.group)
            && self.labels.iter().all(|(key, value)| has_label(instance, key, value))
    }

    /// Whether the text that is asked for is in one of `texts`.
    pub fn takes_text<'text>(&self, texts: impl IntoIterator<Item = &'text str>) -> bool {
        self.text.is_empty() || texts.into_iter().any(|text| find(text, &self.text).is_some())
    }
}

/// The value of a parameter that is a number; one that is too large for any list is as good as the largest.
pub fn number(name: &str, value: &str) -> Result<usize, String> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match is_number {
        true => Ok(value.parse().unwrap_or(usize::MAX)),
        false => Err(format!("`{name}`: `{value}` is no number")),
    }
}

fn presence(word: &str) -> Result<Presence, String> {
    let found = Presence::parse(word);
    found.ok_or_else(|| {
        format!("`presence`: `{word}` is none: write alive, unknown, stopped or down")
    })
}

fn by_name(word: &str) -> Result<bool, String> {
    match word {
        "name" => Ok(true),
        "status" => Ok(false),
        _ => Err(format!("`sort`: `{word}` is no order: write status or name")),
    }
}

/// Where `wanted`, which is in small letters, is in a text, whatever the letters there.
pub fn find(text: &str, wanted: &str) -> Option<usize> {
    if !text.is_ascii() {
        return text.to_lowercase().find(wanted);
    }
    if wanted.is_empty() {
        return Some(0);
    }
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    text.windows(wanted.len()).position(|part| part.eq_ignore_ascii_case(wanted))
}

/// A place in a list, as callers carry it: what the list is ordered by, so that it stays right while rows
/// come and go.
pub fn cursor(place: &impl Serialize) -> String {
    let text = serde_json::to_vec(place).expect("numbers and texts");
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// The place behind a cursor.
pub fn place<T: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<T>, String> {
    let Some(cursor) = cursor else { return Ok(None) };
    let text = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = text.and_then(|text| serde_json::from_slice(&text).ok());
    place.map(Some).ok_or_else(|| {
        "`after` is no place in this list: take it from `Next` of the page before".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        for query in
            ["limit=x", "limit=-1", "level=bad", "presence=here", "below=1", "sort=age", "labels=x"]
        {
            assert!(Query::read(query).is_err(), "{query}");
        }
        let query = Query::read("limit=9999&level=WARN&q=Ab%20C&group=&unknown=1&sort=name");
        let query = query.unwrap();
        assert_eq!((query.limit, query.level, query.by_name), (MAX_LIMIT, Level::Warn, true));
        assert_eq!((query.text.as_str(), query.group), ("ab c", None));
        assert_eq!(Query::read("limit=0").unwrap().limit, 1);
        let huge = format!("limit={}", "9".repeat(30));
        assert_eq!(Query::read(&huge).unwrap().limit, MAX_LIMIT);
        assert!(place::<(u16, String)>(Some("!")).is_err());
        assert!(place::<(u16, String)>(Some(&cursor(&1))).is_err());
        let held = (1, "é".to_owned());
        assert_eq!(place(Some(&cursor(&held))), Ok(Some(held)));
    }

    #[test]
    fn texts_are_found_in_any_letters() {
        assert_eq!(find("Web-DB1", "db"), Some(4));
        assert_eq!(find("db", "dbx"), None);
        assert_eq!(find("ÄRGER", "ärg"), Some(0));
        assert_eq!(find("x", ""), Some(0));
    }
}
