//! Each alert can be trusted: what it looks at exists, it was seen firing and silent, and somebody
//! wrote down what to do.

use std::{collections::BTreeSet, fs};

use paymesh_tidy::top;

fn read(name: &str) -> String {
    fs::read_to_string(top().join("services").join(name)).unwrap()
}

/// What follows `mark` in a text, up to the end of a name, each once.
fn names(text: &str, mark: &str) -> BTreeSet<String> {
    let name = |rest: &str| {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    text.split(mark).skip(1).map(name).collect()
}

#[test]
fn every_alert_has_a_runbook_and_was_seen_firing_and_silent() {
    let alerts = names(&read("alerts/rules.yml"), "- alert: ");
    assert!(!alerts.is_empty());
    assert_eq!(names(&read("alerts/RUNBOOK.md"), "\n## Paymesh"), {
        let short = |alert: &String| alert.trim_start_matches("Paymesh").to_owned();
        alerts.iter().map(short).collect()
    });
    let tests = read("alerts/rules.test.yml");
    let (silent, firing): (Vec<&str>, Vec<&str>) = tests
        .split("- eval_time: ")
        .flat_map(|part| part.split("- {eval_time: "))
        .skip(1)
        .partition(|test| test.contains("exp_alerts: []"));
    for tests in [silent, firing] {
        let tested: BTreeSet<String> = tests
            .iter()
            .flat_map(|test| names(test, "alertname: "))
            .collect();
        assert_eq!(tested, alerts);
    }
}

#[test]
fn alerts_look_at_metrics_that_exist() {
    let listed = names(&read("metrics.md"), "`paymesh_");
    for text in [
        "alerts/rules.yml",
        "alerts/rules.test.yml",
        "alerts/RUNBOOK.md",
    ] {
        for used in names(&read(text), "paymesh_") {
            let parts = ["_bucket", "_sum", "_count"];
            let metric = parts.iter().find_map(|part| used.strip_suffix(part));
            let metric = metric.unwrap_or(&used);
            assert!(listed.contains(metric), "{text}: paymesh_{metric}");
        }
    }
}
