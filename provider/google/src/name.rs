//! Names of Google objects: one spelling for every form in which the cloud or a user writes them.

use std::fmt;

/// A place in a project: a region or a zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The project's id, never its number.
    pub project: String,
    /// A region (`europe-west1`) or a zone (`europe-west1-b`).
    pub location: String,
}

/// A GKE cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterName {
    /// Where it is.
    pub place: Location,
    /// Its name, unique within the place.
    pub cluster: String,
}

/// A node pool of a GKE cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodePoolName {
    /// The cluster it belongs to.
    pub cluster: ClusterName,
    /// Its name, unique within the cluster.
    pub pool: String,
}

/// A text that names no cluster. Displays the accepted forms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not the id of a GKE cluster. Accepted are \
     projects/PROJECT/locations/LOCATION/clusters/NAME and the cluster's self link"
)]
pub struct NotACluster(pub String);

impl ClusterName {
    /// Reads an id or a self link, with `locations`, `zones` or `regions`.
    pub fn parse(text: &str) -> Result<Self, NotACluster> {
        let wrong = || NotACluster(text.to_owned());
        let from = text.find("projects/").ok_or_else(wrong)?;
        let parts: Vec<&str> = text[from..].split('/').collect();
        match parts.as_slice() {
            [
                "projects",
                project,
                "locations" | "zones" | "regions",
                location,
                "clusters",
                cluster,
            ] if [project, location, cluster]
                .iter()
                .all(|part| is_word(part)) =>
            {
                Ok(Self {
                    place: Location {
                        project: (*project).to_owned(),
                        location: (*location).to_owned(),
                    },
                    cluster: (*cluster).to_owned(),
                })
            }
            _ => Err(wrong()),
        }
    }

    /// The pool of this cluster called `pool`.
    pub fn pool(&self, pool: impl Into<String>) -> NodePoolName {
        NodePoolName {
            cluster: self.clone(),
            pool: pool.into(),
        }
    }
}

fn is_word(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

impl Location {
    /// Whether this is a zone and not a region: zones end in a single letter.
    pub fn is_zone(&self) -> bool {
        self.location.rsplit_once('-').is_some_and(|(_, last)| {
            last.len() == 1 && last.bytes().all(|byte| byte.is_ascii_lowercase())
        })
    }

    /// The region itself, or the region of the zone.
    pub fn region(&self) -> &str {
        match self.location.rsplit_once('-') {
            Some((region, _)) if self.is_zone() => region,
            _ => &self.location,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projects/{}/locations/{}", self.project, self.location)
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/clusters/{}", self.place, self.cluster)
    }
}

impl fmt::Display for NodePoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/nodePools/{}", self.cluster, self.pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_cluster_is_read_as_one() {
        for text in [
            "projects/pay/locations/europe-west1/clusters/main",
            "projects/pay/regions/europe-west1/clusters/main",
            "https://container.googleapis.com/v1/projects/pay/locations/europe-west1/clusters/main",
            "//container.googleapis.com/projects/pay/zones/europe-west1/clusters/main",
        ] {
            let name = ClusterName::parse(text).unwrap();
            assert_eq!(
                name.to_string(),
                "projects/pay/locations/europe-west1/clusters/main"
            );
        }
    }

    #[test]
    fn what_names_no_cluster_is_refused() {
        for text in [
            "",
            "main",
            "projects/pay/locations/europe-west1/clusters/",
            "projects/pay/locations/europe-west1/clusters/main/nodePools/a",
            "projects/p?y/locations/europe-west1/clusters/main",
            "projects/pay/locations/europe-west1/clusters/../x",
        ] {
            assert!(ClusterName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_zone_knows_its_region() {
        let place = |location: &str| Location {
            project: "pay".into(),
            location: location.into(),
        };
        assert_eq!(place("europe-west1-b").region(), "europe-west1");
        assert_eq!(place("europe-west1").region(), "europe-west1");
        assert!(!place("europe-west1").is_zone());
    }
}
