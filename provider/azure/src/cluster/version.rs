//! Kubernetes versions as AKS counts them.

/// A version, its patch included where it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) minor: u32,
    pub(crate) patch: u32,
}

impl Version {
    /// Reads `1.34` (any patch) or `1.34.2`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.trim_start_matches('v').split('.');
        let major: u32 = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        let patch = parts.next().map_or(Ok(0), str::parse).ok()?;
        (major == 1 && parts.next().is_none()).then_some(Self { minor, patch })
    }
}

/// The versions to go through from `current` to at least `wanted`, one minor at a time. Empty if
/// `current` is enough.
pub(crate) fn path(current: &str, wanted: &str) -> Vec<String> {
    let (Some(from), Some(to)) = (Version::read(current), Version::read(wanted)) else {
        return Vec::new();
    };
    if from >= to {
        return Vec::new();
    }
    let between = (from.minor + 1..to.minor).map(|minor| format!("1.{minor}"));
    between.chain([wanted.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_path(current: &str, wanted: &str, expected: &[&str]) {
        assert_eq!(path(current, wanted), expected, "{current} -> {wanted}");
    }

    #[test]
    fn versions_go_up_one_minor_at_a_time_and_never_down() {
        check_path("1.32.7", "1.34", &["1.33", "1.34"]);
        check_path("1.33.1", "1.34.2", &["1.34.2"]);
        check_path("1.34.1", "1.34.2", &["1.34.2"]);
        check_path("1.34.1", "1.34", &[]);
        check_path("1.35.0", "1.34", &[]);
        check_path("", "1.34", &[]);
    }
}
