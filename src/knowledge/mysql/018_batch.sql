-- Batch jobs. Columns are what is looked for; a document, JSON, says everything.

-- One row: the strategy, the number of the job that came last, and a number that goes up with all that is news. Whoever changes
-- anything here raises `writes` first, so that writers queue there, also on several servers of a cluster.
create table if not exists batch_settings (
    id bigint not null primary key,
    writes bigint not null,
    revision bigint not null,
    document mediumtext not null
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- Nodes that take tasks.
create table if not exists batch_workers (
    node bigint not null primary key,
    document mediumtext not null
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- `request_key`: the same key is the same job. `state`: queued, placed, running, done, failed, cancelled.
create table if not exists batch_jobs (
    id bigint not null primary key,
    request_key varchar(255) not null unique,
    state varchar(16) not null,
    document mediumtext not null,
    key batch_jobs_by_state (state)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- `task` from 0, in the job's order; `node` where it is, null while it waits.
create table if not exists batch_tasks (
    job bigint not null,
    task bigint not null,
    state varchar(16) not null,
    node bigint,
    document mediumtext not null,
    primary key (job, task),
    key batch_tasks_by_state (state, node)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- What became of jobs and tasks, and why; `task` null: the job itself.
create table if not exists batch_changes (
    id bigint not null auto_increment primary key,
    job bigint not null,
    task bigint,
    at_ms bigint not null,
    state varchar(16) not null,
    reason text not null,
    key batch_changes_of (job)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- What of the workers was in use; old rows go.
create table if not exists batch_utilisation (
    node bigint not null,
    at_ms bigint not null,
    document mediumtext not null,
    primary key (node, at_ms),
    key batch_utilisation_since (at_ms)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

insert ignore into batch_settings (id, writes, revision, document) values (1, 0, 0, '{}');
