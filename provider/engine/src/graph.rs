//! The wanted objects of one resource and their order.

use std::{collections::BTreeSet, sync::Arc};

use indexmap::{IndexMap, IndexSet};

use crate::{Object, ObjectId};

/// What is wanted of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// It exists as its object describes it.
    Present,
    /// It does not exist: an old pool that a new one replaces.
    Absent,
    /// It exists already, made by somebody else; it is read, never written or deleted.
    Given,
    /// A procedure is done (a drain). `Present` means done, `Absent` means to do; it owns
    /// nothing and is left out of a destroy.
    Done,
}

/// One object of the graph.
#[derive(Clone)]
pub struct Node {
    /// The object.
    pub object: Arc<dyn Object>,
    /// What is wanted of it.
    pub want: Want,
    /// Nodes that must be settled before, beyond the object's own needs: the drain before the
    /// old pool goes.
    pub after: Vec<ObjectId>,
}

/// The objects that make up one resource. The first one added as principal stands for the whole:
/// its holder decides whether memory is stale.
#[derive(Clone, Default)]
pub struct Graph {
    nodes: IndexMap<ObjectId, Node>,
    principal: Option<ObjectId>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants `object` to exist.
    pub fn present(&mut self, object: impl Object) -> ObjectId {
        self.add(Arc::new(object), Want::Present, Vec::new())
    }

    /// Wants `object` to exist, and lets it stand for the whole resource.
    pub fn principal(&mut self, object: impl Object) -> ObjectId {
        let id = self.present(object);
        self.principal = Some(id.clone());
        id
    }

    /// Wants `object` not to exist, once all of `after` are settled.
    #[cfg(test)]
    pub(crate) fn absent(&mut self, object: impl Object, after: Vec<ObjectId>) -> ObjectId {
        self.add(Arc::new(object), Want::Absent, after)
    }

    /// Needs `object` to exist, made by somebody else.
    pub fn given(&mut self, object: impl Object) -> ObjectId {
        self.add(Arc::new(object), Want::Given, Vec::new())
    }

    /// Wants the procedure `object` done, once all of `after` are settled.
    #[cfg(test)]
    pub(crate) fn done(&mut self, object: impl Object, after: Vec<ObjectId>) -> ObjectId {
        self.add(Arc::new(object), Want::Done, after)
    }

    /// Adds a node; a node that is there already stays.
    fn add(&mut self, object: Arc<dyn Object>, want: Want, after: Vec<ObjectId>) -> ObjectId {
        let id = object.id();
        self.nodes.entry(id.clone()).or_insert(Node {
            object,
            want,
            after,
        });
        id
    }

    /// Wants absent what `before` wanted and this graph does not.
    pub(crate) fn retire_missing(&mut self, before: &Self) {
        let missing = before
            .nodes
            .iter()
            .filter(|(id, node)| node.want == Want::Present && !self.nodes.contains_key(*id));
        let missing: Vec<(ObjectId, Arc<dyn Object>)> = missing
            .map(|(id, node)| (id.clone(), node.object.clone()))
            .collect();
        for (id, object) in missing {
            let users = before.users_of(&id);
            self.retire(object, &users);
        }
    }

    /// Lets every wanted object also drop the entries that it was given before (by `known`, or
    /// because `before` says so) and wants no more.
    pub(crate) fn drop_keys(
        &mut self,
        known: impl Fn(&ObjectId) -> BTreeSet<String>,
        before: Option<&Self>,
    ) {
        for (id, node) in &mut self.nodes {
            let mut gone = known(id);
            let prior = before.and_then(|before| before.nodes.get(id));
            gone.extend(prior.into_iter().flat_map(|prior| prior.object.keys()));
            let wanted = node.object.keys();
            gone.retain(|key| !wanted.contains(key));
            if node.want == Want::Present
                && !gone.is_empty()
                && let Some(object) = node.object.dropping(&gone)
            {
                node.object = object;
            }
        }
    }

    /// What needs `id`, and what lives inside that: a pool runs as its cluster's account.
    fn users_of(&self, id: &ObjectId) -> Vec<ObjectId> {
        let nodes = self.nodes.iter();
        let direct: Vec<ObjectId> = nodes
            .filter(|(_, node)| needs_of(&*node.object).contains(id))
            .map(|(other, _)| other.clone())
            .collect();
        let inside = self.nodes.iter().filter(|(_, node)| {
            let parent = node.object.parent();
            parent.is_some_and(|parent| direct.contains(&parent))
        });
        let inside: Vec<ObjectId> = inside.map(|(other, _)| other.clone()).collect();
        [direct, inside].concat()
    }

    /// Wants `object`, that was wanted before, absent: once all that used it are settled, or gone
    /// with it, and all that do the same inside the same parent; and once what has to be done
    /// before it goes is done.
    pub(crate) fn retire(&mut self, object: Arc<dyn Object>, users: &[ObjectId]) {
        let (id, parent) = (object.id(), object.parent());
        let successors = self.nodes.iter().filter(|(other, node)| {
            node.want == Want::Present
                && parent.is_some()
                && other.kind == id.kind
                && node.object.parent() == parent
        });
        let successors = successors.map(|(other, _)| other.clone());
        let mut after: Vec<ObjectId> = successors.chain(users.iter().cloned()).collect();
        if let Some(farewell) = object.farewell() {
            after = vec![self.add(farewell, Want::Done, after)];
        }
        self.add(object, Want::Absent, after);
    }

    /// The object that stands for the whole resource.
    pub fn principal_id(&self) -> Option<&ObjectId> {
        self.principal.as_ref()
    }

    /// The node of `id`.
    pub fn node(&self, id: &ObjectId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// All nodes, in the order they were added.
    pub fn nodes(&self) -> impl Iterator<Item = (&ObjectId, &Node)> {
        self.nodes.iter()
    }

    /// The same objects, all wanted absent, procedures left out; given ones stay given.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let mut reversed = Self {
            nodes: IndexMap::new(),
            principal: self.principal.clone(),
        };
        for node in self.nodes.values() {
            let want = match node.want {
                Want::Present | Want::Absent => Want::Absent,
                Want::Given => Want::Given,
                Want::Done => continue,
            };
            reversed.add(node.object.clone(), want, Vec::new());
        }
        reversed
    }

    /// The ids inside the graph that must be settled before `id` may be written.
    pub(crate) fn before(&self, id: &ObjectId) -> IndexSet<ObjectId> {
        let Some(node) = self.nodes.get(id) else {
            return IndexSet::new();
        };
        let mut before: IndexSet<ObjectId> = node.after.iter().cloned().collect();
        if node.want == Want::Absent {
            // What needs this one goes first.
            let dependents = self
                .nodes
                .iter()
                .filter(|(_, other)| other.want == Want::Absent);
            before.extend(
                dependents
                    .filter(|(_, other)| needs_of(&*other.object).contains(id))
                    .map(|(other, _)| other.clone()),
            );
        } else {
            before.extend(needs_of(&*node.object));
        }
        before.retain(|other| other != id && self.nodes.contains_key(other));
        before
    }

    /// The ids in groups, each group after all that its members wait for. Ids that wait for each
    /// other come last.
    pub(crate) fn levels(
        &self,
        waits_for: impl Fn(&ObjectId) -> Vec<ObjectId>,
    ) -> Vec<Vec<ObjectId>> {
        let mut left: IndexSet<ObjectId> = self.nodes.keys().cloned().collect();
        let mut levels = Vec::new();
        while !left.is_empty() {
            let (now, later): (IndexSet<_>, IndexSet<_>) = left.iter().cloned().partition(|id| {
                let others = waits_for(id);
                !others
                    .iter()
                    .any(|other| other != id && left.contains(other))
            });
            if now.is_empty() {
                levels.push(later.into_iter().collect());
                break;
            }
            levels.push(now.into_iter().collect());
            left = later;
        }
        levels
    }
}

/// What `object` needs, its parent included.
pub(crate) fn needs_of(object: &dyn Object) -> IndexSet<ObjectId> {
    object.parent().into_iter().chain(object.needs()).collect()
}
