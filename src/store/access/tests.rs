use tempfile::TempDir;

use super::*;
use crate::store::{Settings, Store};

fn store(folder: &TempDir) -> Store {
    let path = folder.path().join("wigo.db");
    Store::open(Settings { path, origin: uuid::Uuid::from_u128(1), keep_days: 30 }).store
}

fn session(secret: u8, name: &str, used: i64) -> Session {
    let at = |second| Timestamp::from_second(second).unwrap();
    Session {
        hash: [secret; 32],
        name: name.into(),
        role: Role::Readonly,
        how: "password".into(),
        stamp: vec![1, 2],
        address: "192.0.2.1".into(),
        created: at(used),
        used: at(used),
        expires: at(used + 1_000),
    }
}

/// How long a writer is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
const IDLE: SignedDuration = SignedDuration::from_secs(500);

#[test]
fn a_user_is_added_once_changed_and_removed_with_the_sessions() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder);
    let tables = store.access();
    let hash = Secret::new("phc");
    assert_eq!(tables.add_user("eve", Role::Readonly, &hash).unwrap(), UserChange::Done);
    assert_eq!(tables.add_user("eve", Role::Operator, &hash).unwrap(), UserChange::Exists);
    assert_eq!(tables.load().unwrap().users["eve"].role, Role::Readonly);
    let change: [&dyn Fn() -> Result<UserChange, StoreError>; 3] = [
        &|| tables.set_role("eve", Role::Operator),
        &|| tables.set_password("eve", &Secret::new("other")),
        &|| tables.remove_user("eve"),
    ];
    for change in change {
        let of_provider = Session { how: "oidc".into(), ..session(9, "eve", 100) };
        for session in [session(1, "eve", 100), session(2, "adam", 100), of_provider] {
            tables.add_session(&session, IDLE).unwrap();
        }
        assert_eq!(change().unwrap(), UserChange::Done);
        let left = tables.load().unwrap().sessions;
        assert!(!left.contains_key(&[1; 32]), "the session goes");
        assert!(left.contains_key(&[2; 32]) && left.contains_key(&[9; 32]), "of others stay");
        for hash in [[2; 32], [9; 32]] {
            assert!(tables.end_session(hash).unwrap());
            assert!(!tables.end_session(hash).unwrap());
        }
    }
    assert_eq!(tables.remove_user("eve").unwrap(), UserChange::Unknown);
}

#[test]
fn sessions_make_place_for_a_new_one() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder);
    let tables = store.access();
    for number in 0..=MAX_SESSIONS_OF_USER as u8 {
        tables.add_session(&session(number, "eve", 100 + i64::from(number)), IDLE).unwrap();
    }
    let left = tables.load().unwrap().sessions;
    assert_eq!(left.len(), MAX_SESSIONS_OF_USER);
    assert!(!left.contains_key(&[0; 32]), "the one not used for longest went");
    assert_eq!(left[&[1; 32]], session(1, "eve", 101));
    tables.add_session(&session(99, "adam", 700), IDLE).unwrap();
    assert_eq!(tables.load().unwrap().sessions.len(), 1, "all others were idle for too long");
}

#[test]
fn tokens_are_numbered_and_revoked_for_good() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder);
    let tables = store.access();
    let add = |hash| tables.add_token([hash; 32], "ci", Role::Operator, "eve", None).unwrap();
    let (first, second) = (add(1).unwrap(), add(2).unwrap());
    assert!(second.id > first.id);
    tables.note_use(&[([1; 32], Timestamp::from_second(5).unwrap())]).unwrap();
    assert!(tables.revoke_token(first.id).unwrap());
    let revoked = tables.load().unwrap().tokens[&[1; 32]].clone();
    assert_eq!(revoked.used, Timestamp::from_second(5).ok());
    assert!(!revoked.is_good(Timestamp::now()) && second.is_good(Timestamp::now()));
    assert!(tables.revoke_token(first.id).unwrap());
    assert_eq!(tables.load().unwrap().tokens[&[1; 32]], revoked, "when it was revoked stays");
    assert!(!tables.revoke_token(77).unwrap());
    let soon = ApiToken { expires: Timestamp::from_second(10).ok(), ..second };
    assert!(!soon.is_good(Timestamp::from_second(10).unwrap()));
}

#[test]
fn changes_of_another_process_are_noticed_and_no_others() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder);
    let tables = store.access();
    let mut watch = AccessWatch::default();
    assert!(watch.have_changed(&tables) && !watch.have_changed(&tables));
    store.audit().record(&super::super::AuditRow::default()).unwrap();
    assert!(!watch.have_changed(&tables), "another table");
    let other = open_access(&folder.path().join("wigo.db")).unwrap();
    other.add_user("eve", Role::Readonly, &Secret::new("phc")).unwrap();
    assert!(watch.have_changed(&tables) && !watch.have_changed(&tables));
}

#[test]
fn accounts_outlive_a_damaged_database_or_are_said_to_be_lost() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("wigo.db");
    let tables = AccessTables::at(&path);
    store(&folder).close(PATIENCE).unwrap();
    tables.add_user("eve", Role::Readonly, &Secret::new("phc")).unwrap();
    tables.add_session(&session(1, "eve", 100), IDLE).unwrap();
    let mut watch = AccessWatch::default();
    assert!(watch.have_changed(&tables));
    let damage = |sql: &str| {
        let other = Connection::open(&path).unwrap();
        other.execute_batch(&format!("{sql}; PRAGMA wal_checkpoint(TRUNCATE)")).unwrap();
    };
    // A table that is missing is damage as well.
    damage("DROP TABLE last_result");
    store(&folder).close(PATIENCE).unwrap();
    let carried = tables.load().unwrap();
    assert!(carried.users.contains_key("eve") && carried.sessions.len() == 1 && !carried.are_lost);
    assert!(watch.have_changed(&tables), "another file");
    assert!(!watch.have_changed(&tables));
    damage("DROP TABLE user; DROP TABLE last_result");
    store(&folder).close(PATIENCE).unwrap();
    let lost = tables.load().unwrap();
    assert!(lost.users.is_empty() && lost.sessions.len() == 1 && lost.are_lost);
    tables.add_user("adam", Role::Operator, &Secret::new("phc")).unwrap();
    assert!(!tables.load().unwrap().are_lost, "begun anew");
}

#[test]
fn there_is_no_moment_at_which_nobody_seems_to_have_been_there() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("wigo.db");
    store(&folder).close(PATIENCE).unwrap();
    std::fs::rename(&path, folder.path().join("wigo.db.broken-20260101T000000Z")).unwrap();
    // As it is between the new database and what is carried over into it.
    store(&folder).close(PATIENCE).unwrap();
    assert!(AccessTables::at(&path).load().unwrap().are_lost);
}
