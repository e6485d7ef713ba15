//! wigocli: what an agent knows, in a terminal or in a script.
//!
//! One request to the agent (`/api` or `/api/logs`), one pure step from its answer to what is shown and to
//! the exit code, one write. `--watch` and `logs --follow` repeat that each second. `authority`, `forget`,
//! `orders`, `ack`, `silence`, `unsilence`, `maintenance`, `resend` and what is ordered of a probe change
//! something.

pub mod args;
mod audit;
mod authority;
pub mod client;
mod configured;
mod held;
mod incidents;
mod logs;
mod maintenance;
pub mod model;
mod notifications;
pub mod notify;
mod orders;
pub mod plan;
mod printable;
pub mod probe;
pub mod render;
mod repeat;
mod screen;
mod shell;
mod story;
mod tabular;
pub mod token;
mod tree;
pub mod user;
mod verdict;
mod view;
mod why;

use std::{io, path::PathBuf};

use crate::{config::LoadError, probe::catalog::NoProbes};

pub use args::Args;
use args::{Command, RemotePart};
use client::Client;
use screen::Screen;
pub use screen::complaint;
pub use verdict::Verdict;

/// Why wigocli cannot tell.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error(transparent)]
    Probes(#[from] NoProbes),
    #[error(
        "there is no probe `{probe}` in an interval folder or in examples/ of `{}`; `wigo probe \
         list` shows those there are, a path needs a `/`",
        root.display()
    )]
    NoSuchProbe { probe: String, root: PathBuf },
    #[error("`{}` cannot be a probe: {why}", path.display())]
    BadProbe { path: PathBuf, why: String },
    #[error("no folder for the state of the probe can be made")]
    Trial(#[source] io::Error),
    #[error("the probe `{}` cannot be looked at", path.display())]
    ProbeFile { path: PathBuf, source: io::Error },
    #[error(
        "the agent of the configuration `{}` cannot be asked: Enabled is false in its [Http]; name \
         another agent with --url",
        path.display()
    )]
    HttpOff { path: PathBuf },
    #[error("the answer of `{url}` is JSON, and not of a wigo; is this wigo's HTTP port?")]
    NotWigo { url: String },
    #[error("the agent on `{on}` knows no host `{wigo}`; `wigocli detail` shows those it knows")]
    NoHost { on: String, wigo: String },
    #[error(
        "the host `{on}` has no probe `{probe}`; `wigocli remote {on} detail` shows those it has"
    )]
    NoProbe { on: String, probe: String },
    #[error(
        "cannot follow the log: this agent does not number its entries, it is too old; ask without \
         --follow"
    )]
    NotNumbered,
    #[error("`{who}` is no client that {state}; `wigocli authority list` shows those there are")]
    NoClient { who: String, state: &'static str },
    #[error("several clients are called `{name}`; say which uuid is meant: {uuids}")]
    SeveralClients { name: String, uuids: String },
    #[error("there is no incident `{id}`; `wigocli incidents` shows those there are")]
    NoIncident { id: String },
    #[error("several incidents begin with `{id}`: write more of its digits")]
    SeveralIncidents { id: String },
    #[error("nothing with the labels `{labels}` is silenced; `wigocli held` shows what is")]
    NotSilenced { labels: String },
    #[error("nobody has disabled the probe `{probe}`: say how often it shall run (interval)")]
    NotDisabled { probe: String },
    #[error("--watch goes with what is shown again and again; leave it out here")]
    NotWatched,
    #[error("cannot write to the standard output")]
    Output(#[source] io::Error),
    #[error("cannot listen for Ctrl-C")]
    Signal(#[source] io::Error),
}

/// Does what the command line asks and says how things are. An error means [`Verdict::Unknown`].
pub fn run(args: Args) -> Result<Verdict, Error> {
    let client = Client::new(configured::target(&args.global)?);
    let screen = Screen::of_stdout(args.global.json);
    let (json, watch) = (args.global.json, args.global.watch);
    match args.command {
        Some(Command::Logs(query)) if query.follow || watch => {
            repeat::until_interrupted(move |last| {
                logs::follow(&client, &query, json, &screen, last)
            })
        }
        Some(Command::Logs(query)) => logs::show(&client, &query, json, &screen),
        Some(
            Command::Authority { .. }
            | Command::Forget { .. }
            | Command::Audit(_)
            | Command::Orders { .. }
            | Command::Why(_)
            | Command::Incidents(_)
            | Command::Ack(_)
            | Command::Silence(_)
            | Command::Unsilence(_)
            | Command::Held
            | Command::Maintenance { .. }
            | Command::Notifications(_)
            | Command::Resend { .. }
            | Command::Probe { action: Some(_), .. }
            | Command::Remote { part: Some(RemotePart::Probe { action: Some(_), .. }), .. },
        ) if watch => Err(Error::NotWatched),
        Some(Command::Why(query)) => why::show(&client, &query, json, &screen),
        Some(Command::Incidents(query)) => incidents::show(&client, &query, json, &screen),
        Some(Command::Ack(query)) => held::acknowledge(&client, &query, json, &screen),
        Some(Command::Silence(query)) => held::silence(&client, &query, json, &screen),
        Some(Command::Unsilence(query)) => held::unsilence(&client, &query, json, &screen),
        Some(Command::Held) => held::show(&client, json, &screen),
        Some(Command::Maintenance { action }) => {
            maintenance::run(&client, action.as_ref(), json, &screen)
        }
        Some(Command::Notifications(query)) => notifications::show(&client, &query, json, &screen),
        Some(Command::Resend { id }) => notifications::resend(&client, id, json, &screen),
        Some(Command::Audit(query)) => audit::show(&client, &query, json, &screen),
        Some(Command::Orders { action }) => orders::run(&client, action.as_ref(), json, &screen),
        Some(Command::Probe { probe, action: Some(action) }) => {
            orders::give(&client, None, &probe, &action, json, &screen)
        }
        Some(Command::Remote {
            wigo,
            part: Some(RemotePart::Probe { probe, action: Some(action) }),
        }) => orders::give(&client, Some(&wigo), &probe, &action, json, &screen),
        Some(Command::Authority { action }) => authority::run(&client, &action, json, &screen),
        Some(Command::Forget { host }) => authority::forget(&client, &host, json, &screen),
        command if watch => repeat::until_interrupted(move |last| {
            repeat::watch(&client, command.as_ref(), json, &screen, last)
        }),
        command => {
            let answer = client.get_text(view::PATH)?;
            let view = view::of(&client, &answer, command.as_ref(), json, &screen.look)?;
            screen.print(&view.text)?;
            Ok(view.verdict)
        }
    }
}
