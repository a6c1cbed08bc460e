-- The audit chain: what was booked, and what merchants were told of it, is sealed, so that a row
-- that is changed, taken away or put in afterwards is found.
--
-- A shard is a table whose rows are only ever added, with a number for each row. A seal covers the
-- rows of some numbers and the hash of the seal before it. `src/audit/encoding.rs` says of what.

create sequence event_seq;

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

-- Whoever may add a seal can only add the next one, of numbers that were given out: one beyond them
-- would have every later row pass for sealed.
create function audit_seal_follows() returns trigger language plpgsql set search_path from current as $$
declare
    last_one audit_seal;
    given_out bigint;
begin
    select * into last_one from audit_seal where shard = new.shard order by number desc limit 1;
    if new.number is distinct from coalesce(last_one.number, 0) + 1
        or new.after_seq is distinct from coalesce(last_one.last_seq, '-9223372036854775808'::bigint)
        or new.previous is distinct from coalesce(last_one.hash, decode(repeat('00', 32), 'hex'))
    then
        raise exception 'seal % of % does not follow from the one before', new.number, new.shard
            using errcode = 'check_violation';
    end if;
    if new.shard = 'posting' then
        select last_value into given_out from posting_seq_seq where is_called;
    else
        select last_value into given_out from event_seq where is_called;
    end if;
    if given_out is null or new.last_seq > given_out then
        raise exception 'seal % of % is of numbers that were not given out', new.number, new.shard
            using errcode = 'check_violation';
    end if;
    return new;
end $$;

create trigger audit_seal_follows before insert on audit_seal
    for each row execute function audit_seal_follows();

-- Each shard is sealed by one db-controller at a time.
insert into lease (consumer, partition) values ('audit', 0), ('audit', 1);

-- A seal is added and stays.
grant select, insert on audit_seal to paymesh_controller;
grant select on sequence posting_seq_seq to paymesh_controller;
grant select, usage on sequence event_seq to paymesh_controller;

-- Events get numbers. A column that is added with its default would have the whole table written
-- anew while payments wait; step 10 numbers those from before. Last, because nobody works with
-- events from here to the commit.
alter table event
    add column seq bigint,
    add constraint event_has_seq check (seq is not null) not valid;
alter table event alter column seq set default nextval('event_seq');
alter sequence event_seq owned by event.seq;
