//! What becomes of the keys of `[Notifications]`.

use std::path::Path;

use super::*;
use crate::{
    config::{Environment, LoadError, Problem, Secret, parse_in},
    notify::{
        channel::{KINDS, Settings, address::Address, email},
        rules::Hours,
    },
    status::Status,
};

fn environment() -> Environment {
    Environment::new(|name| (name == "TOKEN").then(|| "t0ken".to_owned()))
}

/// What a section with these keys says, and its warnings.
fn read(keys: &str) -> (Notifications, Vec<String>) {
    let text = format!("[Notifications]\n{keys}");
    match parse_in(&text, Path::new("f"), &environment()) {
        Ok(loaded) => (
            loaded.config.notifications,
            loaded.warnings.iter().map(|problem| problem.message.clone()).collect(),
        ),
        Err(error) => panic!("{error}"),
    }
}

fn good(keys: &str) -> Notifications {
    let (notifications, warnings) = read(keys);
    assert_eq!(warnings, Vec::<String>::new());
    notifications
}

fn errors(keys: &str) -> Vec<String> {
    let text = format!("[Notifications]\n{keys}");
    match parse_in(&text, Path::new("f"), &environment()) {
        Err(LoadError::Invalid(problems)) => problems.errors().map(Problem::to_string).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

fn names(notifications: &Notifications) -> Vec<&str> {
    notifications.channels.iter().map(|channel| &*channel.name).collect()
}

const HTTP: &str = "HttpEnabled = 7\nHttpUrl = \"https://example.org/${TOKEN}\"\n";
const EMAIL: &str = "EmailSmtpServer = \"mx:25\"\nEmailRecipients = \"a@b.c\"\n\
                     EmailFromAddress = \"w@b.c\"\n";

#[test]
fn mail_is_sent_always_or_as_the_fallback_of_the_callback() {
    let told = good(&format!("{HTTP}{EMAIL}EmailEnabled = 0"));
    assert_eq!(names(&told), ["http"]);
    let told = good(&format!("{HTTP}{EMAIL}EmailEnabled = true"));
    assert_eq!(names(&told), ["http", "email"]);
    assert_eq!((told.channels[0].fallback.clone(), told.channels[1].only_fallback), (None, false));
    let told = good(&format!("{HTTP}{EMAIL}EmailEnabled = 2"));
    assert_eq!(told.channels[0].fallback.as_deref(), Some("email"));
    assert!(told.channels[1].only_fallback);
    let Settings::Email(mail) = &told.channels[1].settings else { panic!("{told:?}") };
    assert_eq!((mail.server.to_string(), mail.security), ("mx:25".into(), email::Security::None));
    let Settings::Http(http) = &told.channels[0].settings else { panic!("{told:?}") };
    assert_eq!(http.url, Address::parse("https://example.org/t0ken").unwrap());
    assert_eq!(errors("EmailEnabled = 3").len(), 1);
}

fn urls(channel: &ChannelConfig) -> Vec<&str> {
    match &channel.settings {
        Settings::Apprise(apprise) => apprise.urls.iter().map(Secret::expose).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_apprise_address_is_in_one_channel_only() {
    let told = good(
        "AppriseEnabled = 1\nAppriseUrls = [\"a://all\", \"a://all\"]\n\
         [[Notifications.AppriseTargets]]\nName = \"web\"\nGroups = \"web\"\n\
         Urls = [\"a://both\", \"a://web\", \"a://all\"]\n\
         [[Notifications.AppriseTargets]]\nHosts = [\"db*\"]\nUrls = [\"a://both\", \"a://db\"]\n",
    );
    assert_eq!(names(&told), ["apprise", "apprise/web", "apprise/web+2", "apprise/2"]);
    assert_eq!(urls(&told.channels[0]), ["a://all"]);
    assert_eq!(urls(&told.channels[1]), ["a://web"]);
    assert_eq!(urls(&told.channels[2]), ["a://both"]);
    assert_eq!(urls(&told.channels[3]), ["a://db"]);
    let both = &told.channels[2].matches;
    assert_eq!((&*both.groups, &*both.hosts), (&["web".to_owned()][..], &["db*".to_owned()][..]));
}

#[test]
fn a_target_for_nobody_is_told_nothing() {
    let (told, warnings) = read(
        "AppriseEnabled = 1\n[[Notifications.AppriseTargets]]\nName = \"x\"\nUrls = [\"a://x\"]",
    );
    assert_eq!(names(&told), Vec::<&str>::new());
    assert_eq!(warnings, ["this target has neither `Groups` nor `Hosts`"]);
}

#[test]
fn an_escalation_target_is_told_though_it_was_told_before() {
    let told = good(
        "AppriseEnabled = 1\nAppriseUrls = \"a://x\"\nEscalateAfter = 60\n\
         [[Notifications.AppriseTargets]]\nGroups = \"*\"\nEscalation = true\nUrls = \"a://x\"",
    );
    assert_eq!(names(&told), ["apprise", "apprise/1"]);
    assert!(told.channels[1].escalation);
}

#[test]
fn a_channel_has_its_route() {
    let told = good(
        "OnProbeChange = true\nEscalateAfter = 600\nRenotifyInterval = 60\n\
         [[Notifications.Channels]]\nName = \"on-call\"\nType = \"http\"\n\
         Url = \"https://example.org/\"\nMinLevel = \"crit\"\nGroups = [\"web\"]\nHosts = \"db*\"\n\
         Probes = \"check_*\"\nLabels = { env = \"prod\" }\nHours = \"08:00-18:00\"\n\
         Days = [\"mon-fri\"]\nTimeZone = \"Europe/Paris\"\nEscalation = true\n\
         RemindersOnly = true\nFallback = \"mail\"\nPerMinute = 3\nTitle = \"{{ host }}\"\n\
         [[Notifications.Channels]]\nName = \"mail\"\nType = \"Email\"\nSmtpServer = \"mx\"\n\
         From = \"w@b.c\"\nTo = \"a@b.c\"\nOnlyFallback = true\n",
    );
    let [first, second] = &*told.channels else { panic!("{told:?}") };
    assert_eq!((&*first.name, first.min_level), ("on-call", Status::CRIT));
    assert_eq!((first.escalation, first.reminders_only, first.only_fallback), (true, true, false));
    assert_eq!((first.fallback.as_deref(), first.per_minute), (Some("mail"), 3));
    assert_eq!(first.matches.labels["env"], "prod");
    let Some(Hours { days, zone, .. }) = &first.hours else { panic!("{first:?}") };
    assert_eq!((&**days, zone.iana_name()), (&[1, 2, 3, 4, 5][..], Some("Europe/Paris")));
    assert_eq!((first.title.as_deref(), &first.body), (Some("{{ host }}"), &None));
    assert!(second.only_fallback);
    let Settings::Email(mail) = &second.settings else { panic!("{second:?}") };
    assert_eq!(mail.server.to_string(), "mx:587");
}

/// A file with one channel of type `http` and these keys.
fn channel(keys: &str) -> String {
    format!(
        "OnProbeChange = true\n[[Notifications.Channels]]\nName = \"a\"\nType = \"http\"\n\
         Url = \"https://x/\"\n{keys}\n"
    )
}

#[test]
fn mistakes_of_a_channel_are_errors() {
    for (keys, said) in [
        (channel(&channel("")[21..]), "two channels are called `a`"),
        (channel("").replace("\"a\"", "\"a b\""), "`Name` in [Notifications.Channels] must be"),
        (channel("").replace("Name = \"a\"\n", ""), "is missing"),
        (channel("").replace("\"http\"", "\"htp\""), "must be one of http, "),
        (channel("").replace("Url", "Key"), "`Url` in [Notifications.Channels] is missing"),
        (channel("Fallback = \"b\""), "`b`, which is no channel"),
        (channel("Fallback = \"a\""), "leads back to itself"),
        (channel("MinLevel = \"bad\""), "INFO, WARN, CRIT"),
        (channel("Days = \"someday\""), "a day such as"),
        (channel("Hours = \"all\""), "times of day such as"),
        (channel("TimeZone = \"Paris\""), "a time zone such as"),
        (channel("PerMinute = 0"), "from 1 to"),
    ] {
        let found = errors(&keys);
        assert!(found.iter().any(|error| error.contains(said)), "{said}: {found:?}");
    }
}

#[test]
fn keys_of_other_types_are_warned_about() {
    let (_, warnings) = read(&channel("SmtpServer = \"mx\"\nQuux = 1"));
    assert_eq!(
        warnings,
        [
            "`SmtpServer` means nothing to a channel of type `http`",
            "unknown key `Quux` in [Notifications.Channels]"
        ]
    );
}

#[test]
fn what_is_never_told_is_warned_about() {
    for (keys, said) in [
        (channel("").replace("OnProbeChange = true", ""), "neither probes nor hosts are told of"),
        (channel("Escalation = true"), "never told without `EscalateAfter`"),
        (channel("RemindersOnly = true"), "never told without `RenotifyInterval`"),
        (channel("OnlyFallback = true"), "is that of no channel"),
        ("EscalateAfter = 60".to_owned(), "`EscalateAfter` has no effect"),
        ("RenotifyBackoff = \"linear\"".to_owned(), "without `RenotifyInterval`"),
        ("RenotifyRaisesPriority = true".to_owned(), "without `RenotifyInterval`"),
    ] {
        let (_, warnings) = read(&keys);
        assert!(warnings.len() == 1 && warnings[0].contains(said), "{said}: {warnings:?}");
    }
}

#[test]
fn confirmation_needs_more_than_half_of_the_runs() {
    let confirm = |keys: &str| {
        let rules = good(keys).confirm;
        rules.iter().map(|rule| (rule.runs, rule.of)).collect::<Vec<_>>()
    };
    assert_eq!(confirm(""), [(1, 1)]);
    assert_eq!(confirm("ConfirmRuns = 3"), [(3, 3)]);
    assert_eq!(confirm("ConfirmRuns = 2\nConfirmOf = 3"), [(2, 3)]);
    let rule = "[[Notifications.Confirm]]\nProbes = \"load\"\nRuns = 3\nOf = 5";
    assert_eq!(confirm(rule), [(3, 5), (1, 1)]);
    assert!(errors("ConfirmRuns = 2\nConfirmOf = 4")[0].contains("more than half"));
    assert!(errors("ConfirmRuns = 4\nConfirmOf = 3")[0].contains("more than `ConfirmOf`"));
    assert!(errors("ConfirmRuns = 0")[0].contains("from 1 to 100"));
    assert!(errors(&rule.replace('3', "2"))[0].contains("more than half"));
}

#[test]
fn repeats_grow_as_they_are_told_to() {
    let repeat = good("RenotifyInterval = 60\nRenotifyBackoff = \"Square\"").repeat.unwrap();
    assert_eq!((repeat.interval.as_secs(), repeat.backoff, repeat.limit), (60, Backoff::Square, 3));
    assert!(errors("RenotifyInterval = 60\nRenotifyBackoff = \"fast\"")[0].contains("cubic"));
}

#[test]
fn incidents_are_grouped_by_host_group_or_label() {
    assert_eq!(good("").group_by, GroupBy::Host);
    assert_eq!(good("GroupBy = \"label: env\"").group_by, GroupBy::Label("env".into()));
    for text in ["probe", "label:", "label"] {
        assert_eq!(errors(&format!("GroupBy = \"{text}\"")).len(), 1, "{text}");
    }
}

#[test]
fn the_page_is_a_web_address() {
    let url = |text: &str| good(&format!("PageUrl = \"{text}\"")).page_url;
    assert_eq!(url("https://wigo.example.org/x/"), "https://wigo.example.org/x");
    assert_eq!(url(""), "");
    for text in ["wigo.example.org", "ftp://x", "https://", "https://a/?b", "https://u:p@a/"] {
        assert_eq!(errors(&format!("PageUrl = \"{text}\"")).len(), 1, "{text}");
    }
}

#[test]
fn witnesses_have_a_port() {
    let told = good("Witnesses = [\"192.0.2.1:53\", \"[::1]:53\"]\nWitnessInterval = 5");
    assert_eq!(told.witnesses[1].to_string(), "[::1]:53");
    assert_eq!(errors("Witnesses = [\"192.0.2.1\", \"a:0\", \"b:\"]").len(), 3);
}

#[test]
fn quiet_hours_need_both_ends() {
    let keys = "QuietHoursFrom = \"22:00\"\nQuietHoursTo = \"07:30\"\n\
                QuietHoursTimeZone = \"America/New_York\"\nQuietHoursMinLevelToSend = 500";
    let hours = good(keys).quiet_hours.unwrap();
    assert_eq!((hours.from.hour(), hours.to.minute()), (22, 30));
    assert_eq!(hours.min_level, Some(Status::ERROR));
    assert_eq!(hours.zone.iana_name(), Some("America/New_York"));
    assert_eq!(read("QuietHoursFrom = \"22:00\"").1.len(), 1);
    assert_eq!(
        errors(&keys.replace("22:00", "25:00")),
        ["f:2: `QuietHoursFrom` in [Notifications] must be a time of day such as \"22:30\", not \
          \"25:00\""]
    );
}

#[test]
fn a_secret_that_is_not_there_is_named_with_its_line() {
    let keys = "HttpEnabled = 1\nHttpUrl = \"https://hunter2/${NOBODY}\"";
    let found = errors(keys);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("f:3: `HttpUrl` in [Notifications]: "), "{found:?}");
    assert!(found[0].contains("`NOBODY`") && !found[0].contains("hunter2"), "{found:?}");
    // Who is not the agent goes on without it.
    let text = format!("[Notifications]\n{keys}");
    let beside = environment().without_all_secrets();
    let loaded = parse_in(&text, Path::new("f"), &beside).unwrap();
    assert_eq!(loaded.config.notifications.channels, []);
    assert_eq!(loaded.warnings.iter().count(), 1);
}

#[test]
fn a_mistake_in_a_template_is_shown_with_its_line() {
    let at = |keys: &str| {
        let found = errors(&channel(keys));
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let said = at("Title = \"{{ hots }}\"");
    assert!(
        said.starts_with("f:7: `Title` in [Notifications.Channels]: there is no variable"),
        "{said}"
    );
    for quotes in ["\"\"\"", "'''"] {
        let said = at(&format!("Body = {quotes}\n{{{{ host }}}}\n{{{{ hots }}}}{quotes}"));
        assert!(said.starts_with("f:9: `Body`"), "{said}");
        let said = at(&format!("Body = {quotes}{{{{ host }}}}\n{{% if %}}{quotes}"));
        assert!(said.starts_with("f:8: `Body`"), "{said}");
    }
    let told = good(&channel("Body = \"\"\"\n{{ host }}\n{{ level }}\"\"\""));
    assert_eq!(told.channels[0].body.as_deref(), Some("{{ host }}\n{{ level }}"));
}

#[test]
fn every_kind_reads_its_keys_from_the_sample() {
    // That the sample has no key too many, and none too few, is seen where it is read.
    let sample = include_str!("../../../etc/wigo.conf");
    for kind in KINDS {
        let line = format!("#Type = \"{}\"", kind.word);
        assert!(sample.contains(&line), "`{}` is missing in etc/wigo.conf", kind.word);
    }
}

#[test]
fn addresses_of_receivers_are_secrets_that_should_be_protected() {
    let slack = |url: &str| {
        format!(
            "OnProbeChange = true\n[[Notifications.Channels]]\nName = \"a\"\nType = \"slack\"\n\
             HookUrl = \"{url}\""
        )
    };
    assert!(read(&slack("https://hooks.example.org/${TOKEN}")).1.is_empty());
    assert!(read(&slack("http://127.0.0.1:8080/x")).1.is_empty());
    assert!(read(&slack("http://hooks.example.org/x")).1[0].contains("can be read on the way"));
    let said = errors(&slack("hooks/s3cr3t"));
    assert!(said[0].contains("https://") && !said[0].contains("s3cr3t"), "{said:?}");
}
