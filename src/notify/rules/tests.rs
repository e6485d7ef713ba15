//! What becomes of a configuration.

use std::path::Path;

use super::*;
use crate::config::parse;

fn rules(text: &str) -> Rules {
    Rules::of(&parse(text, Path::new("f")).unwrap().config)
}

#[test]
fn defaults_tell_nobody_anything() {
    let rules = rules("[Global]\nHostname = \"me\"");
    assert_eq!((&*rules.sender, &*rules.page_url), ("me", ""));
    assert_eq!(
        (rules.on_probe_change, rules.on_host_change, rules.rescue_only),
        Default::default()
    );
    assert_eq!(rules.min_level.number(), 101);
    assert_eq!(rules.confirm, [Confirm { matches: Matcher::default(), runs: 1, of: 1 }]);
    assert_eq!((rules.channels, rules.has_witnesses), (vec![], false));
}

#[test]
fn what_is_ok_is_never_worth_a_message() {
    for level in ["0", "100", "101"] {
        let rules = rules(&format!("[Notifications]\nMinLevelToSend = {level}"));
        assert_eq!(rules.min_level.number(), 101, "{level}");
    }
    assert_eq!(rules("[Notifications]\nMinLevelToSend = 300").min_level, Status::CRIT);
}

#[test]
fn dependencies_that_can_do_nothing_are_left_out() {
    let rules = rules(
        "[[Dependencies]]\nGroup = \"web\"\nDependsOn = [\"r1\", \"r2\"]\n\
         [[Dependencies]]\nHost = \"a\"\n[[Dependencies]]\nDependsOn = \"b\"",
    );
    let group = Some("web".to_owned());
    let on = vec!["r1".to_owned(), "r2".to_owned()];
    assert_eq!(rules.dependencies, [Dependency { group, host: None, on }]);
}

#[test]
fn each_channel_is_there_with_its_route() {
    let rules = rules(
        "[Notifications]\nHttpEnabled = 1\nHttpUrl = \"http://x/\"\nEmailEnabled = 2\n\
         EmailSmtpServer = \"mx:25\"\nEmailRecipients = \"a@b.c\"\nEmailFromAddress = \"w@b.c\"\n\
         [[Notifications.Channels]]\nName = \"on-call\"\nType = \"http\"\nUrl = \"http://y/\"\n\
         Groups = \"web\"\nMinLevel = 300\nEscalation = true",
    );
    let channels: Vec<_> = rules
        .channels
        .iter()
        .map(|c| (&*c.name, c.only_fallback, c.escalation, c.min_level.number()))
        .collect();
    assert_eq!(
        channels,
        [("http", false, false, 101), ("email", true, false, 101), ("on-call", false, true, 300)]
    );
    assert_eq!(rules.channels[2].matches.groups, ["web"]);
}
