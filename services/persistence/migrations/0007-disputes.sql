-- Disputes: money that customers take back by way of their banks.

create table dispute (
    id uuid primary key,
    payment_id uuid not null,
    -- As the acquirer calls it.
    reference text not null,
    amount bigint not null check (amount > 0),
    currency text not null,
    reason text not null,
    status text not null check (status in ('needs_response', 'under_review', 'won', 'lost')),
    -- Of the newest word on it: an older one comes late and changes nothing.
    version bigint not null,
    respond_by timestamptz,
    -- How much of it the balance of its merchant covered; null until it is booked, which waits for
    -- the charge.
    covered bigint check (covered between 0 and amount),
    opened_at timestamptz not null,
    updated_at timestamptz not null,
    foreign key (payment_id, currency) references payment (id, currency),
    unique (id, payment_id)
) with (fillfactor = 80);

create index dispute_of_payment on dispute (payment_id);

-- What a balance did not cover of a dispute is owed by its merchant, in an account without a floor.
-- Merchants from before get theirs when they need it.
alter table account
    drop constraint account_kind_check,
    add constraint account_kind_check check
        (kind in ('acquirer_receivable', 'merchant_payable', 'merchant_debt', 'fees'));

-- A merchant's answer to a dispute is asked of the acquirer like everything else.
alter table attempt
    drop constraint attempt_kind_check,
    add constraint attempt_kind_check check
        (kind in ('charge', 'authorize', 'capture', 'void', 'refund', 'contest', 'accept')),
    -- As the acquirer calls it: after a promotion an answer may be found before its dispute.
    add column dispute text,
    add column explanation text,
    add constraint attempt_answers_dispute check
        ((kind in ('contest', 'accept')) = (dispute is not null)),
    add constraint attempt_explains check ((kind = 'contest') = (explanation is not null));

-- Nobody asked for a dispute, so no attempt moved its money.
alter table posting
    alter column attempt_id drop not null,
    add column dispute_id uuid,
    add foreign key (dispute_id, payment_id) references dispute (id, payment_id),
    drop constraint posting_kind_check,
    add constraint posting_kind_check check (kind in ('charge', 'fee', 'refund', 'chargeback',
        'chargeback_debt', 'chargeback_reversal', 'chargeback_debt_reversal')),
    add constraint posting_has_one_cause check (num_nonnulls(attempt_id, dispute_id) = 1),
    add constraint posting_of_dispute_is_named check
        ((kind like 'chargeback%') = (dispute_id is not null));

create unique index posting_of_dispute_once on posting (dispute_id, kind)
    where dispute_id is not null;

-- Earlier readers pass over kinds they do not know.
alter table outbox
    drop constraint outbox_kind_check,
    add constraint outbox_kind_check check (kind in ('send_attempt', 'check_attempt',
        'send_operation', 'check_operation', 'send_answer', 'check_answer', 'expire',
        'deliver_webhook')),
    drop constraint outbox_attempt_named,
    add constraint outbox_attempt_named check
        ((kind in ('send_attempt', 'check_attempt', 'send_operation', 'check_operation',
            'send_answer', 'check_answer')) = (attempt_id is not null));

-- Up to where the acquirer's notices were heard. A promotion may set it back: then they are heard
-- once more.
create table notice_position (
    only_one boolean primary key default true check (only_one),
    position text not null
) with (fillfactor = 20);

insert into notice_position (position) values ('');

grant select, insert on dispute to paymesh_controller;
grant update (status, version, respond_by, covered, updated_at) on dispute to paymesh_controller;
grant select on notice_position to paymesh_controller;
grant update (position) on notice_position to paymesh_controller;
