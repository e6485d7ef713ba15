//! Leaf, middle and top are killed again and again, at any moment, while things happen.

use std::{
    env, thread,
    time::{Duration, SystemTime},
};

use crate::{
    fleet::{
        client, free_port, journal_of, open_master, reports_to, seen, takes_clients, uuid,
        wait_alive, wait_same_journal, wait_seen, wait_status,
    },
    harness::Home,
};

const ROUNDS: usize = 50;
/// The longest that a round waits before somebody is killed.
const LONGEST_LIFE_MS: u64 = 400;

/// Numbers that look random and come again with the same seed (an xorshift of 64 bits).
struct Dice(u64);

impl Dice {
    /// The seed is printed, and `KILLS_SEED` repeats it.
    fn new() -> Dice {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let given = env::var("KILLS_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(now.as_nanos() as u64 | 1);
        println!("KILLS_SEED={seed}");
        Dice(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A probe with ten services whose states are thrown anew with each run.
const RESTLESS: &str = "awk -v seed=\"$(date +%N)\" 'BEGIN { srand(seed + PROCINFO[\"pid\"]); \
     for (n = 0; n < 10; n++) print int(rand() * 3), \"service\" n, \"- thrown\" }'";
const AT_REST: &str = "for n in 0 1 2 3 4 5 6 7 8 9; do echo \"0 service$n - at rest\"; done";

#[test]
fn nothing_is_lost_or_doubled_however_often_who_is_killed() {
    let mut dice = Dice::new();
    let (top, top_port) = open_master("top");
    let (mut home, middle_port) = (Home::named("middle"), free_port());
    takes_clients(&mut home, middle_port, "AutoAcceptClients = true");
    reports_to(&mut home, &[top_port], "");
    let middle = home.start();
    let leaf = client("leaf", &[middle_port]);
    leaf.probe(2, "restless", RESTLESS);
    let leaf = leaf.start();
    let (me, over) = (uuid(&leaf), uuid(&middle));
    wait_alive(&top, &me);
    let mut agents = [leaf, middle, top].map(Some);
    for _ in 0..ROUNDS {
        thread::sleep(Duration::from_millis(dice.below(LONGEST_LIFE_MS)));
        let who = &mut agents[dice.below(3) as usize];
        *who = who.take().map(|agent| agent.kill().start());
    }
    let [leaf, middle, top] = agents.map(Option::unwrap);
    leaf.home.probe(2, "restless", AT_REST);
    for service in 0..10 {
        wait_status(&top, &me, &format!("restless/service{service}"), 100);
    }
    wait_seen(&top, &over, "the middle is alive", |seen| seen["IsAlive"] == true);
    wait_same_journal(&leaf, &middle);
    wait_same_journal(&leaf, &top);
    wait_same_journal(&middle, &top);
    let told = journal_of(&top, &me);
    println!("{} entries", told.len());
    assert!(told.len() > ROUNDS / 2, "only {} entries: nothing happened", told.len());
    for uuid in [&me, &over] {
        let seen = seen(&top, uuid).unwrap();
        assert!(seen["IsAlive"] == true && seen["GlobalStatus"] != 999, "{seen:#?}");
    }
    wait_seen(&top, &uuid(&top), "nothing is down any more", |seen| seen["GlobalStatus"] != 999);
}
