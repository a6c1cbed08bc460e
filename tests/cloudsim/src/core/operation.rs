//! Long-running operations of both clouds: when they end, and how.
//!
//! An operation ends by the clock, or (in the mode for stable request counts) at its k-th poll.
//! What it does when it ends is the business of the cloud that started it ([`Api::complete`]).
//!
//! A read of the object that it works on is a poll too, for clients that watch the object. Who began
//! it was told its name and polls by that, and reads the object for other reasons, at moments that
//! depend on the machine: such reads end it only when they are many, as of a client that lost the
//! name.
//!
//! [`Api::complete`]: super::Api::complete

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{World, clock::Millis};

/// Running operations, and ended ones: only the first are looked through at every request.
const RUNNING: &str = "operations/running";
const ENDED: &str = "operations/ended";

/// At which read of the object by who began it an operation ends that nobody polls: more than a
/// client sends beside its polls.
const LOOKS: u32 = 10;

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Not ended yet.
    Running,
    /// Done, with its effect.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ended because someone asked.
    Canceled,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The cloud's code.
    pub(crate) code: String,
    /// The cloud's words.
    pub(crate) message: String,
}

/// How a fault wants an operation to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub(crate) enum Ending {
    /// It fails when it would have succeeded.
    Failed(Failure),
    /// It is cancelled when it would have succeeded.
    Canceled,
    /// It never ends.
    Hang,
}

/// One operation, as the store keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// Unique name.
    pub(crate) id: String,
    /// Which cloud started it: [`super::Api::name`].
    pub(crate) api: String,
    /// What it does, in the cloud's words.
    pub(crate) kind: String,
    /// The object it works on.
    pub(crate) target: String,
    /// Whatever its cloud needs to complete it.
    pub(crate) detail: Value,
    /// When it began.
    pub(crate) started: Millis,
    /// When it ends by the clock.
    pub(crate) due: Millis,
    /// When it ended.
    pub(crate) ended: Option<Millis>,
    /// Polls until it ends, in the mode for stable request counts.
    pub(crate) polls_left: Option<u32>,
    /// Who began it, as [`World::session`]; nobody, if the cloud did by itself.
    #[serde(default)]
    pub(crate) by: Option<String>,
    /// Reads of its object by who began it until it ends, in that mode.
    #[serde(default)]
    pub(crate) looks_left: u32,
    /// Where it stands.
    pub(crate) status: Status,
    /// Why it failed.
    pub(crate) failure: Option<Failure>,
    /// How a fault wants it to end.
    pub(crate) ending: Option<Ending>,
}

impl Operation {
    /// True until it ended.
    pub(crate) fn running(&self) -> bool {
        self.status == Status::Running
    }
}

impl World {
    /// Starts an operation that takes `seconds` of simulated time.
    pub(crate) fn start_operation(
        &mut self,
        api: &str,
        kind: &str,
        target: &str,
        seconds: u32,
        detail: Value,
    ) -> Operation {
        let now = self.clock.now();
        let operation = Operation {
            id: uuid::Uuid::new_v4().to_string(),
            api: api.into(),
            kind: kind.into(),
            target: target.into(),
            detail,
            started: now,
            due: now + i64::from(seconds) * 1000,
            ended: None,
            polls_left: self.operation_polls.map(|polls| polls.saturating_sub(1)),
            by: self.session.clone(),
            looks_left: LOOKS,
            status: Status::Running,
            failure: None,
            ending: self.ending.take(),
        };
        self.last_operation = Some(operation.id.clone());
        self.keep_operation(&operation);
        operation
    }

    /// The operation `id`.
    pub(crate) fn operation(&self, id: &str) -> Option<Operation> {
        let found = self
            .store
            .find(RUNNING, id)
            .or_else(|| self.store.find(ENDED, id))?;
        serde_json::from_value(found.clone()).ok()
    }

    /// Every operation, running ones first, ordered by their ends.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        let mut all = self.sorted(RUNNING);
        all.extend(self.sorted(ENDED));
        all
    }

    fn sorted(&self, table: &str) -> Vec<Operation> {
        let mut all: Vec<Operation> = self
            .store
            .list(table)
            .filter_map(|(_, value)| serde_json::from_value(value.clone()).ok())
            .collect();
        all.sort_by(|a, b| (a.due, &a.id).cmp(&(b.due, &b.id)));
        all
    }

    /// The running operations on `target` and on everything whose name starts with `target` + `/`.
    pub(crate) fn running_on(&self, api: &str, target: &str) -> Vec<Operation> {
        let below = format!("{target}/");
        let mut found = self.sorted(RUNNING);
        found.retain(|operation| {
            operation.running()
                && operation.api == api
                && (operation.target == target || operation.target.starts_with(&below))
        });
        found
    }

    /// Remembers a changed operation.
    pub(crate) fn keep_operation(&mut self, operation: &Operation) {
        let value =
            serde_json::to_value(operation).unwrap_or_else(|error| json!(error.to_string()));
        let (table, other) = if operation.running() {
            (RUNNING, ENDED)
        } else {
            (ENDED, RUNNING)
        };
        self.store.remove(other, &operation.id);
        self.store.put(table, &operation.id, value);
    }

    /// Counts one poll of a running operation, and returns it.
    pub(crate) fn poll_operation(&mut self, id: &str) -> Option<Operation> {
        let mut operation = self.operation(id)?;
        self.last_operation = Some(id.into());
        if operation.running()
            && let Some(left) = operation.polls_left
        {
            operation.polls_left = Some(left.saturating_sub(1));
            self.keep_operation(&operation);
        }
        Some(operation)
    }

    /// Counts a read of `target` as a poll of what runs on it, for clients that watch the object.
    pub(crate) fn poll_target(&mut self, api: &str, target: &str) {
        for operation in self.running_on(api, target) {
            if operation.target == target {
                self.watch_operation(&operation);
            }
        }
    }

    /// Counts a read of what shows that `operation` runs.
    pub(crate) fn watch_operation(&mut self, operation: &Operation) {
        if operation.polls_left.is_none() {
            return;
        }
        if operation.by.is_none() || operation.by != self.session {
            self.poll_operation(&operation.id);
            return;
        }
        self.last_operation = Some(operation.id.clone());
        let mut operation = operation.clone();
        operation.looks_left = operation.looks_left.saturating_sub(1);
        if operation.looks_left == 0 {
            operation.polls_left = Some(0);
        }
        self.keep_operation(&operation);
    }

    /// Lets an operation that hangs on order end as it would have; false if it does not hang.
    pub(crate) fn release_operation(&mut self, id: &str) -> bool {
        match self.operation(id) {
            Some(mut operation)
                if operation.running() && operation.ending == Some(Ending::Hang) =>
            {
                operation.ending = None;
                self.keep_operation(&operation);
                true
            }
            _ => false,
        }
    }

    /// Cancels a running operation; false if it does not run.
    pub(crate) fn cancel_operation(&mut self, id: &str) -> bool {
        match self.operation(id) {
            Some(mut operation) if operation.running() => {
                operation.ending = Some(Ending::Canceled);
                operation.due = self.clock.now();
                operation.polls_left = operation.polls_left.map(|_| 0);
                self.keep_operation(&operation);
                true
            }
            _ => false,
        }
    }

    /// Ends the next operation that is due, and returns it.
    pub(crate) fn end_next_operation(&mut self) -> Option<Operation> {
        let now = self.clock.now();
        let mut operation = self.sorted(RUNNING).into_iter().find(|operation| {
            operation.running()
                && operation.ending != Some(Ending::Hang)
                && match operation.polls_left {
                    Some(left) => left == 0,
                    None => operation.due <= now,
                }
        })?;
        operation.ended = Some(if operation.polls_left.is_some() {
            now
        } else {
            operation.due
        });
        match operation.ending.clone() {
            Some(Ending::Failed(failure)) => {
                operation.status = Status::Failed;
                operation.failure = Some(failure);
            }
            Some(Ending::Canceled) => operation.status = Status::Canceled,
            _ => operation.status = Status::Succeeded,
        }
        self.keep_operation(&operation);
        Some(operation)
    }
}
