//! The channels of the original: the HTTP callback, mail, and the Apprise program.

use std::collections::{BTreeMap, BTreeSet};

use super::{channels::ChannelConfig, routes};
use crate::{
    config::{
        endpoint::{self, Endpoint},
        secret::Secret,
        section::Section,
    },
    notify::{
        channel::{Settings, address::Address, apprise, email, http},
        rules::Matcher,
    },
};

/// What they are called.
const HTTP: &str = "http";
pub(super) const EMAIL: &str = "email";
const APPRISE: &str = "apprise";

/// When mail is sent.
#[derive(Clone, Copy, PartialEq)]
enum EmailMode {
    Off,
    Always,
    /// Only when the HTTP callback failed.
    AfterHttpFailure,
}

/// All that are switched on and know whom to tell.
pub(super) fn channels(section: &Section<'_>) -> Vec<ChannelConfig> {
    let is_http_on = section.on_off("HttpEnabled");
    let http = http(section, is_http_on);
    let email = email(section, is_http_on);
    let mut channels: Vec<ChannelConfig> = http.into_iter().chain(email).collect();
    let has_fallback = channels.iter().any(|channel| channel.only_fallback);
    for channel in channels.iter_mut().filter(|channel| channel.name == HTTP && has_fallback) {
        channel.fallback = Some(EMAIL.to_owned());
    }
    channels.extend(apprise(section));
    channels
}

fn http(section: &Section<'_>, enabled: bool) -> Option<ChannelConfig> {
    let url = section.secret("HttpUrl");
    let explain = |allowed| {
        let message = format!("`HttpUrl` in [Notifications] must be {allowed}");
        section.error("HttpUrl", message, "write the whole address of the receiver");
    };
    let url = (!url.is_empty()).then(|| Address::parse(url.expose()).map_err(explain));
    if enabled && section.is_blank("HttpUrl") {
        let message = "`HttpEnabled` has no effect without `HttpUrl`".to_owned();
        section.warn("HttpEnabled", message, "set `HttpUrl`, or remove `HttpEnabled`");
    }
    let url = url?.ok().filter(|_| enabled)?;
    Some(ChannelConfig::new(HTTP, Settings::Http(http::Settings { url })))
}

fn email(section: &Section<'_>, is_http_on: bool) -> Option<ChannelConfig> {
    let mode = match section.choice("EmailEnabled", 2) {
        0 => EmailMode::Off,
        1 => EmailMode::Always,
        _ => EmailMode::AfterHttpFailure,
    };
    let server = section.parsed("EmailSmtpServer", smtp_server);
    let to = section.parsed_list("EmailRecipients", email::address);
    let from_name = section.string("EmailFromName", "");
    let from = section.parsed("EmailFromAddress", email::address).unwrap_or_default();
    if mode == EmailMode::AfterHttpFailure && !is_http_on {
        let message = "`EmailEnabled = 2` sends only after a failed HTTP callback, which is off";
        section.warn("EmailEnabled", message.to_owned(), "write 1 to always send mail");
    }
    let missing = [
        ("EmailSmtpServer", section.is_blank("EmailSmtpServer")),
        ("EmailRecipients", to.is_empty()),
        ("EmailFromAddress", from.is_empty()),
    ];
    for (key, _) in missing.iter().filter(|(_, missing)| *missing && mode != EmailMode::Off) {
        let message = format!("`EmailEnabled` has no effect without `{key}`");
        section.warn("EmailEnabled", message, "set it, or remove `EmailEnabled`");
    }
    let server = server.filter(|_| !to.is_empty() && !from.is_empty() && mode != EmailMode::Off)?;
    let settings = email::Settings { from, from_name, to, ..email::Settings::plain(server) };
    Some(ChannelConfig {
        only_fallback: mode == EmailMode::AfterHttpFailure,
        ..ChannelConfig::new(EMAIL, Settings::Email(settings))
    })
}

/// Addresses for some hosts.
struct Target {
    name: String,
    urls: Vec<Secret>,
    matches: Matcher,
    escalation: bool,
}

fn apprise(section: &Section<'_>) -> Vec<ChannelConfig> {
    let enabled = section.on_off("AppriseEnabled");
    let path = section.path("ApprisePath", apprise::PROGRAM);
    let urls = section.secrets("AppriseUrls");
    let targets = section.list("AppriseTargets", target);
    if enabled && urls.is_empty() && targets.is_empty() {
        let message = "`AppriseEnabled` has no effect without addresses".to_owned();
        let help = "set `AppriseUrls` or add [[Notifications.AppriseTargets]]";
        section.warn("AppriseEnabled", message, help);
    }
    if !enabled {
        return Vec::new();
    }
    let channel = |name: &str, urls: Vec<Secret>| {
        ChannelConfig::new(
            name,
            Settings::Apprise(apprise::Settings { program: path.clone(), urls }),
        )
    };
    let mut seen = BTreeSet::new();
    let urls: Vec<Secret> = urls
        .into_iter()
        .filter(|url| !url.is_empty() && seen.insert(url.expose().to_owned()))
        .collect();
    let mut channels = Vec::new();
    if !urls.is_empty() {
        channels.push(channel(APPRISE, urls));
    }
    for part in parts(&targets, &seen) {
        channels.push(ChannelConfig {
            matches: part.matches,
            escalation: part.escalation,
            ..channel(&format!("{APPRISE}/{}", part.name), part.urls)
        });
    }
    channels
}

fn target(entry: &Section<'_>) -> Target {
    let target = Target {
        name: entry.string("Name", ""),
        urls: entry.secrets("Urls"),
        matches: Matcher {
            groups: routes::names(entry, "Groups"),
            hosts: routes::names(entry, "Hosts"),
            ..Matcher::default()
        },
        escalation: entry.boolean("Escalation", false),
    };
    if target.matches == Matcher::default() {
        let message = "this target has neither `Groups` nor `Hosts`".to_owned();
        let help = "it is never told anything; write `Groups = [\"*\"]` for all";
        entry.warn("Name", message, help);
    }
    if target.urls.is_empty() {
        let message = "this target has no `Urls`".to_owned();
        entry.warn("Name", message, "name at least one address");
    }
    target
}

/// Targets taken apart so that no address is in two of them: what several have is a part of its own, for
/// the hosts of all of them. What everybody is told anyway (`told`) is left out, but for escalation.
fn parts(targets: &[Target], told: &BTreeSet<String>) -> Vec<Target> {
    // Which targets have an address, by the time at which they are told.
    let mut owners: BTreeMap<(bool, &str), Vec<usize>> = BTreeMap::new();
    for (n, target) in targets.iter().enumerate() {
        let urls = target.urls.iter().map(Secret::expose).filter(|url| !url.is_empty());
        let is_used = target.matches != Matcher::default();
        for url in urls.filter(|url| is_used && (target.escalation || !told.contains(*url))) {
            let owners = owners.entry((target.escalation, url)).or_default();
            if !owners.contains(&n) {
                owners.push(n);
            }
        }
    }
    let mut parts: BTreeMap<Vec<usize>, Vec<Secret>> = BTreeMap::new();
    for ((_, url), owners) in owners {
        parts.entry(owners).or_default().push(Secret::new(url));
    }
    let mut taken = BTreeSet::new();
    let part = |(owners, urls): (Vec<usize>, Vec<Secret>)| {
        let all = || owners.iter().map(|n| &targets[*n]);
        let names: Vec<String> = owners.iter().map(|n| name_of(targets, *n)).collect();
        let mut name = names.join("+");
        while !taken.insert(name.clone()) {
            name.push('\'');
        }
        Target {
            name,
            urls,
            matches: Matcher {
                groups: all().flat_map(|target| target.matches.groups.clone()).collect(),
                hosts: all().flat_map(|target| target.matches.hosts.clone()).collect(),
                ..Matcher::default()
            },
            escalation: all().any(|target| target.escalation),
        }
    };
    parts.into_iter().map(part).collect()
}

/// What it is called, or its place in the file.
fn name_of(targets: &[Target], n: usize) -> String {
    match targets[n].name.trim() {
        "" => (n + 1).to_string(),
        name => name.to_owned(),
    }
}

fn smtp_server(text: &str) -> Result<Endpoint, String> {
    match endpoint::split(text)? {
        (_, None) => Err("a mail server with its port, such as \"smtp.example.org:25\"".to_owned()),
        _ => Endpoint::parse(text, 25),
    }
}
