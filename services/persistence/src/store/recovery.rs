//! What is asked of the acquirer after a promotion, and what it tells unasked.

use std::collections::HashSet;

use paymesh_contracts::{AttemptId, PaymentId, TenantId, persistence as wire};
use uuid::Uuid;

use super::{Failure, Reader, ms};

/// By then a charge that was on its way to the acquirer has arrived, or never will.
const ARRIVED_MS: i64 = 60_000;

/// One question covers every epoch that is open: what each had lost lies after the earliest of their
/// times. A millisecond late, because the time that is given out is rounded to one.
const OPEN_RECOVERY: &str = concat!(
    "select max(epoch), ",
    ms!("min(lost_since)"),
    ", ",
    ms!("clock_timestamp()"),
    ", bool_or(recovered_at is null) from ledger_epoch
    where recovered_at is null or (settled_at is null
        and opened_at < clock_timestamp() - ($1::int8 + 1) * interval '1 millisecond')
    having count(*) > 0"
);

/// What was on its way at a promotion had arrived if the question began late enough, not if it ended
/// so. Where processor or db-controller are of the version before, that is not known, and the question
/// was for one epoch alone.
///
/// While a newer epoch is not recovered nothing ends: what was taken in again for an older one may be
/// lost since, and the question for the newer one covers only what is open.
const FINISH_RECOVERY: &str = "with newer as (
        select epoch from ledger_epoch where epoch > $1 and recovered_at is null),
    ended as (update ledger_epoch set
        recovered_at = coalesce(recovered_at, clock_timestamp()),
        settled_at = case when opened_at
                < coalesce(to_timestamp(nullif($3::int8, 0) / 1000.0), clock_timestamp())
                    - $2::int8 * interval '1 millisecond'
            then clock_timestamp() end
    where (epoch = $1 or (epoch < $1 and $3::int8 > 0)) and settled_at is null
        and not exists (select from newer))
    select not exists (select from newer)";

/// What has to be asked of the acquirer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRecovery {
    /// Under which epoch; earlier ones end with it.
    pub epoch: i64,
    /// Charges since when.
    pub since_ms: i64,
    /// When it was looked up.
    pub asked_ms: i64,
    /// Whether money waits for it.
    pub is_awaited: bool,
}

impl Reader {
    /// What has to be asked of the acquirer now, if anything: at once after a promotion, and again
    /// when everything that was on its way then has arrived.
    pub async fn open_recovery(&self) -> Result<Option<OpenRecovery>, Failure> {
        let rows = self.query(OPEN_RECOVERY, &[&ARRIVED_MS]).await?;
        Ok(rows.first().map(|row| OpenRecovery {
            epoch: row.get(0),
            since_ms: row.get(1),
            asked_ms: row.get(2),
            is_awaited: row.get(3),
        }))
    }

    /// Notes that the acquirer was asked for everything, from `asked_ms` on; says whether that counts,
    /// which it does not after a newer promotion.
    pub async fn finish_recovery(&self, epoch: i64, asked_ms: i64) -> Result<bool, Failure> {
        let rows = self
            .query(FINISH_RECOVERY, &[&epoch, &ARRIVED_MS, &asked_ms])
            .await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Which of some attempts are in our books.
    pub async fn known_attempts(&self, ids: &[AttemptId]) -> Result<HashSet<AttemptId>, Failure> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = self
            .query("select id from attempt where id = any($1)", &[&ids])
            .await?;
        Ok(rows.iter().map(|row| AttemptId(row.get(0))).collect())
    }

    /// Notes a charge that is nobody's, before it is voided.
    pub async fn note_orphan(
        &self,
        epoch: i64,
        id: AttemptId,
        amount: &wire::Money,
        reason: &str,
    ) -> Result<(), Failure> {
        self.query(
            "insert into orphan_charge (attempt_id, epoch, amount, currency, reason)
             values ($1, $2, $3, $4, $5) on conflict do nothing",
            &[
                &id.0,
                &epoch,
                &amount.amount_minor,
                &amount.currency,
                &reason,
            ],
        )
        .await?;
        Ok(())
    }

    /// Whether what a promotion may have lost was found again.
    pub async fn is_recovered(&self) -> Result<bool, Failure> {
        let newest =
            "select recovered_at is not null from ledger_epoch order by epoch desc limit 1";
        let rows = self.query(newest, &[]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Up to where the acquirer's notices were heard.
    pub async fn notice_position(&self) -> Result<String, Failure> {
        let rows = self
            .query("select position from notice_position", &[])
            .await?;
        Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
    }

    /// Notes that notices were heard up to a position.
    pub async fn set_notice_position(&self, position: &str) -> Result<(), Failure> {
        self.query("update notice_position set position = $1", &[&position])
            .await?;
        Ok(())
    }

    /// Which payment an attempt belongs to, and whose that is.
    pub async fn payment_of(
        &self,
        id: AttemptId,
    ) -> Result<Option<(TenantId, PaymentId)>, Failure> {
        let rows = self
            .query(
                "select p.tenant_id, p.id from attempt a join payment p on p.id = a.payment_id
                 where a.id = $1",
                &[&id.0],
            )
            .await?;
        let found = rows.first();
        Ok(found.map(|row| (TenantId(row.get(0)), PaymentId(row.get(1)))))
    }
}
