-- Load. Columns are what is looked for; a document, JSON, says everything.

-- One row: the number of the experiment that came last. Whoever changes anything here raises `writes` first, so that writers queue
-- there, also on several servers of a cluster.
create table if not exists load_settings (
    id bigint not null primary key,
    writes bigint not null,
    document mediumtext not null
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- `request_key`: the same key is the same experiment. `state`: queued, running, finished, failed, cancelled.
create table if not exists load_experiments (
    id bigint not null primary key,
    request_key varchar(255) not null unique,
    state varchar(16) not null,
    document mediumtext not null,
    key load_experiments_by_state (state)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- What an experiment was queued with: the file that says it, and recordings.
create table if not exists load_files (
    experiment bigint not null,
    name varchar(255) not null,
    content mediumtext not null,
    primary key (experiment, name)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- Where the requests of a service go; `revision` goes up by one with each change. A service that is routed no more has no hosts, and
-- keeps its row.
create table if not exists load_routes (
    service varchar(255) not null primary key,
    revision bigint not null,
    document mediumtext not null
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

insert ignore into load_settings (id, writes, document) values (1, 0, '{}');
