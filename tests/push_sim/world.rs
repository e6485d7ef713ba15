//! A tree of nodes to which bad things happen, and what must be true of it all the same.

use std::{collections::BTreeSet, sync::Arc, sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, sleep};
use wigo::{
    hub::Entry,
    status::Status,
    tree::{Instance, Kind, Presence, Probe, View},
};

use crate::{
    disk::Durable,
    network::{BREAKS, Index, Line, Wires},
    node::{ALIVE_TIMEOUT, Node},
    random::Random,
};

/// How often something may happen.
const STEP: Duration = Duration::from_millis(200);
/// Steps between two looks at what must be right at any moment.
const LOOK_STEPS: u32 = 4;
/// After all is well again, the longest that everything may take to be right.
const HEALING_LIMIT: Duration = Duration::from_secs(240);
/// How long it then has to stay right.
const QUIET: Duration = Duration::from_secs(30);
/// How long after it began a disturbance may still be the cause of an alarm: the longest that a repair
/// takes, the longest silence that is allowed, and the longest pause between two attempts to connect.
const AFTERMATH: Duration =
    Duration::from_secs(LONGEST_REPAIR_MS / 1_000 + ALIVE_TIMEOUT.as_secs() + 30 + 10);
/// How many connections of a fragile line break after some bytes, in percent.
const FRAGILE_PERCENT: u64 = 50;
/// The longest that a line stays blocked or fragile, or a machine off, in milliseconds.
const LONGEST_REPAIR_MS: u64 = 40_000;
/// The longest that a packet takes as long as its line works, in milliseconds.
const MAX_DELAY_MS: u64 = 700;
const PROBES: [&str; 3] = ["load", "disk", "mail"];
const STATUSES: [i64; 5] = [100, 100, 150, 200, 300];

/// Who reports to whom: the masters of each node, the top first.
pub type Shape = &'static [&'static [Index]];

/// What may happen.
#[derive(Clone, Copy, PartialEq)]
pub enum Weather {
    /// Delays, clocks that are set, slow disks; probes all the time.
    Calm,
    /// All that, and lines and machines that fail.
    Storm,
}

/// Something to be made good again.
#[derive(Clone, Copy, Debug)]
enum Repair {
    Unblock(Line),
    Firm(Line),
    Start(Index),
    Unstick(Index),
}

/// What may explain an alarm about one node at another.
struct Disturbance {
    concerns: Concern,
    from: Instant,
}

enum Concern {
    Line(Line),
    Node(Index),
}

pub struct World {
    nodes: Vec<Node>,
    lines: Vec<Line>,
    wires: Arc<Wires>,
    random: Random,
    repairs: Vec<(Instant, Repair)>,
    disturbances: Vec<Disturbance>,
    clocks_were_set: bool,
}

impl World {
    pub fn new(shape: Shape, seed: u64) -> World {
        let lines: Vec<Line> = shape
            .iter()
            .enumerate()
            .flat_map(|(node, masters)| masters.iter().map(move |master| (node, *master)))
            .collect();
        let wires = Arc::new(Wires::new(lines.clone(), !seed));
        let node = |(node, masters): (Index, &&[Index])| {
            let listens = lines.iter().any(|(_, master)| *master == node);
            Node::new(node, masters.to_vec(), listens, wires.clone())
        };
        let mut nodes: Vec<Node> = shape.iter().enumerate().map(node).collect();
        nodes.iter_mut().for_each(Node::start);
        World {
            nodes,
            lines,
            wires,
            random: Random::new(seed),
            repairs: Vec::new(),
            disturbances: Vec::new(),
            clocks_were_set: false,
        }
    }

    /// Lets things happen, then makes everything good and looks at the result.
    pub async fn run(&mut self, weather: Weather, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        for step in 0_u32.. {
            if Instant::now() >= end {
                break;
            }
            sleep(STEP).await;
            self.repair(Instant::now());
            self.probes();
            self.nuisance();
            if weather == Weather::Storm {
                self.trouble().await;
            }
            if step.is_multiple_of(LOOK_STEPS) {
                self.statuses_are_right()?;
            }
        }
        self.heal();
        let limit = Instant::now() + HEALING_LIMIT;
        while let Some(wrong) = self.differences() {
            if Instant::now() > limit {
                return Err(wrong);
            }
            sleep(Duration::from_secs(1)).await;
            self.statuses_are_right()?;
        }
        sleep(QUIET).await;
        self.differences().map_or(Ok(()), |wrong| Err(format!("not for long: {wrong}")))?;
        self.alarms_are_right()
    }

    fn probes(&mut self) {
        let Some(node) = self.nodes.get(self.random.within(0..8) as Index) else { return };
        let probe = *self.random.of(&PROBES);
        match self.random.percent(3) {
            true => node.removed(probe),
            false => node.ran(probe, *self.random.of(&STATUSES)),
        }
    }

    /// What must never cause an alarm.
    fn nuisance(&mut self) {
        if !self.random.percent(3) {
            return;
        }
        let node = self.random.within(0..self.nodes.len() as u64) as Index;
        match self.random.within(0..3) {
            0 => {
                let hours = self.random.within(0..7) as i64 - 3;
                tracing::info!("clock of {node}: {hours} h wrong");
                self.nodes[node].set_clock(hours * 3_600_000);
                self.clocks_were_set = true;
            }
            1 => {
                let line = *self.random.of(&self.lines);
                let slowest = self.random.within(2..MAX_DELAY_MS);
                let fastest = self.random.within(1..slowest);
                self.wires.change(line, |condition| condition.delay_ms = fastest..slowest);
            }
            _ => {
                self.nodes[node].disk.stuck.store(true, Ordering::Relaxed);
                self.later(0..10_000, Repair::Unstick(node));
            }
        }
    }

    async fn trouble(&mut self) {
        if !self.random.percent(2) {
            return;
        }
        let node = self.random.within(0..self.nodes.len() as u64) as Index;
        let line = *self.random.of(&self.lines);
        let kind = self.random.within(0..6);
        tracing::info!("trouble {kind} of node {node} or line {line:?}");
        match kind {
            0 => {
                self.disturbed(Concern::Line(line));
                self.wires.change(line, |condition| condition.blocked = true);
                self.later(500..LONGEST_REPAIR_MS, Repair::Unblock(line));
            }
            1 => {
                self.disturbed(Concern::Line(line));
                let how = *self.random.of(&BREAKS);
                self.wires.cut(line, how);
            }
            2 => {
                self.disturbed(Concern::Line(line));
                self.wires.change(line, |condition| condition.fragile = FRAGILE_PERCENT);
                self.wires.cut(line, *self.random.of(&BREAKS));
                self.later(500..LONGEST_REPAIR_MS, Repair::Firm(line));
            }
            3 | 4 => {
                self.disturbed(Concern::Node(node));
                match self.random.percent(50) {
                    true => self.nodes[node].kill(),
                    false => self.nodes[node].unplug(),
                }
                self.later(0..30_000, Repair::Start(node));
            }
            _ => {
                self.disturbed(Concern::Node(node));
                self.nodes[node].stop().await;
                self.later(0..30_000, Repair::Start(node));
            }
        }
    }

    fn disturbed(&mut self, concerns: Concern) {
        self.disturbances.push(Disturbance { concerns, from: Instant::now() });
    }

    fn later(&mut self, ms: std::ops::Range<u64>, repair: Repair) {
        self.repairs.push((Instant::now() + self.random.ms(ms), repair));
    }

    fn repair(&mut self, until: Instant) {
        let due: Vec<_> = self.repairs.extract_if(.., |(at, _)| *at <= until).collect();
        for (_, repair) in due {
            tracing::info!("repair: {repair:?}");
            match repair {
                Repair::Unblock(line) => self.wires.change(line, |line| line.blocked = false),
                Repair::Firm(line) => self.wires.change(line, |line| line.fragile = 0),
                Repair::Start(node) => self.nodes[node].start(),
                Repair::Unstick(node) => {
                    self.nodes[node].disk.stuck.store(false, Ordering::Relaxed);
                }
            }
        }
    }

    fn heal(&mut self) {
        tracing::info!("heal");
        self.repair(Instant::now() + Duration::from_secs(3_600));
        // What was restored is confirmed, what was lost is known again.
        for node in &self.nodes {
            PROBES.iter().for_each(|probe| node.ran(probe, 100));
        }
    }

    /// At any moment: the status of each instance is the worst of itself and what is below it.
    fn statuses_are_right(&self) -> Result<(), String> {
        for node in &self.nodes {
            let Some(hub) = node.hub() else { continue };
            let view = hub.view();
            for instance in view.all() {
                let (worst, shown) = (worst(&view, instance), instance.global_status());
                if worst != shown {
                    return Err(format!(
                        "{} shows {} as {shown}, and it is {worst}",
                        node.name, instance.host.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// The nodes below one, at any depth.
    fn below(&self, master: Index) -> BTreeSet<Index> {
        let mut below = BTreeSet::new();
        let mut ways = vec![master];
        while let Some(above) = ways.pop() {
            for (client, _) in self.lines.iter().filter(|(_, master)| *master == above) {
                if below.insert(*client) {
                    ways.push(*client);
                }
            }
        }
        below
    }

    /// What is not as it has to be in the end, if anything.
    fn differences(&self) -> Option<String> {
        self.nodes.iter().find_map(|master| {
            let Some(hub) = master.hub() else { return Some(format!("{} is off", master.name)) };
            let (view, below) = (hub.view(), self.below(master.index));
            if view.count() != below.len() + 1 {
                return Some(format!("{} knows {} instances", master.name, view.count()));
            }
            let wrong = |node: &Index| {
                let node = &self.nodes[*node];
                let wrong = self.wrong_in_tree(&view, node).or(self.wrong_in_journal(master, node));
                wrong.map(|wrong| format!("{} of {}: {wrong}", master.name, node.name))
            };
            below.iter().find_map(wrong)
        })
    }

    fn wrong_in_tree(&self, view: &View, node: &Node) -> Option<String> {
        let own = node.hub()?.view();
        let Some(shown) = view.get(node.uuid) else { return Some("not there".into()) };
        if view.presence(shown) != Presence::Alive {
            return Some(format!("it is {}", view.presence(shown)));
        }
        let probes = |instance: &Instance| -> Vec<Probe> {
            instance.host.probes.values().cloned().collect()
        };
        let (own, shown) = (probes(own.me()), probes(shown));
        let same = |(own, shown): (&Probe, &Probe)| {
            let times = own.result.date == shown.result.date && own.since == shown.since;
            let (own, shown) = (&own.result, &shown.result);
            let said = (&own.name, own.status, &own.message);
            said == (&shown.name, shown.status, &shown.message) && (times || self.clocks_were_set)
        };
        let all = own.len() == shown.len() && own.iter().zip(&shown).all(same);
        (!all).then(|| format!("its results are\n{own:?}\nand shown are\n{shown:?}"))
    }

    fn wrong_in_journal(&self, master: &Node, node: &Node) -> Option<String> {
        let of = |durable: &Durable| -> Vec<Entry> { durable.of(node.uuid).cloned().collect() };
        let (own, mut told) = (node.disk.look(of), master.disk.look(of));
        if self.has_detour(node, master) {
            // What others have told already may be completed by itself later.
            told.sort_by_key(|entry| entry.origin_id);
        }
        let ids = |entries: &[Entry]| -> Vec<u64> {
            entries.iter().map(|entry| entry.origin_id).collect()
        };
        if ids(&own) != ids(&told) {
            let (own, told) = (ids(&own), ids(&told));
            let lost: Vec<&u64> = own.iter().filter(|id| !told.contains(id)).collect();
            let odd: Vec<&u64> = told.iter().filter(|id| !own.contains(id)).collect();
            return Some(format!(
                "of its {} entries {} were told; lost {lost:?}, odd {odd:?}, or out of order: {told:?}",
                own.len(),
                told.len()
            ));
        }
        own.iter().zip(&told).find_map(|(own, told)| {
            let (a, b) = (&own.transition, &told.transition);
            let same = (a.kind, &a.probe, a.was, a.now) == (b.kind, &b.probe, b.was, b.now);
            let time = a.at.as_millisecond() == b.at.as_millisecond() || self.clocks_were_set;
            (!same || !time).then(|| format!("{own:?} was told as {told:?}"))
        })
    }

    /// Whether a node reports to a master itself and through others too.
    fn has_detour(&self, node: &Node, master: &Node) -> bool {
        let mut others = node.masters.iter().filter(|other| **other != master.index);
        node.masters.contains(&master.index)
            && others.any(|other| self.below(master.index).contains(other))
    }

    /// Who was called down was called up again, and nobody was without a reason.
    fn alarms_are_right(&self) -> Result<(), String> {
        for master in self.nodes.iter().filter(|node| node.listens) {
            let own: Vec<Entry> =
                master.disk.look(|durable| durable.of(master.uuid).cloned().collect());
            for index in self.below(master.index) {
                let node = &self.nodes[index];
                let about = own.iter().filter(|entry| entry.transition.host == node.name);
                let mut is_down = false;
                for entry in about {
                    let kind = entry.transition.kind;
                    let expected = match kind {
                        Kind::InstanceDown => !std::mem::replace(&mut is_down, true),
                        Kind::InstanceUp => std::mem::replace(&mut is_down, false),
                        _ => true,
                    };
                    if !expected {
                        return Err(format!(
                            "{} told {} of {} twice, entry {}",
                            master.name,
                            kind.word(),
                            node.name,
                            entry.id
                        ));
                    }
                }
                if is_down {
                    return Err(format!("{} never told that {} is up", master.name, node.name));
                }
            }
            for (at, entry) in master.disk.ever() {
                let alarm =
                    entry.transition.kind == Kind::InstanceDown && entry.origin == master.uuid;
                if alarm && !self.explains(master, &entry.transition.host, at) {
                    return Err(format!("{} told without a reason: {:?}", master.name, entry));
                }
            }
        }
        Ok(())
    }

    fn explains(&self, master: &Node, host: &str, at: Instant) -> bool {
        self.disturbances.iter().any(|disturbance| {
            let concerned = match disturbance.concerns {
                Concern::Line((client, above)) => {
                    above == master.index && self.nodes[client].name == host
                }
                Concern::Node(node) => node == master.index || self.nodes[node].name == host,
            };
            concerned && (disturbance.from..disturbance.from + AFTERMATH).contains(&at)
        })
    }
}

fn worst(view: &View, instance: &Instance) -> Status {
    let own = match instance.presence {
        Presence::Down => Status::DOWN,
        _ => instance.host.status(),
    };
    view.children(instance.uuid).map(|child| worst(view, child)).fold(own, Status::max)
}
