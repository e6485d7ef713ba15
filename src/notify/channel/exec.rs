//! A program of the user's own: the message as JSON on its standard input.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::json;

use super::{
    Channel, Delivery, Failed, Receipt, Retry, Sending,
    answer::Hidden,
    kinds::{Built, Configured},
    program::{self, End, Ended, Order},
    text,
};
use crate::config::{Secret, Section};

/// The longest time that a program may be given, in seconds.
const MAX_TIMEOUT_S: u64 = 60;
/// What ending it may take, besides its own time.
const ENDING: Duration = Duration::from_secs(5);
/// The most words of a command.
const MAX_WORDS: usize = 64;
/// How much of what it says is told, in characters.
const MAX_SAID_CHARS: usize = 200;
/// "Try again later", by `sysexits.h`.
const EX_TEMPFAIL: i32 = 75;
/// What else `sysexits.h` has: trying again does not help.
const EX_FIRST: i32 = 64;
const EX_LAST: i32 = 78;

/// The keys of `Type = "exec"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `Command`: the program by its absolute path, and its arguments. No shell sees them. They may hold
    /// secrets.
    pub command: Vec<Secret>,
    /// `Timeout`: after this time it is killed, with all that it started.
    pub timeout: Duration,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        let command = entry.needed_secrets("Command");
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

impl Settings {
    pub(super) fn limit(&self) -> Duration {
        self.timeout + ENDING
    }

    pub(super) fn build(&self) -> Built {
        Ok(Arc::new(Exec::new(self.clone())))
    }
}

/// The channel.
#[derive(Debug)]
pub struct Exec {
    settings: Settings,
}

impl Exec {
    pub fn new(settings: Settings) -> Exec {
        Exec { settings }
    }

    async fn run(&self, delivery: &Delivery) -> Result<Receipt, Failed> {
        let mut words = self.settings.command.iter().map(Secret::expose);
        let program = words.next().unwrap_or_default();
        let message = &delivery.message;
        let probe = message.subject.probe.as_ref().map_or("", |probe| probe.as_str());
        let environment = [
            ("WIGO_KEY", message.key.clone()),
            ("WIGO_KIND", message.kind.word().to_owned()),
            ("WIGO_HOST", message.subject.host.clone()),
            ("WIGO_PROBE", probe.to_owned()),
            ("WIGO_STATUS", message.status.to_string()),
        ];
        let ended = program::run(Order {
            program: program.into(),
            arguments: words.map(Into::into).collect(),
            environment: environment
                .map(|(name, value)| (name.into(), value.replace('\0', "").into()))
                .into(),
            input: input(delivery),
            limit: self.settings.timeout,
        })
        .await;
        let mut hidden = Hidden::default();
        self.settings.command.iter().skip(1).for_each(|word| hidden.add(word.expose()));
        judge(program, self.settings.timeout, &ended, |line| {
            let line = text::one_line(&hidden.without(line));
            text::cut(&line, MAX_SAID_CHARS, text::Unit::Chars)
        })
    }
}

/// The message with what was made of it.
fn input(delivery: &Delivery) -> Vec<u8> {
    // It has no map whose keys are not text.
    let mut value = serde_json::to_value(&delivery.message).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("title".to_owned(), json!(delivery.title));
        fields.insert("body".to_owned(), json!(delivery.body));
        fields.insert("level".to_owned(), json!(delivery.message.status.level().word()));
        fields.insert("attempt".to_owned(), json!(delivery.attempt));
        fields.insert("late".to_owned(), json!(delivery.late.map(|late| late.as_secs())));
    }
    let mut input = value.to_string().into_bytes();
    input.push(b'\n');
    input
}

/// What its end means.
fn judge(
    program: &str,
    limit: Duration,
    ended: &Ended,
    shown: impl Fn(&str) -> String,
) -> Result<Receipt, Failed> {
    let said = |line: &str| match shown(line) {
        line if line.is_empty() => String::new(),
        line => format!(": {line}"),
    };
    let failed = |why, retry| Err(Failed { why, retry });
    match &ended.end {
        End::Exited(0) => Ok(Receipt(format!("ended with 0{}", said(ended.first_line())))),
        End::Exited(code) => {
            let retry = match *code {
                EX_TEMPFAIL => Retry::Later,
                EX_FIRST..=EX_LAST => Retry::Never,
                _ => Retry::Later,
            };
            failed(format!("`{program}` ended with {code}{}", said(ended.last_line())), retry)
        }
        End::Signaled(signal) => {
            let why =
                format!("`{program}` was ended by signal {signal}{}", said(ended.last_line()));
            failed(why, Retry::Later)
        }
        End::TimedOut => {
            let why =
                format!("`{program}` did not end within {} s and was killed", limit.as_secs());
            failed(why, Retry::Later)
        }
        End::Flooded => {
            failed(format!("`{program}` printed too much and was killed"), Retry::Later)
        }
        End::Failed(error) => failed(not_started(program, error), retry_after(error)),
    }
}

/// Why a program could not be started, and what to do.
pub(super) fn not_started(program: &str, error: &std::io::Error) -> String {
    let advice = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "; install it, or name another path (of a script: is its interpreter there?)"
        }
        std::io::ErrorKind::PermissionDenied => "; the user of wigo must be allowed to run it",
        _ => "",
    };
    format!("`{program}` cannot be started: {error}{advice}")
}

/// A program that is not there will not be there in a moment; that the machine has no room may pass.
pub(super) fn retry_after(error: &std::io::Error) -> Retry {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => Retry::Never,
        _ => Retry::Later,
    }
}

impl Channel for Exec {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.run(delivery))
    }
}

#[cfg(test)]
mod tests;
