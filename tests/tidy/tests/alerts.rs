//! Each alert can be trusted: what it looks at exists, it was seen firing and silent, and somebody
//! wrote down what to do.

use std::{collections::BTreeSet, fs};

use paymesh_tidy::{metric_of, names_after, top};

fn read(name: &str) -> String {
    fs::read_to_string(top().join("services").join(name)).unwrap()
}

#[test]
fn every_alert_has_a_runbook_and_was_seen_firing_and_silent() {
    let alerts = names_after(&read("alerts/rules.yml"), "- alert: ");
    assert!(!alerts.is_empty());
    assert_eq!(names_after(&read("alerts/RUNBOOK.md"), "\n## Paymesh"), {
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
            .flat_map(|test| names_after(test, "alertname: "))
            .collect();
        assert_eq!(tested, alerts);
    }
}

#[test]
fn alerts_look_at_metrics_that_exist() {
    let listed = names_after(&read("metrics.md"), "`paymesh_");
    for text in [
        "alerts/rules.yml",
        "alerts/rules.test.yml",
        "alerts/RUNBOOK.md",
    ] {
        for used in names_after(&read(text), "paymesh_") {
            let metric = metric_of(&used);
            assert!(listed.contains(metric), "{text}: paymesh_{metric}");
        }
    }
}
