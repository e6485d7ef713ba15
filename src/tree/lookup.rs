//! Finding a host, and looking at the tree by group.

use uuid::Uuid;

use super::{Instance, View};
use crate::status::Status;

/// The hosts of one group, at any depth.
#[derive(Clone, Debug)]
pub struct Group<'tree> {
    pub name: &'tree str,
    pub hosts: Vec<&'tree Instance>,
}

impl Group<'_> {
    /// The worst of its hosts, each with everything below it.
    pub fn status(&self) -> Status {
        Status::worst(self.hosts.iter().map(|instance| instance.global_status()))
    }
}

impl View {
    /// Every instance, this one first, then depth-first in the order of uuids.
    pub fn instances(&self) -> Vec<&Instance> {
        fn walk<'tree>(view: &'tree View, at: &'tree Instance, all: &mut Vec<&'tree Instance>) {
            all.push(at);
            for child in view.children(at.uuid) {
                walk(view, child, all);
            }
        }
        let mut all = Vec::with_capacity(self.count());
        walk(self, self.me(), &mut all);
        all
    }

    /// The instance with this host name or uuid. Of several hosts with one name this host is the first,
    /// then the one with the lowest uuid.
    pub fn find(&self, name_or_uuid: &str) -> Option<&Instance> {
        if self.me().host.name == name_or_uuid {
            return Some(self.me());
        }
        let named = self.topology().named(name_or_uuid).find_map(|uuid| self.get(uuid));
        named.or_else(|| self.get(Uuid::try_parse(name_or_uuid).ok()?))
    }

    /// All instances with this host name: names are what hosts say of themselves.
    pub fn named(&self, name: &str) -> impl Iterator<Item = Uuid> + '_ {
        self.topology().named(name)
    }

    /// The names of the groups, this host's own first; hosts without a group have none.
    pub fn groups(&self) -> Vec<&str> {
        let own = self.me().host.group.as_str();
        let others = self.topology().groups().filter(|group| *group != own);
        [own].into_iter().chain(others).filter(|group| !group.is_empty()).collect()
    }

    /// The hosts of a group, this host first; `None` if no host is in it.
    pub fn group<'tree>(&'tree self, name: &'tree str) -> Option<Group<'tree>> {
        let me = self.me();
        let own = Some(me).filter(|me| me.host.group == name);
        let others = self.topology().group(name).filter(|uuid| *uuid != me.uuid);
        let hosts: Vec<&Instance> =
            own.into_iter().chain(others.filter_map(|uuid| self.get(uuid))).collect();
        (!hosts.is_empty()).then_some(Group { name, hosts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Host, Tree};

    fn instance(number: u128, name: &str, group: &str) -> Instance {
        Instance::new(Uuid::from_u128(number), "Wigo v1", Host::new(name, group))
    }

    fn view() -> View {
        let mut view = Tree::new(instance(1, "top", "b")).view();
        let below = |number, parent, name, group| {
            let mut instance = instance(number, name, group);
            instance.parent = Some(Uuid::from_u128(parent));
            instance
        };
        view.put(below(3, 1, "middle", "b"));
        view.put(below(4, 3, "leaf", "a"));
        view.put(below(2, 1, "other", ""));
        view
    }

    #[test]
    fn instances_come_own_first_then_depth_first() {
        let view = view();
        let names: Vec<&str> =
            view.instances().into_iter().map(|instance| instance.host.name.as_str()).collect();
        assert_eq!(names, ["top", "other", "middle", "leaf"]);
    }

    #[test]
    fn a_host_is_found_by_name_and_by_uuid() {
        let view = view();
        assert_eq!(view.find("leaf").unwrap().uuid, Uuid::from_u128(4));
        assert_eq!(view.find(&Uuid::from_u128(4).to_string()).unwrap().host.name, "leaf");
        assert!(view.find("nobody").is_none());
        assert!(view.find("").is_none());
        assert_eq!((view.named("leaf").count(), view.named("nobody").count()), (1, 0));
    }

    #[test]
    fn groups_leave_out_the_empty_one() {
        let view = view();
        assert_eq!(view.groups(), ["b", "a"]);
        assert_eq!(view.group("b").unwrap().hosts.len(), 2);
        assert!(view.group("c").is_none());
    }
}
