-- What the postings of a payment touch, as the services have it (services/persistence/migrations):
-- both sides and one currency by foreign keys, a floor, and nothing booked twice. There are no
-- payments here, so a posting names none: that much less to do.

create table account (
    id uuid primary key,
    kind text not null check (kind in ('acquirer_receivable', 'merchant_payable', 'fees')),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    unique (id, currency)
);

create table balance (
    account_id uuid primary key,
    currency text not null,
    posted bigint not null default 0,
    held bigint not null default 0 check (held >= 0),
    floor bigint,
    foreign key (account_id, currency) references account (id, currency),
    check (floor is null or posted - held >= floor)
) with (fillfactor = 50);

create table posting (
    seq bigint generated always as identity primary key,
    id uuid not null unique,
    attempt_id uuid not null,
    kind text not null check (kind in ('charge', 'fee')),
    debit_account uuid not null,
    credit_account uuid not null,
    currency text not null,
    amount bigint not null check (amount > 0),
    created_at timestamptz not null,
    foreign key (debit_account, currency) references account (id, currency),
    foreign key (credit_account, currency) references account (id, currency),
    unique (attempt_id, kind),
    check (debit_account <> credit_account)
);

create table merchant (
    number integer primary key,
    receivable uuid not null references account,
    payable uuid not null references account,
    fees uuid not null references account
);

with shop as materialized (
    select number, gen_random_uuid() as receivable, gen_random_uuid() as payable,
        gen_random_uuid() as fees
    from generate_series(1, 64) number
), accounts as (
    insert into account (id, kind, currency)
    select receivable, 'acquirer_receivable', 'EUR' from shop
    union all select payable, 'merchant_payable', 'EUR' from shop
    union all select fees, 'fees', 'EUR' from shop
), balances as (
    insert into balance (account_id, currency, floor)
    select receivable, 'EUR', null::bigint from shop
    union all select payable, 'EUR', 0 from shop
    union all select fees, 'EUR', null from shop
)
insert into merchant (number, receivable, payable, fees)
select number, receivable, payable, fees from shop;
