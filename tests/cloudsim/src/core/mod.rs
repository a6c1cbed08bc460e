//! What both clouds share: one world, one clock, one journal, faults, operations, the server.
//!
//! The seam: a cloud is one [`Api`]. The server reads a request into a [`Call`], locks the
//! [`World`], ends what is due ([`Api::complete`], [`Api::tick`]), asks [`Api::answer`], makes the
//! writes durable as one step, and only then answers. So an `Api` is plain synchronous code over
//! `&mut World`, sees no half-written state, and needs no locks, sockets or sleeps of its own:
//! `world.store` holds its documents (tables of JSON), `world.clock` the time,
//! `world.start_operation` / `poll_operation` / `running_on` its long-running operations,
//! `world.throttle` its budgets, `world.faults.lost_region` / `lost_zone` the disasters.

pub(crate) mod clock;
mod console;
mod control;
mod fault;
mod journal;
pub(crate) mod layout;
pub(crate) mod operation;
mod server;
pub(crate) mod store;
mod terraform;
pub(crate) mod throttle;
mod tls;

use std::path::PathBuf;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

pub(crate) use clock::{Clock, Millis};
pub(crate) use fault::{Faults, glob};
pub(crate) use operation::{Operation, Status};
pub(crate) use server::run;
pub(crate) use store::Store;
pub(crate) use throttle::{Budget, Throttle};

/// One cloud.
pub(crate) trait Api: Send + Sync {
    /// `azure` or `google`: which listener it answers, and its name in journal and faults.
    fn name(&self) -> &'static str;

    /// Makes what exists before the first request (called at every start and after a reset; must
    /// keep what is there), and returns its lines for the simulator file.
    fn seed(&self, world: &mut World) -> Result<Map<String, Value>, String>;

    /// Whether a request only reads, and may be shown the past.
    fn is_read(&self, call: &Call) -> bool {
        call.method == "GET"
    }

    /// Answers one request.
    fn answer(&self, world: &mut World, call: &Call) -> Answer;

    /// Applies what an operation does at its end; `operation.status` says which end it took.
    fn complete(&self, world: &mut World, operation: &Operation);

    /// Lets time pass: drift, expiry. Called before every request.
    fn tick(&self, _world: &mut World) {}

    /// Every live object, each with at least `type` and `id`.
    fn inventory(&self, world: &World) -> Vec<Value>;
}

/// Everything the simulated cloud knows.
pub(crate) struct World {
    /// Simulated time.
    pub(crate) clock: Clock,
    /// Documents of both clouds.
    pub(crate) store: Store,
    /// Request budgets.
    pub(crate) throttle: Throttle,
    /// Faults on order.
    pub(crate) faults: Faults,
    /// Where this simulator is.
    pub(crate) place: Place,
    /// Every new operation ends at this many polls, instead of by the clock.
    pub(crate) operation_polls: Option<u32>,
    /// Whether the clouds do things unasked: upgrades, add-ons, autoscaling.
    pub(crate) drifts: bool,
    /// How a fault wants the next operation to end.
    pub(crate) ending: Option<operation::Ending>,
    /// The operation that the current request started or polled, for the journal.
    pub(crate) last_operation: Option<String>,
    /// Who the current request comes from, for the journal.
    pub(crate) principal: Option<String>,
    /// A digest of the token that the current request bears. A run signs in for itself, so this tells
    /// one run from another of the same person; a run that renews its token counts as another from
    /// then on.
    pub(crate) session: Option<String>,
    /// Tokens issued before this moment of [`Clock::client_now`] are refused.
    pub(crate) expired_before: Option<Millis>,
    journal: journal::Journal,
}

/// Where a simulator is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Base address of Azure.
    pub(crate) azure: String,
    /// Base address of Google Cloud.
    pub(crate) google: String,
    /// Directory for credential files and the like.
    pub(crate) state_dir: PathBuf,
}

/// A request, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The verb, upper case.
    pub(crate) method: String,
    /// The path as sent.
    pub(crate) path: String,
    /// The segments of the path, percent-decoded, without empty ones.
    pub(crate) segments: Vec<String>,
    /// The query, decoded.
    pub(crate) query: Vec<(String, String)>,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// The id under which this request is known in journal and answer.
    pub(crate) correlation: String,
}

impl Call {
    /// The first value of query parameter `name`, compared without case.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; `Null` if it is empty.
    pub(crate) fn json(&self) -> Result<Value, String> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|error| error.to_string())
    }

    /// The fields of a form body.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body)
            .into_owned()
            .collect()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Headers besides `content-type` (JSON if there is a body and none is given).
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// An answer without body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// An answer with a JSON body.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.to_string().into(),
        }
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl World {
    /// Ends every operation that is due and lets time pass in every cloud.
    fn settle(&mut self, apis: &[Box<dyn Api>]) {
        while let Some(operation) = self.end_next_operation() {
            if let Some(api) = apis.iter().find(|api| api.name() == operation.api) {
                api.complete(self, &operation);
            }
        }
        for api in apis {
            api.tick(self);
        }
    }

    /// Whether `wait` has passed since `since`: what one part of a cloud does is known to the others
    /// only then. Not in the mode for stable request counts, where nothing goes by the clock.
    pub(crate) fn has_settled(&self, since: Millis, wait: Millis) -> bool {
        self.operation_polls.is_some() || self.clock.now() - since >= wait
    }

    /// Takes one request from the bucket `key`: what is left, or the seconds to wait. While the clock
    /// stands nobody is refused: no wait would ever end.
    pub(crate) fn take(&mut self, key: &str, budget: Budget) -> Result<u32, u32> {
        let taken = self.throttle.take(key, budget, self.clock.now());
        taken.or_else(|wait| {
            if self.clock.is_frozen() {
                Ok(0)
            } else {
                Err(wait)
            }
        })
    }

    /// Makes this step's writes durable. A simulator that cannot write, because the disk is full
    /// say, ends here: nobody is answered what the next start would not know.
    fn commit(&mut self) {
        let now = self.clock.now();
        if let Err(error) = self.store.commit(now) {
            let place = self.place.state_dir.display();
            eprintln!("paymesh-cloudsim: the state in {place} cannot be written: {error}");
            std::process::exit(1);
        }
    }
}
