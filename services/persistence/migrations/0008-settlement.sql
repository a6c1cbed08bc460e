-- What the acquirer settled, as its reports say, and where that differs from our books.

create table settlement_report (
    name text primary key check (name <> ''),
    checksum bytea not null check (octet_length(checksum) = 32),
    closed_at timestamptz not null,
    read_at timestamptz not null default clock_timestamp()
);

-- The acquirer's rows as they came; ours are the postings.
create table settlement_row (
    seq bigint generated always as identity primary key,
    report text not null references settlement_report,
    line integer not null check (line > 0),
    movement text not null,
    -- As the acquirer calls it, and the attempt or dispute that this would be with us.
    name text not null,
    subject uuid,
    amount bigint not null,
    currency text not null,
    fee bigint not null,
    unique (report, line)
);

create index settlement_row_of_subject on settlement_row (subject, movement);
create index settlement_row_of_nobody on settlement_row (name, movement) where subject is null;

-- A break stays until a person has closed it with a reason; nothing else ends one.
create table settlement_break (
    id bigint generated always as identity primary key,
    kind text not null check (kind in
        ('not_booked', 'not_settled', 'amount_differs', 'settled_twice', 'total_differs')),
    -- Which one it is of its kind: a row of a report, the total of one in a currency, or what is in
    -- no report.
    place text not null,
    movement text not null,
    -- As the acquirer calls it.
    name text not null,
    -- The payment it is about, if it is one of ours.
    payment_id uuid references payment,
    detail text not null,
    noticed_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    closed_reason text check (closed_reason <> ''),
    unique (kind, place),
    check ((closed_at is null) = (closed_reason is null))
);

create index settlement_break_open on settlement_break (id) where closed_at is null;

grant select, insert on settlement_report, settlement_row, settlement_break to paymesh_controller;
grant update (closed_at, closed_reason) on settlement_break to paymesh_controller;
