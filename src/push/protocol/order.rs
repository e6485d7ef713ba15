//! The border for orders and their answers: what a master or an agent says becomes our own types, within
//! bounds, and ours become what travels.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Flaws, Pool,
    channel::MAX_DEADLINE,
    wire::{self, MAX_WAY},
};
use crate::{
    config::Role,
    orders::{
        Action, Answer, Author, MAX_AUTHOR, MAX_DISABLED_FOR, MAX_REASON, Order, Outcome,
        RefusalKind, Schedule, What, plain,
    },
    tree::ProbeName,
};

/// Longest sentence of an answer, in characters.
const MAX_SENTENCE: usize = 1_000;

impl From<Order> for wire::Order {
    fn from(order: Order) -> wire::Order {
        let Order { id, target, what, author, hops, limit } = order;
        let what = match what {
            What::Schedule => wire::What::Schedule,
            What::Do(probe, action) => {
                let probe = probe.to_string();
                match action {
                    Action::Disable { reason, back_after } => {
                        let back_after_s = back_after.map(seconds);
                        wire::What::Disable { probe, reason, back_after_s }
                    }
                    Action::Interval { seconds } => wire::What::Interval { probe, seconds },
                    Action::Run => wire::What::Run { probe },
                }
            }
        };
        let author = wire::Author {
            name: author.name,
            is_operator: author.role == Role::Operator,
            address: author.address,
            by_way_of: author.by_way_of.into_iter().take(MAX_WAY).collect(),
        };
        let limit_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        wire::Order { id, target, what, author, hops, limit_ms }
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

impl wire::Order {
    /// The order, checked; or why it is none.
    pub fn checked(self) -> Result<Order, String> {
        let wire::Order { id, target, what, author, hops, limit_ms } = self;
        let named = |name: &str| {
            ProbeName::parse(name).map_err(|why| {
                format!("`{}` is no name of a probe: {why}", plain(name, MAX_AUTHOR))
            })
        };
        let what = match what {
            wire::What::Schedule => What::Schedule,
            wire::What::Disable { probe, reason, back_after_s } => {
                let after = |seconds: u32| Duration::from_secs(seconds.into());
                let back_after = back_after_s.map(|seconds| after(seconds).min(MAX_DISABLED_FOR));
                let reason = plain(&reason, MAX_REASON);
                What::Do(named(&probe)?, Action::Disable { reason, back_after })
            }
            wire::What::Interval { probe, seconds } => {
                What::Do(named(&probe)?, Action::Interval { seconds })
            }
            wire::What::Run { probe } => What::Do(named(&probe)?, Action::Run),
        };
        let author = Author {
            name: plain(&author.name, MAX_AUTHOR),
            role: if author.is_operator { Role::Operator } else { Role::Readonly },
            how: "order",
            address: plain(&author.address, MAX_AUTHOR),
            by_way_of: author.by_way_of.iter().map(|name| plain(name, MAX_AUTHOR)).collect(),
        };
        let limit = Duration::from_millis(limit_ms.into()).min(MAX_DEADLINE);
        Ok(Order { id, target, what, author, hops, limit })
    }
}

impl From<Outcome> for wire::Outcome {
    fn from(outcome: Outcome) -> wire::Outcome {
        match outcome {
            Outcome::Done(Answer::Schedule(schedule)) => {
                let json = serde_json::to_string(&schedule).expect("texts and finite numbers");
                wire::Outcome::Schedule(json)
            }
            Outcome::Done(Answer::Result(probe)) => {
                wire::Outcome::Result(Box::new(wire::Probe::from(&*probe)))
            }
            Outcome::Done(Answer::Accepted(words)) => wire::Outcome::Accepted(words),
            Outcome::Refused(refusal) => {
                wire::Outcome::Refused { kind: refusal.kind.word().to_owned(), why: refusal.why }
            }
            Outcome::Away(why) => wire::Outcome::Away(why),
        }
    }
}

impl wire::Outcome {
    /// What came of an order, checked. Equal texts come from `pool`; `now` is the time by this instance's
    /// clock.
    pub fn checked(self, pool: &Pool, now: Timestamp) -> Outcome {
        let senseless = |what: &str| {
            let why = format!("{what} that it answered makes no sense: update that instance");
            Outcome::Refused(RefusalKind::Failed.because(why))
        };
        match self {
            wire::Outcome::Schedule(json) => match Schedule::read(&json) {
                Some(schedule) => Outcome::Done(Answer::Schedule(Box::new(schedule))),
                None => senseless("the schedule"),
            },
            wire::Outcome::Result(probe) => {
                let mut flaws = Flaws::default();
                match probe.checked(pool, now, &mut flaws) {
                    Some(probe) => Outcome::Done(Answer::Result(Box::new(probe))),
                    None => senseless("the result"),
                }
            }
            wire::Outcome::Accepted(words) => {
                Outcome::Done(Answer::Accepted(plain(&words, MAX_SENTENCE)))
            }
            wire::Outcome::Refused { kind, why } => {
                let why = plain(&why, MAX_SENTENCE);
                Outcome::Refused(RefusalKind::parse(&kind).because(why))
            }
            wire::Outcome::Away(why) => Outcome::Away(plain(&why, MAX_SENTENCE)),
        }
    }
}

impl wire::Probe {
    /// The probe, checked; `None` if not even its name makes sense.
    fn checked(self, pool: &Pool, now: Timestamp, flaws: &mut Flaws) -> Option<crate::tree::Probe> {
        let account = wire::Account {
            uuid: uuid::Uuid::nil(),
            header: None,
            probes: vec![self],
            complete: false,
            ran: Vec::new(),
            gone: Vec::new(),
        };
        let report = wire::Report { accounts: vec![account], ..wire::Report::default() };
        let report = report.checked(pool, now, flaws);
        report.accounts.into_iter().flat_map(|account| account.probes).next()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::{json::Json, status::Status, tree};

    fn order(what: What) -> Order {
        Order {
            id: Uuid::from_u128(1),
            target: Uuid::from_u128(2),
            what,
            author: Author {
                name: "alice".into(),
                role: Role::Operator,
                how: "order",
                address: "10.0.0.1".into(),
                by_way_of: vec!["top".into()],
            },
            hops: 3,
            limit: Duration::from_secs(29),
        }
    }

    #[test]
    fn what_is_ordered_means_the_same_when_it_arrives() {
        let probe = || ProbeName::parse("load").unwrap();
        let reason = "it is\"; slow".to_owned();
        for what in [
            What::Schedule,
            What::Do(probe(), Action::Disable { reason, back_after: Some(Duration::from_secs(9)) }),
            What::Do(probe(), Action::Interval { seconds: 5 }),
            What::Do(probe(), Action::Run),
        ] {
            assert_eq!(wire::Order::from(order(what.clone())).checked(), Ok(order(what)));
        }
    }

    #[test]
    fn what_an_order_says_is_held_within_bounds() {
        let run = wire::Order::from(order(What::Do(ProbeName::new("load").unwrap(), Action::Run)));
        for name in ["", "..", "../etc/passwd", "a\nb", "a/b/c", &"x".repeat(256)] {
            let what = wire::What::Run { probe: name.to_owned() };
            let checked = wire::Order { what, ..run.clone() }.checked();
            assert!(checked.unwrap_err().contains("no name of a probe"), "{name:?}");
        }
        let what = wire::What::Disable {
            probe: "load".into(),
            reason: "a\x1b[2J".repeat(1_000),
            back_after_s: Some(u32::MAX),
        };
        let author = wire::Author { name: "mallory\n".repeat(100), ..run.author.clone() };
        let checked = wire::Order { what, author, limit_ms: u32::MAX, ..run }.checked().unwrap();
        let What::Do(_, Action::Disable { reason, back_after }) = checked.what else { panic!() };
        assert_eq!((reason.chars().count(), back_after), (MAX_REASON, Some(MAX_DISABLED_FOR)));
        assert!(!reason.contains('\x1b') && !checked.author.name.contains('\n'));
        assert_eq!((checked.author.name.len(), checked.limit), (MAX_AUTHOR, MAX_DEADLINE));
    }

    #[test]
    fn what_comes_of_it_means_the_same_when_it_arrives() {
        let at = Timestamp::from_second(1_000).unwrap();
        let result = tree::ProbeResult {
            name: ProbeName::parse("load").unwrap(),
            version: "1".into(),
            value: Json::null(),
            message: "fine".into(),
            date: at,
            metrics: Json::null(),
            detail: Json::null(),
            status: Status::OK,
            exit_code: 0,
            interval: 60,
        };
        let probe = tree::Probe { result: Arc::new(result), since: at, stale: false };
        let schedule = Schedule { hostname: "leaf".into(), ..Schedule::default() };
        for outcome in [
            Outcome::Done(Answer::Schedule(Box::new(schedule))),
            Outcome::Done(Answer::Result(Box::new(probe))),
            Outcome::Done(Answer::Accepted("later".into())),
            Outcome::Refused(RefusalKind::Forbidden.because("no")),
            Outcome::Away("nobody there".into()),
        ] {
            let told = wire::Outcome::from(outcome.clone());
            assert_eq!(told.checked(&Pool::default(), at), outcome);
        }
        for lie in ["{", "7", "\"x\""] {
            let told = wire::Outcome::Schedule(lie.into()).checked(&Pool::default(), at);
            assert!(matches!(told, Outcome::Refused(_)), "{lie}");
        }
    }
}
