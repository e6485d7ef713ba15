//! One place for each instance, though it may be heard by several ways.
//!
//! What each way says is kept: the chosen one in the view, the others as shadows. The way on which the
//! instance is alive wins, then the direct one, then the one that was chosen before. So a host that is
//! still seen through another instance is not down, and what others claim of a host that reports
//! directly to us changes nothing.

use std::sync::Arc;

use uuid::Uuid;

use super::{Instance, Kind, Now, Outcome, Presence, Tree, What, links::State};

impl Tree {
    /// What is heard of `uuid` through `link`.
    pub(super) fn record(&self, link: Uuid, uuid: Uuid) -> Option<&Instance> {
        match self.get(uuid) {
            Some(chosen) if chosen.via == link => Some(chosen),
            _ => self.shadows.get(&(uuid, link)).map(Arc::as_ref),
        }
    }

    /// Changes what is heard of `uuid` through `link`, wherever it stands. Names change too.
    pub(super) fn with_record(
        &mut self,
        link: Uuid,
        uuid: Uuid,
        change: impl FnOnce(&mut Instance),
    ) {
        if self.get(uuid).is_some_and(|chosen| chosen.via == link) {
            self.view.change_named(uuid, change);
        } else if let Some(shadow) = self.shadows.get_mut(&(uuid, link)) {
            change(Arc::make_mut(shadow));
        }
    }

    /// Lets an instance show the ways by which it is heard besides the one that was chosen. To be called
    /// whenever a shadow came or went.
    fn show_alternatives(&mut self, uuid: Uuid) {
        let ways: Vec<Uuid> = self.shadows_of(uuid).map(|(link, _)| link).collect();
        if self.get(uuid).is_some_and(|chosen| chosen.alternatives != ways) {
            self.view.change(uuid, |chosen| chosen.alternatives = ways);
        }
    }

    fn shadows_of(&self, uuid: Uuid) -> impl Iterator<Item = (Uuid, &Instance)> {
        let range = (uuid, Uuid::nil())..=(uuid, Uuid::max());
        self.shadows.range(range).map(|((_, link), shadow)| (*link, &**shadow))
    }

    /// Adds what is heard of an instance through `via` (in the instance), for the first time.
    pub(super) fn add_record(
        &mut self,
        via: Uuid,
        mut instance: Instance,
        now: Now,
        out: &mut Outcome,
    ) {
        let uuid = instance.uuid;
        instance.via = via;
        if via != uuid
            && let Some(link) = self.links.get_mut(&via)
        {
            link.reported.insert(uuid);
        }
        if self.get(uuid).is_none() {
            self.view.put(instance);
            out.touch(uuid, What::Header);
        } else {
            self.shadows.insert((uuid, via), Arc::new(instance));
            self.show_alternatives(uuid);
            self.choose(uuid, now, out);
        }
    }

    /// Removes what is heard of an instance through `link`. It is gone if nothing else is heard of it.
    pub(super) fn drop_record(&mut self, link: Uuid, uuid: Uuid, now: Now, out: &mut Outcome) {
        if self.shadows.remove(&(uuid, link)).is_some() {
            return self.show_alternatives(uuid);
        }
        if self.get(uuid).is_none_or(|chosen| chosen.via != link) {
            return;
        }
        let best = self.shadows_of(uuid).max_by_key(|(via, shadow)| self.rank(*via, shadow));
        if let Some(best) = best.map(|(via, _)| via) {
            let before = self.get(uuid).map(Instance::local_status);
            self.swap(uuid, best);
            self.shadows.remove(&(uuid, link));
            self.show_alternatives(uuid);
            out.touch(uuid, What::Whole);
            self.tell_down(uuid, before, "not heard by any way", now, out);
        } else {
            self.view.remove(uuid);
            out.touch(uuid, What::Gone);
        }
    }

    /// How much a way is worth; more is better.
    fn rank(&self, via: Uuid, record: &Instance) -> (bool, bool) {
        let link = self.links.get(&via);
        let up = link.is_some_and(|link| matches!(link.state, State::Up | State::Lost(_)));
        let direct = via == record.uuid;
        (up && (direct || record.presence == Presence::Alive), direct)
    }

    /// Chooses the best of the ways by which an instance is heard.
    pub(super) fn choose(&mut self, uuid: Uuid, now: Now, out: &mut Outcome) {
        let Some(chosen) = self.get(uuid) else { return };
        let worth = self.rank(chosen.via, chosen);
        let best = self.shadows_of(uuid).max_by_key(|(link, shadow)| self.rank(*link, shadow));
        let Some((best, _)) = best.filter(|(link, shadow)| self.rank(*link, shadow) > worth) else {
            return;
        };
        let before = Some(chosen.local_status());
        self.swap(uuid, best);
        out.touch(uuid, What::Whole);
        // Where a whole subtree moves, its top is enough.
        if !self.links.contains_key(&uuid) {
            return;
        }
        if best == uuid && self.links[&uuid].state == State::Down {
            return self.tell_down(uuid, before, "not heard by any way", now, out);
        }
        let name = |uuid| self.get(uuid).map_or("", |instance| &instance.host.name);
        let message = match best == uuid {
            true => "heard directly again".to_owned(),
            false => format!("not heard directly any more, but through {}", name(best)),
        };

        if let Some(host) = self.get(uuid) {
            let status = Some(host.local_status());
            out.about(host, Kind::InstanceMoved, now.wall, before, status, message);
        }
    }

    /// Chooses again for all that is heard through `link` and by another way too.
    pub(super) fn choose_all_through(&mut self, link: Uuid, now: Now, out: &mut Outcome) {
        let concerned = |(uuid, via): &(Uuid, Uuid)| {
            *via == link || self.get(*uuid).is_some_and(|chosen| chosen.via == link)
        };
        let mut several: Vec<Uuid> =
            self.shadows.keys().filter(|key| concerned(key)).map(|(uuid, _)| *uuid).collect();
        several.dedup();
        for uuid in several {
            self.choose(uuid, now, out);
        }
    }

    /// Lets the shadow of the way `via` take the place of what was chosen, which becomes a shadow.
    fn swap(&mut self, uuid: Uuid, via: Uuid) {
        let Some(shadow) = self.shadows.remove(&(uuid, via)) else { return };
        if let Some(chosen) = self.view.get(uuid) {
            let mut old = chosen.clone();
            old.below.clear();
            old.alternatives.clear();
            self.shadows.insert((uuid, old.via), Arc::new(old));
        }
        self.view.put(Arc::unwrap_or_clone(shadow));
        self.show_alternatives(uuid);
    }
}
