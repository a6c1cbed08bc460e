//! Long-running operations of both clouds, one poll at a time.
//!
//! An [`Operation`] can be written down and polled by a later process. Its end is read from the
//! operation; when the cloud no longer knows that, from the object itself; a missing answer is
//! never taken for success.

use std::time::Duration;

use http::StatusCode;
use paymesh_clock::Moment;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Client, Error, ErrorKind, Reply, Request, retry::retry_after};

/// The wait between polls when the cloud names none, and the shortest one.
const POLL_EVERY: Duration = Duration::from_secs(15);
const POLL_SHORTEST: Duration = Duration::from_secs(1);

/// A running operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Where its progress is read, and how.
    pub shape: Shape,
    /// Address of the object it works on, query included.
    pub resource: String,
    /// The object's absence is the wanted end.
    #[serde(default)]
    pub deleting: bool,
    /// Wait before the first poll, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u64>,
}

/// The ways in which clouds tell of progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// ARM's `Azure-AsyncOperation`: always 200, with a status in the body.
    AzureAsync {
        /// The poll address, byte for byte: its query is signed.
        url: String,
    },
    /// ARM's `Location`: 202 until done, then the final answer.
    Location {
        /// The poll address, byte for byte.
        url: String,
    },
    /// ARM's `provisioningState` (or Google's `status`) in the object itself.
    Body,
    /// Google's operation: `DONE`, with or without an error.
    Google {
        /// Address of the operation.
        url: String,
    },
}

/// What a poll found.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Not done; ask again after `wait`.
    Running {
        /// The cloud's word for the state.
        status: String,
        /// The wait the cloud asks for, or ours.
        wait: Duration,
    },
    /// Done. The body is the operation's or the object's, and may be null: read the object.
    Succeeded(Value),
    /// Ended as failed or canceled, with the cloud's reason.
    Failed(Error),
}

impl Operation {
    /// The operation that ARM's answer to a write speaks of, if the write is not yet done.
    /// `resource` is the object's address, query included.
    pub fn azure(reply: &Reply, resource: &str, deleting: bool) -> Option<Self> {
        let header = |name| reply.header(name).map(str::to_owned);
        let unfinished = !deleting
            && (reply.body.is_null() || object_state(&reply.body).is_some_and(|it| !is_final(it)));
        let shape = if let Some(url) = header("azure-asyncoperation") {
            Shape::AzureAsync { url }
        } else if reply.status == StatusCode::ACCEPTED {
            header("location").map_or(Shape::Body, |url| Shape::Location { url })
        } else if unfinished && reply.status != StatusCode::NO_CONTENT {
            Shape::Body
        } else {
            return None;
        };
        let wait_seconds = retry_after(&reply.headers).map(|it| it.as_secs());
        Some(Self {
            shape,
            resource: resource.to_owned(),
            deleting,
            wait_seconds,
        })
    }

    /// A Google operation at the address `url`, working on `resource`.
    pub fn google(url: &str, resource: &str, deleting: bool) -> Self {
        let shape = Shape::Google {
            url: url.to_owned(),
        };
        Self {
            shape,
            resource: resource.to_owned(),
            deleting,
            wait_seconds: None,
        }
    }

    /// "Whatever works on `resource` now": polls the object itself.
    pub fn of_object(resource: &str, deleting: bool) -> Self {
        Self {
            shape: Shape::Body,
            resource: resource.to_owned(),
            deleting,
            wait_seconds: None,
        }
    }

    /// The cloud's id of the operation, for messages.
    pub fn id(&self) -> Option<&str> {
        match &self.shape {
            Shape::AzureAsync { url } | Shape::Location { url } | Shape::Google { url } => {
                url.split('?').next()?.rsplit('/').next()
            }
            Shape::Body => None,
        }
    }

    /// The wait before the first poll.
    pub fn first_wait(&self) -> Duration {
        self.wait_seconds
            .map_or(POLL_EVERY, Duration::from_secs)
            .max(POLL_SHORTEST)
    }
}

impl Client {
    /// Asks once how `operation` fares. An error means that the question failed, which says
    /// nothing about the operation.
    pub async fn poll(&self, operation: &Operation) -> Result<Progress, Error> {
        let progress = self.poll_shape(operation).await?;
        if !matches!(progress, Progress::Running { .. }) {
            self.forget_reads_around(path_of(&operation.resource));
        }
        Ok(match progress {
            Progress::Failed(error) if error.operation_id.is_none() => {
                Progress::Failed(error.of_operation(operation.id().map(str::to_owned)))
            }
            other => other,
        })
    }

    /// Polls until `operation` ends or `limit` has passed.
    pub async fn wait(&self, operation: &Operation, limit: Duration) -> Result<Value, Error> {
        let until: Moment = self.clock().now() + limit;
        let mut pause = operation.first_wait();
        let mut last = "not yet polled".to_owned();
        loop {
            let left = until.since(self.clock().now());
            if left.is_zero() {
                let text = format!("not done after {} s; last status: {last}", limit.as_secs());
                let error = Error::new(ErrorKind::OutOfTime, text);
                return Err(error.of_operation(operation.id().map(str::to_owned)));
            }
            self.clock().sleep(pause.min(left)).await;
            match self.poll(operation).await? {
                Progress::Running { status, wait } => (last, pause) = (status, wait),
                Progress::Succeeded(body) => return Ok(body),
                Progress::Failed(error) => return Err(error),
            }
        }
    }

    async fn poll_shape(&self, operation: &Operation) -> Result<Progress, Error> {
        match &operation.shape {
            Shape::AzureAsync { url } => match self.send(Request::get(url)).await {
                Ok(reply) => match reply.body.get("status").and_then(Value::as_str) {
                    Some(status) => Ok(ended(status, &reply, status_is_good(status))),
                    None => self.poll_object(operation).await,
                },
                Err(error) if error.is_dead_address() => self.poll_object(operation).await,
                Err(error) => Err(error),
            },
            Shape::Location { url } => match self.send(Request::get(url)).await {
                Ok(reply) if reply.status == StatusCode::ACCEPTED => {
                    Ok(running("Accepted", &reply))
                }
                Ok(reply) => match object_state(&reply.body).map(str::to_owned) {
                    Some(state) if !is_final(&state) => Ok(running(&state, &reply)),
                    _ => Ok(Progress::Succeeded(reply.body)),
                },
                Err(error) if error.is_dead_address() => self.poll_object(operation).await,
                // The final answer of the request itself comes from this address.
                Err(error)
                    if error.kind == ErrorKind::Answer
                        && !error.is_forbidden()
                        && error
                            .status
                            .is_some_and(|it| (400..500).contains(&it) && it != 429) =>
                {
                    Ok(Progress::Failed(error))
                }
                Err(error) => Err(error),
            },
            Shape::Google { url } => match self.send(Request::get(url)).await {
                Ok(reply) => Ok(google(&reply)),
                Err(error) if error.is_dead_address() => self.poll_object(operation).await,
                Err(error) => Err(error),
            },
            Shape::Body => self.poll_object(operation).await,
        }
    }

    async fn poll_object(&self, operation: &Operation) -> Result<Progress, Error> {
        let reply = match self.send(Request::get(&operation.resource)).await {
            Ok(reply) => reply,
            Err(error) if error.is_not_found() && operation.deleting => {
                return Ok(Progress::Succeeded(Value::Null));
            }
            Err(error) if error.is_not_found() => return Ok(Progress::Failed(error)),
            Err(error) => return Err(error),
        };
        let state = object_state(&reply.body).unwrap_or("Succeeded").to_owned();
        let failed = ["failed", "canceled", "error"]
            .iter()
            .any(|it| state.eq_ignore_ascii_case(it));
        if !failed && (operation.deleting || !is_final(&state)) {
            return Ok(running(&state, &reply));
        }
        Ok(ended(&state, &reply, !failed))
    }
}

fn path_of(address: &str) -> &str {
    let rest = match address.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/').unwrap_or(rest.len())..],
        None => address,
    };
    rest.split('?').next().unwrap_or_default()
}

/// ARM's `provisioningState`, or Google's `status`; an absent one means done.
fn object_state(body: &Value) -> Option<&str> {
    let state = body
        .pointer("/properties/provisioningState")
        .or_else(|| body.get("status"));
    state.and_then(Value::as_str)
}

/// Whether an object in `state` is at rest. ARM has three such states; Google's are named.
fn is_final(state: &str) -> bool {
    [
        "succeeded",
        "failed",
        "canceled",
        "running",
        "error",
        "degraded",
        "running_with_error",
    ]
    .iter()
    .any(|it| state.eq_ignore_ascii_case(it))
}

/// Whether ARM's operation status is good, bad, or (none) not an end.
fn status_is_good(status: &str) -> Option<bool> {
    if status.eq_ignore_ascii_case("succeeded") {
        Some(true)
    } else if ["failed", "canceled", "cancelled"]
        .iter()
        .any(|it| status.eq_ignore_ascii_case(it))
    {
        Some(false)
    } else {
        None
    }
}

fn running(status: &str, reply: &Reply) -> Progress {
    let wait = retry_after(&reply.headers)
        .unwrap_or(POLL_EVERY)
        .max(POLL_SHORTEST);
    Progress::Running {
        status: status.to_owned(),
        wait,
    }
}

fn ended(status: &str, reply: &Reply, good: impl Into<Option<bool>>) -> Progress {
    match good.into() {
        None => running(status, reply),
        Some(true) => Progress::Succeeded(reply.body.clone()),
        Some(false) => {
            let body = &reply.body;
            let inner = [
                "/properties/status/provisioningError",
                "/properties/provisioningError",
            ]
            .iter()
            .find_map(|it| body.pointer(it))
            .filter(|it| it.is_object());
            let id = body
                .get("name")
                .and_then(Value::as_str)
                .filter(|_| body.get("status").is_some());
            Progress::Failed(failed(inner.unwrap_or(body), status, reply, id))
        }
    }
}

fn google(reply: &Reply) -> Progress {
    let body = &reply.body;
    let status = body
        .get("status")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let done = status == "DONE" || body.get("done") == Some(&Value::Bool(true));
    let id = body.get("name").and_then(Value::as_str);
    if !done {
        return running(if status.is_empty() { "RUNNING" } else { status }, reply);
    }
    match body.get("error") {
        Some(error) if !error.is_null() => Progress::Failed(failed(body, status, reply, id)),
        _ => Progress::Succeeded(body.clone()),
    }
}

fn failed(body: &Value, status: &str, reply: &Reply, id: Option<&str>) -> Error {
    let mut error = Error::operation(body).of_operation(id.map(str::to_owned));
    let detail = error.detail();
    detail.request_id.clone_from(&reply.request_id);
    if detail.message.is_empty() {
        let more = body.get("statusMessage").and_then(Value::as_str);
        detail.message = more.map_or_else(
            || format!("ended as {status} without a reason"),
            str::to_owned,
        );
    }
    error
}
