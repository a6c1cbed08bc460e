//! The cloud in memory: objects with tags, etags and long operations, conflicts while busy,
//! lagging reads, and books of every creation and deletion.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use paymesh_clock::{Clock, Moment};
use tokio::sync::Notify;

use super::object::{self, OFF};
use crate::{Fault, FaultKind, Mark, ObjectId};

/// Where in a request the caller dies, or the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    BeforeReceipt,
    AfterEffect,
    AfterAnswer,
}

/// What happens to the n-th request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The calling process dies.
    Kill(Site),
    /// The connection breaks; the process lives.
    Cut(Site),
    /// The cloud answers with this fault and does nothing.
    Answer(FaultKind),
    /// The operation that this request starts will fail and undo itself.
    OperationFails,
    /// The user asks to stop.
    Stop,
    /// Somebody else sets this field of the object just before the request is served.
    Meddle(&'static str, i64),
    /// Somebody else writes their holder to this object just before the request is served.
    TakeOver(&'static str),
    /// Somebody else begins half an hour's work on this object just before the request is served.
    Begin(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Thing {
    pub(super) fields: BTreeMap<&'static str, i64>,
    pub(super) tags: BTreeMap<&'static str, String>,
    pub(super) parent: Option<String>,
    pub(super) etag: u64,
    pub(super) incarnation: u64,
    pub(super) visible_from: Moment,
    pub(super) operation: Option<String>,
}

struct Running {
    target: String,
    ends: Moment,
    deletes: bool,
    fails: bool,
    /// What to go back to when it fails.
    before: Option<Thing>,
    /// The tags that show at its end.
    tags: Option<BTreeMap<&'static str, String>>,
}

#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent oddity of the cloud"
)]
pub(super) struct Books {
    pub(super) things: BTreeMap<String, Thing>,
    running: BTreeMap<String, Running>,
    pub(super) drained: Vec<String>,
    pub(super) creations: Vec<String>,
    pub(super) deletions: Vec<String>,
    /// The holders that took something over, in order.
    pub(super) holders: Vec<crate::Holder>,
    pub(super) requests: u32,
    pub(super) mishaps: BTreeMap<u32, Mishap>,
    /// Mishaps that were reached.
    pub(super) fired: Vec<Mishap>,
    /// Creations answer 412 if the object exists.
    pub(super) conditional: bool,
    /// Fields that accept writes and keep their value.
    pub(super) stubborn: Vec<&'static str>,
    /// Tags that are written show at the end of the operation.
    pub(super) late_tags: bool,
    /// Deletions end well and delete nothing.
    pub(super) undying: bool,
    /// Nobody answers polls.
    pub(super) silent: bool,
    /// Changes are answered with this until then.
    pub(super) refuses: Option<(FaultKind, Moment)>,
    /// Changes that were asked for, refused ones too.
    pub(super) asked: u32,
    /// How often somebody asked whether something is drained.
    pub(super) asked_if_drained: u32,
    /// The objects that were written, in order.
    pub(super) written: Vec<String>,
    /// How long a new object may stay invisible to reads.
    pub(super) lag: Duration,
    random: u64,
    counter: u64,
}

/// A handle on the cloud.
#[derive(Clone)]
pub(super) struct World {
    books: Arc<Mutex<Books>>,
    pub(super) clock: Clock,
    pub(super) killed: Arc<Notify>,
    pub(super) stopped: Arc<Notify>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let books = Books {
            conditional: true,
            random: seed | 1,
            ..Books::default()
        };
        Self {
            books: Arc::new(Mutex::new(books)),
            clock: Clock::real(),
            killed: Arc::default(),
            stopped: Arc::default(),
        }
    }

    /// The same cloud, at rest, for another process at another time.
    pub(super) fn fork(&self) -> Self {
        let forked = Self::new(1);
        {
            let mut books = self.books();
            books.settle(self.clock.now());
            let mut copy = forked.books();
            *copy = Books {
                things: books.things.clone(),
                drained: books.drained.clone(),
                creations: books.creations.clone(),
                deletions: books.deletions.clone(),
                holders: books.holders.clone(),
                conditional: books.conditional,
                random: books.random,
                counter: books.counter,
                ..Books::default()
            };
            copy.things
                .values_mut()
                .for_each(|it| it.visible_from = Moment::default());
        }
        forked
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// One request: latency, mishaps, then `effect` on the books.
    async fn request<T>(
        &self,
        id: &ObjectId,
        effect: impl FnOnce(&mut Books, Moment, bool) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let (latency, mishap) = {
            let mut books = self.books();
            let number = books.requests;
            books.requests += 1;
            let mishap = books.mishaps.remove(&number);
            books.fired.extend(mishap);
            (Duration::from_millis(20 + books.random() % 3000), mishap)
        };
        let lost = |text: &str| Fault::new(id.clone(), FaultKind::Uncertain, text);
        match mishap {
            Some(Mishap::Kill(Site::BeforeReceipt)) => self.die().await,
            Some(Mishap::Cut(Site::BeforeReceipt)) => return Err(lost("connection refused")),
            Some(Mishap::Answer(kind)) => return Err(Fault::new(id.clone(), kind, "injected")),
            Some(Mishap::Stop) => self.stopped.notify_one(),
            _ => {}
        }
        self.clock.sleep(latency).await;
        let answer = {
            let now = self.clock.now();
            let mut books = self.books();
            books.settle(now);
            match mishap {
                Some(Mishap::Meddle(field, value)) => books.meddle(&id.name, field, value),
                Some(Mishap::TakeOver(name)) => books.take_over(name),
                Some(Mishap::Begin(name)) => {
                    let ends = now + Duration::from_mins(30);
                    books.start(&object::id(name), ends, false, false, None);
                }
                _ => {}
            }
            effect(&mut books, now, mishap == Some(Mishap::OperationFails))
        };
        match mishap {
            Some(Mishap::Kill(Site::AfterEffect)) => self.die().await,
            Some(Mishap::Kill(Site::AfterAnswer)) => self.killed.notify_one(),
            Some(Mishap::Cut(_)) => return Err(lost("connection reset")),
            _ => {}
        }
        answer
    }

    async fn die(&self) {
        self.killed.notify_one();
        std::future::pending::<()>().await;
    }

    pub(super) async fn get(&self, id: &ObjectId) -> Result<Option<Thing>, Fault> {
        self.request(id, |books, now, _| {
            Ok(books
                .things
                .get(&id.name)
                .filter(|it| it.visible_from <= now)
                .cloned())
        })
        .await
    }

    pub(super) async fn list(&self, id: &ObjectId) -> Result<Vec<(String, Thing)>, Fault> {
        self.request(id, |books, now, _| {
            let things = books.things.iter();
            Ok(things
                .filter(|(_, it)| it.parent.as_ref() == Some(&id.name) && it.visible_from <= now)
                .map(|(name, it)| (name.clone(), it.clone()))
                .collect())
        })
        .await
    }

    /// Creates, or (unconditionally) overwrites. Answers the operation.
    pub(super) async fn create(&self, id: &ObjectId, mut thing: Thing) -> Result<String, Fault> {
        self.request(id, |books, now, fails| {
            if books.things.contains_key(&id.name) {
                if books.conditional {
                    return Err(Fault::new(id.clone(), FaultKind::LostRace, "it exists"));
                }
                books.deletions.push(id.name.clone());
            }
            if let Some(parent) = &thing.parent {
                if !books.things.contains_key(parent) {
                    return Err(Fault::new(id.clone(), FaultKind::Refused, "no parent"));
                }
                books.check_rest(id, parent)?;
            }
            books.check_versions(id, thing.parent.as_ref(), &thing.fields)?;
            books.counter += 1;
            thing.incarnation = books.counter;
            thing.etag = books.counter;
            let lag = books
                .lag
                .mul_f64(f64::from(u32::try_from(books.random() % 100).unwrap()) / 100.0);
            thing.visible_from = now + lag;
            books.creations.push(id.name.clone());
            books.things.insert(id.name.clone(), thing);
            Ok(books.start(id, now, fails, false, None))
        })
        .await
    }

    /// Writes `fields` and `tags` under `etag`. Answers the operation.
    pub(super) async fn update(
        &self,
        id: &ObjectId,
        etag: u64,
        fields: BTreeMap<&'static str, i64>,
        tags: BTreeMap<&'static str, String>,
    ) -> Result<String, Fault> {
        self.request(id, |books, now, fails| {
            books.asked += 1;
            if let Some((kind, _)) = books.refuses.filter(|(_, until)| now < *until) {
                return Err(Fault::new(id.clone(), kind, "it does not take that."));
            }
            let Some(thing) = books.things.get(&id.name).cloned() else {
                return Err(Fault::new(id.clone(), FaultKind::Missing, "it is gone"));
            };
            books.check_rest(id, &id.name)?;
            if let Some(parent) = &thing.parent {
                books.check_rest(id, parent)?;
            }
            if thing.fields.get(OFF) == Some(&1) && !fields.contains_key(OFF) {
                let why = "what is off takes no change";
                return Err(Fault::new(id.clone(), FaultKind::Refused, why));
            }
            if thing.etag != etag {
                return Err(Fault::new(id.clone(), FaultKind::LostRace, "etag mismatch"));
            }
            books.check_versions(id, thing.parent.as_ref(), &fields)?;
            books.counter += 1;
            let late = books.late_tags.then(|| tags.clone());
            let mut new = Thing {
                etag: books.counter,
                tags: if late.is_some() {
                    thing.tags.clone()
                } else {
                    tags
                },
                ..thing.clone()
            };
            let stubborn = books.stubborn.clone();
            new.fields.extend(
                fields
                    .into_iter()
                    .filter(|(name, _)| !stubborn.contains(name)),
            );
            books.things.insert(id.name.clone(), new);
            let operation = books.start(id, now, fails, false, Some(thing));
            if let Some(running) = books.running.get_mut(&operation) {
                running.tags = late;
            }
            Ok(operation)
        })
        .await
    }

    pub(super) async fn delete(&self, id: &ObjectId) -> Result<String, Fault> {
        self.request(id, |books, now, fails| {
            let Some(thing) = books.things.get(&id.name).cloned() else {
                return Err(Fault::new(id.clone(), FaultKind::Missing, "it is gone"));
            };
            books.check_rest(id, &id.name)?;
            if let Some(parent) = &thing.parent {
                books.check_rest(id, parent)?;
            }
            Ok(books.start(id, now, fails, true, Some(thing)))
        })
        .await
    }

    /// `None` while it runs; then how it ended.
    pub(super) async fn poll(
        &self,
        id: &ObjectId,
        operation: &str,
    ) -> Result<Option<Result<(), Fault>>, Fault> {
        self.request(id, |books, now, _| {
            if books.silent {
                return Err(Fault::new(id.clone(), FaultKind::Unavailable, "no answer"));
            }
            let Some(running) = books.running.get(operation) else {
                return Err(Fault::new(
                    id.clone(),
                    FaultKind::Missing,
                    "no such operation",
                ));
            };
            let failure = || Fault::new(id.clone(), FaultKind::OperationFailed, "it failed");
            Ok((running.ends <= now).then(|| {
                if running.fails {
                    Err(failure())
                } else {
                    Ok(())
                }
            }))
        })
        .await
    }

    pub(super) async fn drain(&self, id: &ObjectId, pool: &str) -> Result<(), Fault> {
        self.request(id, |books, _, _| {
            books.drained.push(pool.into());
            books.written.push(format!("drain {pool}"));
            Ok(())
        })
        .await
    }

    pub(super) async fn is_drained(&self, id: &ObjectId, pool: &str) -> Result<bool, Fault> {
        self.request(id, |books, _, _| {
            books.asked_if_drained += 1;
            Ok(books.drained.iter().any(|it| it == pool) || !books.things.contains_key(pool))
        })
        .await
    }
}

impl Books {
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    pub(super) fn meddle(&mut self, name: &str, field: &'static str, value: i64) {
        self.counter += 1;
        let etag = self.counter;
        if let Some(thing) = self.things.get_mut(name) {
            thing.fields.insert(field, value);
            thing.etag = etag;
        }
    }

    fn take_over(&mut self, name: &str) {
        self.counter += 1;
        let etag = self.counter;
        if let Some(thing) = self.things.get_mut(name) {
            thing.tags.insert(Mark::HOLDER_KEY, "theirs".into());
            thing.etag = etag;
        }
    }

    pub(super) fn start(
        &mut self,
        id: &ObjectId,
        now: Moment,
        fails: bool,
        deletes: bool,
        before: Option<Thing>,
    ) -> String {
        self.counter += 1;
        let operation = format!("op-{}", self.counter);
        let ends = now + Duration::from_secs(30 + self.random() % 300);
        let target = id.name.clone();
        self.written.push(target.clone());
        if let Some(thing) = self.things.get_mut(&target) {
            thing.operation = Some(operation.clone());
        }
        self.running.insert(
            operation.clone(),
            Running {
                target,
                ends,
                deletes,
                fails,
                before,
                tags: None,
            },
        );
        operation
    }

    /// Brings everything up to `now`: operations that are over have their effect.
    pub(super) fn settle(&mut self, now: Moment) {
        let over: Vec<String> = self
            .things
            .values()
            .filter_map(|it| it.operation.clone())
            .filter(|it| {
                self.running
                    .get(it)
                    .is_none_or(|running| running.ends <= now)
            })
            .collect();
        for operation in over {
            let running = &self.running[&operation];
            let (target, deletes, fails) = (running.target.clone(), running.deletes, running.fails);
            let (before, tags) = (running.before.clone(), running.tags.clone());
            match (fails, before) {
                (false, _) if deletes && !self.undying => self.remove(&target),
                (false, _) => {
                    if let Some(thing) = self.things.get_mut(&target) {
                        thing.operation = None;
                        if let Some(tags) = tags {
                            thing.tags = tags;
                        }
                    }
                }
                // A failed creation vanishes; nobody deleted it, and nothing was made.
                (true, None) => {
                    self.things.remove(&target);
                    let made = self.creations.iter().rposition(|it| *it == target);
                    made.map(|it| self.creations.remove(it));
                }
                (true, Some(before)) => {
                    let thing = Thing {
                        operation: None,
                        ..before
                    };
                    self.things.insert(target, thing);
                }
            }
        }
    }

    fn remove(&mut self, name: &str) {
        self.things.remove(name);
        self.deletions.push(name.into());
        let children: Vec<String> = self
            .things
            .iter()
            .filter(|(_, it)| it.parent.as_deref() == Some(name))
            .map(|(name, _)| name.clone())
            .collect();
        for child in &children {
            self.remove(child);
        }
    }

    /// One operation at a time on `name` and on everything inside it, groups excepted.
    fn check_rest(&self, id: &ObjectId, name: &str) -> Result<(), Fault> {
        if name.starts_with("group") {
            return Ok(());
        }
        let is_off = self.things.get(name).and_then(|it| it.fields.get(OFF)) == Some(&1);
        if is_off && name != id.name {
            let why = "what is off takes no change inside it";
            return Err(Fault::new(id.clone(), FaultKind::Refused, why));
        }
        let busy = self.things.iter().any(|(other, it)| {
            it.operation.is_some() && (other == name || it.parent.as_deref() == Some(name))
        });
        if busy {
            Err(Fault::new(
                id.clone(),
                FaultKind::Busy,
                "another operation is in progress",
            ))
        } else {
            Ok(())
        }
    }

    /// A pool never runs ahead of its cluster nor two behind; a cluster climbs one at a time.
    fn check_versions(
        &self,
        id: &ObjectId,
        parent: Option<&String>,
        fields: &BTreeMap<&'static str, i64>,
    ) -> Result<(), Fault> {
        let Some(version) = fields.get("version") else {
            return Ok(());
        };
        let above = parent.and_then(|it| self.things.get(it)?.fields.get("version").copied());
        let now = self
            .things
            .get(&id.name)
            .and_then(|it| it.fields.get("version").copied());
        let children = self
            .things
            .values()
            .filter(|it| it.parent.as_ref() == Some(&id.name));
        let lowest = children
            .filter_map(|it| it.fields.get("version").copied())
            .min();
        let ahead = above.is_some_and(|above| *version > above);
        let hop = now.is_some_and(|now| *version > now + 1);
        let skew = lowest.is_some_and(|lowest| *version > lowest + 1);
        if ahead || hop || skew {
            return Err(Fault::new(
                id.clone(),
                FaultKind::Refused,
                "no such version path",
            ));
        }
        Ok(())
    }
}
