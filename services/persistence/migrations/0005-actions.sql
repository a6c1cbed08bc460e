-- Payments whose customer has to do something first, as with 3-D Secure.

alter table payment
    drop constraint payment_status_check,
    add constraint payment_status_check check (status in
        ('processing', 'requires_action', 'requires_capture', 'succeeded', 'failed', 'canceled'));

alter table attempt
    drop constraint attempt_status_check,
    add constraint attempt_status_check check
        (status in ('pending', 'unknown', 'requires_action', 'approved', 'declined')),
    -- Where the acquirer wants the customer; kept when they were there.
    add column action_url text,
    add check (status <> 'requires_action' or action_url is not null);

grant update (action_url) on attempt to paymesh_controller;
