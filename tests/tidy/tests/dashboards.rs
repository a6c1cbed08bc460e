//! Each dashboard can be read: its panels say what they show, and what they ask for exists.

use std::collections::BTreeSet;

use paymesh_tidy::{files, metric_of, names_after};
use serde_json::Value;

/// Labels that Prometheus gives, not a service.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "le"];

/// A row of `services/metrics.md`.
struct Metric {
    name: String,
    kind: String,
    labels: BTreeSet<String>,
}

fn metrics() -> Vec<Metric> {
    let pages = files("services", "metrics.md");
    let rows = pages.iter().flat_map(|(_, page)| page.lines());
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `paymesh_")?.split(" | ");
        Some(Metric {
            name: cells.next()?.trim_end_matches('`').to_owned(),
            kind: cells.next()?.to_owned(),
            labels: names_after(cells.next()?, "`")
                .into_iter()
                .filter(|label| !label.is_empty())
                .collect(),
        })
    };
    rows.filter_map(row).collect()
}

/// The labels that an expression selects or groups by.
fn labels(expression: &str) -> BTreeSet<String> {
    let selected = expression.split('{').skip(1);
    let selected = selected.filter_map(|part| Some(part.split_once('}')?.0));
    let selected = selected.flat_map(|inside| inside.split(','));
    let selected = selected.filter_map(|one| Some(one.split_once('=')?.0));
    let grouped = expression.split(" by (").skip(1);
    let grouped = grouped.filter_map(|part| Some(part.split_once(')')?.0));
    let grouped = grouped.flat_map(|inside| inside.split(','));
    let all = selected.chain(grouped);
    all.map(|label| label.trim().to_owned()).collect()
}

/// What is wrong with an expression.
fn mistakes(expression: &str, metrics: &[Metric]) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut known: BTreeSet<&str> = OF_PROMETHEUS.into();
    for series in names_after(expression, "paymesh_") {
        let name = metric_of(&series);
        let Some(metric) = metrics.iter().find(|metric| metric.name == name) else {
            mistakes.push(format!("there is no paymesh_{name}"));
            continue;
        };
        if (metric.kind == "histogram") != (name != series) {
            mistakes.push(format!("paymesh_{name} is a {}", metric.kind));
        }
        let is_rated = expression.contains("rate(") || expression.contains("increase(");
        if (metric.kind == "gauge") == is_rated {
            mistakes.push(format!("paymesh_{name} is a {}", metric.kind));
        }
        let same = metrics.iter().filter(|metric| metric.name == name);
        known.extend(same.flat_map(|metric| metric.labels.iter().map(String::as_str)));
    }
    for label in labels(expression) {
        if !known.contains(label.as_str()) {
            mistakes.push(format!("there is no label {label}"));
        }
    }
    mistakes
}

fn check(expression: &str, expected: &[&str]) {
    let mistakes = mistakes(expression, &metrics());
    assert_eq!(mistakes, expected, "{expression}");
}

#[test]
fn what_does_not_exist_is_noticed() {
    check("max(paymesh_ready)", &[]);
    check("max(paymesh_steady)", &["there is no paymesh_steady"]);
    check("rate(paymesh_ready[1m])", &["paymesh_ready is a gauge"]);
    check("max by (kind) (paymesh_ready)", &["there is no label kind"]);
    check(
        r#"sum(rate(paymesh_http_requests_total{code="500"}[1m]))"#,
        &["there is no label code"],
    );
    check(
        "sum(rate(paymesh_attempt_duration_seconds[1m]))",
        &["paymesh_attempt_duration_seconds is a histogram"],
    );
}

#[test]
fn dashboards_show_metrics_that_exist_and_say_what_they_show() {
    let metrics = metrics();
    let dashboards = files("services/dashboards", ".json");
    assert!(!dashboards.is_empty());
    let mut wrong = Vec::new();
    for (path, text) in &dashboards {
        let dashboard: Value = serde_json::from_str(text).unwrap();
        let mut ids = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap_or("a panel without a title");
            let mut note = |mistake: &str| wrong.push(format!("{path}: {title}: {mistake}"));
            if !ids.insert(panel["id"].as_u64()) {
                note("its id is another's");
            }
            if panel["type"] == "row" {
                continue;
            }
            if panel["description"].as_str().is_none_or(str::is_empty) {
                note("it does not say what it shows");
            }
            if panel["datasource"]["uid"] != "${source}" {
                note("it asks another Prometheus than the one that is chosen");
            }
            let targets = panel["targets"].as_array().cloned().unwrap_or_default();
            if targets.is_empty() {
                note("it shows nothing");
            }
            let mut names = BTreeSet::new();
            for target in &targets {
                if !names.insert(target["refId"].as_str()) {
                    note("two of its queries have one name");
                }
                let expression = target["expr"].as_str().unwrap_or_default();
                if !expression.contains("paymesh_") {
                    note("it asks for nothing of ours");
                }
                for mistake in mistakes(expression, &metrics) {
                    note(&mistake);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
