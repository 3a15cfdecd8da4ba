-- The shared table of all agents. People may look at it, and edit it, with any SQL client while the agents run:
-- nodes.availability_percent, links.latency_ms and links.jitter_ms act from the next job on.
-- Times are milliseconds of scenario time since the Unix epoch.

create table nodes (
    id integer primary key,
    name text not null,
    store_url text,                     -- null: its store was not started yet
    availability_percent real not null, -- 0 to 100
    capacity_bytes integer,             -- null: unlimited
    state text not null,                -- declared, running, stopped
    heartbeat_at integer                -- null: never heard of
) strict;

create table links (
    from_node integer not null,
    to_node integer not null,
    latency_ms real not null,
    jitter_ms real not null,
    primary key (from_node, to_node)
) strict, without rowid;

create table data_sets (
    name text primary key not null,
    object_key text not null,
    bytes integer not null,
    records integer not null,
    sha256 text not null                -- lower-case hexadecimal
) strict;

create table replicas (
    id integer primary key autoincrement, -- never given twice: events speak of replicas that are gone
    data_set text not null,
    node integer not null,
    object_key text not null,
    state text not null,                -- copying, present, removing
    generation integer not null,        -- rises with every change
    lease_holder integer,               -- the agent that may change it until lease_until
    lease_until integer,
    unique (data_set, node, object_key) -- a node holds one, besides those that are being removed
) strict;

create table agents (
    id integer primary key,
    node integer not null,
    goal text not null,
    policy text not null,
    state text not null,                -- running, stopped
    heartbeat_at integer,               -- null: stopped cleanly
    converged integer not null          -- 0, 1
) strict;

create table reference_replicas (
    agent integer not null,
    data_set text not null,
    replica integer not null,           -- the one that the agent reads
    generation integer not null,
    primary key (agent, data_set)
) strict, without rowid;

create index reference_replicas_by_data_set on reference_replicas (data_set);

create table events (
    id integer primary key autoincrement,
    idempotency_key text not null unique,
    agent integer not null,
    data_set text not null,
    replica integer not null,           -- the one that the agent read before the action
    action text not null,               -- M1_2, C1_2, CR2, E2, NA
    action_type text not null,          -- move, copy, change_reference, evict, nothing
    from_node integer,
    to_node integer,
    explored integer not null,          -- 0, 1
    posted_at_ms integer not null,
    closes_at_ms integer not null,
    state text not null,                -- open, closed
    outcome text not null,              -- running, done, failed, aborted
    ended_at_ms integer,                -- since when it is no longer running
    feedback_sum real not null,
    detail text not null                -- why it was chosen, and what went wrong, as JSON
) strict;

-- Few events are open or running at a time, however long the history is.
create index events_open on events (data_set) where state = 'open';
create index events_running on events (id) where outcome = 'running';
create index events_changes on events (data_set, ended_at_ms) where outcome = 'done' and action_type <> 'nothing';
create index events_copies on events (data_set, replica) where action_type = 'copy' and outcome in ('running', 'done');

-- The rows that an event's claim was granted (source, destination) and what its commit left (leftover), as they were then.
create table claims (
    event integer not null,
    role text not null,
    replica integer not null,
    node integer not null,
    object_key text not null,
    state text not null,
    generation integer not null,
    lease_holder integer,
    lease_until integer,
    primary key (event, role)
) strict, without rowid;

create table feedback (
    event integer not null,
    agent integer not null,
    p real not null,                    -- 1 at once, 0 at the window's end
    left_at_ms integer not null,
    primary key (event, agent)
) strict;

create table counters (
    action text primary key not null,
    value integer not null,
    changed_at_ms integer not null
) strict, without rowid;

create table measurements (
    id integer primary key autoincrement,
    agent integer not null,
    data_set text not null,
    replica integer not null,
    node integer not null,
    at_ms integer not null,
    response_time_s real,               -- null: not measured, as with all metrics
    execution_time_s real,
    throughput_records_per_s real,
    network_latency_ms real,
    availability_percent real,
    data_consistency real,
    emulated_latency_ms real,           -- the link's latency as the emulator states it
    satisfied integer not null,         -- 0, 1: whether the agent's goal held
    job text not null unique
) strict;

create table impacts (
    agent integer not null,
    action text not null,
    metric text not null,
    value real not null,                -- -1 to 1, positive = better
    samples integer not null,
    updated_at_ms integer not null,
    primary key (agent, action, metric)
) strict, without rowid;
