-- What can never be handled goes aside with a reason, instead of coming again for ever.

alter table outbox
    add column failures integer not null default 0 check (failures >= 0),
    add column parked_at timestamptz,
    add column parked_reason text,
    add constraint outbox_parked_says_why check ((parked_at is null) = (parked_reason is null));

create index outbox_parked on outbox (parked_at) where parked_at is not null;

grant update (failures, parked_at, parked_reason) on outbox to paymesh_controller;
