//! Maintenance policies: what GKE accepts as windows and exclusions.

use jiff::Timestamp;
use serde_json::Value;

use super::super::{
    json::{set, sorted, text},
    names::fingerprint,
    refusal::Refusal,
};

/// The hash that guards a policy against lost updates.
pub(crate) fn version(policy: &Value) -> String {
    let mut content = policy.clone();
    set(&mut content, "resourceVersion", Value::Null);
    fingerprint(&sorted(&content).to_string())[..8].into()
}

/// Checks a policy: enough time for upgrades, and exclusions that end after they begin.
pub(crate) fn check(policy: &Value) -> Result<(), Refusal> {
    let window = &policy["window"];
    if window["recurringWindow"].is_object() {
        check_recurring(&window["recurringWindow"])?;
    }
    let start = text(window, "/dailyMaintenanceWindow/startTime");
    let well_formed = start.split_once(':').is_some_and(|(hours, minutes)| {
        hours.len() == 2
            && hours.parse().is_ok_and(|hours: u8| hours < 24)
            && minutes.parse().is_ok_and(|minutes: u8| minutes < 60)
    });
    if window["dailyMaintenanceWindow"].is_object() && !well_formed {
        return Err(Refusal::invalid(format!(
            "Invalid daily maintenance window start time \"{start}\": must be HH:MM in GMT."
        )));
    }
    let exclusions = window["maintenanceExclusions"].as_object();
    if exclusions.is_some_and(|exclusions| exclusions.len() > 20) {
        return Err(Refusal::invalid(
            "At most 20 maintenance exclusions are allowed.",
        ));
    }
    for (name, exclusion) in exclusions.into_iter().flatten() {
        let open_ended = text(exclusion, "/maintenanceExclusionOptions/endTimeBehavior")
            == "UNTIL_END_OF_SUPPORT";
        let Some(start) = moment(exclusion, "/startTime") else {
            return Err(Refusal::invalid(format!(
                "Maintenance exclusion \"{name}\" has no valid start time."
            )));
        };
        let Some(end) = moment(exclusion, "/endTime") else {
            if open_ended {
                continue;
            }
            return Err(Refusal::invalid(format!(
                "Maintenance exclusion \"{name}\" has no valid end time."
            )));
        };
        if end <= start {
            return Err(Refusal::invalid(format!(
                "Maintenance exclusion \"{name}\" must end after it starts."
            )));
        }
        let all = matches!(
            text(exclusion, "/maintenanceExclusionOptions/scope"),
            "" | "NO_UPGRADES"
        );
        if all && end.duration_since(start).as_hours() > 30 * 24 {
            return Err(Refusal::invalid(format!(
                "Maintenance exclusion \"{name}\" with scope NO_UPGRADES must not be longer than 30 days."
            )));
        }
    }
    Ok(())
}

/// GKE wants 48 hours in any 32 days, in pieces of at least four hours.
fn check_recurring(window: &Value) -> Result<(), Refusal> {
    let (Some(start), Some(end)) = (
        moment(window, "/window/startTime"),
        moment(window, "/window/endTime"),
    ) else {
        return Err(Refusal::invalid(
            "A recurring maintenance window needs a start time and an end time.",
        ));
    };
    if end <= start {
        return Err(Refusal::invalid(
            "The end time of a maintenance window must be after its start time.",
        ));
    }
    let hours = end.duration_since(start).as_hours();
    let recurrence = text(window, "/recurrence");
    let part = |name: &str| {
        recurrence
            .trim_start_matches("RRULE:")
            .split(';')
            .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let days = part("BYDAY").map_or(1, |days| days.split(',').count());
    let days = i64::try_from(days).unwrap_or(7);
    let times = match part("FREQ") {
        Some("DAILY") => 32,
        Some("WEEKLY") => 4 * days,
        Some("MONTHLY") => days,
        _ => {
            return Err(Refusal::invalid(format!(
                "Invalid recurrence \"{recurrence}\": FREQ must be DAILY, WEEKLY or MONTHLY."
            )));
        }
    };
    if hours < 4 || hours * times < 48 {
        return Err(Refusal::invalid(
            "Error validating maintenance policy: maintenance policy would go longer than 32d without 48h maintenance \
             availability of >=4h contiguous duration (in time zone UTC).",
        ));
    }
    Ok(())
}

fn moment(document: &Value, pointer: &str) -> Option<Timestamp> {
    text(document, pointer).parse().ok()
}

/// Whether an exclusion of `policy` that `blocks` holds off is in force at `now`.
pub(crate) fn excluded(policy: &Value, now: Timestamp, blocks: impl Fn(&str) -> bool) -> bool {
    policy["window"]["maintenanceExclusions"]
        .as_object()
        .into_iter()
        .flatten()
        .any(|(_, exclusion)| {
            let scope = text(exclusion, "/maintenanceExclusionOptions/scope");
            let scope = if scope.is_empty() {
                "NO_UPGRADES"
            } else {
                scope
            };
            let begun = moment(exclusion, "/startTime").is_some_and(|start| start <= now);
            let over = moment(exclusion, "/endTime").is_some_and(|end| end < now);
            begun && !over && blocks(scope)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_window(hours: u32, recurrence: &str, accepted: bool) {
        let policy = json!({ "window": { "recurringWindow": {
            "window": { "startTime": "2026-01-03T02:00:00Z", "endTime": format!("2026-01-03T{:02}:00:00Z", 2 + hours) },
            "recurrence": recurrence,
        } } });
        assert_eq!(check(&policy).is_ok(), accepted, "{hours} h {recurrence}");
    }

    #[test]
    fn a_window_leaves_forty_eight_hours_in_thirty_two_days() {
        check_window(4, "FREQ=DAILY", true);
        check_window(4, "FREQ=WEEKLY;BYDAY=SA,SU", false);
        check_window(6, "FREQ=WEEKLY;BYDAY=SA,SU", true);
        check_window(3, "FREQ=DAILY", false);
        check_window(4, "FREQ=HOURLY", false);
    }

    #[test]
    fn a_freeze_of_all_upgrades_lasts_thirty_days_at_most() {
        let frozen = |scope: &str| {
            check(&json!({ "window": { "maintenanceExclusions": { "freeze": {
                "startTime": "2026-11-01T00:00:00Z", "endTime": "2027-01-10T00:00:00Z",
                "maintenanceExclusionOptions": { "scope": scope },
            } } } }))
        };
        assert!(frozen("NO_UPGRADES").is_err());
        assert!(frozen("NO_MINOR_UPGRADES").is_ok());
    }
}
