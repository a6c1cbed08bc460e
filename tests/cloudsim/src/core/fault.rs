//! Faults on order: which requests, at which point, and what happens.
//!
//! A rule matches by API, verb and path pattern (`*` stands for anything), skips the first
//! `nth - 1` matches, and then acts `times` times (0: for ever). Sites, in the order a request
//! passes them: `before_receipt` (nothing read), `before_effect` (received, not applied),
//! `after_effect` (applied, not answered), `after_answer`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    clock::Millis,
    operation::{Ending, Failure},
    store::Past,
};

/// A point on a request's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Site {
    /// Nothing was read.
    BeforeReceipt,
    /// Received, not applied.
    #[default]
    BeforeEffect,
    /// Applied, not answered.
    AfterEffect,
    /// Answered.
    AfterAnswer,
}

/// The form of a wrong body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Garbage {
    /// No body.
    Empty,
    /// A gateway's HTML page.
    Html,
    /// A body that ends before its announced length.
    Truncated,
}

/// How an operation ends on order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// It fails.
    Failed,
    /// It is cancelled.
    Canceled,
    /// It never ends.
    Hang,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    /// The connection is cut.
    Cut,
    /// The request waits this long, in simulated seconds.
    Delay {
        /// Simulated seconds.
        seconds: f64,
    },
    /// The request waits until the rule is released or deleted.
    Hold,
    /// 429.
    Throttle {
        /// Seconds in Retry-After; absent: no such header.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// A given status, and a body or garbage.
    Answer {
        /// The status; absent (with garbage): the true one.
        #[serde(default)]
        status: Option<u16>,
        /// A body in place of the true one.
        #[serde(default)]
        body: Option<Value>,
        /// Garbage in place of a body.
        #[serde(default)]
        garbage: Option<Garbage>,
        /// More headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Headers that the true answer has and this one lacks.
        #[serde(default)]
        without_headers: Vec<String>,
    },
    /// The operation that the request starts ends badly, or never.
    Operation {
        /// How.
        end: End,
        /// The code of a failure.
        #[serde(default = "internal_error")]
        code: String,
        /// The words of a failure.
        #[serde(default)]
        message: String,
    },
    /// The request reads the world as it was when the rule was made; a write is as ever.
    Stale,
    /// All tokens handed out so far are refused from this request on.
    ExpireTokens,
    /// A region is lost while the rule stands.
    LoseRegion {
        /// The region.
        region: String,
    },
    /// A zone is lost while the rule stands.
    LoseZone {
        /// The region (Azure), or the region of the zone (Google).
        region: String,
        /// The zone.
        zone: String,
    },
    /// Pods of a cluster find no node while the rule stands, however many nodes there are.
    PendingPods {
        /// The cluster's name.
        cluster: String,
    },
}

/// A rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Chosen by the caller, or `fault-N`.
    #[serde(default)]
    pub(crate) id: String,
    /// `azure`, `google` or `terraform`; absent: any.
    #[serde(default)]
    pub(crate) api: Option<String>,
    /// A verb; absent: any.
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// A pattern for the whole path, compared without case; absent: any.
    #[serde(default)]
    pub(crate) path: Option<String>,
    /// The first match that counts, from 1.
    #[serde(default = "one")]
    pub(crate) nth: u32,
    /// How often the rule acts; 0: for ever.
    #[serde(default = "one")]
    pub(crate) times: u32,
    /// Where it acts.
    #[serde(default)]
    pub(crate) site: Site,
    /// What it does.
    pub(crate) action: Action,
}

impl Action {
    /// How this wants the next operation to end.
    pub(crate) fn ending(&self) -> Option<Ending> {
        let Self::Operation { end, code, message } = self else {
            return None;
        };
        Some(match end {
            End::Failed => Ending::Failed(Failure {
                code: code.clone(),
                message: message.clone(),
            }),
            End::Canceled => Ending::Canceled,
            End::Hang => Ending::Hang,
        })
    }
}

fn internal_error() -> String {
    "InternalOperationError".into()
}

fn one() -> u32 {
    1
}

/// Whether the requests held by a rule may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Not yet.
    Wait,
    /// They go on.
    Continue,
    /// They are cut.
    Cut,
}

struct Armed {
    rule: Rule,
    since: Millis,
    seen: u32,
    fired: u32,
    held: Vec<u64>,
    release: watch::Sender<Release>,
    past: Option<Past>,
}

/// All rules.
#[derive(Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
    made: u32,
}

impl Faults {
    /// Adds a rule. `past` is what stale reads see.
    pub(crate) fn add(
        &mut self,
        mut rule: Rule,
        now: Millis,
        past: impl FnOnce() -> Past,
    ) -> Result<String, String> {
        self.made += 1;
        if rule.id.is_empty() {
            rule.id = format!("fault-{}", self.made);
        }
        if self.armed.iter().any(|armed| armed.rule.id == rule.id) {
            return Err(format!(
                "there is already a fault {:?}; delete it first",
                rule.id
            ));
        }
        if rule.nth == 0 {
            return Err("nth counts from 1".into());
        }
        let past = (rule.action == Action::Stale).then(past);
        let id = rule.id.clone();
        let release = watch::Sender::new(Release::Wait);
        self.armed.push(Armed {
            rule,
            since: now,
            seen: 0,
            fired: 0,
            held: Vec::new(),
            release,
            past,
        });
        Ok(id)
    }

    /// Counts a request and returns the rules that act on it.
    pub(crate) fn strike(&mut self, api: &str, method: &str, path: &str) -> Vec<Rule> {
        let mut struck = Vec::new();
        for armed in &mut self.armed {
            let rule = &armed.rule;
            let matches = !matches!(
                rule.action,
                Action::LoseRegion { .. } | Action::LoseZone { .. } | Action::PendingPods { .. }
            ) && rule.api.as_deref().is_none_or(|wanted| wanted == api)
                && rule
                    .method
                    .as_deref()
                    .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && rule
                    .path
                    .as_deref()
                    .is_none_or(|pattern| glob(pattern, path));
            if !matches {
                continue;
            }
            armed.seen += 1;
            if armed.seen >= rule.nth && (rule.times == 0 || armed.fired < rule.times) {
                armed.fired += 1;
                struck.push(rule.clone());
            }
        }
        struck
    }

    /// Notes that a request is held; the receiver says when it may go on.
    pub(crate) fn hold(&mut self, id: &str, number: u64) -> Option<watch::Receiver<Release>> {
        let armed = self.armed.iter_mut().find(|armed| armed.rule.id == id)?;
        armed.held.push(number);
        Some(armed.release.subscribe())
    }

    /// Notes that a request is no longer held.
    pub(crate) fn unhold(&mut self, id: &str, number: u64) {
        if let Some(armed) = self.armed.iter_mut().find(|armed| armed.rule.id == id) {
            armed.held.retain(|held| *held != number);
        }
    }

    /// Lets held requests go on, or cuts them.
    pub(crate) fn release(&mut self, id: &str, release: Release) -> bool {
        let found = self.armed.iter().find(|armed| armed.rule.id == id);
        found
            .map(|armed| armed.release.send_replace(release))
            .is_some()
    }

    /// What stale reads under this rule see.
    pub(crate) fn past(&mut self, id: &str) -> Option<&mut Past> {
        self.armed
            .iter_mut()
            .find(|armed| armed.rule.id == id)?
            .past
            .as_mut()
    }

    /// Whether `region` of `api` is lost.
    pub(crate) fn lost_region(&self, api: &str, region: &str) -> bool {
        self.armed.iter().any(|armed| {
            armed.rule.api.as_deref().is_none_or(|wanted| wanted == api)
                && matches!(&armed.rule.action, Action::LoseRegion { region: lost } if lost.eq_ignore_ascii_case(region))
        })
    }

    /// Whether `zone` of `region` of `api` is lost.
    pub(crate) fn lost_zone(&self, api: &str, region: &str, zone: &str) -> bool {
        self.lost_region(api, region)
            || self.armed.iter().any(|armed| {
                armed.rule.api.as_deref().is_none_or(|wanted| wanted == api)
                    && matches!(&armed.rule.action, Action::LoseZone { region: at, zone: lost }
                        if at.eq_ignore_ascii_case(region) && lost == zone)
            })
    }

    /// Since when pods of a cluster of `api` are pending, if they are.
    pub(crate) fn pods_pending(&self, api: &str, cluster: &str) -> Option<Millis> {
        let pending = self.armed.iter().filter(|armed| {
            armed.rule.api.as_deref().is_none_or(|wanted| wanted == api)
                && matches!(&armed.rule.action, Action::PendingPods { cluster: name } if name.eq_ignore_ascii_case(cluster))
        });
        pending.map(|armed| armed.since).min()
    }

    /// Deletes one rule, or all; held requests go on.
    pub(crate) fn remove(&mut self, id: Option<&str>) -> usize {
        let before = self.armed.len();
        self.armed.retain(|armed| {
            let goes = id.is_none_or(|id| armed.rule.id == id);
            if goes {
                armed.release.send_replace(Release::Continue);
            }
            !goes
        });
        before - self.armed.len()
    }

    /// What `GET /_sim/faults` shows.
    pub(crate) fn show(&self) -> Value {
        self.armed
            .iter()
            .map(|armed| {
                let mut shown = serde_json::to_value(&armed.rule).unwrap_or_default();
                shown["seen"] = json!(armed.seen);
                shown["fired"] = json!(armed.fired);
                shown["held"] = json!(armed.held);
                shown
            })
            .collect()
    }
}

/// Whether `path` matches `pattern`, where `*` stands for any run of characters, without case.
pub(crate) fn glob(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.to_ascii_lowercase(), path.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_spans_segments_and_ignores_case() {
        assert!(glob(
            "*/managedClusters/*",
            "/subscriptions/s/managedclusters/a/agentPools/b"
        ));
        assert!(glob("/a/*/c", "/a/b/c"));
        assert!(!glob("/a/*/c", "/a/b/d"));
        assert!(!glob("/a", "/a/b"));
    }

    #[test]
    fn a_rule_skips_then_acts_then_rests() {
        let mut faults = Faults::default();
        let rule = json!({ "method": "GET", "nth": 2, "times": 1, "action": { "kind": "cut" } });
        faults
            .add(serde_json::from_value(rule).unwrap(), 0, || unreachable!())
            .unwrap();
        let fired: Vec<usize> = (0..3)
            .map(|_| faults.strike("azure", "GET", "/x").len())
            .collect();
        assert_eq!(fired, [0, 1, 0]);
    }

    #[test]
    fn an_unknown_word_in_a_rule_is_refused() {
        let rule = json!({ "metod": "GET", "action": { "kind": "cut" } });
        assert!(serde_json::from_value::<Rule>(rule).is_err());
    }
}
