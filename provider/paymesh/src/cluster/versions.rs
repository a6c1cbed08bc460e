//! Kubernetes versions: a minimum, one minor at a time, pools never above the control plane.
//!
//! The configured version is a floor. A cluster that the cloud has upgraded by itself is above
//! the floor and therefore right; a cluster below it is upgraded in order: the control plane to
//! the next minor, then the pools, then the next minor.

use std::{fmt, str::FromStr};

/// How many minors a node may lag behind its control plane on both clouds.
pub const MAX_SKEW: u32 = 2;

/// A Kubernetes version as a cloud reports it: `1.34`, `1.34.2` or `1.34.2-gke.1200`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: Option<u32>,
    build: Option<String>,
}

/// Text that is not a Kubernetes version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadVersion(String);

impl Version {
    /// `1.` and the minor.
    pub(super) const fn of_minor(minor: u32) -> Self {
        Self {
            major: 1,
            minor,
            patch: None,
            build: None,
        }
    }

    /// The version without its patch: `1.34`.
    #[must_use]
    pub fn minor(&self) -> Self {
        Self {
            patch: None,
            build: None,
            ..self.clone()
        }
    }

    /// The number after the first dot.
    pub fn minor_number(&self) -> u32 {
        self.minor
    }

    /// Whether a patch is named.
    pub fn has_patch(&self) -> bool {
        self.patch.is_some()
    }

    /// Whether a cluster that runs this version meets the minimum `floor`.
    pub fn meets(&self, floor: &Self) -> bool {
        let ours = (self.major, self.minor);
        let least = (floor.major, floor.minor);
        ours > least
            || ours == least
                && match (self.patch, floor.patch) {
                    (_, None) => true,
                    (None, Some(_)) => false,
                    (Some(ours), Some(least)) => ours >= least,
                }
    }

    /// By how many minors this version is behind `other`; zero if it is not.
    pub fn minors_behind(&self, other: &Self) -> u32 {
        other.minor.saturating_sub(self.minor)
    }

    /// The versions a control plane passes through from this one up to `floor`, one minor at a
    /// time; the last is `floor` itself. Empty if the floor is met.
    pub fn path_to(&self, floor: &Self) -> Vec<Self> {
        if self.meets(floor) {
            return Vec::new();
        }
        let mut path: Vec<Self> = (self.minor + 1..floor.minor)
            .map(|minor| Self {
                major: floor.major,
                minor,
                patch: None,
                build: None,
            })
            .collect();
        path.push(floor.clone());
        path
    }
}

/// The minimum that a cluster meets whose control plane and pools run these versions.
pub(super) fn floor_of<'a>(running: impl Iterator<Item = &'a str>) -> String {
    let versions = running.filter_map(|text| text.parse::<Version>().ok());
    let oldest = versions.map(|version| version.minor()).min();
    oldest.map_or_else(String::new, |version| version.to_string())
}

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion(text.to_owned());
        let number = |part: &str| {
            let plain = part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
            if plain {
                part.parse::<u32>().map_err(|_| bad())
            } else {
                Err(bad())
            }
        };
        let (numbers, build) = match text.split_once('-') {
            Some((numbers, build)) => (numbers, Some(build.to_owned())),
            None => (text, None),
        };
        let parts: Vec<&str> = numbers.split('.').collect();
        let (major, minor, patch) = match parts.as_slice() {
            [major, minor] if build.is_none() => (number(major)?, number(minor)?, None),
            [major, minor, patch] => (number(major)?, number(minor)?, Some(number(patch)?)),
            _ => return Err(bad()),
        };
        if major != 1 || build.as_deref() == Some("") {
            return Err(bad());
        }
        Ok(Self {
            major,
            minor,
            patch,
            build,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if let Some(patch) = self.patch {
            write!(f, ".{patch}")?;
        }
        if let Some(build) = &self.build {
            write!(f, "-{build}")?;
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

/// The steps of an upgrade, in order, for the warning in the plan.
pub fn upgrade_steps(
    control_plane: &Version,
    pools: &[(&str, &Version)],
    floor: &Version,
) -> Vec<String> {
    let mut steps = Vec::new();
    let mut from = control_plane.clone();
    let mut path = control_plane.path_to(floor);
    if path.is_empty() && pools.iter().any(|(_, runs)| !runs.meets(floor)) {
        path.push(floor.clone());
    }
    for to in path {
        if !from.meets(&to) {
            steps.push(format!("control plane {from} -> {to}"));
            from = to.clone();
        }
        for (name, runs) in pools {
            if !runs.meets(&to) {
                steps.push(format!(
                    "pool {name} to {to}, node by node within its surge and budgets"
                ));
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn a_minor_is_met_by_every_patch_of_it_and_everything_newer() {
        for running in ["1.34", "1.34.0", "1.34.9", "1.35.1", "1.34.2-gke.1200"] {
            assert!(version(running).meets(&version("1.34")), "{running}");
        }
        for running in ["1.33.9", "1.9.1"] {
            assert!(!version(running).meets(&version("1.34")), "{running}");
        }
    }

    #[test]
    fn a_patch_is_met_by_later_patches_only() {
        assert!(version("1.34.3").meets(&version("1.34.2")));
        assert!(!version("1.34.1").meets(&version("1.34.2")));
        assert!(version("1.35.0").meets(&version("1.34.2")));
    }

    #[test]
    fn a_control_plane_climbs_one_minor_at_a_time() {
        let path = version("1.32.4").path_to(&version("1.35.1"));
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        assert_eq!(path, ["1.33", "1.34", "1.35.1"]);
        assert!(version("1.35.2").path_to(&version("1.35")).is_empty());
    }

    #[test]
    fn pools_follow_the_control_plane_at_every_minor() {
        let runs = version("1.33.1");
        let steps = upgrade_steps(&runs, &[("system", &runs)], &version("1.35"));
        expect_test::expect![[r"
            control plane 1.33.1 -> 1.34
            pool system to 1.34, node by node within its surge and budgets
            control plane 1.34 -> 1.35
            pool system to 1.35, node by node within its surge and budgets"]]
        .assert_eq(&steps.join("\n"));
    }

    #[test]
    fn a_pool_left_behind_by_a_stopped_upgrade_is_finished() {
        let steps = upgrade_steps(
            &version("1.34.2"),
            &[
                ("system", &version("1.34.2")),
                ("batch", &version("1.33.7")),
            ],
            &version("1.34"),
        );
        assert_eq!(
            steps,
            ["pool batch to 1.34, node by node within its surge and budgets"]
        );
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for text in [
            "", "1", "1.", "v1.34", "1.34.x", "2.1", "latest", "1.34-", "1.2.3.4", "1.99999",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
