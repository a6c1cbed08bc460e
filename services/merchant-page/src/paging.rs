//! Lists come in pages, as payment-api has them: on which side of what is in the address.

use std::{fmt::Display, str::FromStr};

use axum::extract::{Query, rejection::QueryRejection};
use serde::Deserialize;

/// Which part of a list a page shows.
#[derive(Debug, Deserialize)]
pub(crate) struct Side {
    after: Option<String>,
    before: Option<String>,
}

/// The ways from one page of a list to the next.
#[derive(Debug)]
pub(crate) struct Ways {
    /// Whether it begins with the newest.
    pub(crate) is_newest: bool,
    /// `?before=` this for the newer ones.
    pub(crate) newer: Option<String>,
    /// `?after=` this for the older ones.
    pub(crate) older: Option<String>,
}

/// What payment-api is asked for the part that an address names, of a list whose things have ids of
/// this kind; `None` if it names none.
pub(crate) fn part_of<Id: FromStr + Display>(
    side: Result<Query<Side>, QueryRejection>,
) -> Option<String> {
    let Query(Side { after, before }) = side.ok()?;
    let read = |text: &str| text.parse::<Id>().ok();
    match (after, before) {
        (None, None) => Some(String::new()),
        (Some(id), None) => Some(format!("&after={}", read(&id)?)),
        (None, Some(id)) => Some(format!("&before={}", read(&id)?)),
        (Some(_), Some(_)) => None,
    }
}

impl Ways {
    /// The ways from the part `part` of a list, beside which payment-api told of these.
    pub(crate) fn of(part: &str, previous: Option<String>, next: Option<String>) -> Self {
        Self {
            is_newest: part.is_empty(),
            newer: previous,
            older: next,
        }
    }

    /// Whether there is anywhere to go.
    pub(crate) fn lead_on(&self) -> bool {
        !self.is_newest || self.newer.is_some() || self.older.is_some()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;
    use paymesh_contracts::PaymentId;

    use super::*;

    const ID: &str = "pay_abgjcfkhmnepabcdefghijklmnopabcd";

    fn check(query: &str, expected: Option<&str>) {
        let address: Uri = format!("/payments{query}").parse().unwrap();
        let part = part_of::<PaymentId>(Query::try_from_uri(&address));
        assert_eq!(part.as_deref(), expected, "{query}");
    }

    #[test]
    fn an_address_names_one_side_of_one_thing_or_the_newest() {
        check("", Some(""));
        check("?other=1", Some(""));
        check(&format!("?after={ID}"), Some(&format!("&after={ID}")));
        check(&format!("?before={ID}"), Some(&format!("&before={ID}")));
        check(&format!("?after={ID}&before={ID}"), None);
        check(&format!("?after={ID}&after={ID}"), None);
        for wrong in [
            "",
            "1",
            "evt_abgjcfkhmnepabcdefghijklmnopabcd",
            "%26limit%3D1",
        ] {
            check(&format!("?after={wrong}"), None);
        }
    }
}
