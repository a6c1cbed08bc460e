//! An IAM policy as JSON: which of its bindings are ours, and the same policy with others of ours.
//!
//! Bindings, conditions and fields that are not ours stay as they are, in their places.

use std::collections::BTreeSet;

use paymesh_cloud::{Error, ErrorKind};
use paymesh_engine::Mark;
use serde_json::{Value, json};

use crate::ClusterName;

/// The version of policies that have conditions. A policy that is read or written as an older one
/// loses them (IAM documentation, "Policy versions", read 2026-11).
pub(super) const VERSION: u32 = 3;

/// How the condition begins that grants a role for one cluster.
const OF_CLUSTER: &str = "resource.name == \"";

/// A role for one member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grant {
    /// `roles/container.admin`.
    pub(super) role: String,
    /// `group:payments@example.com`.
    pub(super) member: String,
    /// Whether it counts for the cluster only.
    pub(super) of_cluster: bool,
}

/// By what a grant of ours is known. The name in a mark is the cluster's own address, so that a
/// grant that bears it is the cluster's, whoever's owner stands beside it: who has the cluster has
/// its grants, also those of the owner that it was imported from.
pub(crate) struct Sign {
    /// The digest of the mark's name.
    name: String,
    /// The condition of what is granted to others.
    pub(super) condition: Value,
    /// The address of the account that is wholly ours, if there is one.
    pub(super) account: Option<String>,
}

impl Sign {
    /// The sign of a cluster's grants. The title is the mark: nothing else in a policy can be.
    pub(super) fn new(mark: &Mark, cluster: &str, account: Option<String>) -> Self {
        let [(_, owner), (_, name)] = mark.digests();
        Self::of_digests([&owner, &name], cluster, account)
    }

    /// The same, where of the mark only the digests are known.
    pub(crate) fn of_digests(
        [owner, name]: [&str; 2],
        cluster: &str,
        account: Option<String>,
    ) -> Self {
        let (owner_key, name_key) = (Mark::OWNER_KEY, Mark::NAME_KEY);
        Self {
            name: name.to_owned(),
            condition: json!({
                "title": format!("{owner_key}={owner} {name_key}={name}"),
                "description": "Set by Paymesh for one cluster; changes are overwritten.",
                "expression": format!("{OF_CLUSTER}{cluster}\""),
            }),
            account,
        }
    }

    fn is_condition(&self, condition: &Value) -> bool {
        condition["expression"] == self.condition["expression"]
            && mark_in(condition).is_some_and(|[_, name]| name == self.name)
    }

    /// Whether it also bears our owner.
    fn is_own_condition(&self, condition: &Value) -> bool {
        self.is_condition(condition) && condition["title"] == self.condition["title"]
    }

    fn is_account(&self, member: &str) -> bool {
        self.account
            .as_ref()
            .is_some_and(|email| member == format!("serviceAccount:{email}"))
    }

    /// Whether `member` is an earlier account of the same name, which is gone.
    fn is_shadow(&self, member: &str) -> bool {
        self.account.as_ref().is_some_and(|email| {
            member.starts_with(&format!("deleted:serviceAccount:{email}?uid="))
        })
    }
}

/// The policy that `answer` is. An empty answer of a proxy would look like a policy of nobody, and
/// what is written without an etag takes the place of everything.
pub(crate) fn policy_of(answer: Value) -> Result<Value, Error> {
    let etag = answer["etag"].as_str().unwrap_or_default();
    if etag.is_empty() {
        let text = "the answer is no policy: it has no etag.";
        return Err(Error::new(ErrorKind::Malformed, text));
    }
    Ok(answer)
}

/// The grants of ours in `policy`.
pub(super) fn ours(policy: &Value, sign: &Sign) -> BTreeSet<Grant> {
    let mut found = BTreeSet::new();
    for binding in bindings(policy) {
        let condition = binding.get("condition");
        let of_cluster = condition.is_some_and(|it| sign.is_condition(it));
        for member in members(binding) {
            if of_cluster || (condition.is_none() && sign.is_account(member)) {
                found.insert(Grant {
                    role: binding["role"].as_str().unwrap_or_default().to_owned(),
                    member: member.to_owned(),
                    of_cluster,
                });
            }
        }
    }
    found
}

/// Whether some of the grants of ours bear another owner.
pub(super) fn bears_another_owner(policy: &Value, sign: &Sign) -> bool {
    bindings(policy)
        .filter_map(|binding| binding.get("condition"))
        .any(|it| sign.is_condition(it) && !sign.is_own_condition(it))
}

/// The marks of the grants in `policy` that count for one cluster only, with that cluster.
pub(crate) fn marks(policy: &Value) -> BTreeSet<([&str; 2], ClusterName)> {
    let found = bindings(policy).filter_map(|binding| {
        let condition = binding.get("condition")?;
        let cluster = condition["expression"].as_str()?;
        let cluster = cluster.strip_prefix(OF_CLUSTER)?.strip_suffix('"')?;
        Some((mark_in(condition)?, ClusterName::parse(cluster).ok()?))
    });
    found.collect()
}

/// The digests of the mark that a condition bears.
fn mark_in(condition: &Value) -> Option<[&str; 2]> {
    Mark::digests_in(condition["title"].as_str()?)
}

/// `policy` without the grants of ours; nothing, if it has none.
pub(crate) fn without(policy: &Value, sign: &Sign) -> Option<Value> {
    let unwanted = ours(policy, sign);
    (!unwanted.is_empty()).then(|| changed(policy, sign, &unwanted, &BTreeSet::new()))
}

/// `policy` with `wanted` instead of `unwanted`.
pub(super) fn changed(
    policy: &Value,
    sign: &Sign,
    unwanted: &BTreeSet<Grant>,
    wanted: &BTreeSet<Grant>,
) -> Value {
    let mut list: Vec<Value> = bindings(policy).cloned().collect();
    for binding in &mut list {
        let role = binding["role"].as_str().unwrap_or_default().to_owned();
        let condition = binding.get("condition");
        let of_cluster = condition.is_some_and(|it| sign.is_condition(it));
        let is_plain = condition.is_none();
        let members = binding.get_mut("members").and_then(Value::as_array_mut);
        if let Some(members) = members {
            members.retain(|member| {
                let member = member.as_str().unwrap_or_default();
                let grant = Grant {
                    role: role.clone(),
                    member: member.to_owned(),
                    of_cluster,
                };
                let goes = (of_cluster || is_plain) && unwanted.contains(&grant);
                !goes && !sign.is_shadow(member)
            });
        }
    }
    list.retain(|binding| members(binding).next().is_some());
    for grant in wanted {
        let place = list.iter_mut().find(|binding| {
            let same_terms = match binding.get("condition") {
                None => !grant.of_cluster,
                Some(condition) => grant.of_cluster && sign.is_own_condition(condition),
            };
            binding["role"] == grant.role && same_terms
        });
        match place {
            Some(binding) if members(binding).any(|member| member == grant.member) => {}
            Some(binding) => {
                if let Some(members) = binding["members"].as_array_mut() {
                    members.push(json!(grant.member));
                }
            }
            None => {
                let mut binding = json!({ "role": grant.role, "members": [grant.member] });
                if grant.of_cluster {
                    binding["condition"] = sign.condition.clone();
                }
                list.push(binding);
            }
        }
    }
    let mut changed = policy.clone();
    changed["bindings"] = json!(list);
    changed["version"] = json!(VERSION);
    changed
}

fn bindings(policy: &Value) -> impl Iterator<Item = &Value> {
    policy["bindings"].as_array().into_iter().flatten()
}

fn members(binding: &Value) -> impl Iterator<Item = &str> {
    let members = binding["members"].as_array().into_iter().flatten();
    members.filter_map(Value::as_str)
}
