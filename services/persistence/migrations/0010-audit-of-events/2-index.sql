create unique index concurrently event_in_order on event (seq)
