//! Whatever happens: the same again after a restart, and everything told is taken back in the end.

use proptest::prelude::*;

use super::*;
use crate::notify::{
    Schedule, Window,
    rules::{Backoff, Confirm, Dependency, Flapping, Quiet, Repeat},
};

const HOSTS: [&str; 3] = ["a", "b", "gate"];
const PROBES: [&str; 2] = ["x", "y"];
const STATUSES: [u16; 5] = [OK, OK, WARN, CRIT, ERROR];

#[derive(Clone, Debug)]
enum Step {
    Set(usize, usize, usize),
    Silently(usize, usize, usize),
    Host(usize, bool),
    Gone(usize, usize),
    HostGone(usize),
    Notice,
    Silence(usize, u64),
    Window(u64, u64),
    Lift(u64),
    Acknowledge(usize, Option<usize>),
    Blind(bool),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (host, name, number) = (0..HOSTS.len(), 0..PROBES.len(), 0..STATUSES.len());
    prop_oneof![
        8 => (host.clone(), name.clone(), number.clone()).prop_map(|(h, p, s)| Step::Set(h, p, s)),
        1 => (host.clone(), name.clone(), number).prop_map(|(h, p, s)| Step::Silently(h, p, s)),
        2 => (host.clone(), any::<bool>()).prop_map(|(h, up)| Step::Host(h, up)),
        1 => (host.clone(), name.clone()).prop_map(|(h, p)| Step::Gone(h, p)),
        1 => host.clone().prop_map(Step::HostGone),
        1 => Just(Step::Notice),
        1 => (host.clone(), 1..7_200_u64).prop_map(|(h, s)| Step::Silence(h, s)),
        1 => (1..7_200_u64, 60..7_200_u64).prop_map(|(after, s)| Step::Window(after, s)),
        1 => (1..8_u64).prop_map(Step::Lift),
        1 => (host, prop::option::of(name)).prop_map(|(h, p)| Step::Acknowledge(h, p)),
        1 => any::<bool>().prop_map(Step::Blind),
        6 => (1..600_u64).prop_map(Step::Pass),
        2 => (600..20_000_u64).prop_map(Step::Pass),
    ]
}

fn rules_of_all_kinds() -> impl Strategy<Value = Rules> {
    let flags = prop::collection::vec(any::<bool>(), 10);
    (flags, prop::sample::select(vec![2_u32, 1_000])).prop_map(|(flag, per_minute)| {
        let mut boss = channel("boss");
        boss.escalation = true;
        let mut disks = channel("xs");
        (disks.matches.probes, disks.min_level) = (vec!["x".to_owned()], status(CRIT));
        let zone = jiff::tz::TimeZone::UTC;
        let (from, to) = ("13:00".parse().unwrap(), "15:00".parse().unwrap());
        let quiet = Quiet { from, to, zone, min_level: flag[0].then_some(status(ERROR)) };
        let (interval, backoff) = (minutes(30), Backoff::Linear);
        let (host, on) = (Some("b".to_owned()), vec!["gate".to_owned()]);
        let mut rules = Rules {
            confirm: match flag[1] {
                true => vec![Confirm { matches: Matcher::default(), runs: 2, of: 3 }],
                false => Vec::new(),
            },
            flapping: flag[2].then_some(Flapping { window: minutes(60), threshold: 4 }),
            group_by: if flag[3] { GroupBy::Host } else { GroupBy::Group },
            group_wait: if flag[4] { seconds(10) } else { Duration::ZERO },
            repeat: flag[5].then_some(Repeat { interval, backoff, limit: 3, raise: true }),
            escalate_after: if flag[6] { minutes(20) } else { Duration::ZERO },
            quiet: flag[7].then_some(quiet),
            dependencies: vec![Dependency { group: None, host, on }],
            on_probe_change: flag[8] || flag[9],
            channels: vec![channel("mail"), disks, boss],
            ..rules()
        };
        for channel in &mut rules.channels {
            channel.per_minute = per_minute;
        }
        rules
    })
}

impl Sim {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Set(host, name, number) => {
                self.set(HOSTS[host], PROBES[name], STATUSES[number]);
            }
            Step::Silently(host, name, number) => {
                self.silently(HOSTS[host], PROBES[name], STATUSES[number]);
            }
            Step::Host(host, is_up) => {
                self.host(HOSTS[host], if is_up { What::HostUp } else { What::HostDown });
            }
            Step::Gone(host, name) => {
                let subject = probe(HOSTS[host], PROBES[name]);
                self.world.probes.remove(&subject);
                let fact = self.fact(origin(HOSTS[host]), subject, What::Gone, "");
                self.handle(&[fact]);
            }
            Step::HostGone(host) => {
                self.world.probes.retain(|subject, _| subject.host != HOSTS[host]);
                let fact = self.fact(MASTER, Subject::host(HOSTS[host]), What::HostGone, "");
                self.handle(&[fact]);
            }
            Step::Notice => {
                let what = What::Notice(status(WARN));
                let fact = self.fact(MASTER, Subject::host("master"), what, "A client waits");
                self.handle(&[fact]);
            }
            Step::Silence(host, time) => {
                self.silence(Scope::Subject(Subject::host(HOSTS[host])), seconds(time));
            }
            Step::Window(after, time) => {
                let from = self.now() + SignedDuration::from_secs(after.cast_signed());
                let to = from + SignedDuration::from_secs(time.cast_signed());
                let window = Window {
                    id: 0,
                    name: "work".to_owned(),
                    scope: Scope::All,
                    schedule: Schedule::Once { from, to },
                    author: "alice".to_owned(),
                    reason: String::new(),
                    created: self.now(),
                    ends: None,
                    held: 0,
                };
                self.command(Command::SetWindow { window });
            }
            Step::Lift(id) => {
                self.command(Command::Lift { id, author: "alice".to_owned() });
            }
            Step::Acknowledge(host, name) => {
                let (host, name) = (HOSTS[host], name.map(|name| PROBES[name]));
                let subject = name.map_or(Subject::host(host), |name| probe(host, name));
                self.acknowledge(subject);
            }
            Step::Blind(blind) => {
                self.command(Command::Blind { blind });
            }
            Step::Pass(time) => {
                self.pass(seconds(time));
            }
        }
    }

    /// Everything is well again, for a long time.
    fn end(&mut self) {
        self.take(&Step::Blind(false));
        for host in 0..HOSTS.len() {
            self.take(&Step::Host(host, true));
            for name in 0..PROBES.len() {
                self.take(&Step::Set(host, name, 0));
            }
        }
        self.pass(minutes(3 * 24 * 60));
        for host in HOSTS {
            for name in PROBES {
                self.set(host, name, OK);
            }
        }
        self.pass(minutes(24 * 60));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_after_every_step_changes_nothing(
        rules in rules_of_all_kinds(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let (mut one, mut two) = (Sim::new(rules.clone()), Sim::new(rules));
        two.restarts = true;
        for sim in [&mut one, &mut two] {
            sim.below("a", &["gate"]);
        }
        // A run out of turn of which nobody tells is found at the next look, and a start is one.
        for step in steps.iter().filter(|step| !matches!(step, Step::Silently(..))) {
            one.take(step);
            two.take(step);
            prop_assert_eq!(said(&one.all.messages), said(&two.all.messages));
            prop_assert_eq!(one.all.messages.last(), two.all.messages.last());
            prop_assert_eq!(one.all.decisions.last(), two.all.decisions.last());
        }
        for (one, two) in one.all.decisions.iter().zip(&two.all.decisions) {
            prop_assert_eq!(one, two);
        }
        for (one, two) in one.all.moments.iter().zip(&two.all.moments) {
            prop_assert_eq!(one, two);
        }
        prop_assert!(one.all == two.all);
    }

    #[test]
    fn whatever_was_told_is_taken_back_and_each_fact_is_explained(
        rules in rules_of_all_kinds(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let is_limited = rules.channels[0].per_minute < 100;
        let mut sim = Sim::new(rules);
        sim.below("a", &["gate"]);
        for step in &steps {
            sim.take(step);
        }
        sim.end();
        prop_assert_eq!(sim.policy.incidents().count(), 0);
        prop_assert!(sim.policy.deadline().is_none(), "{:?}", sim.policy.deadline());
        let left = sim.stored.keys().filter(|(kind, _)| kind == "subject" || kind == "incident");
        prop_assert_eq!(left.count(), 0, "{:?}", sim.stored());
        for told in sim.all.decisions.iter().filter_map(|it| it.message.as_ref()) {
            prop_assert!(sim.all.messages.iter().any(|message| message.key == *told));
        }
        if !is_limited {
            let open = check_all(&sim.all);
            prop_assert!(open.is_empty(), "{:?} of {:#?}", open, said(&sim.all.messages));
        }
        let explained: BTreeSet<_> = sim.all.decisions.iter().filter_map(|it| it.entry).collect();
        let facts = sim.handled.clone();
        prop_assert_eq!(explained, facts);
        for decision in &sim.all.decisions {
            let stops = decision.chain.iter().filter(|step| !step.passed).count();
            prop_assert!(stops <= 1 && !decision.chain.is_empty(), "{:?}", decision);
        }
    }
}
