//! `wigo notify`: what messages look like, and whether a channel delivers them.
//!
//! Goes by the configuration alone, so that it can be tried before the agent is started. For `test` the
//! secrets that the configuration only names have to be there, as they are for the agent.

use std::{
    fmt::Write as _,
    io,
    path::Path,
    time::{Duration, Instant},
};

use clap::{Subcommand, builder::NonEmptyStringValueParser};
use jiff::{Timestamp, tz::TimeZone};
use thiserror::Error;

use super::{printable::printable, screen::Screen};
use crate::{
    config::{self, ChannelConfig, Config, DEFAULT_PATH, LoadError},
    notify::{
        Kind, Message,
        channel::{Clients, Delivery, Receipt},
        template::{Mistake, Rendered, Templates, sample},
    },
};

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what a message looks like. Nothing is sent.
    Render {
        /// With the templates of this channel; else with the usual ones.
        #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        channel: Option<String>,
        /// Which kind of message: problem, worsened, improved, joined, reminder, recovered, flapping, calm,
        /// summary, digest, notice, test.
        #[arg(long, value_name = "KIND", default_value = "problem", value_parser = kind)]
        sample: Kind,
    },
    /// Send a test message by a channel, now and once. Exits with 0 if it was taken, else with 1.
    Test {
        /// The name of the channel.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        channel: String,
    },
}

/// Why it was not done.
#[derive(Debug, Error)]
pub enum CannotDo {
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error(
        "the configuration has no channel `{name}`{}",
        match known.is_empty() {
            true => "; it has none at all: add one to [[Notifications.Channels]]".to_owned(),
            false => format!("; there are: {known}"),
        }
    )]
    NoChannel { name: String, known: String },
    #[error("a template of channel `{channel}` cannot be used: line {}: {source}", source.line)]
    Template { channel: String, source: Mistake },
    #[error("channel `{channel}` cannot be used: {why}")]
    NotBuilt { channel: String, why: String },
    #[error("channel `{channel}` did not deliver the message: {why}")]
    NotDelivered { channel: String, why: String },
    #[error("the test cannot be run")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Output(#[from] super::Error),
}

/// The kind that a word names, for clap.
fn kind(word: &str) -> Result<Kind, String> {
    sample::kind(word).ok_or_else(|| {
        let words: Vec<&str> = sample::KINDS.iter().map(|kind| kind.word()).collect();
        format!("there are: {}", words.join(", "))
    })
}

/// Does what the command line asks.
pub fn run(command: Command, path: Option<&Path>) -> Result<(), CannotDo> {
    let path = path.unwrap_or(DEFAULT_PATH.as_ref());
    let text = match command {
        Command::Render { channel, sample } => {
            render(&config::load_beside(path)?.config, channel.as_deref(), sample)?
        }
        Command::Test { channel } => {
            let config = config::load(path)?.config;
            let (receipt, took) = test(&config, find(&config, &channel)?)?;
            let said = printable(&receipt.0).into_owned();
            format!("channel `{channel}` took it in {:.1} s: {said}\n", took.as_secs_f64())
        }
    };
    Screen::of_stdout(false).print(&text)?;
    Ok(())
}

fn find<'a>(config: &'a Config, name: &str) -> Result<&'a ChannelConfig, CannotDo> {
    let channels = &config.notifications.channels;
    channels.iter().find(|channel| channel.name == name).ok_or_else(|| CannotDo::NoChannel {
        name: name.to_owned(),
        known: channels.iter().map(|channel| &*channel.name).collect::<Vec<_>>().join(", "),
    })
}

fn sample_for(config: &Config, channel: &str, kind: Kind) -> Message {
    let (sender, page) = (&config.global.hostname, &config.notifications.page_url);
    sample::of(kind, channel, sender, page, Timestamp::now())
}

fn templates_of(channel: &ChannelConfig) -> Result<Templates, CannotDo> {
    Templates::of(channel)
        .map_err(|source| CannotDo::Template { channel: channel.name.clone(), source })
}

fn render(config: &Config, channel: Option<&str>, kind: Kind) -> Result<String, CannotDo> {
    let (name, templates) = match channel {
        Some(name) => (name, templates_of(find(config, name)?)?),
        None => {
            let usual = Templates::new(None, None, TimeZone::system());
            ("channel", usual.map_err(|source| CannotDo::Template { channel: "".into(), source })?)
        }
    };
    let message = sample_for(config, name, kind);
    let Rendered { title, body, trouble } = templates.render(&message, None, message.at);
    let mut text = format!("{}\n\n", printable(&title));
    for line in body.lines() {
        let _ = writeln!(text, "{}", printable(line));
    }
    if let Some(trouble) = trouble {
        let _ = writeln!(text, "\n({})", printable(&trouble));
    }
    Ok(text)
}

/// Sends a test message.
fn test(config: &Config, channel: &ChannelConfig) -> Result<(Receipt, Duration), CannotDo> {
    let name = || channel.name.clone();
    let templates = templates_of(channel)?;
    let built =
        Clients::new().build(channel).map_err(|why| CannotDo::NotBuilt { channel: name(), why })?;
    let message = sample_for(config, &channel.name, Kind::Test);
    let Rendered { title, body, .. } = templates.render(&message, None, message.at);
    let now = message.at;
    let delivery = Delivery { message, attempt: 1, late: None, title, body, now };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CannotDo::Runtime)?;
    let started = Instant::now();
    let limit = channel.settings.limit();
    let outcome =
        runtime.block_on(async { tokio::time::timeout(limit, built.send(&delivery)).await });
    // A look-up of a name may still hold a thread.
    runtime.shutdown_background();
    match outcome {
        Ok(Ok(receipt)) => Ok((receipt, started.elapsed())),
        Ok(Err(failed)) => Err(CannotDo::NotDelivered { channel: name(), why: failed.why }),
        Err(_) => {
            let why = format!("no answer within {} s", limit.as_secs());
            Err(CannotDo::NotDelivered { channel: name(), why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        config::parse(text, Path::new("w")).unwrap().config
    }

    const CHANNEL: &str = "[Global]\nHostname = \"me\"\n[Notifications]\nOnProbeChange = true\n\
                           PageUrl = \"https://w.example\"\n[[Notifications.Channels]]\nName = \"a\"\n\
                           Type = \"exec\"\n";

    #[test]
    fn a_message_is_shown_as_the_channel_would_get_it() {
        let config = config(&format!(
            "{CHANNEL}Command = [\"/bin/true\"]\nTitle = \"to {{{{ channel }}}}\""
        ));
        let text = render(&config, Some("a"), Kind::Problem).unwrap();
        assert!(text.starts_with("to a\n\n95 % of /var"), "{text}");
        assert!(text.contains("https://w.example/incidents/"), "{text}");
        assert!(render(&config, None, Kind::Recovered).unwrap().starts_with("OK db1"));
    }

    #[test]
    fn a_channel_that_is_not_there_is_told_with_those_that_are() {
        let config = config(&format!("{CHANNEL}Command = [\"/bin/true\"]"));
        let said = render(&config, Some("b"), Kind::Problem).unwrap_err().to_string();
        assert!(said.contains("no channel `b`; there are: a"), "{said}");
    }

    #[test]
    fn a_test_says_what_the_receiver_says() {
        let good = config(&format!("{CHANNEL}Command = [\"/bin/sh\", \"-c\", \"echo well\"]"));
        assert_eq!(test(&good, find(&good, "a").unwrap()).unwrap().0.0, "ended with 0: well");
        let bad = config(&format!("{CHANNEL}Command = [\"/bin/sh\", \"-c\", \"echo no; exit 1\"]"));
        let said = test(&bad, find(&bad, "a").unwrap()).unwrap_err().to_string();
        assert_eq!(said, "channel `a` did not deliver the message: `/bin/sh` ended with 1: no");
    }

    #[test]
    fn kinds_are_words() {
        assert_eq!(kind("Digest"), Ok(Kind::Digest));
        assert!(kind("party").unwrap_err().contains("recovered"));
    }
}
