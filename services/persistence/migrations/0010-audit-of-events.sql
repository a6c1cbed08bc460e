-- Events from before get their numbers, in a step of its own: payments go on meanwhile.

update event set seq = nextval('event_seq') where seq is null;
alter table event validate constraint event_has_seq;
