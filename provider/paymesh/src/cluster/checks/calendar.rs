//! Rules over maintenance windows and exclusions.

use jiff::civil::{Date, Time};
use paymesh_plugin::findings::Findings;

use super::{Cloud, at};
use crate::{
    cluster::{google::WINDOW_HOURS as GKE_LEAST, spec::ClusterSpecDraft},
    codes::{self, refuse},
};

/// GKE lets three exclusions of this many days hold off every upgrade.
const GKE_LONGEST: i32 = 30;

pub(super) fn check(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let Some(maintenance) = draft.maintenance.known() else {
        return;
    };
    if let Some(window) = maintenance.window.known()
        && let Some(start) = window.start.known()
        && (start.len() != 5 || start.parse::<Time>().is_err())
    {
        refuse(
            found,
            at("maintenance").attribute("window").attribute("start"),
            &codes::NOT_A_TIME_OF_DAY,
            format!("{start:?} is not HH:MM"),
        );
    }
    if let Some(window) = maintenance.window.known()
        && let Some(hours) = window.hours.known()
        && cloud == Some(Cloud::Google)
        && *hours < GKE_LEAST
    {
        refuse(
            found,
            at("maintenance").attribute("window").attribute("hours"),
            &codes::WINDOW_TOO_SHORT,
            format!(
                "hours is {hours}, and GKE wants at least {GKE_LEAST}: 48 hours in any 32 days, which hold only four weekly windows for certain"
            ),
        );
    }
    let Some(exclusions) = maintenance.exclusions.known() else {
        return;
    };
    let path = at("maintenance").attribute("exclusions");
    if cloud == Some(Cloud::Azure) && maintenance.window.is_null() && !exclusions.is_empty() {
        refuse(
            found,
            path.clone(),
            &codes::EXCLUSIONS_WITHOUT_WINDOW,
            "maintenance.exclusions is set and maintenance.window is not; AKS keeps exclusions in a window",
        );
    }
    if cloud == Some(Cloud::Google) && exclusions.len() > 3 {
        refuse(
            found,
            path.clone(),
            &codes::TOO_MANY_EXCLUSIONS,
            format!("{} exclusions, and GKE takes three", exclusions.len()),
        );
    }
    for (key, exclusion) in exclusions {
        let Some(exclusion) = exclusion.known() else {
            continue;
        };
        let path = path.key(key);
        let mut day = |name: &str, text: Option<&String>| -> Option<Date> {
            let text = text?;
            let parsed = text.parse::<Date>().ok().filter(|_| text.len() == 10);
            if parsed.is_none() {
                refuse(
                    found,
                    path.attribute(name),
                    &codes::NOT_A_DAY,
                    format!("{text:?} is not YYYY-MM-DD"),
                );
            }
            parsed
        };
        let first = day("first_day", exclusion.first_day.known());
        let last = day("last_day", exclusion.last_day.known());
        let (Some(first), Some(last)) = (first, last) else {
            continue;
        };
        let days = last.since(first).map_or(0, |span| span.get_days());
        if last < first {
            refuse(
                found,
                path.attribute("last_day"),
                &codes::EXCLUSION_ENDS_BEFORE_IT_BEGINS,
                format!("first_day is {first} and last_day is {last}"),
            );
        } else if cloud == Some(Cloud::Google) && days >= GKE_LONGEST {
            refuse(
                found,
                path.attribute("last_day"),
                &codes::EXCLUSION_TOO_LONG,
                format!(
                    "{} days, and GKE holds off upgrades for {GKE_LONGEST} at most",
                    days + 1
                ),
            );
        }
    }
}
