//! Profiles: sizing, spread and autoscaling in one word.
//!
//! The table below is the whole meaning of `profile`; the documentation prints it. What is set
//! explicitly in the configuration wins over the profile.

use std::collections::BTreeMap;

/// What a profile stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The AKS tier: `Standard` has an availability promise for the API server, `Free` none.
    pub aks_tier: &'static str,
    /// How many zones a pool that names none is spread over (AKS). GKE spreads it over three.
    pub zones: usize,
    /// Nodes added beside a pool while it is upgraded.
    pub surge: &'static str,
    /// The same on GKE, which counts nodes instead of shares.
    pub surge_nodes: u32,
    /// How long a node may take to empty while its AKS pool is upgraded, before the upgrade stops.
    /// No pod is ever taken away against its disruption budget.
    pub drain_minutes: u32,
    /// How the GKE autoscaler trades spare nodes against speed.
    pub gke_autoscaling: &'static str,
    /// Every key of the AKS autoscaler that differs from the cloud's default.
    pub autoscaler: &'static [(&'static str, &'static str)],
    /// What is given up, for the documentation.
    pub gives_up: &'static [&'static str],
}

/// Three zones, a paid tier and an autoscaler that is slow to take nodes away.
pub const HIGH_AVAILABILITY: Terms = Terms {
    aks_tier: "Standard",
    zones: 3,
    surge: "33%",
    drain_minutes: 60,
    surge_nodes: 1,
    gke_autoscaling: "BALANCED",
    autoscaler: &[
        ("balance-similar-node-groups", "true"),
        ("expander", "least-waste"),
        ("max-graceful-termination-sec", "900"),
        ("scale-down-delay-after-add", "20m"),
        ("scale-down-unneeded-time", "20m"),
        ("scale-down-utilization-threshold", "0.4"),
        ("skip-nodes-with-local-storage", "true"),
        ("skip-nodes-with-system-pods", "true"),
    ],
    gives_up: &[],
};

/// One zone for what cannot be cheaper elsewhere, a free tier and an eager autoscaler.
pub const COST_OPTIMIZED: Terms = Terms {
    aks_tier: "Free",
    zones: 1,
    surge: "10%",
    drain_minutes: 30,
    surge_nodes: 1,
    gke_autoscaling: "OPTIMIZE_UTILIZATION",
    autoscaler: &[
        ("balance-similar-node-groups", "false"),
        ("expander", "least-waste"),
        ("max-graceful-termination-sec", "600"),
        ("scale-down-delay-after-add", "5m"),
        ("scale-down-unneeded-time", "5m"),
        ("scale-down-utilization-threshold", "0.7"),
        ("skip-nodes-with-local-storage", "false"),
        ("skip-nodes-with-system-pods", "false"),
    ],
    gives_up: &[
        "the availability promise for the API server",
        "survival of a zone (AKS): control plane and pools live in one; on GKE, name one zone for each pool",
        "spare nodes: a burst waits for machines to start",
        "pods with local storage are moved when a node is nearly idle",
    ],
};

/// The autoscaler keys as AKS takes them, the explicit ones over those of the profile.
pub fn autoscaler(terms: &Terms) -> BTreeMap<String, String> {
    terms
        .autoscaler
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_settle_the_same_autoscaler_keys() {
        let keys = |terms: &Terms| autoscaler(terms).into_keys().collect::<Vec<_>>();
        assert_eq!(keys(&HIGH_AVAILABILITY), keys(&COST_OPTIMIZED));
    }
}
