-- Money that is reserved first and captured later, and money that is given back.
--
-- An attempt is one thing asked of the acquirer: a payment has one to take or reserve the money,
-- then those to capture, to let go, to give back. What an earlier version writes means a charge of
-- the whole amount under the key of its payment.

alter table payment
    add column capture text not null default 'automatic' check (capture in ('automatic', 'manual')),
    -- Null: what was charged is all of it.
    add column captured bigint check (captured between 1 and amount),
    -- Given back, or about to be: whatever comes at once, never more than was taken.
    add column refunding bigint not null default 0 check (refunding >= 0),
    -- When what it requires of its merchant is over.
    add column expires_at timestamptz,
    add constraint payment_refunds_fit check (refunding <= coalesce(captured, amount)),
    drop constraint payment_status_check,
    add constraint payment_status_check check
        (status in ('processing', 'requires_capture', 'succeeded', 'failed', 'canceled'));

alter table attempt
    add column kind text not null default 'charge'
        check (kind in ('charge', 'authorize', 'capture', 'void', 'refund')),
    add column amount bigint check (amount > 0),
    -- The key of the request that wanted it.
    add column idempotency_key text;

alter table posting
    drop constraint posting_kind_check,
    add constraint posting_kind_check check (kind in ('charge', 'fee', 'refund'));

-- Earlier readers pass over kinds they do not know; they would take an operation for a charge.
alter table outbox
    drop constraint outbox_kind_check,
    add constraint outbox_kind_check check (kind in ('send_attempt', 'check_attempt',
        'send_operation', 'check_operation', 'expire', 'deliver_webhook')),
    drop constraint outbox_check1,
    add constraint outbox_attempt_named check
        ((kind in ('send_attempt', 'check_attempt', 'send_operation', 'check_operation'))
            = (attempt_id is not null));

grant update (captured, refunding, expires_at) on payment to paymesh_controller;
