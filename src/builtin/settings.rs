//! The configuration of a probe: `<name called>.conf`, JSON with comments.
//!
//! A `#` or `;` outside of a string begins a comment that ends with the line. A file changes the keys
//! it has; all others keep their default, and unknown keys are left alone, as files of older versions
//! have some.

use std::io;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Call, Failure, file};

/// Longest configuration read, in bytes.
const MAX_SETTINGS_BYTES: u64 = 1024 * 1024;

/// Reads the configuration of `call`, `None` when there is no file.
///
/// `"enabled": false` is a failure of its own, so that no probe has to ask.
pub(super) fn load<T: DeserializeOwned>(call: &Call) -> Result<Option<T>, Failure> {
    let path = call.config_root.join(format!("{}.conf", call.name));
    let content = match file::read_start(&path, MAX_SETTINGS_BYTES + 1) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Failure::File { action: "read", path, source }),
    };
    match parse(content) {
        Ok(Parsed::Settings(settings)) => Ok(Some(settings)),
        Ok(Parsed::Disabled) => Err(Failure::Disabled { file: path }),
        Err(reason) => Err(Failure::Settings { file: path, reason }),
    }
}

enum Parsed<T> {
    Settings(T),
    Disabled,
}

#[derive(Deserialize)]
struct Switch {
    #[serde(default = "enabled")]
    enabled: bool,
}

fn enabled() -> bool {
    true
}

fn parse<T: DeserializeOwned>(content: Vec<u8>) -> Result<Parsed<T>, String> {
    if content.len() as u64 > MAX_SETTINGS_BYTES {
        return Err(format!("it is longer than {MAX_SETTINGS_BYTES} bytes"));
    }
    let content = String::from_utf8(content).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        format!("line {line}: it is not UTF-8")
    })?;
    let mut text = without_comments(&content);
    match text.trim_start().chars().next() {
        None => text = "{}".to_owned(),
        Some('{') => {}
        // The decoder would take a list as the values of all keys in order.
        Some(_) => return Err("line 1: an object `{ … }` is expected".to_owned()),
    }
    if !serde_json::from_str::<Switch>(&text).map_err(with_place)?.enabled {
        return Ok(Parsed::Disabled);
    }
    serde_json::from_str(&text).map(Parsed::Settings).map_err(with_place)
}

/// The reason with its place in front, where people look first.
fn with_place(error: serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&place).unwrap_or(&text);
    format!("line {} column {}: {reason}", error.line(), error.column())
}

/// The same text with blanks instead of comments: lines and columns stay where they are.
fn without_comments(text: &str) -> String {
    enum At {
        Json,
        String,
        Escape,
        Comment,
    }
    let mut at = At::Json;
    text.chars()
        .map(|c| {
            at = match (&at, c) {
                (At::Json, '"') => At::String,
                (At::Json, '#' | ';') => At::Comment,
                (At::String, '"') => At::Json,
                (At::String, '\\') => At::Escape,
                (At::Escape, _) => At::String,
                (At::Comment, '\n') => At::Json,
                (At::Json, _) => At::Json,
                (At::String, _) => At::String,
                (At::Comment, _) => At::Comment,
            };
            if matches!(at, At::Comment) { ' ' } else { c }
        })
        .collect()
}

/// The file that is shipped for `name` must say what holds without it.
#[cfg(test)]
pub(super) fn assert_shipped_is_default<T>(name: &str)
where
    T: DeserializeOwned + Default + std::fmt::Debug,
{
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/conf.d");
    let content = std::fs::read(format!("{folder}/{name}.conf")).unwrap();
    let Ok(Parsed::Settings(shipped)) = parse::<T>(content) else {
        panic!("{name}.conf is refused")
    };
    assert_eq!(format!("{shipped:?}"), format!("{:?}", T::default()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pattern::{Pattern, Whole};
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Levels {
        warn_level: f64,
        crit_level: f64,
        skipped: Vec<Pattern<Whole>>,
    }

    impl Default for Levels {
        fn default() -> Levels {
            Levels { warn_level: 80.0, crit_level: 95.0, skipped: Vec::new() }
        }
    }

    fn levels(text: &str) -> Result<Levels, String> {
        match parse(text.as_bytes().to_vec())? {
            Parsed::Settings(levels) => Ok(levels),
            Parsed::Disabled => Err("disabled".to_owned()),
        }
    }

    #[test]
    fn a_file_changes_only_the_keys_it_has() {
        let levels = levels("{ \"warnLevel\": 70, \"unknown\": {} }").unwrap();
        assert_eq!((levels.warn_level, levels.crit_level), (70.0, 95.0));
        assert_eq!(super::tests::levels("# nothing but a comment").unwrap().warn_level, 80.0);
        assert_eq!(super::tests::levels("").unwrap().crit_level, 95.0);
    }

    #[test]
    fn comments_end_with_the_line_and_do_not_begin_in_strings() {
        let text = "; one\n{ # two \" three\n\"warnLevel\": 1, ; four\n\"skipped\": [\"a#b;\\\"#\"]\n} # é";
        let levels = levels(text).unwrap();
        assert_eq!(levels.warn_level, 1.0);
        assert_eq!(levels.skipped[0].text(), "a#b;\"#");
    }

    proptest! {
        #[test]
        fn taking_comments_out_moves_nothing(text in ".*(\n.*){0,4}") {
            let out = without_comments(&text);
            prop_assert_eq!(out.chars().count(), text.chars().count());
            prop_assert_eq!(out.lines().count(), text.lines().count());
        }

        #[test]
        fn a_document_without_comments_stays_as_it_is(key in ".*", value in ".*") {
            let text = serde_json::json!({ key: value }).to_string();
            prop_assert_eq!(without_comments(&text), text);
        }

        #[test]
        fn any_bytes_are_accepted_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse::<Levels>(bytes);
        }
    }

    #[test]
    fn mistakes_are_reported_where_they_are() {
        let reason = |text| levels(text).unwrap_err();
        assert_eq!(
            reason("{\n # x\n \"warnLevel\": \"80\"\n}"),
            "line 3 column 18: invalid type: string \"80\", expected f64"
        );
        assert!(reason("{\n\"warnLevel\": 80,\n}").starts_with("line 3 column 1: trailing comma"));
        assert!(
            reason("{\n\"skipped\":\n[\"(\"] }")
                .starts_with("line 3 column 5: bad regular expression `(`")
        );
        assert!(reason("[1, 2, []]").contains("an object"));
        assert!(reason("{\"enabled\": 0}").contains("expected a boolean"));
        assert!(parse::<Levels>(b"{}\n\xff".to_vec()).err().unwrap().starts_with("line 2:"));
        assert!(parse::<Levels>(vec![b' '; 2_000_000]).is_err());
        assert!(reason(&"{\"a\":".repeat(100_000)).starts_with("line 1 "));
    }

    #[test]
    fn disabled_is_told_apart() {
        assert_eq!(levels("{ \"enabled\": false }").unwrap_err(), "disabled");
        assert!(levels("{ \"enabled\": true }").is_ok());
    }
}
