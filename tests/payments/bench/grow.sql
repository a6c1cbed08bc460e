-- A ledger with a past: payments that succeeded, each with its attempt, its key, a charge and a fee,
-- shared by the merchants `Shop 0` to `Shop {shops}` less one, and the balances that follow. It is
-- written without keys and indexes, which are made and checked again afterwards.

create unlogged table grown as
with shop as (
    select t.id, t.fee_basis_points, row_number() over (order by t.id) - 1 as number,
        r.id as receivable, p.id as payable, f.id as fees
    from tenant t
        join account r on r.tenant_id = t.id and r.currency = 'EUR' and r.kind = 'acquirer_receivable'
        join account p on p.tenant_id = t.id and p.currency = 'EUR' and p.kind = 'merchant_payable'
        join account f on f.tenant_id = t.id and f.currency = 'EUR' and f.kind = 'fees'
    where t.name like 'Shop %'
), paid as (
    -- Over the last ninety days but the last nine.
    select n, 100 + n * 7919 % 90000 as amount,
        (extract(epoch from now()) * 1000)::int8 - 7776000000 + n * 7000000000 / {payments} as at_ms
    from generate_series(1::int8, {payments}) n
)
select n, 'grown-' || n as key, shop.id as tenant_id, receivable, payable, fees, amount,
    (amount * fee_basis_points + 5000) / 10000 as fee, to_timestamp(at_ms / 1000.0) as at,
    -- Ordered by time, as those of the API are; its last byte is any.
    (lpad(to_hex(at_ms), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8'
        || left(md5('payment' || n), 15))::uuid as payment_id,
    md5('attempt' || n)::uuid as attempt_id
from paid join shop on shop.number = n % {shops};

insert into payment (id, tenant_id, idempotency_key, amount, currency, payment_method, status,
    captured, created_at, updated_at)
select payment_id, tenant_id, key, amount, 'EUR', 'tok_approve', 'succeeded', amount, at, at
from grown;

insert into attempt (id, payment_id, number, status, acquirer_reference, kind, amount,
    idempotency_key)
select attempt_id, payment_id, 1, 'approved', 'acq_' || n, 'charge', amount, key from grown;

insert into idempotency (tenant_id, key, fingerprint, request_id, payment_id, answer_status,
    answer_body, created_at)
select tenant_id, key, sha256(convert_to(key, 'UTF8')), md5('request' || n)::uuid, payment_id, 201, '{}', at
from grown;

insert into posting (id, payment_id, attempt_id, kind, debit_account, credit_account, currency,
    amount, created_at)
select md5(line.kind || n)::uuid, payment_id, attempt_id, line.kind, line.debit, line.credit, 'EUR',
    line.amount, at
from grown, lateral (values
    ('charge', receivable, payable, grown.amount), ('fee', payable, fees, grown.fee))
    line (kind, debit, credit, amount);

drop table grown;

update balance b set posted = b.posted + moved.amount
from (
    select account, sum(amount)::int8 as amount from (
        select credit_account as account, amount from posting
        union all select debit_account, -amount from posting) side
    group by account) moved
where b.account_id = moved.account;
