//! All instances by uuid, in a map whose copy costs as much as changes afterwards, not as much as the
//! fleet: shards and instances are shared until they are changed.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::Instance;

/// The first byte of a uuid chooses the shard, so that shards in order are uuids in order.
const SHARDS: usize = 256;

#[derive(Clone, Debug)]
pub(super) struct Instances {
    shards: Vec<Arc<Shard>>,
    count: usize,
}

type Shard = BTreeMap<Uuid, Arc<Instance>>;

impl Default for Instances {
    fn default() -> Instances {
        let empty = Arc::new(Shard::new());
        Instances { shards: vec![empty; SHARDS], count: 0 }
    }
}

impl Instances {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn get(&self, uuid: Uuid) -> Option<&Arc<Instance>> {
        self.shards[shard(uuid)].get(&uuid)
    }

    pub fn get_mut(&mut self, uuid: Uuid) -> Option<&mut Instance> {
        // Looked up first: a shard is not copied for one that is not in it.
        self.get(uuid)?;
        Arc::make_mut(&mut self.shards[shard(uuid)]).get_mut(&uuid).map(Arc::make_mut)
    }

    pub fn insert(&mut self, instance: Arc<Instance>) {
        let shard = Arc::make_mut(&mut self.shards[shard(instance.uuid)]);
        if shard.insert(instance.uuid, instance).is_none() {
            self.count += 1;
        }
    }

    pub fn remove(&mut self, uuid: Uuid) -> Option<Arc<Instance>> {
        self.get(uuid)?;
        let removed = Arc::make_mut(&mut self.shards[shard(uuid)]).remove(&uuid);
        self.count -= usize::from(removed.is_some());
        removed
    }

    /// In the order of uuids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.shards.iter().flat_map(|shard| shard.values())
    }
}

fn shard(uuid: Uuid) -> usize {
    usize::from(uuid.as_bytes()[0])
}
