-- The audit chain: what was booked, and what merchants were told of it, is sealed, so that a row
-- that is changed, taken away or put in afterwards is found.
--
-- A shard is a table whose rows are only ever added, with a number for each row. A seal covers the
-- rows of some numbers and the hash of the seal before it. `src/audit/encoding.rs` says of what.

-- Events get numbers. A column with a default would write the whole table anew while payments wait;
-- step 10 numbers those from before.
create sequence event_seq;
alter table event add column seq bigint;
alter table event
    alter column seq set default nextval('event_seq'),
    add constraint event_has_seq check (seq is not null) not valid;
alter sequence event_seq owned by event.seq;
create unique index event_in_order on event (seq);

create table audit_seal (
    shard text not null check (shard in ('posting', 'event')),
    number bigint not null check (number > 0),
    -- How rows and seals are encoded.
    format smallint not null check (format > 0),
    -- Of the lease under which it was sealed.
    epoch bigint not null,
    -- Every row behind the first number, up to and including the last, is in this seal.
    after_seq bigint not null,
    last_seq bigint not null,
    -- For each row, in order: its number, its id and the hash of all its columns.
    entries bytea not null,
    -- Rows in this seal and all before it.
    total bigint not null,
    sealed_at timestamptz not null,
    -- The hash of the seal before, and of this one.
    previous bytea not null check (octet_length(previous) = 32),
    hash bytea not null check (octet_length(hash) = 32),
    primary key (shard, number),
    check (last_seq > after_seq)
);

-- Each shard is sealed by one db-controller at a time.
insert into lease (consumer, partition) values ('audit', 0), ('audit', 1);

-- A seal is added and stays.
grant select, insert on audit_seal to paymesh_controller;
grant select on sequence posting_seq_seq to paymesh_controller;
grant select, usage on sequence event_seq to paymesh_controller;
