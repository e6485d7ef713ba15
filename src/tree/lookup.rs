//! Finding a host, and looking at the tree by group.

use std::collections::BTreeSet;

use super::{Instance, Tree};
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

impl Tree {
    /// Every instance, this one first, then depth-first in the order of uuids.
    pub fn instances(&self) -> Vec<&Instance> {
        fn walk<'tree>(instance: &'tree Instance, all: &mut Vec<&'tree Instance>) {
            all.push(instance);
            instance.remotes.values().for_each(|remote| walk(remote, all));
        }
        let mut all = Vec::new();
        walk(&self.me, &mut all);
        all
    }

    /// The instance with this host name or uuid. Of several hosts with one name, the first in the
    /// order of [`Tree::instances`].
    pub fn find(&self, name_or_uuid: &str) -> Option<&Instance> {
        let uuid = uuid::Uuid::try_parse(name_or_uuid).ok();
        self.instances()
            .into_iter()
            .find(|instance| instance.host.name == name_or_uuid || Some(instance.uuid) == uuid)
    }

    /// The names of the groups, this host's own first; hosts without a group have none.
    pub fn groups(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let groups = self.instances().into_iter().map(|instance| instance.host.group.as_str());
        groups.filter(|group| !group.is_empty() && seen.insert(*group)).collect()
    }

    /// The hosts of a group; `None` if no host is in it.
    pub fn group<'tree>(&'tree self, name: &'tree str) -> Option<Group<'tree>> {
        let mut hosts = self.instances();
        hosts.retain(|instance| instance.host.group == name);
        (!hosts.is_empty()).then_some(Group { name, hosts })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::tree::Host;

    fn instance(number: u128, name: &str, group: &str) -> Instance {
        Instance::new(Uuid::from_u128(number), "Wigo v1", Host::new(name, group))
    }

    fn tree() -> Tree {
        let mut middle = instance(3, "middle", "b");
        middle.remotes.insert(Uuid::from_u128(4), instance(4, "leaf", "a"));
        let mut me = instance(1, "top", "b");
        me.remotes.insert(Uuid::from_u128(3), middle);
        me.remotes.insert(Uuid::from_u128(2), instance(2, "other", ""));
        Tree { me }
    }

    #[test]
    fn instances_come_own_first_then_depth_first() {
        let tree = tree();
        let names: Vec<&str> =
            tree.instances().into_iter().map(|instance| instance.host.name.as_str()).collect();
        assert_eq!(names, ["top", "other", "middle", "leaf"]);
    }

    #[test]
    fn a_host_is_found_by_name_and_by_uuid() {
        let tree = tree();
        assert_eq!(tree.find("leaf").unwrap().uuid, Uuid::from_u128(4));
        assert_eq!(tree.find(&Uuid::from_u128(4).to_string()).unwrap().host.name, "leaf");
        assert!(tree.find("nobody").is_none());
        assert!(tree.find("").is_none());
    }

    #[test]
    fn groups_leave_out_the_empty_one() {
        let tree = tree();
        assert_eq!(tree.groups(), ["b", "a"]);
        assert_eq!(tree.group("b").unwrap().hosts.len(), 2);
        assert!(tree.group("c").is_none());
    }
}
