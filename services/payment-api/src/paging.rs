//! Lists come in pages: how many, and on which side of what.

use axum::extract::{Query, rejection::QueryRejection};
use paymesh_contracts::{Code, id::NotAnId};
use serde::Deserialize;

use crate::error::Problem;

/// How many things a page shows unless it is said.
const LIMIT: u32 = 20;
/// How many it shows at most.
const LIMIT_MAX: u32 = 100;

/// Which part of a list a page shows.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    /// How many, 1 to 100.
    limit: Option<u32>,
    /// Older than this one.
    after: Option<String>,
    /// Newer than this one.
    before: Option<String>,
}

/// The same, read and checked. A side that was not given is empty.
pub(crate) struct Cut {
    pub(crate) limit: u32,
    pub(crate) after: Vec<u8>,
    pub(crate) before: Vec<u8>,
}

impl Cut {
    /// Reads the query of a list whose things have ids that `read` understands.
    pub(crate) fn of(
        page: Result<Query<Page>, QueryRejection>,
        read: impl Fn(&str) -> Result<Vec<u8>, NotAnId>,
    ) -> Result<Self, Problem> {
        let Query(page) = page.map_err(|_| Problem::about(Code::FieldInvalid, "limit"))?;
        let limit = page.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(
                Problem::about(Code::FieldInvalid, "limit").because("it is between 1 and 100")
            );
        }
        let cursor = |name: &str, text: Option<&String>| {
            let bytes = text.map_or(Ok(Vec::new()), |text| read(text));
            bytes.map_err(|_| Problem::about(Code::FieldInvalid, name))
        };
        let cut = Self {
            limit,
            after: cursor("after", page.after.as_ref())?,
            before: cursor("before", page.before.as_ref())?,
        };
        if !cut.after.is_empty() && !cut.before.is_empty() {
            return Err(
                Problem::about(Code::FieldInvalid, "before").because("not together with after")
            );
        }
        Ok(cut)
    }
}
