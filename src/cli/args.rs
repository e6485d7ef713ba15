//! The command line of wigocli.

mod notify;

use std::path::PathBuf;

use clap::{Parser, Subcommand, builder::NonEmptyStringValueParser};
use jiff::{Span, Timestamp, Zoned};

pub use notify::{
    AckArgs, Covered, IncidentsArgs, MaintenanceAction, NotificationsArgs, SilenceArgs,
    UnsilenceArgs, WhyArgs, WindowArgs,
};

/// How many log entries are shown where nobody says how many.
const DEFAULT_LIMIT: u32 = 100;
/// The most that can be asked for at once.
const MAX_LIMIT: i64 = 10_000;

/// The most rows of the audit log that can be asked for at once.
const MAX_AUDIT_ROWS: i64 = 1_000;

/// The heading of the options that go with every command.
const EVERYWHERE: &str = "Options of every command";

const AFTER_HELP: &str = "\
Exit code, so that every form can serve as a check:
  0  OK or INFO, below 200
  1  WARN, 200-299
  2  CRIT and worse, 300 and above
  3  cannot tell: no answer, no such host or probe, a wrong command line
Judged is the status shown: the global status of the instance, or the status of the probe.
`why`, `incidents`, `held`, `maintenance`, `notifications`, `logs`, `audit` and `orders` end with 0
whatever happened; what changes something ends with 0 when it is done or waits; `run` shows and judges
what the probe says.";

/// Shows what an agent knows: its host and every host below it.
#[derive(Debug, Parser)]
#[command(name = "wigocli", version, after_help = AFTER_HELP)]
#[command(disable_help_subcommand = true)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    /// Without a command: a summary of what is not well.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be said with every command.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// The agent's configuration: address, port, TLS and login are read from its [Http] section
    /// [default: /etc/wigo/wigo.conf]
    #[arg(long, short, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    pub config: Option<PathBuf>,
    /// The agent's address, http://[user:password@]host:port; wins over the configuration
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub url: Option<String>,
    /// Print the JSON of what was asked for
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    /// Keep running and draw again whenever something changes; Ctrl-C ends with the last exit code
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub watch: bool,
}

/// What to show.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything, what is well included
    Detail,
    /// One probe of the agent's own host
    Probe {
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        probe: String,
        #[command(subcommand)]
        action: Option<ProbeAction>,
    },
    /// Another host
    Remote {
        /// Host name or uuid, at any depth; `localhost` is the agent's own
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        wigo: String,
        #[command(subcommand)]
        part: Option<RemotePart>,
    },
    /// The whole tree, one line a host
    Tree,
    /// What happened, the newest entry last
    Logs(LogsArgs),
    /// Why somebody was told, or nobody
    Why(WhyArgs),
    /// What is broken that people are told about, worst first
    Incidents(IncidentsArgs),
    /// Say that you look after it: nothing more is told until it is worse, or over
    Ack(AckArgs),
    /// Say nothing for some time
    Silence(SilenceArgs),
    /// Lift acknowledgements and silences: what is bad is told then
    Unsilence(UnsilenceArgs),
    /// What holds messages back, and how many it held
    Held,
    /// Times in which work is done and nothing is said
    Maintenance {
        #[command(subcommand)]
        action: Option<MaintenanceAction>,
    },
    /// Messages, the newest last: delivered, waiting, or given up
    Notifications(NotificationsArgs),
    /// Try to deliver a message again that was given up
    Resend {
        /// Its number, as `notifications` shows it
        id: i64,
    },
    /// The orders that wait for hosts that are away, and those of the last day
    Orders {
        #[command(subcommand)]
        action: Option<OrdersAction>,
    },
    /// Who asked for which change, the newest last
    Audit(AuditArgs),
    /// Who may push to the agent
    Authority {
        #[command(subcommand)]
        action: AuthorityAction,
    },
    /// Make the agent forget a host that does not report any more: no alarm, no trace but in the log
    Forget {
        /// Host name or uuid
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        host: String,
    },
}

/// What to do about push clients.
#[derive(Debug, Subcommand)]
pub enum AuthorityAction {
    /// Show the clients that wait for your word and those that may push
    List,
    /// Let a client in that waits; compare the fingerprint of its key with the one that it shows
    Allow {
        /// Uuid, or the host name if only one of that name waits
        #[arg(value_name = "UUID|NAME", required_unless_present = "all")]
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        client: Option<String>,
        /// Let in all that wait now
        #[arg(long, conflicts_with = "client")]
        all: bool,
    },
    /// Take a client's right away: it is disconnected, and its part of the tree goes
    Revoke {
        /// Uuid, or the host name if only one has it
        #[arg(value_name = "UUID|NAME", value_parser = NonEmptyStringValueParser::new())]
        client: String,
    },
}

/// What to show of another host.
#[derive(Debug, Subcommand)]
pub enum RemotePart {
    /// Everything, what is well included
    Detail,
    /// One of its probes
    Probe {
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        probe: String,
        #[command(subcommand)]
        action: Option<ProbeAction>,
    },
}

/// What to do with a probe.
#[derive(Debug, Subcommand)]
pub enum ProbeAction {
    /// Run it now and show what it says
    Run,
    /// Switch it off
    Disable {
        /// Why, for those who wonder
        #[arg(long)]
        reason: Option<String>,
        /// It comes back by itself after this time: 90s, 30m, 4h, 7d
        #[arg(long = "for", value_name = "TIME")]
        back_after: Option<String>,
    },
    /// Switch it on again, as often as it ran before
    Enable,
    /// Let it run every so many seconds
    Interval {
        #[arg(value_parser = clap::value_parser!(u32).range(2..=86_400))]
        seconds: u32,
    },
}

/// What to do about orders.
#[derive(Debug, Subcommand)]
pub enum OrdersAction {
    /// End an order that waits
    Cancel {
        /// Its id, as it is listed
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
}

/// Which log entries to show.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub struct LogsArgs {
    /// Of this host
    #[arg(long)]
    pub host: Option<String>,
    /// Of this probe
    #[arg(long)]
    pub probe: Option<String>,
    /// Of this group
    #[arg(long)]
    pub group: Option<String>,
    /// From here on: an age (1h, 2d), a date (2025-03-04T09:15:00Z) or Unix seconds
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub since: Option<i64>,
    /// At most this many, the newest
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MAX_LIMIT))]
    pub limit: u32,
    /// Go on with what happens from now on, until Ctrl-C
    #[arg(long, short)]
    pub follow: bool,
}

/// Which rows of the audit log to show.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub struct AuditArgs {
    /// Of this user, token or program
    #[arg(long)]
    pub who: Option<String>,
    /// This action, such as user.add, or all that begin with this word
    #[arg(long)]
    pub action: Option<String>,
    /// On what has this text in its name
    #[arg(long)]
    pub target: Option<String>,
    /// From here on: an age (1h, 2d), a date (2025-03-04T09:15:00Z) or Unix seconds
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub since: Option<i64>,
    /// At most this many, the newest
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MAX_AUDIT_ROWS))]
    pub limit: u32,
}

/// The Unix second that `text` means.
fn since(text: &str) -> Result<i64, String> {
    since_at(text, &Zoned::now())
}

fn since_at(text: &str, now: &Zoned) -> Result<i64, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| "there is no such Unix second".into());
    }
    if let Ok(date) = text.parse::<Timestamp>() {
        return Ok(date.as_second());
    }
    let age: Span = text.parse().map_err(|_| {
        "give an age such as `1h` or `2d`, a date such as `2025-03-04T09:15:00Z`, or Unix seconds"
    })?;
    let date = now.checked_sub(age).map_err(|_| "that is before all dates")?;
    if date > *now {
        return Err("that is in the future".into());
    }
    Ok(date.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, error::ErrorKind};

    use super::*;

    fn parse(line: &str) -> Result<Args, ErrorKind> {
        Args::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
        let help = Args::command().render_long_help().to_string();
        assert!(help.contains(crate::config::DEFAULT_PATH));
    }

    #[test]
    fn every_form_is_understood() {
        let command = |line| parse(line).unwrap().command;
        assert!(command("wigocli").is_none());
        assert!(matches!(command("wigocli detail"), Some(Command::Detail)));
        assert!(
            matches!(command("wigocli probe p"), Some(Command::Probe { probe, action: None }) if probe == "p")
        );
        assert!(matches!(
            command("wigocli remote w"),
            Some(Command::Remote { wigo, part: None }) if wigo == "w"
        ));
        assert!(matches!(
            command("wigocli remote w detail"),
            Some(Command::Remote { part: Some(RemotePart::Detail), .. })
        ));
        assert!(matches!(
            command("wigocli --json remote w probe p --watch"),
            Some(Command::Remote { part: Some(RemotePart::Probe { probe, action: None }), .. }) if probe == "p"
        ));
        assert!(matches!(command("wigocli tree"), Some(Command::Tree)));
        assert!(matches!(
            command("wigocli probe p disable --reason why --for 4h"),
            Some(Command::Probe {
                action: Some(ProbeAction::Disable { reason: Some(_), back_after: Some(_) }),
                ..
            })
        ));
        assert!(matches!(
            command("wigocli remote w probe p interval 60"),
            Some(Command::Remote {
                part: Some(RemotePart::Probe {
                    action: Some(ProbeAction::Interval { seconds: 60 }),
                    ..
                }),
                ..
            })
        ));
        assert!(matches!(command("wigocli orders"), Some(Command::Orders { action: None })));
        assert!(matches!(
            command("wigocli orders cancel 7"),
            Some(Command::Orders { action: Some(OrdersAction::Cancel { id }) }) if id == "7"
        ));
        assert!(
            matches!(command("wigocli forget h"), Some(Command::Forget { host }) if host == "h")
        );
        assert!(matches!(
            command("wigocli audit --who eve --action user --target web --limit 5"),
            Some(Command::Audit(AuditArgs { who: Some(who), limit: 5, .. })) if who == "eve"
        ));
        let authority = |line| match command(line) {
            Some(Command::Authority { action }) => action,
            other => panic!("{line}: {other:?}"),
        };
        assert!(matches!(authority("wigocli authority list"), AuthorityAction::List));
        assert!(matches!(
            authority("wigocli authority allow c"),
            AuthorityAction::Allow { client: Some(client), all: false } if client == "c"
        ));
        assert!(matches!(
            authority("wigocli authority allow --all"),
            AuthorityAction::Allow { client: None, all: true }
        ));
        assert!(matches!(
            authority("wigocli authority revoke c"),
            AuthorityAction::Revoke { client } if client == "c"
        ));
        let global =
            parse("wigocli remote w probe p --config f --url u --json --watch").unwrap().global;
        assert_eq!((global.config, global.url), (Some("f".into()), Some("u".into())));
        assert!(global.json && global.watch);
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let check = |line, kind| assert_eq!(parse(line).map(|_| ()), Err(kind), "{line}");
        check("wigocli nonsense", ErrorKind::InvalidSubcommand);
        check("wigocli probe", ErrorKind::MissingRequiredArgument);
        check("wigocli remote w nonsense", ErrorKind::UnknownArgument);
        check("wigocli remote w probe", ErrorKind::MissingRequiredArgument);
        check("wigocli logs --since nonsense", ErrorKind::ValueValidation);
        check("wigocli logs --limit 0", ErrorKind::ValueValidation);
        check("wigocli detail more", ErrorKind::UnknownArgument);
        check("wigocli authority allow", ErrorKind::MissingRequiredArgument);
        check("wigocli authority allow c --all", ErrorKind::ArgumentConflict);
        check("wigocli authority revoke", ErrorKind::MissingRequiredArgument);
        check("wigocli probe p interval 1", ErrorKind::ValueValidation);
        check("wigocli probe p nonsense", ErrorKind::UnknownArgument);
        check("wigocli forget", ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn since_is_an_age_a_date_or_a_second() {
        let now: Zoned = "2025-03-04T09:15:00Z[UTC]".parse().unwrap();
        let check = |text, second| assert_eq!(since_at(text, &now), Ok(second), "{text}");
        check("1h", 1741079700 - 3600);
        check("2d", 1741079700 - 2 * 86400);
        check("1h 30m", 1741079700 - 5400);
        check("2025-03-04T10:15:00+01:00", 1741079700);
        check("1741079700", 1741079700);
        for text in ["", "soon", "-1h", "99999999999999999999"] {
            assert!(since_at(text, &now).is_err(), "{text}");
        }
    }
}
