//! The page at `/`: what this is, and the hosts of the whole tree, worst first. Plain HTML that needs no
//! script, of a bounded size.

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write, sync::Arc};

use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse, Response},
};
use jiff::{Timestamp, tz::TimeZone};
use uuid::Uuid;

use super::Api;
use crate::{
    status::{Level, Status},
    tree::{Contact, Instance, Presence, View},
};

const STYLE: &str = include_str!("index.css");

/// Hosts that are shown with their probes: the worst. The rest is counted.
const MAX_HOSTS: usize = 100;
/// Probes that are shown of a host: the worst.
const MAX_PROBES: usize = 30;
/// Characters that are shown of a text of others.
const MAX_TEXT: usize = 300;

pub async fn style() -> Response {
    let kind =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (kind, STYLE).into_response()
}

pub async fn page(State(api): State<Arc<Api>>) -> Response {
    let page = render(&api.view());
    ([(header::CACHE_CONTROL, "no-cache")], Html(page)).into_response()
}

fn render(tree: &View) -> String {
    let mut hosts: Vec<&Instance> = tree.all().collect();
    let total = hosts.len();
    let levels = hosts.iter().map(|host| Shown::of(tree, host));
    let counts = count(levels);
    // Only the worst are put in order: nobody sees the order of the rest.
    let rank = |host: &&Instance| (Reverse(Shown::of(tree, host)), Reverse(host.local_status()));
    let worse = |a: &&Instance, b: &&Instance| {
        rank(a).cmp(&rank(b)).then_with(|| a.host.name.cmp(&b.host.name))
    };
    if total > MAX_HOSTS {
        hosts.select_nth_unstable_by(MAX_HOSTS, worse);
    }
    let rest = hosts.split_off(total.min(MAX_HOSTS));
    hosts.sort_by(worse);
    let shown: String = hosts.into_iter().map(|instance| host(tree, instance)).collect();
    let rest = match rest.len() {
        0 => String::new(),
        more => format!(
            "<p>{more} more hosts: {}. <a href=/api/hosts>/api/hosts</a> names all, \
             <code>wigocli tree</code> draws them.</p>",
            count(rest.into_iter().map(|host| Shown::of(tree, host)))
        ),
    };
    let (name, global) = (escape(&tree.me().host.name), badge(tree.me().global_status()));
    let version = escape(&tree.me().version);
    let all = if total > 1 { format!("<p>{total} hosts: {counts}</p>") } else { String::new() };
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=refresh content=30><title>{name} – Wigo</title>\
         <link rel=stylesheet href=/style.css></head><body>\
         <header><h1>{name} {global}</h1><p>{version}: what is going on, on this host and those below \
         it. As data: <a href=/api>/api</a>, <a href=/api/logs>/api/logs</a>, \
         <a href=/api/probes>/api/probes</a>; in a terminal: <code>wigocli</code>.</p>{all}</header>\
         <main>{shown}{rest}</main></body></html>"
    )
}

/// What is shown of a host in one word, worst last: a host that does not report is not well because its
/// last results were.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    Level(Level),
    /// It stopped, or nothing is known of it.
    Not(Presence),
    Bad(Level),
}

impl Shown {
    fn of(tree: &View, host: &Instance) -> Shown {
        let (presence, level) = (tree.presence(host), host.local_status().level());
        match presence {
            Presence::Unknown | Presence::Stopped => Shown::Not(presence),
            _ if level >= Level::Warn => Shown::Bad(level),
            _ => Shown::Level(level),
        }
    }

    fn word(self) -> String {
        match self {
            Shown::Level(level) | Shown::Bad(level) => level.word().into(),
            Shown::Not(presence) => presence.word().to_uppercase(),
        }
    }
}

/// How many hosts are how, worst first.
fn count(all: impl Iterator<Item = Shown>) -> String {
    let mut counts: BTreeMap<Reverse<Shown>, usize> = BTreeMap::new();
    all.for_each(|shown| *counts.entry(Reverse(shown)).or_default() += 1);
    let words: Vec<String> =
        counts.into_iter().map(|(shown, count)| format!("{count} {}", shown.0.word())).collect();
    words.join(", ")
}

fn host(tree: &View, instance: &Instance) -> String {
    let presence = tree.presence(instance);
    let status = match presence {
        Presence::Unknown | Presence::Stopped => {
            let word = presence.word();
            format!("<b class={word}>{}</b>", word.to_uppercase())
        }
        _ => badge(instance.local_status()),
    };
    let (name, group) = (escape(&instance.host.name), escape(&instance.host.group));
    let stale = if presence == Presence::Alive { "" } else { " class=stale" };
    format!(
        "<section{stale}><h2>{name} {status} <small>{group}</small></h2>{}<table>{}</table></section>",
        way(tree, instance, presence),
        probes(instance, presence)
    )
}

/// Where a host stands, how it is heard, and what is wrong with that.
fn way(tree: &View, instance: &Instance, presence: Presence) -> String {
    let name = |uuid: Uuid| tree.get(uuid).map_or("", |found| found.host.name.as_str());
    let mut lines = Vec::new();
    if presence != Presence::Alive {
        let since = match instance.presence_since.filter(|_| presence == instance.presence) {
            Some(since) => format!(" since {}", moment(since)),
            None => String::new(),
        };
        let last = match instance.last_update {
            Some(last) => format!("; last heard of {}, as below", moment(last)),
            None => "; never heard of since it was configured or enrolled".into(),
        };
        lines.push(format!("{}{since}{last}", presence.word()));
    }
    if let Some(problem) = &instance.problem {
        lines.push(format!("<strong>{}</strong>", escape(cut(problem))));
    }
    let mut path: Vec<String> =
        tree.above(instance).map(|above| escape(&above.host.name)).collect();
    // Directly below this instance is what is not said otherwise.
    if path.len() > 1 {
        path.reverse();
        lines.push(format!("below {}", path.join(" › ")));
    }
    let plain = |encrypted: bool| if encrypted { "" } else { ", not encrypted" };
    match instance.contact.as_deref() {
        Some(Contact::Push { address, encrypted }) => {
            lines.push(format!("pushes from {}{}", escape(address), plain(*encrypted)));
        }
        Some(Contact::Pull { endpoint, encrypted }) => {
            lines.push(format!("asked at {}{}", escape(endpoint), plain(*encrypted)));
        }
        None => {}
    }
    if !instance.alternatives.is_empty() {
        let others: Vec<String> =
            instance.alternatives.iter().map(|other| escape(name(*other))).collect();
        let heard = escape(name(instance.via));
        lines.push(format!("heard through {heard}, and also through {}", others.join(", ")));
    }
    match lines.is_empty() {
        true => String::new(),
        false => format!("<p class=way>{}</p>", lines.join("<br>")),
    }
}

fn probes(instance: &Instance, presence: Presence) -> String {
    let mut probes: Vec<_> = instance.host.probes.values().collect();
    probes.sort_by_key(|probe| (Reverse(probe.result.status), &probe.result.name));
    let mut rows = String::new();
    for probe in probes.iter().take(MAX_PROBES) {
        let result = &probe.result;
        let (name, message) = (escape(result.name.as_str()), escape(cut(&result.message)));
        // Of a host that does not report, that is said once, above.
        let old = probe.stale && presence == Presence::Alive;
        let stale = if old { " <em>not confirmed since the restart</em>" } else { "" };
        let _ = write!(
            rows,
            "<tr><td>{}</td><th scope=row>{name}</th><td>{message}{stale}<br><small>since {}</small></td></tr>",
            badge(result.status),
            moment(probe.since)
        );
    }
    match probes.len().saturating_sub(MAX_PROBES) {
        0 if rows.is_empty() => rows.push_str("<tr><td>no probe has reported yet</td></tr>"),
        0 => {}
        more => {
            let _ =
                write!(rows, "<tr><td>{more} more</td><td></td><td>none of them worse</td></tr>");
        }
    }
    rows
}

/// A date for people.
fn moment(at: Timestamp) -> String {
    let date = at.to_zoned(TimeZone::system());
    escape(&date.strftime("%Y-%m-%d %H:%M:%S (%Z)").to_string())
}

/// The beginning of a long text.
fn cut(text: &str) -> &str {
    text.char_indices().nth(MAX_TEXT).map_or(text, |(end, _)| &text[..end])
}

fn badge(status: Status) -> String {
    let word = status.level().word();
    format!("<b class={}>{word} {status}</b>", word.to_lowercase())
}

/// Text as text: nothing in it is markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Event, Host, Now, Parting, Probe, ProbeName, ProbeResult, Tree};

    #[test]
    fn names_cannot_become_markup() {
        let host = Host::new("<script>alert('x')</script>\"", "a&b");
        let tree = crate::tree::Tree::new(Instance::new(Uuid::from_u128(1), "<v>", host)).view();
        let page = render(&tree);
        assert!(!page.contains("<script>") && !page.contains("<v>"));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;"));
        assert!(page.contains("a&amp;b"));
    }
    fn now() -> Now {
        let wall = Timestamp::from_second(1_741_076_102).unwrap();
        Now { wall, boot: std::time::Duration::from_secs(1) }
    }

    fn tree(below: u128) -> Tree {
        let id = Uuid::from_u128;
        let mut tree = Tree::new(Instance::new(id(1), "Wigo v1", Host::new("top", "")));
        for number in 2..below + 2 {
            let contact = Contact::Push { address: "192.0.2.7:5".into(), encrypted: false };
            let (name, limit) = (format!("host{number}"), std::time::Duration::from_secs(14));
            tree.apply(
                Event::Linked { link: id(number), name, contact, limit, grace: limit },
                now(),
            );
        }
        tree
    }

    #[test]
    fn the_worst_hosts_are_shown_and_the_rest_is_counted() {
        let mut tree = tree(10_000);
        tree.apply(Event::Parted { link: Uuid::from_u128(7_777), how: Parting::Stopping }, now());
        let page = render(&tree.view());
        assert_eq!(page.matches("<section").count(), MAX_HOSTS);
        assert!(page.contains("<p>10001 hosts: 1 STOPPED, 10000 OK</p>"), "{page:.2000}");
        assert!(page.contains("<p>9901 more hosts: 9901 OK."));
        let first = page.split("<section").nth(1).unwrap();
        assert!(
            first.starts_with(" class=stale><h2>host7777 <b class=stopped>STOPPED</b>"),
            "{first}"
        );
        assert!(first.contains("stopped; last heard of 2025-03-04 "), "{first}");
        assert!(first.contains(&moment(now().wall)) && !first.contains("U C"), "{first}");
        assert!(first.contains("pushes from 192.0.2.7:5, not encrypted"), "{first}");
        assert!(page.len() < 100_000, "{}", page.len());
    }

    #[test]
    fn what_is_wrong_with_the_way_to_a_host_is_said() {
        let mut tree = tree(1);
        let problem = Some("it answers <500>".to_owned());
        tree.apply(Event::Trouble { link: Uuid::from_u128(2), problem }, now());
        let page = render(&tree.view());
        assert!(page.contains("<strong>it answers &lt;500&gt;</strong>"), "{page}");
    }

    #[test]
    fn a_host_with_much_to_say_is_cut_short() {
        let mut host = Host::new("top", "");
        for number in 0..1_000 {
            let name = ProbeName::new(&format!("p{number}")).unwrap();
            let result = ProbeResult {
                name: name.clone(),
                version: String::new(),
                value: crate::json::Json::null(),
                message: "ä".repeat(10_000),
                date: now().wall,
                metrics: crate::json::Json::null(),
                detail: crate::json::Json::null(),
                status: Status::OK,
                exit_code: 0,
                interval: 60,
            };
            let probe = Probe { since: result.date, result: Arc::new(result), stale: false };
            host.probes.insert(name, probe);
        }
        let tree = Tree::new(Instance::new(Uuid::from_u128(1), "Wigo v1", host)).view();
        let page = render(&tree);
        assert!(page.contains("<td>970 more</td>"));
        assert!(page.len() < 40_000, "{}", page.len());
    }
}
