-- The shared table of all agents. People may look at it, and edit it, with any SQL client while the agents run:
-- nodes.availability_percent, links.latency_ms and links.jitter_ms act from the next job on.
-- Times are milliseconds of scenario time since the Unix epoch. Every table says in its comment whose it is.

create table if not exists nodes (
    id bigint not null primary key,
    name varchar(255) not null,
    store_url varchar(1024),               -- null: its store was not started yet
    availability_percent double not null,  -- 0 to 100
    capacity_bytes bigint,                 -- null: unlimited
    state varchar(16) not null,            -- declared, running, stopped, leaving
    heartbeat_at bigint                    -- null: never heard of
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists links (
    from_node bigint not null,
    to_node bigint not null,
    latency_ms double not null,
    jitter_ms double not null,
    primary key (from_node, to_node)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists data_sets (
    name varchar(255) not null primary key,
    object_key varchar(1024) not null,
    bytes bigint not null,
    records bigint not null,
    sha256 varchar(255) not null,          -- lower-case hexadecimal
    revision bigint not null               -- whoever changes its replicas raises it first, so that they queue here
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists replicas (
    id bigint not null auto_increment primary key,
    data_set varchar(255) not null,
    node bigint not null,
    object_key varchar(2048) not null,
    state varchar(16) not null,            -- copying, present, removing
    generation bigint not null,            -- rises with every change
    lease_holder bigint,                   -- the agent that may change it until lease_until
    lease_until bigint,
    key replicas_by_data_set (data_set, node)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists agents (
    id bigint not null primary key,
    node bigint not null,
    goal mediumtext not null,
    policy varchar(255) not null,
    state varchar(16) not null,            -- running, stopped
    heartbeat_at bigint,                   -- null: stopped cleanly
    converged tinyint not null,            -- 0, 1
    life varchar(255)                      -- the start of its process that the agent belongs to
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists reference_replicas (
    agent bigint not null,
    data_set varchar(255) not null,
    replica bigint not null,               -- the one that the agent reads
    generation bigint not null,
    primary key (agent, data_set),
    key reference_replicas_by_data_set (data_set)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists events (
    id bigint not null auto_increment primary key,
    idempotency_key varchar(255) not null,
    agent bigint not null,
    data_set varchar(255) not null,
    replica bigint not null,               -- the one that the agent read before the action
    action varchar(64) not null,           -- M1_2, C1_2, CR2, E2, NA
    action_type varchar(32) not null,      -- move, copy, change_reference, evict, nothing
    from_node bigint,
    to_node bigint,
    explored tinyint not null,             -- 0, 1
    posted_at_ms bigint not null,
    closes_at_ms bigint not null,
    state varchar(16) not null,            -- open, closed
    outcome varchar(16) not null,          -- running, done, failed, aborted
    ended_at_ms bigint,                    -- since when it is no longer running
    feedback_sum double not null,
    detail mediumtext not null,            -- why it was chosen, and what went wrong, as JSON
    unique key events_by_key (idempotency_key),
    key events_open (state, data_set),
    key events_running (outcome),
    key events_changes (data_set, outcome, ended_at_ms),
    key events_copies (data_set, action_type, outcome, replica)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- The rows that an event's claim was granted (source, destination) and what its commit left (leftover), as they were then.
create table if not exists claims (
    event bigint not null,
    role varchar(16) not null,
    replica bigint not null,
    node bigint not null,
    object_key varchar(2048) not null,
    state varchar(16) not null,
    generation bigint not null,
    lease_holder bigint,
    lease_until bigint,
    primary key (event, role)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists feedback (
    id bigint not null auto_increment,     -- in the order in which it was left
    event bigint not null,
    agent bigint not null,
    p double not null,                     -- 1 at once, 0 at the window's end
    left_at_ms bigint not null,
    primary key (event, agent),
    unique key feedback_by_id (id)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists counters (
    action varchar(64) not null primary key,
    value bigint not null,
    changed_at_ms bigint not null
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists measurements (
    id bigint not null auto_increment primary key,
    agent bigint not null,
    data_set varchar(255) not null,
    replica bigint not null,
    node bigint not null,
    at_ms bigint not null,
    response_time_s double,                -- null: not measured, as with all metrics
    execution_time_s double,
    throughput_records_per_s double,
    network_latency_ms double,
    availability_percent double,
    data_consistency double,
    emulated_latency_ms double,            -- the link's latency as the emulator states it
    satisfied tinyint not null,            -- 0, 1: whether the agent's goal held
    job varchar(255) not null,
    unique key measurements_by_job (job),
    key measurements_by_agent (agent, data_set)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists impacts (
    agent bigint not null,
    action varchar(255) not null,
    metric varchar(64) not null,
    value double not null,                 -- -1 to 1, positive = better
    samples bigint not null,
    updated_at_ms bigint not null,
    primary key (agent, action, metric)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- Nodes that were removed: a configuration that still lists them does not bring them back.
create table if not exists removed_nodes (
    id bigint not null primary key,
    removed_at_ms bigint not null
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists schema_version (
    version bigint not null primary key,
    applied_at_ms bigint not null
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';
