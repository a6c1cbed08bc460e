-- The postings of fifty payments in one statement, each as in `one-statement.sql`; a balance that
-- several of them change is written once.
\set seed random(1, 1000000)
with line as materialized (
    select gen_random_uuid() as attempt,
        1 + (:seed::bigint + number * 7919) % :merchants::bigint as merchant,
        100 + (:seed::bigint * number) % 89900 as amount
    from generate_series(1, 50) number
), paid as materialized (
    select attempt, receivable, payable, fees, amount, (amount * 290 + 5000) / 10000 as fee
    from line join merchant on merchant.number = line.merchant
), moved as materialized (
    select account, sum(amount)::bigint as amount from (
        select receivable as account, -amount as amount from paid
        union all select payable, amount - fee from paid
        union all select fees, fee from paid) side
    group by account
), locked as materialized (
    select account_id from balance where account_id in (select account from moved)
    order by account_id for update
), booked as (
    insert into posting (id, attempt_id, kind, debit_account, credit_account, currency, amount, created_at)
    select gen_random_uuid(), attempt, line.kind, line.debit, line.credit, 'EUR', line.amount, clock_timestamp()
    from paid, lateral (values
        ('charge', receivable, payable, paid.amount), ('fee', payable, fees, fee))
        line (kind, debit, credit, amount)
)
update balance b set posted = b.posted + moved.amount
from locked join moved on moved.account = locked.account_id
where b.account_id = locked.account_id;
