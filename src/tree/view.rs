//! What the tree shows: all instances, each once, and who is below whom. Cheap to copy.

use std::sync::Arc;

use uuid::Uuid;

use super::{Instance, Presence, RemoteControl, instances::Instances, topology::Topology};
use crate::status::Status;

/// Deeper than any tree that makes sense: nothing is hung deeper than this below us, so that a lying peer
/// cannot make us walk for ever.
pub(super) const MAX_DEPTH: usize = 64;

/// A look at the whole tree. A copy shares what has not changed since.
#[derive(Clone, Debug)]
pub struct View {
    me: Uuid,
    instances: Instances,
    topology: Arc<Topology>,
    revision: u64,
    /// What this instance lets masters do that it pushes to.
    over_push: RemoteControl,
}

impl View {
    pub(super) fn new(me: Instance) -> View {
        let mut topology = Topology::default();
        topology.insert(me.uuid, None, &me.host.name, &me.host.group);
        let (uuid, mut instances) = (me.uuid, Instances::default());
        instances.insert(Arc::new(me));
        View {
            me: uuid,
            instances,
            topology: Arc::new(topology),
            revision: 0,
            over_push: RemoteControl::Unknown,
        }
    }

    /// The instance this process is.
    pub fn me(&self) -> &Instance {
        self.instances.get(self.me).expect("it is put there first and never removed")
    }

    /// The instance with this uuid.
    pub fn get(&self, uuid: Uuid) -> Option<&Instance> {
        self.instances.get(uuid).map(Arc::as_ref)
    }

    /// How many instances there are, this one included.
    pub fn count(&self) -> usize {
        self.instances.len()
    }

    /// Differs whenever anything in the tree does.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The instances directly below one, in the order of uuids.
    pub fn children(&self, uuid: Uuid) -> impl Iterator<Item = &Instance> {
        self.topology.children(uuid).filter_map(|child| self.get(child))
    }

    /// Every instance in no particular order: cheaper than [`View::instances`].
    pub fn all(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().map(Arc::as_ref)
    }

    /// Whether an instance reports, as far as can be told from here: of one behind an instance that
    /// does not report, nothing is known. What was known to be down stays so.
    pub fn presence(&self, instance: &Instance) -> Presence {
        if instance.presence == Presence::Down || self.is_reached(instance) {
            return instance.presence;
        }
        Presence::Unknown
    }

    /// The instances above one, the nearest first, this one last.
    pub fn above(&self, instance: &Instance) -> impl Iterator<Item = &Instance> {
        let parent = |instance: &&Instance| self.get(instance.parent?);
        let first = instance.parent.and_then(|parent| self.get(parent));
        std::iter::successors(first, parent).take(MAX_DEPTH)
    }

    /// Whether all instances between this one and `instance` report.
    fn is_reached(&self, instance: &Instance) -> bool {
        self.above(instance).all(Instance::is_alive)
    }

    /// Whether the last results of an instance are what is known from before, not what is.
    pub fn is_stale(&self, instance: &Instance) -> bool {
        self.presence(instance) != Presence::Alive
    }

    /// What may be done from here with the probes of an instance: what it and all on the way allow.
    pub fn remote_control(&self, instance: &Instance) -> RemoteControl {
        // What this instance allows others does not count for those that are below it.
        let above = self.above(instance).take_while(|above| above.uuid != self.me);
        above.map(|above| above.remote_control).fold(instance.remote_control, Ord::min)
    }

    /// What this instance lets masters do that it pushes to.
    pub fn over_push(&self) -> RemoteControl {
        self.over_push
    }

    pub(super) fn set_over_push(&mut self, push: RemoteControl) {
        self.over_push = push;
    }

    pub(super) fn topology(&self) -> &Topology {
        &self.topology
    }
}

/// Changes: all of them keep the cached statuses right up to the top.
impl View {
    fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    /// Changes an instance where it stands.
    pub(super) fn change<R>(
        &mut self,
        uuid: Uuid,
        change: impl FnOnce(&mut Instance) -> R,
    ) -> Option<R> {
        let revision = self.next_revision();
        let instance = self.instances.get_mut(uuid)?;
        let before = instance.global;
        let outcome = change(instance);
        instance.revision = revision;
        instance.refresh();
        let (after, parent) = (instance.global, instance.parent);
        if before != after {
            self.propagate(parent, Some(before), Some(after));
        }
        Some(outcome)
    }

    /// Changes name or group too.
    pub(super) fn change_named(&mut self, uuid: Uuid, change: impl FnOnce(&mut Instance)) {
        let Some(instance) = self.get(uuid) else { return };
        let parent = instance.parent;
        let (name, group) = (instance.host.name.clone(), instance.host.group.clone());
        self.change(uuid, change);
        let Some(host) = self.instances.get(uuid).map(|instance| &instance.host) else { return };
        if host.name != name || host.group != group {
            let topology = Arc::make_mut(&mut self.topology);
            topology.remove(uuid, parent, &name, &group);
            topology.insert(uuid, parent, &host.name, &host.group);
        }
    }

    /// Puts an instance below its `parent`; where there is none, or it is below the instance itself, below
    /// the one through which it is heard, or below this one. What stands there already is replaced and
    /// keeps what is below it.
    pub(super) fn put(&mut self, mut instance: Instance) {
        let uuid = instance.uuid;
        instance.below = self.take_out(uuid).map(|old| old.below.clone()).unwrap_or_default();
        let height = self.height(uuid);
        let fits = |parent: &Uuid| {
            *parent != uuid
                && self.get(*parent).is_some()
                && !self.is_below(*parent, uuid)
                && self.depth(*parent) + 1 + height <= MAX_DEPTH
        };
        let wanted = [instance.parent, Some(instance.via)].into_iter().flatten();
        instance.parent = Some(wanted.into_iter().find(fits).unwrap_or(self.me));
        instance.revision = self.next_revision();
        instance.refresh();
        let (parent, global) = (instance.parent, instance.global);
        let host = &instance.host;
        Arc::make_mut(&mut self.topology).insert(uuid, parent, &host.name, &host.group);
        self.instances.insert(Arc::new(instance));
        self.propagate(parent, None, Some(global));
    }

    /// Removes an instance; those below it are put below the ones through which they are heard.
    pub(super) fn remove(&mut self, uuid: Uuid) -> Option<Arc<Instance>> {
        let removed = self.take_out(uuid)?;
        let orphans: Vec<Uuid> = self.topology.children(uuid).collect();
        for orphan in orphans {
            if let Some(mut instance) = self.get(orphan).cloned() {
                // Its parent is not in the tree any more, so that it cannot be found there.
                instance.parent = Some(instance.via).filter(|via| *via != orphan);
                self.put(instance);
            }
        }
        Some(removed)
    }

    fn take_out(&mut self, uuid: Uuid) -> Option<Arc<Instance>> {
        let old = self.instances.remove(uuid)?;
        let host = &old.host;
        Arc::make_mut(&mut self.topology).remove(uuid, old.parent, &host.name, &host.group);
        self.next_revision();
        self.propagate(old.parent, Some(old.global), None);
        Some(old)
    }

    /// How many instances are above one.
    fn depth(&self, uuid: Uuid) -> usize {
        let above = |uuid: &Uuid| self.get(*uuid).and_then(|instance| instance.parent);
        std::iter::successors(above(&uuid), above).take(MAX_DEPTH + 1).count()
    }

    /// How many levels there are below one, as far as it matters.
    fn height(&self, uuid: Uuid) -> usize {
        let mut level: Vec<Uuid> = self.topology.children(uuid).collect();
        let mut height = 0;
        while !level.is_empty() && height <= MAX_DEPTH {
            height += 1;
            level = level.iter().flat_map(|uuid| self.topology.children(*uuid)).collect();
        }
        height
    }

    /// Whether `uuid` is somewhere below `above`.
    pub(super) fn is_below(&self, uuid: Uuid, above: Uuid) -> bool {
        let mut parent = self.get(uuid).and_then(|instance| instance.parent);
        for _ in 0..MAX_DEPTH {
            match parent {
                None => return false,
                Some(parent) if parent == above => return true,
                Some(at) => parent = self.get(at).and_then(|instance| instance.parent),
            }
        }
        true
    }

    /// Tells an instance that the global status of one directly below it changed, came or went.
    fn propagate(
        &mut self,
        mut to: Option<Uuid>,
        mut was: Option<Status>,
        mut now: Option<Status>,
    ) {
        let revision = self.revision;
        while let Some(instance) = to.and_then(|uuid| self.instances.get_mut(uuid)) {
            if let Some(was) = was
                && let Some(count) = instance.below.get_mut(&was)
            {
                *count -= 1;
                if *count == 0 {
                    instance.below.remove(&was);
                }
            }
            if let Some(now) = now {
                *instance.below.entry(now).or_default() += 1;
            }
            let before = instance.global;
            instance.refresh();
            if instance.global == before {
                return;
            }
            instance.revision = revision;
            (was, now, to) = (Some(before), Some(instance.global), instance.parent);
        }
    }
}
