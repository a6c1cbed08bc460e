//! Kubernetes versions that AKS offers, aliases, and the rules for going from one to another.

use serde_json::{Value, json};

/// A minor version, its patches (rising), whether it is a preview, and whether it is the default.
struct Minor(&'static str, &'static [&'static str], bool, bool);

const MINORS: [Minor; 5] = [
    Minor("1.32", &["1.32.9", "1.32.10"], false, false),
    Minor("1.33", &["1.33.7", "1.33.8"], false, false),
    Minor("1.34", &["1.34.4", "1.34.5"], false, true),
    Minor("1.35", &["1.35.6", "1.35.7"], false, false),
    Minor("1.36", &["1.36.1"], true, false),
];

/// The numbers of a version: major, minor, and patch if there is one.
pub(super) fn numbers(version: &str) -> Option<(u32, u32, Option<u32>)> {
    let mut parts = version.split('.').map(str::parse::<u32>);
    let major = parts.next()?.ok()?;
    let minor = parts.next()?.ok()?;
    let patch = match parts.next() {
        None => None,
        Some(patch) => Some(patch.ok()?),
    };
    parts.next().is_none().then_some((major, minor, patch))
}

/// The default version.
pub(super) fn default() -> &'static str {
    MINORS
        .iter()
        .find(|minor| minor.3)
        .map_or("1.34.5", |minor| minor.1[minor.1.len() - 1])
}

/// The full version that `wanted` (an alias `1.x`, or a full version) stands for.
pub(super) fn resolve(wanted: &str) -> Option<&'static str> {
    let (major, minor, patch) = numbers(wanted)?;
    let known = MINORS
        .iter()
        .find(|known| known.0 == format!("{major}.{minor}"))?;
    match patch {
        None => known.1.last().copied(),
        Some(_) => known.1.iter().find(|known| **known == wanted).copied(),
    }
}

/// Every full version that is no preview, rising.
pub(super) fn offered() -> impl Iterator<Item = &'static str> {
    MINORS
        .iter()
        .filter(|minor| !minor.2)
        .flat_map(|minor| minor.1.iter().copied())
}

/// The full versions that a control plane at `current` can go to, rising.
pub(super) fn upgrades(current: &str) -> Vec<&'static str> {
    let Some((major, minor, patch)) = numbers(current) else {
        return Vec::new();
    };
    offered()
        .filter(|version| {
            numbers(version).is_some_and(|(to_major, to_minor, to_patch)| {
                to_major == major
                    && ((to_minor == minor && to_patch > patch) || to_minor == minor + 1)
            })
        })
        .collect()
}

/// The newest patch of the minor of `current`.
pub(super) fn newest_patch(current: &str) -> Option<&'static str> {
    let (major, minor, _) = numbers(current)?;
    resolve(&format!("{major}.{minor}"))
}

/// The version that the auto-upgrade `channel` wants for a cluster at `current`.
pub(super) fn channel_target(channel: &str, current: &str) -> Option<&'static str> {
    let stable: Vec<&Minor> = MINORS.iter().filter(|minor| !minor.2).collect();
    let newest = |from_end: usize| {
        stable
            .iter()
            .rev()
            .nth(from_end)
            .and_then(|minor| minor.1.last().copied())
    };
    let (_, minor, _) = numbers(current)?;
    match channel {
        "patch" => newest_patch(current),
        "stable" | "rapid" => {
            let goal = newest(usize::from(channel == "stable"))?;
            let (_, goal_minor, _) = numbers(goal)?;
            if goal_minor <= minor {
                newest_patch(current)
            } else {
                resolve(&format!("1.{}", minor + 1))
            }
        }
        _ => None,
    }
    .filter(|goal| numbers(goal) > numbers(current))
}

/// `GET …/locations/{l}/kubernetesVersions`.
pub(super) fn list() -> Value {
    let values: Vec<Value> = MINORS
        .iter()
        .rev()
        .map(|minor| {
            let patches: serde_json::Map<String, Value> = minor
                .1
                .iter()
                .map(|patch| ((*patch).to_owned(), json!({ "upgrades": upgrades(patch) })))
                .collect();
            let mut shown = json!({
                "version": minor.0,
                "capabilities": { "supportPlan": ["KubernetesOfficial", "AKSLongTermSupport"] },
                "patchVersions": patches,
            });
            if minor.2 {
                shown["isPreview"] = true.into();
            }
            if minor.3 {
                shown["isDefault"] = true.into();
            }
            shown
        })
        .collect();
    json!({ "values": values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_the_newest_patch() {
        assert_eq!(resolve("1.34"), Some("1.34.5"));
        assert_eq!(resolve("1.34.4"), Some("1.34.4"));
        assert_eq!(resolve("1.34.99"), None);
        assert_eq!(resolve("1.2.3.4"), None);
    }

    #[test]
    fn no_minor_is_skipped() {
        assert_eq!(upgrades("1.33.8"), ["1.34.4", "1.34.5"]);
        assert_eq!(upgrades("1.33.7"), ["1.33.8", "1.34.4", "1.34.5"]);
    }

    #[test]
    fn a_channel_moves_one_minor_at_a_time() {
        assert_eq!(channel_target("rapid", "1.33.8"), Some("1.34.5"));
        assert_eq!(channel_target("stable", "1.34.5"), None);
        assert_eq!(channel_target("patch", "1.34.4"), Some("1.34.5"));
        assert_eq!(channel_target("none", "1.34.4"), None);
    }
}
