-- Payments, attempts, the ledger, idempotency, events and the queue.
--
-- Rules that no program can break: a posting has both sides and one currency; a balance never
-- falls below its floor less what is held; a key makes one payment; an attempt is booked once;
-- a message takes effect once.

create table tenant (
    id uuid primary key,
    name text not null check (name <> ''),
    fee_basis_points integer not null check (fee_basis_points between 0 and 10000),
    created_at timestamptz not null default now()
);

create table api_key (
    hash bytea primary key check (octet_length(hash) = 32),
    tenant_id uuid not null references tenant,
    scopes text[] not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);

create table account (
    id uuid primary key,
    tenant_id uuid not null references tenant,
    kind text not null check (kind in ('acquirer_receivable', 'merchant_payable', 'fees')),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    unique (tenant_id, kind, currency),
    unique (id, currency)
);

-- Credits less debits; `floor` is the least that may be left when everything held is gone.
create table balance (
    account_id uuid primary key,
    currency text not null,
    posted bigint not null default 0,
    held bigint not null default 0 check (held >= 0),
    floor bigint,
    foreign key (account_id, currency) references account (id, currency),
    check (floor is null or posted - held >= floor)
) with (fillfactor = 50);

create table payment (
    id uuid primary key,
    tenant_id uuid not null references tenant,
    idempotency_key text not null,
    amount bigint not null check (amount > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    payment_method text not null,
    reference text,
    status text not null check (status in ('processing', 'succeeded', 'failed')),
    failure_code text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (tenant_id, idempotency_key),
    unique (id, currency),
    check ((status = 'failed') = (failure_code is not null))
) with (fillfactor = 80);

create index payment_newest on payment (tenant_id, id desc);

create table attempt (
    id uuid primary key,
    payment_id uuid not null references payment,
    number integer not null check (number > 0),
    status text not null check (status in ('pending', 'unknown', 'approved', 'declined')),
    acquirer_reference text,
    failure_code text,
    checks integer not null default 0 check (checks >= 0),
    unique (payment_id, number),
    unique (id, payment_id)
) with (fillfactor = 80);

create table posting (
    seq bigint generated always as identity primary key,
    id uuid not null unique,
    payment_id uuid not null,
    attempt_id uuid not null,
    kind text not null check (kind in ('charge', 'fee')),
    debit_account uuid not null,
    credit_account uuid not null,
    currency text not null,
    amount bigint not null check (amount > 0),
    created_at timestamptz not null,
    foreign key (payment_id, currency) references payment (id, currency),
    foreign key (attempt_id, payment_id) references attempt (id, payment_id),
    foreign key (debit_account, currency) references account (id, currency),
    foreign key (credit_account, currency) references account (id, currency),
    unique (attempt_id, kind),
    check (debit_account <> credit_account)
);

create index posting_of_payment on posting (payment_id);

create table idempotency (
    tenant_id uuid not null references tenant,
    key text not null check (length(key) between 1 and 255),
    fingerprint bytea not null check (octet_length(fingerprint) = 32),
    request_id uuid not null,
    payment_id uuid not null references payment,
    answer_status smallint,
    answer_body bytea,
    created_at timestamptz not null,
    primary key (tenant_id, key),
    check ((answer_status is null) = (answer_body is null))
) with (fillfactor = 60);

create table event (
    id uuid primary key,
    tenant_id uuid not null references tenant,
    payment_id uuid not null references payment,
    kind text not null,
    body bytea not null,
    created_at timestamptz not null
);

create table webhook_endpoint (
    id uuid primary key,
    tenant_id uuid not null references tenant,
    url text not null,
    secret text not null,
    created_at timestamptz not null default now(),
    disabled_at timestamptz
);

create index webhook_endpoint_of_tenant on webhook_endpoint (tenant_id) where disabled_at is null;

create table outbox (
    id uuid primary key,
    seq bigint generated always as identity,
    consumer text not null check (consumer in ('attempts', 'webhooks')),
    partition smallint not null check (partition between 0 and 15),
    kind text not null check (kind in ('send_attempt', 'check_attempt', 'deliver_webhook')),
    payment_id uuid not null references payment,
    attempt_id uuid references attempt,
    event_id uuid references event,
    endpoint_id uuid references webhook_endpoint,
    try integer not null default 1 check (try > 0),
    available_at timestamptz not null,
    done_at timestamptz,
    check ((kind = 'deliver_webhook') = (event_id is not null and endpoint_id is not null)),
    check ((kind in ('send_attempt', 'check_attempt')) = (attempt_id is not null))
);

-- Rows are claimed by state: a number that commits late is still found.
create index outbox_waiting on outbox (consumer, partition, seq) where done_at is null;

create table inbox (
    consumer text not null,
    message_id uuid not null references outbox,
    partition smallint not null,
    epoch bigint not null,
    completed_at timestamptz not null,
    primary key (consumer, message_id)
);

create table lease (
    consumer text not null,
    partition smallint not null check (partition between 0 and 15),
    holder uuid,
    epoch bigint not null default 0,
    expires_at timestamptz not null default '-infinity',
    primary key (consumer, partition)
) with (fillfactor = 20);

insert into lease (consumer, partition)
select consumer, partition from unnest(array['attempts', 'webhooks']) consumer, generate_series(0, 15) partition;

create table webhook_delivery (
    message_id uuid primary key references outbox,
    status integer,
    error text,
    delivered boolean not null,
    tried_at timestamptz not null
);

-- What the acquirer said against what it had said before.
create table mismatch (
    id bigint generated always as identity primary key,
    attempt_id uuid not null references attempt,
    recorded text not null,
    claimed text not null,
    noticed_at timestamptz not null
);

-- db-controller may add, and change only what has a state; what is booked is never changed.
grant select, insert on tenant, api_key, account, payment, attempt, posting, idempotency, event,
    webhook_endpoint, outbox, inbox, webhook_delivery, mismatch to paymesh_controller;
grant select, insert on balance to paymesh_controller;
grant select on lease, migration to paymesh_controller;
grant update (posted, held) on balance to paymesh_controller;
grant update (status, failure_code, updated_at) on payment to paymesh_controller;
grant update (status, acquirer_reference, failure_code, checks) on attempt to paymesh_controller;
grant update (answer_status, answer_body) on idempotency to paymesh_controller;
grant update (done_at) on outbox to paymesh_controller;
grant update (holder, epoch, expires_at) on lease to paymesh_controller;
grant update (revoked_at) on api_key to paymesh_controller;
grant update (disabled_at) on webhook_endpoint to paymesh_controller;
