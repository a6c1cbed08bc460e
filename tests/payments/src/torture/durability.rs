//! Whether what is acknowledged survives: a run on settings that lose it proves nothing.

/// Why commits would not survive the loss of a host, if they would not.
pub fn not_durable(settings: &str) -> Option<String> {
    for (name, allowed) in [
        ("fsync", &["on"][..]),
        ("full_page_writes", &["on"]),
        ("synchronous_commit", &["on", "remote_apply"]),
    ] {
        let found = value(settings, name);
        if !allowed.contains(&found) {
            return Some(format!("{name} is {found}"));
        }
    }
    // The list of standbys has spaces in it, and is the last.
    let standbys = settings.split_once("synchronous_standby_names=");
    let standbys = standbys.map_or("", |(_, names)| names);
    (!standbys.starts_with("ANY 1 ("))
        .then(|| format!("no standby has to have a commit ({standbys})"))
}

/// Why records would not survive the loss of a broker, if they would not.
pub fn records_not_durable(settings: &str) -> Option<String> {
    for (name, least) in [("replicas", 3), ("min.insync.replicas", 2)] {
        let found = value(settings, name);
        if found.parse::<u32>().is_ok_and(|found| found >= least) {
            continue;
        }
        return Some(format!("{name} is {found}"));
    }
    for (name, wanted) in [("unclean.leader.election.enable", "false"), ("acks", "all")] {
        let found = value(settings, name);
        if found != wanted {
            return Some(format!("{name} is {found}"));
        }
    }
    None
}

/// What a setting is.
fn value<'a>(settings: &'a str, name: &str) -> &'a str {
    let mut settings = settings.split(' ');
    let found = settings.find_map(|setting| setting.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_on_settings_that_lose_commits_is_refused() {
        let durable = "fsync=on full_page_writes=on synchronous_commit=on synchronous_standby_names=ANY 1 (one, two, three)";
        assert_eq!(not_durable(durable), None);
        for (from, to) in [
            ("fsync=on", "fsync=off"),
            ("full_page_writes=on", "full_page_writes=off"),
            ("synchronous_commit=on", "synchronous_commit=local"),
            ("ANY 1 (one, two, three)", ""),
        ] {
            assert!(not_durable(&durable.replace(from, to)).is_some(), "{to}");
        }
    }

    #[test]
    fn a_run_on_settings_that_lose_records_is_refused() {
        let durable =
            "replicas=3 min.insync.replicas=2 unclean.leader.election.enable=false acks=all";
        assert_eq!(records_not_durable(durable), None);
        for (from, to) in [
            ("replicas=3", "replicas=2"),
            ("min.insync.replicas=2", "min.insync.replicas=1"),
            ("enable=false", "enable=true"),
            ("acks=all", "acks=1"),
            ("acks=all", ""),
        ] {
            let lossy = durable.replacen(from, to, 1);
            assert!(records_not_durable(&lossy).is_some(), "{to}");
        }
    }
}
