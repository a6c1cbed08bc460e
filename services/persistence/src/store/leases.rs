//! Leases: who may work on a partition, and the epoch that every takeover raises.

use uuid::Uuid;

use super::{Failure, Reader};

/// Takes what is free or already ours; a takeover is a new epoch. $4: this stream's first time,
/// when what another stream of the same reader held is taken over too.
const TAKE_LEASES: &str = "with free as (
        select l.partition from lease l
        where l.consumer = $1 and (l.holder = $2 or l.expires_at < clock_timestamp()
            or ($4 and l.reader = $5))
        order by l.partition for update)
    update lease l set
        epoch = case when l.holder is not distinct from $2 then l.epoch else l.epoch + 1 end,
        holder = $2, reader = $5,
        expires_at = clock_timestamp() + $3::int8 * interval '1 millisecond'
    from free where l.consumer = $1 and l.partition = free.partition
    returning l.partition, l.epoch";

const LEAVE_LEASES: &str = "with ours as (
        select l.partition from lease l where l.consumer = $1 and l.holder = $2
        order by l.partition for update)
    update lease l set expires_at = clock_timestamp(), holder = null
    from ours where l.consumer = $1 and l.partition = ours.partition";

/// Who takes leases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    /// The process that reads.
    pub(crate) reader: Uuid,
    /// Its stream: only one of them has the leases of a reader.
    pub(crate) stream: Uuid,
    /// Whether the stream has just begun.
    pub(crate) is_new: bool,
}

impl Reader {
    /// Takes or keeps the leases of every partition that nobody else holds.
    pub(crate) async fn take_leases(
        &self,
        consumer: &str,
        holder: Holder,
        lasting_ms: i64,
    ) -> Result<Vec<(i16, i64)>, Failure> {
        let rows = self
            .query(
                TAKE_LEASES,
                &[
                    &consumer,
                    &holder.stream,
                    &lasting_ms,
                    &holder.is_new,
                    &holder.reader,
                ],
            )
            .await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Gives all leases of a holder back.
    pub(crate) async fn leave_leases(&self, consumer: &str, holder: Uuid) -> Result<(), Failure> {
        self.query(LEAVE_LEASES, &[&consumer, &holder]).await?;
        Ok(())
    }
}
