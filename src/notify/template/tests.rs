//! What messages look like, and that no template can do harm.

use super::*;

fn templates(title: Option<&str>, body: Option<&str>) -> Templates {
    let zone = TimeZone::get("Europe/Paris").unwrap();
    Templates::new(title, body, zone).unwrap()
}

fn at() -> Timestamp {
    "2026-03-01T13:05:00Z".parse().unwrap()
}

fn sample(kind: Kind) -> Message {
    sample::of(kind, "ops", "monitor", "https://wigo.example.org", at())
}

fn usual(kind: Kind) -> Rendered {
    let rendered = templates(None, None).render(&sample(kind), None, at());
    assert_eq!(rendered.trouble, None);
    rendered
}

#[test]
fn the_first_line_says_how_bad_which_host_and_what() {
    for (kind, title) in [
        (Kind::Problem, "CRIT db1 / hardware_disks: 95 % of /var is used, 2.1 GiB are free"),
        (
            Kind::Joined,
            "CRIT db1 / hardware_disks: 95 % of /var is used, 2.1 GiB are free (3 of 45)",
        ),
        (
            Kind::Reminder,
            "CRIT db1 / hardware_disks, still after 3 h 5 min: 95 % of /var is used, 2.1 GiB are free \
             (3 of 45)",
        ),
        (Kind::Recovered, "OK db1 / hardware_disks: over after 3 h 5 min (0 of 45)"),
        (Kind::Digest, "45 messages in the last minute"),
        (Kind::Test, "a test of channel ops by monitor"),
    ] {
        assert_eq!(usual(kind).title, title);
    }
    let down = Message {
        subject: crate::notify::Subject::host("web1"),
        status: crate::status::Status::DOWN,
        output: String::new(),
        ..sample(Kind::Problem)
    };
    assert_eq!(templates(None, None).render(&down, None, at()).title, "DOWN web1");
}

#[test]
fn the_body_says_since_when_what_else_and_where_to_look() {
    assert_eq!(
        usual(Kind::Problem).body,
        "95 % of /var is used, 2.1 GiB are free\n/var/lib/postgresql grew by 4 GiB in an hour\n\n\
         Since 2026-03-01 14:03 CET (2 min).\n\n\
         What to do: https://wiki.example.org/disks\n\n\
         https://wigo.example.org/incidents/5ef1ee14-a4e5-54ef-b92c-7a4e61e3b54d"
            .replace(
                "5ef1ee14-a4e5-54ef-b92c-7a4e61e3b54d",
                &sample(Kind::Problem).incident.unwrap().to_string()
            )
    );
    let joined = usual(Kind::Joined).body;
    assert!(
        joined.contains(
            "3 of 45 are not well:\nCRIT db2 / hardware_disks: 97 % of /var is used (since 2026-03-01 \
             11:15 CET)\nWARN db3 / hardware_disks: "
        ),
        "{joined}"
    );
    let late =
        templates(None, None).render(&sample(Kind::Problem), Some(Duration::from_secs(750)), at());
    assert!(late.body.ends_with("Delayed 12 min."), "{}", late.body);
}

#[test]
fn who_is_not_listed_is_counted() {
    let message = Message { bad: 9, ..sample(Kind::Joined) };
    // The first one and two lines are named.
    let body = templates(None, None).render(&message, None, at()).body;
    assert!(body.contains("… and 6 more\n"), "{body}");
}

#[test]
fn every_kind_has_a_title_and_a_body() {
    for kind in sample::KINDS {
        let Rendered { title, body, .. } = usual(kind);
        assert!(!title.is_empty() && !body.is_empty(), "{kind:?}: {title:?} {body:?}");
        assert!(!body.contains("\n\n\n") && !body.contains("none"), "{kind:?}: {body}");
    }
}

#[test]
fn own_templates_see_all_that_is_documented() {
    for (name, _) in VARIABLES {
        let text = format!("<{{{{ {name} }}}}>");
        assert_eq!(check(&text), Ok(()), "{name}");
        let given = values(&sample(Kind::Reminder), Some(Duration::from_secs(60)), at());
        assert!(!given.get_attr(name).unwrap().is_undefined(), "{name}");
    }
    let own = templates(Some("{{ labels.env | upper }} {{ host }}"), Some("{{ at | clock }}"));
    let rendered = own.render(&sample(Kind::Problem), None, at());
    assert_eq!((&*rendered.title, &*rendered.body), ("PROD db1", "2026-03-01 14:05 CET"));
}

#[test]
fn what_is_not_there_is_a_mistake_with_its_line() {
    for (text, line, said) in [
        ("a\n{{ hots }}", 2, "there is no variable `hots`; there are key, channel"),
        ("a\n\n{{ host", 3, "syntax error"),
        ("{{ host | shout }}", 1, "unknown filter"),
        ("\n{% include \"/etc/passwd\" %}", 2, "template"),
        ("{% for a in range(9000) %}{% for b in range(9000) %}x{% endfor %}{% endfor %}", 1, ""),
    ] {
        let mistake = check(text).unwrap_err();
        assert_eq!(mistake.line, line, "{text}: {mistake}");
        assert!(mistake.message.contains(said), "{text}: {mistake}");
    }
    assert_eq!(
        check("{% for line in lines %}{{ loop.index }} {{ line.host }}{% endfor %}"),
        Ok(())
    );
    assert_eq!(check("{% set a = host %}{{ a }}"), Ok(()));
}

#[test]
fn a_template_that_fails_loses_no_message() {
    for text in
        ["{{ 1 // total_ }}{{ host | no }}", "{% for a in range(9999) %}0123456789{% endfor %}"]
    {
        let Ok(own) = Templates::new(Some("{{ host }}"), Some(text), TimeZone::UTC) else {
            panic!("{text}");
        };
        let rendered = own.render(&sample(Kind::Problem), None, at());
        assert_eq!(rendered.title, "db1");
        assert!(rendered.body.contains("95 % of /var is used"), "{}", rendered.body);
        let trouble = rendered.trouble.unwrap();
        assert!(trouble.starts_with("the template of the body fails: "), "{trouble}");
    }
    let empty = templates(Some(" {{ '' }}"), Some("")).render(&sample(Kind::Problem), None, at());
    assert!(empty.title.starts_with("CRIT db1"), "{empty:?}");
    assert!(empty.trouble.is_some());
}

#[test]
fn a_title_is_one_line_that_is_not_too_long() {
    let own = templates(Some("{{ output }}\r\nBcc: x{{ output }}{{ output }}"), None);
    let title = own.render(&sample(Kind::Problem), None, at()).title;
    assert!(!title.contains(['\r', '\n']) && title.chars().count() == 200, "{title}");
    assert!(title.ends_with('…'));
}

#[test]
fn spans_are_words() {
    for (seconds, said) in [
        (-5, "0 s"),
        (59, "59 s"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (11_100, "3 h 5 min"),
        (86_400 * 2, "2 d"),
        (86_400 * 2 + 7_200, "2 d 2 h"),
    ] {
        assert_eq!(words(seconds), said);
    }
}
