//! What people see.

use std::path::Path;

use super::*;
use crate::config::{LoadError, parse};

fn problems(text: &str) -> Problems {
    match parse(text, Path::new("wigo.conf")) {
        Ok(loaded) => loaded.warnings,
        Err(LoadError::Invalid(problems)) => problems,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn all_problems_of_a_file_are_shown_in_its_order() {
    let text = "[Http]\nPort = 70000\nProt = 1\n\n[Global]\nDebug = \"yes\"\n";
    let expected = "\
error: `Port` in [Http] must be a whole number from 0 to 65535, not 70000
 --> wigo.conf:2:8
  |
2 | Port = 70000
  |        ^^^^^

warning: unknown key `Prot` in [Http]
 --> wigo.conf:3:1
  |
3 | Prot = 1
  | ^^^^
  |
  = help: did you mean `Port`?

error: `Debug` in [Global] must be true or false, not a text
 --> wigo.conf:6:9
  |
6 | Debug = \"yes\"
  |         ^^^^^
";
    assert_eq!(problems(text).render(false), expected);
}

#[test]
fn a_line_for_a_log_has_file_and_line() {
    let lines: Vec<_> = problems("\n[Http]\nProt = 1").iter().map(Problem::to_string).collect();
    assert_eq!(lines, ["wigo.conf:3: unknown key `Prot` in [Http]; did you mean `Port`?"]);
}

#[test]
fn color_is_only_there_when_asked_for() {
    let problems = problems("[Http]\nPort = \"x\"");
    assert!(!problems.render(false).contains('\u{1b}'));
    assert!(problems.render(true).contains("\u{1b}["));
}

#[test]
fn columns_count_characters() {
    let problems = problems("\"äöü\" = 1\n");
    assert_eq!(problems.iter().map(|p| (p.line, p.column)).collect::<Vec<_>>(), [(1, 1)]);
    assert_eq!(line_and_column("ä = ö\nß = x", 13), (2, 5));
    assert_eq!(line_and_column("", 0), (1, 1));
}

#[test]
fn what_is_no_toml_is_shown_with_its_line() {
    let expected = "\
error: this is not TOML: string values must be quoted, expected literal string
 --> wigo.conf:2:8
  |
2 | Port =\x20
  |        ^

error: this is not TOML: unclosed table, expected `]`
 --> wigo.conf:3:8
  |
3 | [Global
  |        ^
";
    assert_eq!(problems("[Http]\nPort = \n[Global\nDebug = 1").render(false), expected);
}

#[test]
fn a_hostile_file_does_not_fill_the_memory() {
    let text: String = (0..5_000).map(|n| format!("k{n} = 1\n")).collect();
    let problems = problems(&text);
    assert_eq!(problems.warnings().count(), MAX_PROBLEMS);
    assert!(problems.render(false).ends_with("\n… and 4900 more like these\n"));
}

#[test]
fn control_characters_of_a_file_do_not_reach_the_terminal() {
    let problems = problems("\"\\u001b[31mred\" = 1\n[Http]\nAnonymousRole = \"\\u001b\"");
    assert!(!problems.render(false).contains('\u{1b}'));
    assert!(!problems.to_string().contains('\u{1b}'));
}
