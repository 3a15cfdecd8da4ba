-- What is measured beside what is declared, and how members of the network find and know each other.

-- As before, but nobody need declare how available a node is: null is what its peers measure, or 100.
create table nodes_as_declared (
    id integer primary key,
    name text not null,
    store_url text,                     -- null: its store was not started yet
    availability_percent real,          -- 0 to 100, an override; null: as measured
    capacity_bytes integer,             -- null: unlimited
    state text not null,                -- declared, running, stopped, leaving
    heartbeat_at integer,               -- null: never heard of
    store_deletes integer,              -- 0, 1: whether what is written can be deleted; null: not tried
    store_remarks text,                 -- what its store does that costs something, for people
    labels text,                        -- a JSON object of texts
    measured_availability_percent real, -- the share of time in which its peers saw it alive; null: nobody has looked yet
    gossip_address text,                -- HOST:PORT where it listens for its peers; null: it has not said so
    public_key text                     -- what its records are signed with, lower-case hexadecimal; null: it was never started
) strict;
insert into nodes_as_declared (id, name, store_url, availability_percent, capacity_bytes, state, heartbeat_at, store_deletes,
    store_remarks, labels)
    select id, name, store_url, availability_percent, capacity_bytes, state, heartbeat_at, store_deletes, store_remarks, labels
    from nodes;
drop table nodes;
alter table nodes_as_declared rename to nodes;

-- The way from one node to another as the first one measured it; what `links` declares is in force.
create table measured_links (
    from_node integer not null,
    to_node integer not null,
    latency_ms real not null,           -- there and back
    loss_percent real not null,         -- of what is sent
    bytes_per_s real,                   -- of transfers; null: there was none
    at_ms integer not null,
    primary key (from_node, to_node)
) strict, without rowid;

-- What was done by one agent, or to one data set, however long the history is.
create index events_by_agent on events (agent);
create index events_by_data_set on events (data_set);
create index measurements_by_agent on measurements (agent);
