-- Webhook endpoints: a secret that is being rotated, and events to be told again.

-- While both secrets are in use every delivery is signed with both.
alter table webhook_endpoint
    add column previous_secret text,
    add column previous_until timestamptz,
    add check ((previous_secret is null) = (previous_until is null));

create index event_newest on event (tenant_id, id desc);

grant update (secret, previous_secret, previous_until) on webhook_endpoint to paymesh_controller;
