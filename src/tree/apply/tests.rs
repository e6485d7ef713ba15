//! Properties of the state machine, then single cases.

use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    json::Json,
    tree::{Host, Instance},
};

fn tree() -> Tree {
    Tree::new(Instance::new(Uuid::from_u128(1), "Wigo v1", Host::new("here", "group")))
}

/// What the tree tells of an event.
fn tell(tree: &mut Tree, event: Event, now: Now) -> Vec<Transition> {
    tree.apply(event, now).transitions
}

/// What the tree knows, but for the counter of changes.
fn known(tree: &Tree) -> Instance {
    Instance { revision: 0, ..tree.me().clone() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn now(second: i64) -> Now {
    Now { wall: at(second), boot: Duration::from_secs(second as u64) }
}

fn name(name: &str) -> ProbeName {
    ProbeName::parse(name).unwrap()
}

fn result(probe: &str, status: i64, second: i64) -> ProbeResult {
    ProbeResult {
        name: name(probe),
        version: String::new(),
        value: Json::null(),
        message: format!("{probe} says {status}"),
        date: at(second),
        metrics: Json::null(),
        detail: Json::null(),
        status: Status::new(status).unwrap(),
        exit_code: 0,
        interval: 60,
    }
}

fn ran(results: Vec<ProbeResult>) -> Event {
    let probe = results[0].name.as_str().split('/').next().unwrap();
    Event::Ran { probe: name(probe), results, complete: true }
}

fn any_result() -> impl Strategy<Value = ProbeResult> {
    (0..6u8, 100..=998i64, 1..1000i64)
        .prop_map(|(probe, status, second)| result(&format!("probe{probe}"), status, second))
}

proptest! {
    #[test]
    fn applying_again_changes_nothing(results in prop::collection::vec(any_result(), 1..20)) {
        let mut tree = tree();
        for result in results {
            tell(&mut tree, ran(vec![result.clone()]), now(1));
            let before = known(&tree);
            prop_assert_eq!(tell(&mut tree, ran(vec![result]), now(2)), vec![]);
            prop_assert_eq!(known(&tree), before);
        }
    }

    #[test]
    fn the_order_of_different_probes_does_not_matter(
        (results, other) in prop::collection::btree_map("[a-z]{1,8}", 100..=998i64, 1..12)
            .prop_map(|map| map.iter().map(|(probe, status)| result(probe, *status, 5)).collect::<Vec<_>>())
            .prop_flat_map(|results| (Just(results.clone()), Just(results).prop_shuffle()))
    ) {
        let (mut one, mut two) = (tree(), tree());
        let mut news_one: Vec<_> =
            results.into_iter().flat_map(|result| tell(&mut one, ran(vec![result]), now(9))).collect();
        let mut news_two: Vec<_> =
            other.into_iter().flat_map(|result| tell(&mut two, ran(vec![result]), now(9))).collect();
        prop_assert_eq!(known(&one), known(&two));
        news_one.sort_by(|a, b| a.probe.cmp(&b.probe));
        news_two.sort_by(|a, b| a.probe.cmp(&b.probe));
        prop_assert_eq!(news_one, news_two);
    }

    #[test]
    fn a_transition_is_told_exactly_when_the_status_differs(
        statuses in prop::collection::vec(prop::sample::select(vec![100i64, 200, 300, 500]), 1..30)
    ) {
        let mut tree = tree();
        let mut last = None;
        for (second, status) in (1..).zip(statuses) {
            let news = tell(&mut tree, ran(vec![result("p", status, second)]), now(second));
            let status = Status::new(status);
            prop_assert_eq!(news.len(), usize::from(last != status));
            if let Some(news) = news.first() {
                prop_assert_eq!((news.was, news.now), (last, status));
                prop_assert_eq!(tree.me().host.probes["p"].since, at(second));
            }
            last = status;
        }
    }
}

#[test]
fn first_result_is_seen_and_a_new_message_alone_is_no_change() {
    let mut tree = tree();
    let news = tell(&mut tree, ran(vec![result("p", 100, 1)]), now(1));
    assert_eq!(news[0].kind, Kind::ProbeSeen);
    let mut again = result("p", 100, 2);
    again.message = "still fine".into();
    assert_eq!(tell(&mut tree, ran(vec![again]), now(2)), vec![]);
    assert_eq!(tree.me().host.probes["p"].result.message, "still fine");
    assert_eq!(tree.me().host.probes["p"].since, at(1));
}

#[test]
fn the_host_recovers_when_its_bad_probe_is_removed() {
    let mut tree = tree();
    tell(&mut tree, ran(vec![result("bad", 300, 1)]), now(1));
    assert_eq!(tree.me().global_status(), Status::CRIT);
    let news = tell(&mut tree, Event::Gone { probe: name("bad"), why: "removed".into() }, now(2));
    assert_eq!(news[0].kind, Kind::ProbeGone);
    assert_eq!((news[0].was, news[0].now), (Some(Status::CRIT), None));
    assert_eq!(tree.me().global_status(), Status::OK);
}

#[test]
fn what_was_restored_is_stale_until_it_ran_and_is_no_news_when_the_same() {
    let mut tree = tree();
    let restored =
        Event::Restored { instance: Uuid::from_u128(1), result: result("p", 300, 1), since: at(1) };
    assert_eq!(tell(&mut tree, restored.clone(), now(50)), vec![]);
    assert!(tree.me().host.probes["p"].stale);
    assert_eq!(tell(&mut tree, ran(vec![result("p", 300, 60)]), now(60)), vec![]);
    assert!(!tree.me().host.probes["p"].stale);
    assert_eq!(tree.me().host.probes["p"].since, at(1));
    assert_eq!(tell(&mut tree, restored, now(61)), vec![]);
    assert!(!tree.me().host.probes["p"].stale, "late restoring does not overwrite what is known");
}

#[test]
fn services_that_a_probe_stops_reporting_are_gone_but_not_when_it_failed() {
    let mut tree = tree();
    tell(
        &mut tree,
        ran(vec![result("c", 100, 1), result("c/a", 100, 1), result("c/b", 300, 1)]),
        now(1),
    );
    tell(&mut tree, ran(vec![result("c2/a", 100, 1)]), now(1));
    let failed =
        Event::Ran { probe: name("c"), results: vec![result("c", 500, 2)], complete: false };
    let news = tell(&mut tree, failed, now(2));
    assert_eq!(news.len(), 1);
    assert!(tree.me().host.probes["c/b"].stale);
    let news = tell(&mut tree, ran(vec![result("c", 100, 3), result("c/a", 100, 3)]), now(3));
    let told: Vec<_> =
        news.iter().map(|news| (news.kind, news.probe.as_ref().unwrap().as_str())).collect();
    assert_eq!(told, [(Kind::ProbeGone, "c/b"), (Kind::ProbeChanged, "c")]);
    assert!(tree.me().host.probes.contains_key("c2/a"));
}
