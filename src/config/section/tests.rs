//! One value at a time.

use std::path::Path;

use super::*;
use crate::config::Environment;

/// Reads a file with `read`, and says what was wrong with it.
fn check<T>(text: &str, read: impl FnOnce(&Section<'_>) -> T) -> (T, Vec<String>) {
    let environment = Environment::of_process();
    let reader = Reader::new(Path::new("f"), text, &environment)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let value = read(&reader.root());
    (value, reader.into_problems().iter().map(|problem| problem.message.clone()).collect())
}

#[test]
fn numbers_are_checked_against_their_range() {
    let number = |text: &str| check(text, |root| root.integer::<u16>("N", 7, 1..=900));
    assert_eq!(number(""), (7, vec![]));
    assert_eq!(number("N = 1"), (1, vec![]));
    assert_eq!(number("N = 0x10"), (16, vec![]));
    assert_eq!(number("N = 0b11"), (3, vec![]));
    assert_eq!(number("N = 9_0_0"), (900, vec![]));
    assert_eq!(number("N = +5"), (5, vec![]));
    let refused = |text: &str, given: &str| {
        let message = format!("`N` must be a whole number from 1 to 900, not {given}");
        assert_eq!(number(text), (7, vec![message]));
    };
    refused("N = 0", "0");
    refused("N = -1", "-1");
    refused("N = 901", "901");
    refused("N = 99999999999999999999", "99999999999999999999");
    refused("N = 1.5", "a number with a fraction");
    refused("N = \"1\"", "a text");
    refused("N = true", "true or false");
    refused("N = []", "a list");
    refused("N = 2020-01-01", "a date or time without quotes");
}

#[test]
fn exact_names_come_before_names_in_other_capitals() {
    let number = |text: &str| check(text, |root| root.integer::<u8>("Key", 0, 0..=9)).0;
    assert_eq!(number("key = 1"), 1);
    assert_eq!(number("KEY = 1\nKey = 2"), 2);
}

#[test]
fn one_text_is_a_list_of_one() {
    let texts = |text: &str| check(text, |root| root.strings("L"));
    assert_eq!(texts("L = \"a\""), (vec!["a".to_owned()], vec![]));
    assert_eq!(texts("L = [\"a\", \"b\"]"), (vec!["a".to_owned(), "b".to_owned()], vec![]));
    let message = "`L` must be a text in quotes, or a list of them, not a number".to_owned();
    assert_eq!(texts("L = [\"a\", 5]"), (vec!["a".to_owned()], vec![message]));
}

#[test]
fn a_secret_is_one_text_and_is_not_repeated_in_its_error() {
    let secret = |text: &str| check(text, |root| root.secret("S").expose().to_owned());
    assert_eq!(secret("S = \"a\""), ("a".to_owned(), vec![]));
    let message =
        |given| (String::new(), vec![format!("`S` must be a text in quotes, not {given}")]);
    assert_eq!(secret("S = [\"a\"]"), message("a list"));
    assert_eq!(secret("S = 4711"), message("a number"));
}

#[test]
fn texts_have_one_line() {
    let (_, problems) = check("T = \"a\\nb\"", |root| root.string("T", ""));
    assert_eq!(problems, ["`T` has a line break or another control character"]);
}

#[test]
fn a_section_must_be_one() {
    let (_, problems) = check("S = 1", |root| root.section("S").boolean("X", true));
    assert_eq!(problems, ["`S` must be a section, written `[S]`, not a number"]);
    let (_, problems) = check("[[S]]", |root| root.section("S").boolean("X", true));
    assert_eq!(problems, ["`S` must be a section, written `[S]`, not a list"]);
    let (_, problems) = check("[S]", |root| root.list("S", |entry| entry.boolean("X", true)));
    assert_eq!(problems, ["`S` must be a list of sections, each written `[[S]]`, not a section"]);
}

#[test]
fn keys_of_a_list_are_known_without_an_entry() {
    let environment = Environment::of_process();
    let reader = Reader::new(Path::new("f"), "", &environment).unwrap();
    let list = reader.root().list("L", |entry| {
        entry.error("X", "absent".to_owned(), "");
        entry.boolean("X", true)
    });
    assert!(list.is_empty());
    assert!(reader.known()["L"].contains("X"));
    assert!(reader.into_problems().is_empty(), "an entry that is not there has no mistakes");
}
