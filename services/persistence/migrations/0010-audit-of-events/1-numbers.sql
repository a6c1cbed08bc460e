-- The next events from before that have no number, in the order of their ids, get one; gives the
-- last of these ids. There must be no unique index on numbers yet: with one, their rows would be
-- locked against messages that refer to them.
with next as (
    select id from event where id > $1 and seq is null order by id limit 2000 for no key update
), numbered as (
    update event e set seq = nextval('event_seq') from next where e.id = next.id
)
select id from next order by id desc limit 1
