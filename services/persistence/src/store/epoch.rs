//! Ledger epochs: a new one for every promotion of a standby, and the write that makes sure that
//! what a connection can see will not be lost.
//!
//! After a crash a server shows what it had committed and no standby had confirmed. Whoever acts on
//! such a row, or answers with it, acknowledges what the loss of one host takes away. So a new
//! connection first writes something itself: the log has one order, and when this write is
//! confirmed by a standby, so is everything before it.

use std::time::Duration;

use tokio_postgres::Client;

/// How far clocks of the database and the acquirer may be apart, and then some.
const LOST_BEFORE: Duration = Duration::from_mins(5);

/// Opens an epoch if the latest one belongs to another timeline. Leases are renewed every second
/// while anything is sent to the acquirer, so the last renewal says what time was lost.
const OPEN: &str = "insert into ledger_epoch (epoch, timeline, lost_since)
    select greatest(last.epoch + 1, here.timeline), here.timeline,
        coalesce((select max(l.expires_at) from lease l where l.expires_at > '-infinity'),
            last.opened_at) - $1::int8 * interval '1 millisecond'
    from (select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int8)
            as here (timeline),
        (select epoch, timeline, opened_at from ledger_epoch order by epoch desc limit 1) as last
    where last.timeline <> here.timeline
    on conflict (epoch) do nothing
    returning epoch";

/// Ends every lease for good: its epochs go on from a number that no lost row can have reached.
const RAISE_LEASES: &str = "update lease l set epoch = greatest(l.epoch + 1, $1::int8 << 32),
        holder = null, reader = null, expires_at = '-infinity'
    from (select consumer, partition from lease order by consumer, partition for update) f
    where l.consumer = f.consumer and l.partition = f.partition";

/// What no inbox has confirmed is due at once, whatever it was waiting for.
const REPUBLISH: &str = "update outbox set available_at = clock_timestamp()
    where done_at is null and available_at > clock_timestamp()";

const BARRIER: &str = "update ledger_epoch set barrier = barrier + 1
    where epoch = (select max(epoch) from ledger_epoch)";

/// Enters the epoch of the timeline that `client` is connected to, opening it if need be.
pub(super) async fn enter(client: &mut Client) -> Result<(), tokio_postgres::Error> {
    let before_ms = i64::try_from(LOST_BEFORE.as_millis()).unwrap_or(i64::MAX);
    let transaction = client.transaction().await?;
    if let Some(row) = transaction.query_opt(OPEN, &[&before_ms]).await? {
        let epoch: i64 = row.get(0);
        transaction.execute(RAISE_LEASES, &[&epoch]).await?;
        let messages = transaction.execute(REPUBLISH, &[]).await?;
        tracing::warn!(epoch, messages, "a standby was promoted; recovering");
    }
    transaction.execute(BARRIER, &[]).await?;
    transaction.commit().await
}
