//! Whether a channel is told of an incident, and what.

use jiff::Timestamp;

use super::{
    chain::Chain,
    engine::Policy,
    incidents::whose,
    state::{Case, Track},
    text,
};
use crate::{
    notify::{Kind, Member, Outcome, Reason, Subject, rules::Channel, schedule::later},
    status::Status,
};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    /// Nothing is said, and it counts as told.
    Silently,
    Say(Kind),
}

/// What a channel is told of an incident, and why.
pub(super) struct Verdict {
    pub chain: Chain,
    pub act: Act,
    pub outcome: Outcome,
    /// It is for this channel at all.
    pub is_routed: bool,
}

impl Verdict {
    fn stop(
        mut chain: Chain,
        reason: Reason,
        words: impl Into<String>,
        outcome: Outcome,
    ) -> Verdict {
        chain.stops(reason, words);
        Verdict { chain, act: Act::Nothing, outcome, is_routed: reason != Reason::Routed }
    }
}

impl Policy {
    /// What a channel is to be told of an incident: because of a change of one member or, without, as it
    /// is now. Asking changes nothing.
    pub(super) fn verdict(
        &self,
        case: &Case,
        channel: &Channel,
        because: Option<&Subject>,
        now: Timestamp,
    ) -> Verdict {
        use Outcome::{Grouped, Held, Waiting};
        let incident = &case.incident;
        let mut chain = Chain::default();
        chain.passes(Reason::Incident, format!("incident of {}", incident.lead));
        if channel.only_fallback {
            let words = "it is told only when another channel has failed";
            return Verdict::stop(chain, Reason::Routed, words, Held);
        }
        let is_mine = |member: &&Member| channel.matches.matches(whose(member));
        let because = because.and_then(|subject| self.tracks.get(subject));
        if because.is_some_and(|track| !channel.matches.matches(track.whose())) {
            return Verdict::stop(chain, Reason::Routed, "it is not for this channel", Held);
        }
        let told = incident.told.get(&channel.name);
        let told_status = told.map_or(Status::OK, |told| told.status);
        let is_known = told_status > Status::OK;
        let worst = self.worst_for(case, channel);
        if !is_known && !incident.members.iter().any(|member| is_mine(&member)) {
            return Verdict::stop(chain, Reason::Routed, "none of it is for this channel", Held);
        }
        let level = self.rules.min_level.max(channel.min_level);

        if worst == Status::OK {
            chain.passes(Reason::Routed, "it is for this channel");
            if !is_known {
                let words = "it was not told that anything broke";
                return Verdict::stop(chain, Reason::Told, words, Held);
            }
            if channel.reminders_only {
                let words = "it is told nothing but reminders";
                return Verdict {
                    act: Act::Silently,
                    ..Verdict::stop(chain, Reason::Repeat, words, Held)
                };
            }
            chain.passes(Reason::Told, format!("it was told {}", text::word(told_status)));
            return self.unless_quiet(chain, Kind::Recovered, told_status, now);
        }

        // Bad: who may speak? After a change only what changed may; else everything that is bad.
        let changed = because.filter(|track| track.is_bad());
        let speakers: Vec<&Track> = match changed {
            Some(track) => vec![track],
            None => {
                let bad = incident.members.iter().filter(|member| member.recovered.is_none());
                bad.filter(is_mine).filter_map(|member| self.tracks.get(&member.subject)).collect()
            }
        };
        let is_timely = |track: &&Track| {
            let since = case.escalated.filter(|_| channel.escalation).unwrap_or(track.since);
            channel.hours.as_ref().is_none_or(|hours| hours.contains(since))
        };
        if !is_known && !speakers.is_empty() && !speakers.iter().any(is_timely) {
            let words = "it happened outside of the hours of this channel";
            return Verdict::stop(chain, Reason::Routed, words, Held);
        }
        chain.passes(Reason::Routed, "it is for this channel");
        let bad = speakers.len();
        let speakers: Vec<_> = speakers
            .into_iter()
            .filter(is_timely)
            .filter(|track| self.silence_of(track).is_none())
            .collect();
        let spoken = Status::worst(speakers.iter().map(|track| track.confirmed));
        let insists = speakers.iter().any(|track| {
            let heard = track.heard.get(&channel.name).copied().unwrap_or(Status::OK);
            track.insists && heard < track.confirmed
        });
        // What got better while it may not speak is no news, though others may.
        let may_improve = because.is_some() || speakers.len() == bad;
        let kind = if !is_known {
            match spoken {
                Status::OK => {
                    let words = "all that is bad in it is held back";
                    return Verdict::stop(chain, Reason::Silenced, words, Held);
                }
                _ => Kind::Problem,
            }
        } else if spoken > told_status || insists {
            Kind::Worsened
        } else if spoken > Status::OK && worst < told_status && may_improve {
            Kind::Improved
        } else if speakers.iter().any(|track| !track.heard.contains_key(&channel.name)) {
            Kind::Joined
        } else {
            let words = format!("it was told {} already", text::word(told_status));
            return Verdict::stop(chain, Reason::Told, words, Held);
        };
        if matches!(kind, Kind::Problem | Kind::Worsened) && spoken < level {
            let words = format!("{spoken} is below {level}");
            return Verdict::stop(chain, Reason::Level, words, Held);
        }
        chain.passes(Reason::Level, format!("{spoken}, from {level} on"));
        if channel.escalation && case.escalated.is_none() {
            let after = text::span(self.rules.escalate_after);
            let words = match self.rules.escalate_after.is_zero() {
                true => "escalation is switched off".to_owned(),
                false => format!("it is told what lasts for {after}"),
            };
            return Verdict::stop(chain, Reason::Escalation, words, Waiting);
        }
        if self.rules.rescue_only {
            let words = "only recoveries are sent";
            return Verdict {
                act: Act::Silently,
                ..Verdict::stop(chain, Reason::RescueOnly, words, Held)
            };
        }
        if channel.reminders_only {
            let words = "it is told nothing but reminders";
            return Verdict {
                act: Act::Silently,
                ..Verdict::stop(chain, Reason::Repeat, words, Held)
            };
        }
        chain.passes(
            Reason::Told,
            match is_known {
                true => format!("it was told {} before", text::word(told_status)),
                false => "it knows nothing of it yet".to_owned(),
            },
        );
        if because.is_none()
            && let Some(ending) = self.is_ending(incident.id)
        {
            let words = format!("told with all that {} held back", ending.name);
            return Verdict::stop(chain, Reason::Rechecked, words, Waiting);
        }
        let wait = later(case.begun, self.rules.group_wait);
        if kind == Kind::Problem && told.is_none() && wait > now && case.escalated.is_none() {
            let words = format!("told with what joins until {wait}");
            return Verdict::stop(chain, Reason::Grouping, words, Grouped);
        }
        if kind == Kind::Joined
            && let Some(due) = case.join_due.filter(|due| *due > now)
        {
            let words = format!("told with what joins until {due}");
            return Verdict::stop(chain, Reason::Grouping, words, Grouped);
        }
        self.unless_quiet(chain, kind, spoken.max(worst), now)
    }

    pub(super) fn unless_quiet(
        &self,
        mut chain: Chain,
        kind: Kind,
        status: Status,
        now: Timestamp,
    ) -> Verdict {
        if let Some(until) = self.quiet_for(status, now) {
            let words = format!("quiet hours until {until}");
            return Verdict::stop(chain, Reason::Quiet, words, Outcome::Waiting);
        }
        if self.rules.quiet.is_some() {
            chain.passes(Reason::Quiet, "no quiet hours for this");
        }
        Verdict { chain, act: Act::Say(kind), outcome: Outcome::Sent, is_routed: true }
    }

    /// How bad an incident is as far as it is for this channel. What flaps counts as bad as it was, so that
    /// its ups and downs are no news.
    pub(super) fn worst_for(&self, case: &Case, channel: &Channel) -> Status {
        let mine = case.incident.members.iter().filter(|it| channel.matches.matches(whose(it)));
        let listed = mine.map(|member| {
            let flaps = self
                .tracks
                .get(&member.subject)
                .is_some_and(|track| track.is_flapping && track.incident == Some(case.incident.id));
            match member.recovered {
                _ if flaps => member.worst,
                Some(_) => Status::OK,
                None => member.status,
            }
        });
        let has_unlisted = case.incident.unlisted > 0 && channel.matches.is_open();
        let unlisted = if has_unlisted { case.unlisted_worst } else { Status::OK };
        Status::worst(listed).max(unlisted)
    }

    /// Why a subject that is bad may not speak, if it may not.
    pub(super) fn silence_of(&self, track: &Track) -> Option<Reason> {
        let is_enabled = match track.subject.probe {
            Some(_) => self.rules.on_probe_change,
            None => self.rules.on_host_change,
        };
        match () {
            () if !is_enabled => Some(Reason::Enabled),
            () if track.is_flapping => Some(Reason::Flapping),
            () if track.wait.is_some() => Some(Reason::Rechecked),
            () if self.ack_of(track).is_some() => Some(Reason::Acknowledged),
            () => self.silenced(track.whose()).map(|(reason, _)| reason),
        }
    }
}
