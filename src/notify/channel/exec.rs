//! A program of the user's own.

use std::{path::Path, time::Duration};

use crate::config::{Secret, Section};

/// The longest time that a program may be given, in seconds.
const MAX_TIMEOUT_S: u64 = 60;
/// The most words of a command.
const MAX_WORDS: usize = 64;

/// What is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `Command`: the program by its absolute path, and its arguments. No shell sees them. They may hold
    /// secrets.
    pub command: Vec<Secret>,
    /// `Timeout`: after this time it is killed.
    pub timeout: Duration,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        entry.need("Command");
        let command = entry.secrets("Command");
        let program = command.first().map(Secret::expose).unwrap_or_default();
        if !command.is_empty() && !Path::new(program).is_absolute() {
            let message = "`Command` must begin with the absolute path of a program".to_owned();
            entry.error("Command", message, "write it as a list: [\"/path\", \"argument\"]");
        }
        if command.len() > MAX_WORDS {
            let message = format!("`Command` has more than {MAX_WORDS} words");
            entry.error("Command", message, "write a script, and name that");
        }
        Settings { command, timeout: entry.seconds("Timeout", 10, 1..=MAX_TIMEOUT_S) }
    }
}
