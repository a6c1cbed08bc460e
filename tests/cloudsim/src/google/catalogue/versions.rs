//! Kubernetes versions: what each release channel offers, and the rules for moving between them.

use super::super::refusal::Refusal;

/// Every version on sale, oldest first.
const VERSIONS: &[&str] = &[
    "1.31.14-gke.1102000",
    "1.32.11-gke.1038000",
    "1.32.13-gke.1059000",
    "1.33.8-gke.1112000",
    "1.33.10-gke.1067000",
    "1.34.4-gke.1193000",
    "1.34.6-gke.1068000",
    "1.35.2-gke.1485000",
    "1.35.5-gke.1022000",
    "1.36.1-gke.1047000",
];

/// A release channel: the oldest and newest minor it offers, its default and its upgrade target.
pub(crate) struct Channel {
    /// Its name on the wire.
    pub(crate) name: &'static str,
    minors: (u32, u32),
    /// What a new cluster gets.
    pub(crate) default: &'static str,
    /// Where automatic upgrades lead.
    pub(crate) target: &'static str,
}

/// The channels, in the order of the server's answer.
pub(crate) const CHANNELS: &[Channel] = &[
    Channel {
        name: "RAPID",
        minors: (33, 36),
        default: "1.35.5-gke.1022000",
        target: "1.35.5-gke.1022000",
    },
    Channel {
        name: "REGULAR",
        minors: (32, 35),
        default: "1.34.6-gke.1068000",
        target: "1.34.6-gke.1068000",
    },
    Channel {
        name: "STABLE",
        minors: (32, 34),
        default: "1.33.10-gke.1067000",
        target: "1.33.10-gke.1067000",
    },
    Channel {
        name: "EXTENDED",
        minors: (31, 35),
        default: "1.34.6-gke.1068000",
        target: "1.34.6-gke.1068000",
    },
];

/// The default without a channel.
pub(crate) const DEFAULT: &str = "1.34.6-gke.1068000";

/// The channel `name`; none for no channel.
pub(crate) fn channel(name: &str) -> Option<&'static Channel> {
    CHANNELS.iter().find(|channel| channel.name == name)
}

impl Channel {
    /// What it offers, newest first.
    pub(crate) fn versions(&self) -> Vec<&'static str> {
        let (oldest, newest) = self.minors;
        let mut offered: Vec<_> = VERSIONS
            .iter()
            .copied()
            .filter(|version| (oldest..=newest).contains(&minor(version)))
            .collect();
        offered.reverse();
        offered
    }
}

/// What a cluster in `channel` (or in none) may run, newest first.
pub(crate) fn offered(channel_name: Option<&str>) -> Vec<&'static str> {
    match channel_name.and_then(channel) {
        Some(channel) => channel.versions(),
        None => VERSIONS.iter().rev().copied().collect(),
    }
}

/// The minor version: 34 of `1.34.6-gke.1068000`.
pub(crate) fn minor(version: &str) -> u32 {
    version
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse().ok())
        .unwrap_or_default()
}

/// A version as numbers that compare.
pub(crate) fn order(version: &str) -> Vec<u64> {
    version
        .split(['.', '-'])
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// Finds the version that an alias means: `-` or nothing, `latest`, `1.X`, `1.X.Y`, or itself.
pub(crate) fn resolve(alias: &str, channel_name: Option<&str>) -> Result<&'static str, Refusal> {
    let offered = offered(channel_name);
    match alias {
        "" | "-" => Ok(channel_name
            .and_then(channel)
            .map_or(DEFAULT, |channel| channel.default)),
        "latest" => Ok(offered[0]),
        _ if alias.contains("-gke.") => offered
            .into_iter()
            .find(|version| *version == alias)
            .ok_or_else(|| Refusal::invalid(format!("Master version \"{alias}\" is unsupported."))),
        _ => {
            let prefix = format!("{alias}.");
            let exact = format!("{alias}-gke.");
            offered
                .into_iter()
                .find(|version| version.starts_with(&prefix) || version.starts_with(&exact))
                .ok_or_else(|| {
                    Refusal::invalid(format!(
                        "No valid versions with the prefix \"{alias}\" found."
                    ))
                })
        }
    }
}

/// Whether a control plane may move: never back a minor, one minor at a time.
pub(crate) fn check_master_upgrade(from: &str, to: &str) -> Result<(), Refusal> {
    let (old, new) = (minor(from), minor(to));
    if new > old + 1 {
        return Err(Refusal::invalid(format!(
            "Master cannot be upgraded to \"{to}\": cannot upgrade the master more than one minor version at a time; \
             current version is \"{from}\"."
        )));
    }
    if new < old {
        return Err(Refusal::invalid(format!(
            "Master cannot be downgraded from \"{from}\" to \"{to}\": the minor version of the master cannot be lowered."
        )));
    }
    Ok(())
}

/// Whether nodes may run `node` under a control plane that runs `master`.
pub(crate) fn check_skew(node: &str, master: &str) -> Result<(), Refusal> {
    if order(node) > order(master) {
        return Err(Refusal::invalid(format!(
            "Node version \"{node}\" must not have a greater version than the master version \"{master}\"."
        )));
    }
    if minor(node) + 2 < minor(master) {
        return Err(Refusal::invalid(format!(
            "Node version \"{node}\" is unsupported: nodes can be at most two minor versions older than the master \
             version \"{master}\"."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_resolves(alias: &str, channel: Option<&str>, expected: &str) {
        let seen = resolve(alias, channel).map_or_else(|refusal| refusal.message, str::to_owned);
        assert_eq!(seen, expected);
    }

    #[test]
    fn an_alias_means_the_newest_patch_of_the_channel() {
        check_resolves("1.34", Some("REGULAR"), "1.34.6-gke.1068000");
        check_resolves("1.34.4", Some("REGULAR"), "1.34.4-gke.1193000");
        check_resolves("-", Some("STABLE"), "1.33.10-gke.1067000");
        check_resolves("latest", None, "1.36.1-gke.1047000");
    }

    #[test]
    fn a_channel_does_not_offer_what_it_has_not_reached() {
        check_resolves(
            "1.36",
            Some("REGULAR"),
            "No valid versions with the prefix \"1.36\" found.",
        );
        check_resolves(
            "1.1.1-gke.1",
            None,
            "Master version \"1.1.1-gke.1\" is unsupported.",
        );
    }

    #[test]
    fn ten_comes_after_eight() {
        assert!(order("1.33.10-gke.1067000") > order("1.33.8-gke.1112000"));
    }

    #[test]
    fn a_control_plane_moves_one_minor_at_a_time() {
        assert!(check_master_upgrade("1.33.8-gke.1112000", "1.34.6-gke.1068000").is_ok());
        assert!(check_master_upgrade("1.33.8-gke.1112000", "1.35.5-gke.1022000").is_err());
    }
}
