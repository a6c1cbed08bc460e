//! Pages of a list whose ids sort by time, newest first.

use paymesh_contracts::TenantId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Failure, Reader};

/// Which things a page shows.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// From the newest on.
    Newest,
    /// Older than this one.
    Older(Uuid),
    /// Newer than this one.
    Newer(Uuid),
}

/// The statements of a list, for each direction. $1: the tenant, $2: where to begin, $3: how many.
pub(super) struct Texts {
    /// `id < $2 order by id desc`.
    pub(super) older: &'static str,
    /// `id > $2 order by id`.
    pub(super) newer: &'static str,
}

/// Some rows, newest first.
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// Whether there are older ones.
    pub(super) older: bool,
    /// Whether there are newer ones.
    pub(super) newer: bool,
}

impl Reader {
    /// At most `limit` rows of a tenant's list.
    pub(super) async fn page(
        &self,
        texts: &Texts,
        tenant_id: TenantId,
        side: Side,
        limit: u32,
    ) -> Result<Page, Failure> {
        let (text, from) = match side {
            Side::Newest => (texts.older, Uuid::max()),
            Side::Older(than) => (texts.older, than),
            Side::Newer(than) => (texts.newer, than),
        };
        // One more says whether there are more.
        let rows_max = i64::from(limit) + 1;
        let mut rows = self.query(text, &[&tenant_id.0, &from, &rows_max]).await?;
        let is_more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let is_upwards = matches!(side, Side::Newer(_));
        if is_upwards {
            rows.reverse();
        }
        Ok(Page {
            rows,
            older: is_more || is_upwards,
            newer: match side {
                Side::Newest => false,
                Side::Older(_) => true,
                Side::Newer(_) => is_more,
            },
        })
    }
}
