//! What a configuration of a cluster must satisfy, as far as it can be told without a cloud.
//!
//! Every rule sees the draft, in which each field is known, null or unknown; it speaks only when
//! what it needs is known, and all rules speak at once. Each finding names its attribute, says
//! what is wrong with the values and what to write instead.

mod access;
mod calendar;
mod network;
mod pools;
mod whole;
mod words;

pub(crate) use network::{project, subscription};
use paymesh_plugin::{findings::Findings, path::Path, spec::Field};

use super::spec::ClusterSpecDraft;

/// The cloud that a draft has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cloud {
    /// AKS.
    Azure,
    /// GKE.
    Google,
}

/// Checks everything that the declaration of the attributes does not say.
pub fn check(draft: &ClusterSpecDraft, _: &Path, found: &mut Findings) {
    let cloud = match (&draft.azure, &draft.google) {
        (Field::Known(_), Field::Null) => Some(Cloud::Azure),
        (Field::Null, Field::Known(_)) => Some(Cloud::Google),
        _ => None,
    };
    whole::check(draft, cloud, found);
    network::check(draft, cloud, found);
    access::check(draft, cloud, found);
    pools::check(draft, cloud, found);
    calendar::check(draft, cloud, found);
}

pub(super) use whole::default_labels;

/// The path of an attribute at the root.
pub(crate) fn at(name: &str) -> Path {
    Path::root().attribute(name)
}

#[cfg(test)]
mod tests {
    use paymesh_plugin::spec::Attributes;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::cluster::{fixture, spec::ClusterSpec};

    #[track_caller]
    fn check_accepted(change: &Json) {
        for cloud in ["azure", "google"] {
            let config = fixture::config(cloud, change);
            let mut found = Findings::new();
            ClusterSpec::read(&fixture::value(&config), &mut found);
            assert_eq!(found.to_string(), "", "{cloud}: {change}");
        }
    }

    // Bad configurations are refused in a real client: `acceptance refused::`.
    #[test]
    fn good_configurations_are_accepted() {
        check_accepted(&json!({}));
    }

    #[test]
    fn nothing_is_refused_while_it_is_unknown() {
        for attribute in [
            "region",
            "kubernetes_version",
            "node_pools",
            "network",
            "admins",
        ] {
            check_accepted(&json!({ attribute: fixture::UNKNOWN }));
        }
    }
}
