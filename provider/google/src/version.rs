//! Kubernetes versions as GKE writes them: `1.33.5-gke.1080000`.

use std::fmt;

/// A minor version of Kubernetes: `1.33`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor {
    /// The major number; 1 so far.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
}

/// A node pool may lag its control plane by this many minors.
/// Source: GKE version skew policy, read 2026-11.
pub const POOL_LAG_MAX: u32 = 2;

impl Minor {
    /// Reads `1.33`, `1.33.5` or `1.33.5-gke.1080000`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(['.', '-']);
        Some(Self {
            major: parts.next()?.parse().ok()?,
            minor: parts.next()?.parse().ok()?,
        })
    }

    /// The next minor: a control plane moves one at a time.
    #[must_use]
    pub fn following(self) -> Self {
        Self {
            minor: self.minor + 1,
            ..self
        }
    }

    /// How many minors `self` is behind `other`; zero if it is not.
    pub fn behind(self, other: Self) -> u32 {
        if self.major == other.major {
            other.minor.saturating_sub(self.minor)
        } else {
            0
        }
    }
}

/// The least version: `1.33`, or `1.33.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The least minor version.
    pub minor: Minor,
    /// The least patch of that minor.
    pub patch: Option<u32>,
}

impl Floor {
    /// Reads `1.33` or `1.33.5`, with or without a build.
    pub fn parse(text: &str) -> Option<Self> {
        let patch = text.split(['.', '-']).nth(2);
        Some(Self {
            minor: Minor::parse(text)?,
            patch: patch.and_then(|patch| patch.parse().ok()),
        })
    }

    /// Whether what runs `version` meets this.
    pub fn is_met_by(self, version: &str) -> bool {
        Self::parse(version).is_none_or(|runs| (runs.minor, runs.patch) >= (self.minor, self.patch))
    }
}

/// The numbers of a version, which compare as versions do.
pub(crate) fn order(version: &str) -> Vec<u64> {
    let parts = version.split(['.', '-']);
    parts.filter_map(|part| part.parse().ok()).collect()
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_version_has_its_minor() {
        for text in ["1.33", "1.33.5", "1.33.5-gke.1080000"] {
            assert_eq!(Minor::parse(text).unwrap().to_string(), "1.33");
        }
        for text in ["", "latest", "1", "-"] {
            assert_eq!(Minor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_floor_with_a_patch_is_met_by_later_patches_and_minors() {
        let floor = Floor::parse("1.33.5").unwrap();
        let met = |version| floor.is_met_by(version);
        assert!(met("1.33.5-gke.1") && met("1.33.10-gke.1") && met("1.34.0-gke.1"));
        assert!(!met("1.33.4-gke.9") && !met("1.32.11-gke.1"));
        assert!(Floor::parse("1.33").unwrap().is_met_by("1.33.0-gke.1"));
    }

    #[test]
    fn a_pool_counts_how_far_it_lags() {
        let [old, new] = ["1.31", "1.33"].map(|text| Minor::parse(text).unwrap());
        assert_eq!((old.behind(new), new.behind(old)), (2, 0));
    }
}
