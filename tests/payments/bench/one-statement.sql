-- The postings of one payment in one statement: the charge and its fee of 2.9 percent, rounded half
-- up, and the three balances that they change. Rows are locked in one order, so none wait in a ring.
\set merchant random(1, :merchants)
\set amount random(100, 90000)
with paid as materialized (
    select gen_random_uuid() as attempt, receivable, payable, fees, :amount::bigint as amount,
        (:amount::bigint * 290 + 5000) / 10000 as fee
    from merchant where number = :merchant::integer
), moved as materialized (
    select line.account, line.amount
    from paid, lateral (values
        (receivable, -paid.amount), (payable, paid.amount - fee), (fees, fee)) line (account, amount)
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
