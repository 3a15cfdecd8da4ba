-- Batch jobs. Columns are what is looked for; a document, JSON, says everything.

-- One row: the strategy, the number of the job that came last, and a number that goes up with all that is news.
create table batch_settings (
    id integer primary key check (id = 1),
    revision integer not null,
    document text not null
) strict;

-- Nodes that take tasks.
create table batch_workers (
    node integer primary key,
    document text not null
) strict;

create table batch_jobs (
    id integer primary key,
    request_key text not null unique,   -- the same key is the same job
    state text not null,                -- queued, placed, running, done, failed, cancelled
    document text not null
) strict;
create index batch_jobs_that_live on batch_jobs (state) where state in ('queued', 'placed', 'running');

create table batch_tasks (
    job integer not null,
    task integer not null,              -- from 0, in the job's order
    state text not null,
    node integer,                       -- where it is; null while it waits
    document text not null,
    primary key (job, task)
) strict, without rowid;
create index batch_tasks_at on batch_tasks (node) where state in ('placed', 'running');

-- What became of jobs and tasks, and why.
create table batch_changes (
    id integer primary key,
    job integer not null,
    task integer,                       -- null: the job itself
    at_ms integer not null,
    state text not null,
    reason text not null
) strict;
create index batch_changes_of on batch_changes (job);

-- What of the workers was in use; old rows go.
create table batch_utilisation (
    node integer not null,
    at_ms integer not null,
    document text not null,
    primary key (node, at_ms)
) strict, without rowid;
create index batch_utilisation_since on batch_utilisation (at_ms);
