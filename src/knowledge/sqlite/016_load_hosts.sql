-- Load hosts: processes that make load for whoever asks them by this table.

-- Until when each is there its document says; it says so again and again.
create table load_hosts (
    name text primary key,
    document text not null
) strict, without rowid;

-- What hosts are asked. The row goes when whoever asked has heard the answer.
create table load_orders (
    id integer primary key,
    host text not null,
    document text not null
) strict;
create index load_orders_by_host on load_orders (host);

create table load_answers (
    order_id integer primary key,
    content text not null
) strict;
