//! Versions of Kubernetes, whoever runs it: which is newer, which meets a minimum, and the way from
//! one to another.
//!
//! A configured version is a minimum. A cluster that the cloud has upgraded by itself is above it
//! and therefore right; one below it climbs one minor at a time, and its pools follow.

use std::{fmt, str::FromStr};

/// A version: `1.34`, which stands for any patch, `1.34.2`, or `1.34.2-gke.1200` as GKE writes it.
/// They compare as versions do; what is left out comes before what is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// What follows `1.`; there is no Kubernetes 2.
    minor: u32,
    patch: Option<u32>,
    /// The number of a build of GKE.
    build: Option<u64>,
}

/// Text that is not a Kubernetes version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadVersion(String);

impl Version {
    /// `1.` and the minor.
    pub const fn of_minor(minor: u32) -> Self {
        Self {
            minor,
            patch: None,
            build: None,
        }
    }

    /// The version without its patch: `1.34`.
    #[must_use]
    pub const fn minor(self) -> Self {
        Self::of_minor(self.minor)
    }

    /// The minor after this one.
    #[must_use]
    pub const fn following(self) -> Self {
        Self::of_minor(self.minor + 1)
    }

    /// Whether a patch is named.
    pub const fn has_patch(self) -> bool {
        self.patch.is_some()
    }

    /// Whether a build of GKE is named.
    pub const fn has_build(self) -> bool {
        self.build.is_some()
    }

    /// Whether what runs this version meets the minimum `floor`; a build is never asked for.
    pub fn meets(self, floor: Self) -> bool {
        (self.minor, self.patch) >= (floor.minor, floor.patch)
    }

    /// By how many minors this version is behind `other`; zero if it is not.
    pub const fn minors_behind(self, other: Self) -> u32 {
        other.minor.saturating_sub(self.minor)
    }

    /// The versions that a control plane passes through from this one up to `floor`, one minor at a
    /// time; the last is `floor` itself. Empty if the floor is met.
    pub fn path_to(self, floor: Self) -> Vec<Self> {
        if self.meets(floor) {
            return Vec::new();
        }
        let between = (self.minor + 1..floor.minor).map(Self::of_minor);
        between.chain([floor]).collect()
    }
}

/// The oldest minor among these; what is no version does not count.
pub fn oldest_minor<'a>(running: impl Iterator<Item = &'a str>) -> Option<Version> {
    let versions = running.filter_map(|text| text.parse::<Version>().ok());
    versions.map(Version::minor).min()
}

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion(text.to_owned());
        let number = |part: &str| {
            let plain = part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
            let number = plain.then(|| part.parse::<u32>().ok());
            number.flatten().ok_or_else(bad)
        };
        let (numbers, build) = match text.split_once("-gke.") {
            Some((numbers, build)) => (numbers, Some(build.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        let parts: Vec<&str> = numbers.split('.').collect();
        let (minor, patch) = match parts.as_slice() {
            ["1", minor] if build.is_none() => (number(minor)?, None),
            ["1", minor, patch] => (number(minor)?, Some(number(patch)?)),
            _ => return Err(bad()),
        };
        Ok(Self {
            minor,
            patch,
            build,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)?;
        if let Some(patch) = self.patch {
            write!(f, ".{patch}")?;
        }
        if let Some(build) = self.build {
            write!(f, "-gke.{build}")?;
        }
        Ok(())
    }
}

impl fmt::Display for BadVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a Kubernetes version such as \"1.34\" or \"1.34.2\"",
            self.0
        )
    }
}

impl std::error::Error for BadVersion {}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn a_minor_is_met_by_every_patch_of_it_and_everything_newer() {
        for running in ["1.34", "1.34.0", "1.34.9", "1.35.1", "1.34.2-gke.1200"] {
            assert!(version(running).meets(version("1.34")), "{running}");
        }
        for running in ["1.33.9", "1.9.1"] {
            assert!(!version(running).meets(version("1.34")), "{running}");
        }
    }

    #[test]
    fn a_patch_is_met_by_later_patches_only() {
        let floor = version("1.34.2");
        for running in ["1.34.3", "1.34.10-gke.1", "1.34.2-gke.1", "1.35.0"] {
            assert!(version(running).meets(floor), "{running}");
        }
        for running in ["1.34", "1.34.1", "1.33.11-gke.9"] {
            assert!(!version(running).meets(floor), "{running}");
        }
    }

    #[test]
    fn a_control_plane_climbs_one_minor_at_a_time_and_never_down() {
        let path = |from: &str, to: &str| {
            let path = version(from).path_to(version(to));
            path.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(path("1.32.4", "1.35.1"), ["1.33", "1.34", "1.35.1"]);
        assert_eq!(path("1.33.1", "1.34"), ["1.34"]);
        assert_eq!(path("1.34.1", "1.34.2"), ["1.34.2"]);
        assert_eq!(path("1.34.1", "1.34"), [""; 0]);
        assert_eq!(path("1.35.2", "1.34.9"), [""; 0]);
    }

    #[test]
    fn versions_are_ordered_by_their_numbers_and_keep_their_spelling() {
        let sorted = [
            "1.9.1",
            "1.33.10",
            "1.34",
            "1.34.2-gke.900",
            "1.34.2-gke.1200",
            "1.34.10-gke.5",
        ];
        assert!(sorted.map(version).is_sorted());
        for text in sorted {
            assert_eq!(version(text).to_string(), text);
        }
    }

    #[test]
    fn a_pool_counts_how_far_it_lags() {
        let [old, new] = ["1.31.4-gke.1", "1.33"].map(version);
        assert_eq!((old.minors_behind(new), new.minors_behind(old)), (2, 0));
    }

    #[test]
    fn what_is_not_a_version_does_not_count_for_the_oldest() {
        let running = ["1.34.2", "latest", "1.33.1-gke.5", ""];
        assert_eq!(oldest_minor(running.into_iter()), Some(version("1.33")));
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for text in [
            "",
            "1",
            "1.",
            "v1.34",
            "1.34.x",
            "2.1",
            "latest",
            "1.34-",
            "1.2.3.4",
            "1.99999",
            "1.34-gke.1",
            "1.34.2-gke.",
            "1.34.2-eks.1",
            "1.+4",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
