//! From the configuration to channels that work.

use std::sync::Arc;

use super::{
    channel::{Channel, Clients, Delivery, Failed, Retry, Sending},
    delivery::{Outlet, Render},
    rules::{Hours, Matcher},
    template::{Rendered, Templates},
    witness::Witnesses,
};
use crate::{
    config::{ChannelConfig, Config},
    status::Status,
};

/// The channels that were built, so that a reload builds only those that changed: some remember who has
/// taken what, and keep connections.
#[derive(Default)]
pub struct Channels(Vec<(ChannelConfig, Arc<dyn Channel>)>);

impl Channels {
    /// All channels of a configuration. One that cannot be built is there and fails, so that its messages
    /// wait, and that it is seen. Reads files: not for the runtime.
    pub fn of(&mut self, config: &Config) -> Vec<Outlet> {
        let before = std::mem::take(&mut self.0);
        let mut clients = Clients::new();
        let mut outlets = Vec::new();
        for channel in &config.notifications.channels {
            let same = before.iter().find(|(held, _)| held == channel);
            let built = match same {
                Some((_, built)) => built.clone(),
                None => clients.build(channel).unwrap_or_else(|why| {
                    tracing::error!("channel `{}`: {why}", channel.name);
                    Arc::new(Unusable(why))
                }),
            };
            outlets.push(outlet(channel, built.clone()));
            self.0.push((channel.clone(), built));
        }
        outlets
    }
}

/// Who to ask about the network.
pub fn witnesses(config: &Config) -> Witnesses {
    let notifications = &config.notifications;
    Witnesses {
        targets: notifications.witnesses.iter().map(ToString::to_string).collect(),
        interval: notifications.witness_interval,
    }
}

fn outlet(config: &ChannelConfig, channel: Arc<dyn Channel>) -> Outlet {
    Outlet {
        name: config.name.clone(),
        kind: config.settings.word().to_owned(),
        channel,
        render: render(config),
        limit: config.settings.limit(),
        fallback: config.fallback.clone(),
        escalation: config.escalation,
        reminders_only: config.reminders_only,
        whom: whom(config),
    }
}

/// How messages are put into words. Mistakes in templates were found when the configuration was read; one
/// that shows only now costs nobody the message.
fn render(config: &ChannelConfig) -> Render {
    let name = config.name.clone();
    match Templates::of(config) {
        Ok(templates) => Arc::new(move |message, late, now| {
            let Rendered { title, body, trouble } = templates.render(message, late, now);
            if let Some(trouble) = trouble {
                tracing::warn!("channel `{name}`: {trouble}");
            }
            (title, body)
        }),
        Err(mistake) => {
            tracing::error!("channel `{name}`: {mistake}");
            Arc::new(|message, _, _| (message.title.clone(), message.output.clone()))
        }
    }
}

/// A channel that cannot be built.
struct Unusable(String);

impl Channel for Unusable {
    fn send<'a>(&'a self, _: &'a Delivery) -> Sending<'a> {
        Box::pin(async { Err(Failed { why: self.0.clone(), retry: Retry::Later }) })
    }
}

/// Whom a channel is for, in words.
fn whom(config: &ChannelConfig) -> String {
    if config.only_fallback {
        return "what another channel cannot deliver".into();
    }
    let mut words = vec![matched(&config.matches)];
    if config.min_level > Status::OK {
        words.push(format!("{} and worse", config.min_level.level().word()));
    }
    if config.escalation {
        words.push("what lasts".into());
    }
    if config.reminders_only {
        words.push("reminders only".into());
    }
    words.extend(config.hours.as_ref().map(hours));
    words.join(", ")
}

fn matched(matcher: &Matcher) -> String {
    let list = |what: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    let labels: Vec<String> =
        matcher.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let hosts: Vec<String> = [list("groups", &matcher.groups), list("hosts", &matcher.hosts)]
        .into_iter()
        .flatten()
        .collect();
    let hosts = Some(hosts.join(" or ")).filter(|hosts| !hosts.is_empty());
    let all = [hosts, list("probes", &matcher.probes), list("labels", &labels)];
    match all.into_iter().flatten().collect::<Vec<_>>() {
        words if words.is_empty() => "everything".into(),
        words => words.join(", "),
    }
}

fn hours(hours: &Hours) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let names: Vec<&str> = hours
        .days
        .iter()
        .filter_map(|day| DAYS.get(usize::try_from(*day - 1).ok()?).copied())
        .collect();
    let clock = |time: jiff::civil::Time| time.strftime("%H:%M").to_string();
    let times = format!("{}-{}", clock(hours.from), clock(hours.to));
    match names.is_empty() {
        true => times,
        false => format!("{} {times}", names.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn whom_a_channel_is_for_is_said_in_words() {
        assert_eq!(matched(&Matcher::default()), "everything");
        let matcher = Matcher {
            groups: vec!["db".into()],
            hosts: vec!["web*".into(), "proxy".into()],
            probes: vec!["disk".into()],
            labels: BTreeMap::from([("env".into(), "prod".into())]),
        };
        assert_eq!(
            matched(&matcher),
            "groups db or hosts web*, proxy, probes disk, labels env=prod"
        );
        let zone = jiff::tz::TimeZone::UTC;
        let time = |hour| jiff::civil::time(hour, 0, 0, 0);
        let at = Hours { days: vec![1, 7], from: time(8), to: time(18), zone };
        assert_eq!(hours(&at), "Mon Sun 08:00-18:00");
    }
}
