alter table event validate constraint event_has_seq
