-- Makes again what `apart.sql` took away; every row is checked by it.

set maintenance_work_mem = '512MB';

do $$ declare step text; begin
    for step in select back from apart order by turn desc loop execute step; end loop;
end $$;

drop table apart;
