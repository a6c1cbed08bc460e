//! The objects of the cloud in memory, as the engine sees them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;

use super::world::{Thing, World};
use crate::{
    After, Busy, Change, Child, Context, Difference, Fault, LockKey, Mark, NameHeld, Object,
    ObjectId, Observation, Operation, OperationId, Ownership, Poll, Reason, Seen, Sent, Step,
    Subject,
};

/// One object of any kind: what it can do is told by its fields.
#[derive(Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one trait of an object"
)]
pub(super) struct Fake {
    pub(super) world: World,
    pub(super) name: &'static str,
    pub(super) parent: Option<&'static str>,
    pub(super) needs: Vec<&'static str>,
    pub(super) tagged: bool,
    pub(super) holds: bool,
    pub(super) lock: Option<LockKey>,
    pub(super) frees_lock_early: bool,
    /// `version` climbs one at a time, `zone` never changes, all else changes in place.
    pub(super) want: BTreeMap<&'static str, i64>,
    /// Children that must keep up with the version.
    pub(super) followers: Vec<&'static str>,
    pub(super) only_when_empty: bool,
    /// It is drained before it goes.
    pub(super) drained: bool,
    pub(super) name_held: Option<NameHeld>,
    pub(super) attribute: Option<&'static str>,
    pub(super) remark: Option<&'static str>,
}

/// The field that is 1 on what is switched off, and then takes no child.
pub(super) const OFF: &str = "off";

pub(super) fn id(name: &str) -> ObjectId {
    ObjectId::new("fake", name)
}

impl Fake {
    pub(super) fn new(world: &World, name: &'static str) -> Self {
        Self {
            world: world.clone(),
            name,
            parent: None,
            needs: Vec::new(),
            tagged: true,
            holds: true,
            lock: None,
            frees_lock_early: false,
            want: BTreeMap::new(),
            followers: Vec::new(),
            only_when_empty: false,
            drained: false,
            name_held: None,
            attribute: None,
            remark: None,
        }
    }

    pub(super) fn want(mut self, field: &'static str, value: i64) -> Self {
        self.want.insert(field, value);
        self
    }

    fn seen(&self, cx: &Context, thing: &Thing) -> Seen {
        let tag = |key| thing.tags.get(key).map(String::as_str);
        Seen {
            body: json!({ "fields": thing.fields, "tags": thing.tags, "etag": thing.etag }),
            ownership: if self.tagged {
                cx.mark
                    .judge_words(tag(Mark::OWNER_KEY), tag(Mark::NAME_KEY))
            } else {
                Ownership::FollowsParent
            },
            holder: tag(Mark::HOLDER_KEY).map(crate::Holder::found),
            incarnation: Some(thing.incarnation.to_string()),
            busy: thing.operation.as_ref().map(|it| Busy {
                what: "Updating".into(),
                operation: Some(named(it)),
            }),
            remark: self.remark.map(str::to_owned),
        }
    }

    fn tags(&self, cx: &Context) -> BTreeMap<&'static str, String> {
        let mut tags = BTreeMap::new();
        if self.tagged {
            tags.extend(cx.mark.words());
        }
        if self.holds {
            tags.insert(Mark::HOLDER_KEY, cx.holder.as_str().into());
        }
        tags
    }

    fn started(&self, operation: &str) -> Sent {
        Sent::Started(Arc::new(FakeOperation {
            world: self.world.clone(),
            target: self.id(),
            operation: named(operation),
        }))
    }

    fn field(seen: &Seen, name: &str) -> i64 {
        seen.body["fields"][name].as_i64().unwrap_or(0)
    }

    fn etag_of(seen: &Seen) -> u64 {
        seen.body["etag"].as_u64().unwrap()
    }

    /// The version it can have now: never ahead of its parent.
    fn reachable_version(&self, cx: &Context) -> i64 {
        let want = self.want.get("version").copied().unwrap_or(0);
        let above = self
            .parent
            .and_then(|it| cx.seen(&id(it))?.body["fields"]["version"].as_i64());
        above.map_or(want, |above| want.min(above))
    }
}

fn named(operation: &str) -> OperationId {
    OperationId {
        name: operation.into(),
        token: format!("https://cloud/{operation}"),
    }
}

#[async_trait]
impl Object for Fake {
    fn id(&self) -> ObjectId {
        id(self.name)
    }

    fn needs(&self) -> Vec<ObjectId> {
        self.needs.iter().map(|it| id(it)).collect()
    }

    fn parent(&self) -> Option<ObjectId> {
        self.parent.map(id)
    }

    fn keys(&self) -> BTreeSet<String> {
        let labels = self.want.iter();
        labels
            .filter(|(field, value)| field.starts_with("label") && **value != 0)
            .map(|(field, _)| (*field).to_owned())
            .collect()
    }

    fn dropping(&self, keys: &BTreeSet<String>) -> Option<Arc<dyn Object>> {
        let mut dropping = self.clone();
        for key in keys {
            dropping.want.insert(key.clone().leak(), 0);
        }
        Some(Arc::new(dropping))
    }

    fn attribute(&self) -> Option<String> {
        self.attribute.map(str::to_owned)
    }

    fn observed_after(&self) -> Vec<ObjectId> {
        Vec::new()
    }

    fn farewell(&self) -> Option<Arc<dyn Object>> {
        self.drained.then(|| -> Arc<dyn Object> {
            Arc::new(Drain {
                world: self.world.clone(),
                pool: self.name,
            })
        })
    }

    fn goes_with_parent(&self) -> bool {
        self.parent.is_some_and(|it| it.starts_with("cluster"))
    }

    fn locks(&self) -> Vec<LockKey> {
        self.lock.iter().cloned().collect()
    }

    fn frees_locks_early(&self) -> bool {
        self.frees_lock_early
    }

    fn carries_holder(&self) -> bool {
        self.holds
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        Ok(match (self.world.get(&self.id()).await?, &self.name_held) {
            (Some(thing), _) => Observation::Present(self.seen(cx, &thing)),
            (None, Some(held)) => Observation::NameHeld(held.clone()),
            (None, None) => Observation::Absent,
        })
    }

    async fn children(&self, cx: &Context, _: &Seen) -> Result<Vec<Child>, Fault> {
        if !self.name.starts_with("cluster") {
            return Ok(Vec::new());
        }
        let list = self.world.list(&self.id()).await?;
        Ok(list
            .into_iter()
            .map(|(name, thing)| {
                let tagged = thing.tags.contains_key(Mark::OWNER_KEY);
                let child = Self {
                    parent: Some(self.name),
                    lock: self.lock.clone(),
                    tagged: tagged || !name.starts_with("role"),
                    holds: tagged,
                    drained: name == "old",
                    ..Self::new(&self.world, name.leak())
                };
                Child {
                    seen: child.seen(cx, &thing),
                    object: Arc::new(child),
                }
            })
            .collect())
    }

    fn differ(&self, cx: &Context, seen: &Seen) -> Difference {
        let now = |field: &str| Self::field(seen, field);
        if let Some(zone) = self.want.get("zone")
            && now("zone") != *zone
        {
            return Difference::Replace(vec![Reason {
                subject: Subject::Attribute("zone".to_owned()),
                why: "it is fixed at creation".to_owned(),
            }]);
        }
        let mut change = Change::default();
        if self.differ_first(cx, Some(seen)) == Some((OFF, 1)) {
            change.after = After::Everything;
        }
        for (field, value) in self.want.iter().filter(|(field, _)| **field != "version") {
            if now(field) != *value {
                change
                    .subjects
                    .push(Subject::Attribute((*field).to_owned()));
                change
                    .steps
                    .push(Step::quiet(format!("{field} {} -> {value}", now(field))));
            }
        }
        let (version, reachable) = (now("version"), self.reachable_version(cx));
        if version < reachable {
            change
                .subjects
                .push(Subject::Attribute("version".to_owned()));
            for minor in version..reachable {
                change.steps.push(Step::disruptive(format!(
                    "{} version {minor} -> {}",
                    self.name,
                    minor + 1
                )));
            }
            let lags = |name: &&&str| {
                cx.seen(&id(name))
                    .is_some_and(|it| Self::field(it, "version") < version)
            };
            let lagging = self.followers.iter().filter(lags);
            change.after = After::These(lagging.map(|it| id(it)).collect());
        }
        if change.subjects.is_empty() {
            Difference::Same
        } else {
            Difference::Change(change)
        }
    }

    fn foresee(&self, cx: &Context, seen: &Seen) -> Option<Seen> {
        let (field, value) = self.differ_first(cx, Some(seen))?;
        let mut next = seen.clone();
        next.body["fields"][field] = value.into();
        (field == "version").then_some(next)
    }

    async fn apply(&self, cx: &Context, seen: Option<&Seen>) -> Result<Sent, Fault> {
        if let (Some(seen), Some(write)) = (seen, self.differ_first(cx, seen)) {
            let (id, etag) = (self.id(), Self::etag_of(seen));
            let operation = self
                .world
                .update(&id, etag, [write].into(), self.tags(cx))
                .await?;
            return Ok(self.started(&operation));
        }
        let mut fields = self.want.clone();
        fields.remove(OFF);
        if self.want.contains_key("version") {
            fields.insert("version", self.reachable_version(cx));
        }
        let thing = Thing {
            fields,
            tags: self.tags(cx),
            parent: self.parent.map(str::to_owned),
            etag: 0,
            incarnation: 0,
            visible_from: cx.clock.now(),
            operation: None,
        };
        let operation = self.world.create(&self.id(), thing).await?;
        Ok(self.started(&operation))
    }

    fn may_be_held(&self, seen: &Seen) -> bool {
        Self::field(seen, OFF) == 0
    }

    async fn wake(&self, _: &Context, seen: &Seen) -> Result<Sent, Fault> {
        let tags = self.world.books().things[&self.id().name].tags.clone();
        let operation = self
            .world
            .update(&self.id(), Self::etag_of(seen), [(OFF, 0)].into(), tags)
            .await?;
        Ok(self.started(&operation))
    }

    async fn hold(&self, cx: &Context, seen: &Seen) -> Result<Sent, Fault> {
        let etag = Self::etag_of(seen);
        self.world.books().holders.push(cx.holder.clone());
        let operation = self
            .world
            .update(&self.id(), etag, BTreeMap::new(), self.tags(cx))
            .await?;
        Ok(self.started(&operation))
    }

    async fn settle_mark(&self, cx: &Context) -> Result<bool, Fault> {
        let is_late = self.world.books().late_tags;
        let is_busy = |thing: Thing| thing.operation.is_some();
        while is_late
            && self.world.get(&self.id()).await?.is_some_and(is_busy)
            && cx.wait(Duration::from_secs(10)).await
        {}
        Ok(is_late)
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        if self.only_when_empty && !self.world.list(&self.id()).await?.is_empty() {
            return Ok(Sent::Kept("it is not empty: left in place.".into()));
        }
        Ok(self.started(&self.world.delete(&self.id()).await?))
    }

    fn resume(&self, operation: &OperationId) -> Option<Arc<dyn Operation>> {
        let operation = operation.clone();
        Some(Arc::new(FakeOperation {
            world: self.world.clone(),
            target: self.id(),
            operation,
        }))
    }
}

impl Fake {
    /// The first write that is left: `(field, value)`.
    fn differ_first(&self, cx: &Context, seen: Option<&Seen>) -> Option<(&'static str, i64)> {
        let seen = seen?;
        let now = |field: &str| Self::field(seen, field);
        let plain = self.want.iter();
        let plain = plain.filter(|(field, _)| !["version", OFF].contains(*field));
        let other = plain
            .map(|(field, value)| (*field, *value))
            .find(|(field, value)| now(field) != *value);
        let upgrade = || {
            let version = now("version");
            (version < self.reachable_version(cx)).then_some(("version", version + 1))
        };
        let off = || Some((OFF, *self.want.get(OFF)?)).filter(|(_, value)| now(OFF) != *value);
        other.or_else(upgrade).or_else(off)
    }
}

struct FakeOperation {
    world: World,
    target: ObjectId,
    operation: OperationId,
}

#[async_trait]
impl Operation for FakeOperation {
    fn id(&self) -> OperationId {
        self.operation.clone()
    }

    async fn poll(&self) -> Result<Poll, Fault> {
        Ok(
            match self.world.poll(&self.target, &self.operation.name).await? {
                None => Poll::Running {
                    after: Duration::from_secs(10),
                    status: "Running".into(),
                },
                Some(Ok(())) => Poll::Succeeded,
                Some(Err(fault)) => Poll::Failed(Box::new(fault)),
            },
        )
    }
}

/// The drain of a pool: a procedure, not a thing.
pub(super) struct Drain {
    pub(super) world: World,
    pub(super) pool: &'static str,
}

#[async_trait]
impl Object for Drain {
    fn id(&self) -> ObjectId {
        ObjectId::new("drain", self.pool)
    }

    async fn observe(&self, _: &Context) -> Result<Observation, Fault> {
        let drained = self.world.is_drained(&self.id(), self.pool).await?;
        Ok(if drained {
            Observation::Present(Seen::new(json!(null)))
        } else {
            Observation::Absent
        })
    }

    fn differ(&self, _: &Context, _: &Seen) -> Difference {
        Difference::Same
    }

    fn create_steps(&self) -> Vec<Step> {
        vec![Step::disruptive(format!("drain {}", self.pool))]
    }

    async fn apply(&self, _: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        self.world.drain(&self.id(), self.pool).await?;
        Ok(Sent::Done)
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        Ok(Sent::Done)
    }
}
