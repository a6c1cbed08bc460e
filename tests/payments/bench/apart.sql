-- Takes keys, foreign keys and indexes of the tables that are about to grow away, and remembers them.

create table apart as
select 1 as turn, format('alter table %s drop constraint %I', conrelid::regclass, conname) as away,
    format('alter table %s add constraint %I %s', conrelid::regclass, conname,
        pg_get_constraintdef(oid)) as back
from pg_constraint
where contype = 'f' and (
    conrelid in ('payment'::regclass, 'attempt'::regclass, 'posting'::regclass, 'idempotency'::regclass)
    or confrelid in ('payment'::regclass, 'attempt'::regclass, 'posting'::regclass, 'idempotency'::regclass))
union all
select 2, format('alter table %s drop constraint %I', conrelid::regclass, conname),
    format('alter table %s add constraint %I %s', conrelid::regclass, conname,
        pg_get_constraintdef(oid))
from pg_constraint
where contype in ('p', 'u') and
    conrelid in ('payment'::regclass, 'attempt'::regclass, 'posting'::regclass, 'idempotency'::regclass)
union all
select 3, format('drop index %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
from pg_index
where indrelid in ('payment'::regclass, 'attempt'::regclass, 'posting'::regclass, 'idempotency'::regclass)
    and not exists (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u'));

do $$ declare step text; begin
    for step in select away from apart order by turn loop execute step; end loop;
end $$;
