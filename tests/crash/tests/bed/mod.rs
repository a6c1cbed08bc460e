//! One cluster on one cloud, brought up by the small core while a fault is on order.

mod policy;

use std::thread;

use paymesh_acceptance::Cloud;
use paymesh_crash::{
    Api, Procedure, Scenario,
    core::{Core, End, Life},
    inside::{PROVIDER_RATE, file_with_rate},
};
pub(crate) use policy::Policy;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The id of the fault.
const FAULT: &str = "the-fault";

/// The most applies after a fault.
const APPLIES_MAX: u32 = 2;

/// A verb and a pattern of paths.
pub(crate) type Request = (&'static str, &'static str);

/// A cloud of its own, and a provider that speaks to it.
pub(crate) struct Bed {
    api: Api,
    cloud: Cloud,
    folder: TempDir,
}

impl Bed {
    /// An empty cloud.
    pub(crate) fn empty(api: Api) -> Self {
        Self {
            api,
            cloud: Cloud::start(),
            folder: TempDir::new().expect("a temporary folder can be made"),
        }
    }

    /// A cloud with the cluster.
    pub(crate) fn made(api: Api) -> Self {
        let bed = Self::empty(api);
        bed.make();
        bed
    }

    fn make(&self) {
        self.core()
            .apply(&Life::default(), &self.api.made())
            .expect("the cluster can be made");
    }

    fn core(&self) -> Core<'_> {
        let file = file_with_rate(&self.cloud, self.folder.path(), PROVIDER_RATE);
        Core::new(&self.cloud, file)
    }

    fn order(&self, request: Request, times: u32, site: &str, action: &Value) {
        self.order_from(1, request, times, site, action);
    }

    /// The same, from the n-th such request on.
    fn order_from(&self, nth: u32, request: Request, times: u32, site: &str, action: &Value) {
        self.cloud.fault(&json!({
            "id": FAULT, "api": self.api.to_string(), "method": request.0, "path": request.1,
            "nth": nth, "times": times, "site": site, "action": action,
        }));
    }

    /// The fault must have struck; then it ends. How often it struck.
    #[track_caller]
    fn end_fault(&self) -> u64 {
        let faults = self.cloud.ask(Method::GET, "faults", None);
        let mut all = faults["faults"].as_array().into_iter().flatten();
        let fault = all.find(|fault| fault["id"] == FAULT);
        let fired = fault.and_then(|fault| fault["fired"].as_u64());
        let fired = fired.unwrap_or_default();
        assert!(fired > 0, "never fired: {faults}");
        self.cloud.ask(Method::DELETE, "faults", None);
        fired
    }

    /// Applies with a fault; at most one more apply must end it, and all must be well.
    #[track_caller]
    pub(crate) fn check_apply(&self, config: &Value, case: &str) {
        let core = self.core();
        let first = core.apply(&Life::default(), config);
        self.end_fault();
        let mut last = first.clone();
        for _ in 1..APPLIES_MAX {
            if last.is_ok() {
                break;
            }
            last = core.apply(&Life::default(), config);
        }
        assert!(last.is_ok(), "{case}: {last:?}\nafter {first:?}");
        self.check_well(&core, config, &format!("{case}: {first:?}"));
    }

    /// One cluster, an empty plan, and a destroy that leaves nothing.
    #[track_caller]
    fn check_well(&self, core: &Core<'_>, config: &Value, case: &str) {
        let kind = match self.api {
            Api::Azure => "managedClusters",
            Api::Google => "Cluster",
        };
        assert_eq!(self.cloud.all(kind).len(), 1, "{case}");
        let planned = core.plan(&Life::default(), config);
        assert_eq!(planned, Ok(false), "{case}: the plan is not empty");
        let destroyed = core.destroy(&Life::default(), config);
        assert!(destroyed.is_ok(), "{case}: {destroyed:?}");
        assert_eq!(self.cloud.inventory(), Vec::<String>::new(), "{case}");
    }

    /// Changes the cluster with a fault on the way.
    #[track_caller]
    pub(crate) fn check_update(&self, request: Request, times: u32, site: &str, action: &Value) {
        let procedure = Procedure::Scale;
        let api = self.api;
        let config = Scenario { procedure, api }.after().expect("it stays");
        self.order(request, times, site, action);
        self.check_apply(&config, &format!("{api}: {action}"));
    }

    /// Rotates a pool of AKS. Between the last read of the old one and the request to empty it, the
    /// service begins something of its own: it refuses that request, and needs no third.
    #[track_caller]
    pub(crate) fn check_busy_drain(&self) {
        let (procedure, api) = (Procedure::Rotation, self.api);
        let config = Scenario { procedure, api }.wanted();
        self.cloud.clock(&json!({ "drift": false }));
        let since = self.cloud.last_request();
        // The first one makes the new pool.
        let emptying = self
            .cloud
            .hold("PUT", "*/agentpools/work*", 2, "before_effect");
        let core = self.core();
        let outcome = thread::scope(|scope| {
            let run = scope.spawn(|| core.apply(&Life::default(), &config));
            emptying.wait();
            // Ten minutes after its birth a cluster is given an extension manager.
            self.cloud.clock(&json!({ "drift": true }));
            self.cloud.pass(600);
            self.cloud.inventory();
            self.cloud.clock(&json!({ "drift": false }));
            emptying.release();
            run.join().expect("a core does not panic")
        });
        let journal = self.cloud.journal(since);
        let puts = journal.iter().filter(|entry| entry["method"] == "PUT");
        let statuses: Vec<&Value> = puts.map(|entry| &entry["status"]).collect();
        assert_eq!(statuses, [201, 412, 200], "{outcome:?}");
        self.check_well(&core, &config, &format!("{outcome:?}"));
    }

    /// Applies with an operation that never ends: given up in time, with its name; and a later
    /// apply resumes it.
    #[track_caller]
    pub(crate) fn check_hanging(&self, request: Request) {
        let mut config = self.api.made();
        config["timeouts"] = json!({ "create": "90m" });
        self.order(
            request,
            1,
            "before_effect",
            &json!({ "kind": "operation", "end": "hang" }),
        );
        let core = self.core();
        let first = core.apply(&Life::default(), &config);
        let Err(End::Failed(why)) = &first else {
            panic!("{}: {first:?}", self.api);
        };
        println!("{}: {why}", self.api);
        self.end_fault();
        let stuck = self.cloud.ask(Method::GET, "operations", None);
        let id = stuck["operations"][0]["id"].as_str().unwrap_or_default();
        let path = format!("operations/{id}/release");
        self.cloud.ask(Method::POST, &path, None);
        let config = self.api.made();
        let core = self.core();
        let second = core.apply(&Life::default(), &config);
        assert!(second.is_ok(), "{}: {second:?}", self.api);
        self.check_well(&core, &config, "after the operation ended");
    }
}

/// A create with this fault converges, on both clouds.
#[track_caller]
pub(crate) fn check_converges(requests: [Request; 2], times: u32, site: &str, action: &Value) {
    for (api, request) in Api::ALL.into_iter().zip(requests) {
        check_converges_on(api, request, times, site, action);
    }
}

/// The same on one.
#[track_caller]
pub(crate) fn check_converges_on(
    api: Api,
    request: Request,
    times: u32,
    site: &str,
    action: &Value,
) {
    let bed = Bed::empty(api);
    bed.order(request, times, site, action);
    let case = format!("{api}: {action} {site} of {} {}", request.0, request.1);
    bed.check_apply(&api.made(), &case);
}

/// A create with this fault ends with one error that holds these words, on both clouds; without
/// the fault, the next apply converges.
#[track_caller]
pub(crate) fn check_says(requests: [Request; 2], action: &Value, words: &[&str]) {
    for (api, request) in Api::ALL.into_iter().zip(requests) {
        check_says_on(api, request, action, words);
    }
}

/// The same on one. What failed for good is replaced, if the next apply says so.
#[track_caller]
pub(crate) fn check_says_on(api: Api, request: Request, action: &Value, words: &[&str]) {
    let bed = Bed::empty(api);
    bed.order(request, 1, "before_effect", action);
    let core = bed.core();
    let config = api.made();
    let first = core.apply(&Life::default(), &config);
    bed.end_fault();
    let Err(End::Failed(why)) = &first else {
        panic!("{api}: {action}: {first:?}");
    };
    for word in words {
        assert!(why.contains(word), "{api}: {word:?} is not in: {why}");
    }
    let mut second = core.apply(&Life::default(), &config);
    if matches!(&second, Err(End::Failed(why)) if why.contains("terraform apply -replace=")) {
        second = core.replace(&Life::default(), &config, false);
    }
    assert!(second.is_ok(), "{api}: {second:?}\nafter {why}");
    bed.check_well(&core, &config, why);
}
