//! A database that is broken, locked, full, no file at all or an original's: monitoring goes on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use rusqlite::Connection;
use serde_json::Value;

use crate::harness::{Agent, Home, make_folder, wait_until};

/// Waits for the agent's own probe to complain, and returns its words.
fn wait_complaint(agent: &Agent, part: &str) -> String {
    let own = agent.wait_probe("wigo", |probe| {
        probe["Status"] == 300 && probe["Message"].as_str().unwrap().contains(part)
    });
    own["Message"].as_str().unwrap().to_owned()
}

fn statuses(agent: &Agent, probe: &str) -> Vec<u64> {
    let entries = agent.json(&format!("/api/logs?after=0&probe={probe}&limit=10000"));
    entries.as_array().unwrap().iter().filter_map(|entry| entry["Now"].as_u64()).collect()
}

/// Each trouble takes the agent's own probe some time to see and to see the end of, so they are had
/// at the same time.
#[test]
fn trouble_with_the_database_is_told_and_made_up_for() {
    thread::scope(|scope| {
        scope.spawn(locked);
        scope.spawn(full);
        scope.spawn(no_file);
    });
}

fn locked() {
    let home = Home::new();
    home.puppet(2, "flip", 100);
    let path = home.path("wigo.db");
    let agent = home.start();
    agent.wait_status("flip", 100);
    wait_until("the first entry is stored", || statuses(&agent, "flip") == [100]);
    let other = Connection::open(path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    agent.home.tell("flip", 300, "while it is locked");
    agent.wait_status("flip", 300);
    let words = wait_complaint(&agent, "wigo.db");
    assert!(
        words.contains("another process holds it") && words.contains("wait in memory"),
        "{words}"
    );
    agent.home.tell("flip", 200, "still locked");
    agent.wait_status("flip", 200);
    other.execute_batch("ROLLBACK").unwrap();
    wait_until("the log has caught up", || statuses(&agent, "flip") == [100, 300, 200]);
    agent.wait_status("wigo", 100);
}

/// A small disk of its own; let go when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(path: &Path) -> Option<SmallDisk> {
        make_folder(path);
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"]).arg(path);
        let output = mount.output().ok()?;
        output.status.success().then(|| SmallDisk(path.to_owned()))
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let filler = self.0.join("filler");
        // Fails when the disk is full, which is the point.
        let written = fs::write(&filler, vec![0; 8 << 20]);
        assert!(written.is_err(), "the disk is larger than asked for");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn full() {
    let mut home = Home::new();
    let folder = home.path("disk");
    let Some(disk) = SmallDisk::mount(&folder) else {
        eprintln!("skipped: a full disk, since this user cannot mount one");
        return;
    };
    home.change("/wigo.db", "/disk/wigo.db");
    home.puppet(2, "flip", 100);
    // Messages that fill the log of the database quickly.
    let long = "x".repeat(4_000);
    for number in 0..20 {
        home.probe(
            2,
            &format!("wordy{number}"),
            &format!("cd \"$WIGO_PROBE_STATE\"; echo {long}; if [ -e on ]; then rm on; exit 2; fi; touch on"),
        );
    }
    // Their own files are not on the small disk.
    make_folder(&home.path("states"));
    std::os::unix::fs::symlink(home.path("states"), folder.join("probe-state")).unwrap();
    let agent = home.start();
    agent.wait_status("flip", 100);
    disk.fill();
    let words = wait_complaint(&agent, "full");
    assert!(words.contains("free space"), "{words}");
    agent.home.tell("flip", 300, "while the disk is full");
    agent.wait_status("flip", 300);
    assert_eq!(agent.get("/healthz").status, 200);
    fs::remove_file(folder.join("filler")).unwrap();
    // What is wordy must not fill it again.
    for number in 0..20 {
        fs::remove_file(agent.home.interval(2).join(format!("wordy{number}"))).unwrap();
    }
    wait_until("the log has caught up", || statuses(&agent, "flip") == [100, 300]);
    agent.wait_status("wigo", 100);
    agent.stop();
}

fn no_file() {
    let home = Home::new();
    make_folder(&home.path("wigo.db"));
    home.puppet(2, "flip", 100);
    let agent = home.start();
    agent.wait_status("flip", 100);
    wait_complaint(&agent, "wigo.db");
    let reply = agent.get("/api/logs");
    assert_eq!(reply.status, 500);
    assert!(reply.json().as_str().unwrap().contains("wigo.db"), "{}", reply.text());
    agent.home.tell("flip", 200, "changed in memory");
    agent.wait_status("flip", 200);
    // Once a file can be made, everything is in it.
    fs::remove_dir(agent.home.path("wigo.db")).unwrap();
    wait_until("the log has caught up", || {
        let reply = agent.get("/api/logs?after=0&probe=flip");
        reply.status == 200
            && reply
                .json()
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| &entry["Now"])
                .eq([100, 200].iter())
    });
}

#[test]
fn garbage_is_set_aside_and_a_new_file_begun() {
    let mut home = Home::new();
    // Nobody can tell any more whether there were users.
    home.add("AnonymousRole = \"readonly\"");
    let garbage = "this is no database, and never was\n".repeat(1_000);
    fs::write(home.path("wigo.db"), &garbage).unwrap();
    home.puppet(2, "flip", 300);
    let agent = home.start();
    agent.wait_status("flip", 300);
    wait_until("the log is kept", || statuses(&agent, "flip") == [300]);
    assert!(agent.log().contains("was damaged"), "said in the log");
    let folder = agent.home.path("");
    let aside: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("wigo.db.broken-"))
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(fs::read_to_string(&aside[0]).unwrap(), garbage, "nothing of it is lost");
    assert!(agent.log().contains(&*aside[0].to_string_lossy()), "where it is now is said");
    // The new file is a good one.
    let agent = agent.restart();
    assert!(!agent.log().contains("damaged"));
    assert_eq!(statuses(&agent, "flip"), [300]);
}

#[test]
fn the_database_of_an_original_is_taken_over() {
    let home = Home::new();
    let original = Connection::open(home.path("wigo.db")).unwrap();
    original
        .execute_batch(
            "CREATE TABLE logs(id integer not null primary key, date timestamp, level int, grp text, \
                               host text, probe text, message text);
             CREATE UNIQUE INDEX IF NOT EXISTS id_idx ON logs(id);",
        )
        .unwrap();
    let yesterday = "CAST(strftime('%s', 'now', '-1 day') AS INTEGER)";
    original
        .execute_batch(&format!(
            "INSERT INTO logs VALUES
                 (1, {yesterday}, 6, 'web', 'old', 'load', 'Probe load switched from 100 to 300 : high'),
                 (2, {yesterday} + 1, 4, 'web', 'old', '', 'Wigo old DOWN')"
        ))
        .unwrap();
    drop(original);
    let agent = home.start();
    let entries = agent.json("/api/hosts/old/logs");
    let messages: Vec<&Value> =
        entries.as_array().unwrap().iter().map(|entry| &entry["Message"]).collect();
    assert_eq!(messages, ["Wigo old DOWN", "Probe load switched from 100 to 300 : high"]);
    assert_eq!((&entries[1]["Was"], &entries[1]["Now"]), (&Value::from(100), &Value::from(300)));
    assert_eq!(entries[1]["Kind"], "imported");
    assert!(agent.log().contains("took over 2 log entries"), "said in the log");
    assert!(agent.home.path("wigo.db.before-v1").exists(), "a copy is kept");
    let agent = agent.restart();
    assert_eq!(agent.json("/api/hosts/old/logs"), entries, "taken over once");
}
