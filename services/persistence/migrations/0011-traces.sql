-- Where in a trace a message was left, as W3C's traceparent; nothing for most of them.
alter table outbox add column trace varchar(55);
