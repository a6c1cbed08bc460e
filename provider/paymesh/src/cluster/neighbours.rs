//! What two clusters of one run must not both have.

use paymesh_engine::ObjectId;
use paymesh_google::cluster::Cluster;
use paymesh_plugin::{findings::Findings, path::Path};

use super::{address::Range, checks::refuse, google, spec::ClusterSpec};
use crate::{codes, session::Session};

/// What the plan of one cluster has taken for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The cluster.
    pub cluster: ObjectId,
    /// What it has taken.
    taken: Vec<Taken>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    path: Path,
    range: Option<Range>,
    word: String,
}

/// Compares a cluster with those of the same network that were planned before in this run.
pub(super) fn check(session: &Session, spec: &ClusterSpec, found: &mut Findings) {
    let Some(network) = &spec.network else { return };
    let place = network
        .subnet_id
        .to_ascii_lowercase()
        .split("/subnets/")
        .next()
        .unwrap_or_default()
        .to_owned();
    let at = |parent: &str, name: &str| Path::root().attribute(parent).attribute(name);
    let ranged = |path: Path, text: &str| {
        text.parse::<Range>().ok().map(|range| Taken {
            path,
            range: Some(range),
            word: range.to_string(),
        })
    };
    let worded = |path: Path, word: &str| Taken {
        path,
        range: None,
        word: word.to_owned(),
    };
    let mut taken = Vec::new();
    if let Some(google) = &spec.google {
        let range = google.control_plane_cidr.as_deref();
        taken.extend(range.and_then(|text| ranged(at("google", "control_plane_cidr"), text)));
        let words = [
            ("pods_range", &network.pods_range),
            ("services_range", &network.services_range),
        ];
        taken.extend(
            words
                .into_iter()
                .filter_map(|(name, word)| Some(worded(at("network", name), word.as_deref()?))),
        );
    }
    let Ok(name) = google::cluster_name(session, spec) else {
        return;
    };
    let mine = Neighbour {
        cluster: Cluster::id_of(&name),
        taken,
    };
    let others = session.meet(&place, mine.clone());
    for (ours, theirs, name) in others.iter().flat_map(|other| {
        mine.taken.iter().flat_map(move |ours| {
            other
                .taken
                .iter()
                .map(move |theirs| (ours, theirs, &other.cluster.name))
        })
    }) {
        match (ours.range, theirs.range) {
            (Some(mine), Some(other)) if mine.overlaps(other) && ours.path == theirs.path => {
                refuse(
                    found,
                    ours.path.clone(),
                    codes::CLUSTERS_SHARE_ADDRESSES,
                    [
                        "Two clusters of one network share addresses",
                        &format!(
                            "{} of this cluster is {mine}, that of {name} is {other}",
                            ours.path
                        ),
                        "give each cluster a range of its own",
                    ],
                );
            }
            (None, None) if ours.word == theirs.word => {
                refuse(
                    found,
                    ours.path.clone(),
                    codes::CLUSTERS_SHARE_RANGE,
                    [
                        "Two clusters use one secondary range",
                        &format!(
                            "{} is {:?}, which {name} uses as its {}",
                            ours.path, ours.word, theirs.path
                        ),
                        "give each cluster secondary ranges of its own",
                    ],
                );
            }
            _ => {}
        }
    }
}
