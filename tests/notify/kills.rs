//! The agent is killed again and again, at any moment, while there is something to tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, thread,
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, OpenFlags};

use crate::{
    harness::{Agent, Home, wait_until},
    receiver::{Act, Receiver},
    support::http,
};

const ROUNDS: usize = 100;
/// The longest that a round waits before the agent is killed.
const LONGEST_LIFE_MS: u64 = 300;

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

/// A probe with ten services whose states are thrown anew with each run, of which there are many.
const RESTLESS: &str = "awk -v seed=\"$(date +%N)\" 'BEGIN { srand(seed + PROCINFO[\"pid\"]); \
     for (n = 0; n < 10; n++) print int(rand() * 3), \"service\" n, \"- thrown\" }'";
const AT_REST: &str = "for n in 0 1 2 3 4 5 6 7 8 9; do echo \"0 service$n - at rest\"; done";

/// How often each of the keys is in the outbox, with its state.
fn outbox(agent: &Agent) -> BTreeMap<String, String> {
    let rows = rows(agent, "SELECT key, state FROM notification");
    rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

fn rows(agent: &Agent, sql: &str) -> Vec<Vec<String>> {
    let path = agent.home.path("wigo.db");
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    let mut statement = database.prepare(sql).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|n| row.get(n)).collect());
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn each_message_arrives_under_one_key_however_often_the_agent_is_killed() {
    let mut dice = Dice::new();
    let mut fate = Dice(dice.0 ^ 0x9e37_79b9_7f4a_7c15);
    // Answers come at once, late, or not at all, so that the agent dies at every step of a delivery.
    let receiver = Receiver::with(move || match fate.below(10) {
        0 => Act::Refuse(500),
        1 => Act::BreakOff,
        2..6 => Act::TakeAfter(Duration::from_millis(fate.below(40))),
        _ => Act::Take,
    });
    let mut home = Home::new();
    home.add(
        "AllowWriteActions = true\n[Notifications]\nOnProbeChange = true\nMinLevelToSend = 101\nFlapDetection = false\n\
         GroupWindow = 0",
    );
    home.add(&receiver.channel("sink", ""));
    home.probe(2, "restless", RESTLESS);
    let mut agent = home.start();
    for _ in 0..ROUNDS {
        // By itself it might run only after such a short life.
        let headers = ["Host: localhost", "X-Wigo-Request: 1"];
        http::ask(agent.address(), "POST", "/api/probes/restless/run", &headers);
        thread::sleep(Duration::from_millis(dice.below(LONGEST_LIFE_MS)));
        agent = agent.kill().start();
    }
    agent.home.probe(2, "restless", AT_REST);
    for service in 0..10 {
        agent.wait_status(&format!("restless/service{service}"), 100);
    }
    receiver.does(Act::Take);
    wait_until("nothing is waiting any more", || {
        let open = rows(&agent, "SELECT id FROM incident WHERE closed IS NULL AND probe <> 'wigo'");
        let outbox = outbox(&agent);
        open.is_empty() && !outbox.is_empty() && outbox.values().all(|state| state == "sent")
    });
    let told: BTreeSet<String> = outbox(&agent).into_keys().collect();
    let taken = receiver.taken();
    let arrived: BTreeSet<String> = taken.keys().cloned().collect();
    assert_eq!(told, arrived, "what is in the outbox and what arrived");
    let twice = taken.values().filter(|(times, _)| *times > 1).count();
    println!("{} messages, {twice} of them more than once", told.len());
    assert!(told.len() > ROUNDS / 2, "only {} messages: nothing happened", told.len());
    // One message each time that a service broke, and one each time that it was well again.
    let broke = "SELECT probe, count(*) FROM journal WHERE probe LIKE 'restless/%' AND now > 100 \
                 AND coalesce(was, 100) = 100 GROUP BY probe ORDER BY probe";
    let well = "SELECT probe, count(*) FROM journal WHERE probe LIKE 'restless/%' AND now = 100 \
                AND was > 100 GROUP BY probe ORDER BY probe";
    let count = |sql: &str| -> BTreeMap<String, i64> {
        let path = agent.home.path("wigo.db");
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let messages = |kind: &str| {
        count(&format!(
            "SELECT probe, count(*) FROM notification WHERE kind = '{kind}' \
             AND probe LIKE 'restless/%' GROUP BY probe ORDER BY probe"
        ))
    };
    assert_eq!(count(broke), messages("problem"));
    assert_eq!(count(well), messages("recovered"));
}
