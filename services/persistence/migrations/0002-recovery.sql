-- Recovery after a promotion: what the lost primary may have taken with it is found again.

-- One for each timeline of the database that money was moved on. The latest one counts; while it
-- is not recovered no payment is taken in and no attempt is sent.
create table ledger_epoch (
    epoch bigint primary key check (epoch between 1 and 2147483647),
    timeline bigint not null check (timeline > 0),
    opened_at timestamptz not null default clock_timestamp(),
    -- Charges made since then may be without a payment.
    lost_since timestamptz not null,
    recovered_at timestamptz,
    -- Charges that were on their way when the acquirer was asked are asked for once more.
    settled_at timestamptz,
    -- Written by every new connection: once this write is acknowledged, so is all it can see.
    barrier bigint not null default 0,
    check (settled_at is null or recovered_at is not null)
) with (fillfactor = 20);

insert into ledger_epoch (epoch, timeline, lost_since, recovered_at, settled_at)
select timeline, timeline, clock_timestamp(), clock_timestamp(), clock_timestamp()
from (select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int8) t (timeline);

-- Charges at the acquirer that belong to no merchant of ours. They are voided.
create table orphan_charge (
    attempt_id uuid primary key,
    epoch bigint not null references ledger_epoch,
    amount bigint not null,
    currency text not null,
    reason text not null,
    noticed_at timestamptz not null default clock_timestamp()
);

-- Who reads: a reader that comes back has its partitions at once, under a new epoch.
alter table lease add column reader uuid;

-- The acquirer is asked again and again; what it claims is kept once.
delete from mismatch m using mismatch earlier
    where m.attempt_id = earlier.attempt_id and m.claimed = earlier.claimed and m.id > earlier.id;
create unique index mismatch_once on mismatch (attempt_id, claimed);

grant select, insert on ledger_epoch, orphan_charge to paymesh_controller;
grant update (recovered_at, settled_at, barrier) on ledger_epoch to paymesh_controller;
grant update (available_at) on outbox to paymesh_controller;
grant update (reader) on lease to paymesh_controller;
