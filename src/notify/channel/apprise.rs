//! The Apprise program, which knows a hundred services.
//!
//! It fails as a whole, so each address has a call of its own. The addresses stand in its arguments, as with
//! the original: other users of the machine can see them while it runs.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use super::{
    Channel, Delivery, Failed, Receipt, Retry, Sending,
    answer::Hidden,
    exec,
    kinds::{Built, Configured},
    memory::Recipients,
    program::{self, End, Order},
    text,
};
use crate::config::{Secret, Section};

/// Where the program usually is.
pub const PROGRAM: &str = "/usr/local/bin/apprise";
/// The most addresses of one channel.
const MAX_URLS: usize = 100;
/// How long one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// How long all of them may take; several run at the same time.
const LIMIT: Duration = Duration::from_secs(60);
/// A longer body is given on standard input, in bytes.
const MAX_ARGUMENT: usize = 8 * 1024;
/// How much of what it says is told, in characters.
const MAX_SAID_CHARS: usize = 200;
/// Parts of an address that are at least so long, in bytes, are taken for secrets.
const MIN_SECRET: usize = 5;
/// "Not called as it should be": trying again does not help.
const USAGE: i32 = 2;

/// The keys of `Type = "apprise"`, and those of the original: `ApprisePath`, `AppriseUrls`, `AppriseTargets`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `Program`: [`PROGRAM`].
    pub program: PathBuf,
    /// `Urls`, in the words of Apprise; they hold passwords. One at least.
    pub urls: Vec<Secret>,
}

impl Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        let urls = entry.needed_secrets("Urls");
        if urls.len() > MAX_URLS {
            let message = format!("`Urls` has more than {MAX_URLS} addresses");
            entry.error("Urls", message, "make several channels of it");
        }
        Settings { program: entry.path("Program", PROGRAM), urls }
    }
}

impl Settings {
    pub(super) fn limit(&self) -> Duration {
        LIMIT
    }

    pub(super) fn build(&self) -> Built {
        Ok(Arc::new(Apprise::new(self.clone())))
    }
}

/// The channel.
#[derive(Debug)]
pub struct Apprise {
    settings: Settings,
    /// The kind of each address, to speak of it.
    names: Vec<String>,
    recipients: Recipients,
}

impl Apprise {
    pub fn new(settings: Settings) -> Apprise {
        let names = settings.urls.iter().map(|url| name(url.expose())).collect();
        Apprise { settings, names, recipients: Recipients::default() }
    }

    async fn call(&self, url: &Secret, delivery: &Delivery) -> Result<Receipt, Failed> {
        let body = text::body_or_title(delivery);
        let mut arguments: Vec<OsString> =
            vec!["-v".into(), "-t".into(), text::title(delivery).into()];
        let is_long = body.len() > MAX_ARGUMENT;
        if !is_long {
            arguments.extend(["-b".into(), body.clone().into()]);
        }
        arguments.push(url.expose().into());
        let ended = program::run(Order {
            program: self.settings.program.clone(),
            arguments,
            environment: Vec::new(),
            input: if is_long { body.into_bytes() } else { Vec::new() },
            limit: CALL_LIMIT,
        })
        .await;
        let said = || match shown(url.expose(), ended.last_line()) {
            line if line.is_empty() => String::new(),
            line => format!(": {line}"),
        };
        let failed = |why, retry| Err(Failed { why, retry });
        match &ended.end {
            End::Exited(0) => Ok(Receipt("sent".to_owned())),
            End::Exited(USAGE) => failed(format!("apprise refuses it{}", said()), Retry::Never),
            End::Exited(code) => {
                failed(format!("apprise ended with {code}{}", said()), Retry::Later)
            }
            End::Signaled(signal) => {
                failed(format!("apprise was ended by signal {signal}"), Retry::Later)
            }
            End::TimedOut => {
                let seconds = CALL_LIMIT.as_secs();
                failed(format!("apprise did not end within {seconds} s"), Retry::Later)
            }
            End::Flooded => failed("apprise printed too much".to_owned(), Retry::Later),
            End::Failed(error) => {
                let program = self.settings.program.display().to_string();
                let why = exec::not_started(&program, error);
                failed(
                    format!("{why} (it comes with `pip install apprise`)"),
                    exec::retry_after(error),
                )
            }
        }
    }
}

impl Channel for Apprise {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(async move {
            let key = &delivery.message.key;
            let urls = &self.settings.urls;
            self.recipients.send(key, &self.names, |n| self.call(&urls[n], delivery)).await
        })
    }
}

/// What an address may be called: its scheme.
fn name(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
            format!("{scheme}://…")
        }
        _ => "an address".to_owned(),
    }
}

/// What it said, without the address and what is in it.
fn shown(url: &str, line: &str) -> String {
    let mut hidden = Hidden::default();
    hidden.add(url);
    let parts = url.split_once("://").map_or(url, |(_, rest)| rest);
    for part in parts.split(['/', '@', ':', '?', '&', '=', ',']) {
        if part.len() >= MIN_SECRET {
            hidden.add(part);
        }
    }
    let line = text::one_line(&hidden.without(line));
    text::cut(&line, MAX_SAID_CHARS, text::Unit::Chars)
}

#[cfg(test)]
mod tests;
