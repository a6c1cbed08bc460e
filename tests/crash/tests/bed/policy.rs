//! A cluster on Google Cloud that is destroyed while reads of its project's policy, in which it has
//! roles, show an earlier one. Somebody else writes the policy as well.

use std::thread;

use paymesh_crash::{
    Api,
    core::{End, Life},
};
use serde_json::{Value, json};

use super::{Bed, Request};

/// The policy's project.
const PROJECT: &str = "/v1/projects/paymesh-hub";
/// The read of the policy.
const READ: Request = ("POST", "*/projects/paymesh-hub:getiampolicy");
/// Its write.
const WRITE: Request = ("POST", "*/projects/paymesh-hub:setiampolicy");
/// How often a policy is shown that still has our roles: longer than an absence is doubted.
const SHOWN: u32 = 4;

/// A cluster whose policy lags.
pub(crate) struct Policy {
    /// Everything, with the cluster.
    made: Value,
    bed: Bed,
    /// The bindings before the cluster was made.
    before: Vec<Value>,
    /// Those with its roles.
    granted: Vec<Value>,
}

impl Policy {
    /// A policy with the roles of a cluster.
    pub(crate) fn of_a_cluster() -> Self {
        let bed = Bed::empty(Api::Google);
        let before = bindings(&bed);
        bed.make();
        let granted = bindings(&bed);
        assert_ne!(before, granted, "the cluster has no roles");
        Self {
            made: bed.cloud.export(),
            bed,
            before,
            granted,
        }
    }

    /// A destroy whose reads show no roles of ours from the `nth` on, `times` times.
    #[track_caller]
    pub(crate) fn check_not_shown(&self, nth: u32, times: u32) {
        self.bed.cloud.import(&self.made);
        self.write(&self.before);
        self.show_past(nth, times);
        self.write(&with_theirs(&self.granted));
        let case = format!("from read {nth} on {times} reads show no roles");
        self.check_end(&self.destroy(), times, &case);
    }

    /// A destroy whose reads still show our roles after it has taken them back; `is_outrun`: that
    /// write is refused, because somebody else was faster.
    #[track_caller]
    pub(crate) fn check_still_shown(&self, is_outrun: bool) {
        self.bed.cloud.import(&self.made);
        let theirs = with_theirs(&self.granted);
        if !is_outrun {
            self.write(&theirs);
        }
        let writing = self.bed.cloud.hold(WRITE.0, WRITE.1, 1, "before_effect");
        let destroyed = thread::scope(|scope| {
            let run = scope.spawn(|| self.destroy());
            writing.wait();
            self.show_past(1, SHOWN);
            if is_outrun {
                self.write(&theirs);
            }
            writing.release();
            run.join().expect("a core does not panic")
        });
        let case = format!("roles are shown for too long, outrun: {is_outrun}");
        self.check_end(&destroyed, SHOWN, &case);
    }

    /// Reads of the policy show it as it is now, from the `nth` on, `times` times.
    fn show_past(&self, nth: u32, times: u32) {
        let action = json!({ "kind": "stale" });
        self.bed
            .order_from(nth, READ, times, "before_effect", &action);
    }

    fn destroy(&self) -> Result<bool, End> {
        let core = self.bed.core();
        core.destroy(&Life::default(), &Api::Google.made())
    }

    /// Somebody writes the policy, whatever is in it.
    fn write(&self, bindings: &[Value]) {
        let policy = json!({ "policy": { "version": 3, "bindings": bindings } });
        let somebody = self.bed.cloud.google();
        somebody.ask(&format!("{PROJECT}:setIamPolicy"), &policy);
    }

    /// Nothing of ours is left, and everything of theirs.
    #[track_caller]
    fn check_end(&self, destroyed: &Result<bool, End>, times: u32, case: &str) {
        assert_eq!(*destroyed, Ok(true), "{case}");
        assert_eq!(self.bed.end_fault(), u64::from(times), "{case}");
        let left = self.bed.cloud.inventory();
        assert_eq!(left, Vec::<String>::new(), "{case}");
        assert_eq!(bindings(&self.bed), with_theirs(&self.before), "{case}");
    }
}

/// The bindings of the policy.
fn bindings(bed: &Bed) -> Vec<Value> {
    let version = json!({ "options": { "requestedPolicyVersion": 3 } });
    let somebody = bed.cloud.google();
    let policy = somebody.ask(&format!("{PROJECT}:getIamPolicy"), &version);
    policy["bindings"].as_array().cloned().unwrap_or_default()
}

fn with_theirs(bindings: &[Value]) -> Vec<Value> {
    let mut all = bindings.to_vec();
    all.push(json!({ "role": "roles/logging.viewer", "members": ["user:theirs@paymesh.example"] }));
    all
}
