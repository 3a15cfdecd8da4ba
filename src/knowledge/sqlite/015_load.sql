-- Load. Columns are what is looked for; a document, JSON, says everything.

-- One row: the number of the experiment that came last.
create table load_settings (
    id integer primary key check (id = 1),
    document text not null
) strict;

create table load_experiments (
    id integer primary key,
    request_key text not null unique,   -- the same key is the same experiment
    state text not null,                -- queued, running, finished, failed, cancelled
    document text not null
) strict;
create index load_experiments_that_live on load_experiments (state) where state in ('queued', 'running');

-- What an experiment was queued with: the file that says it, and recordings.
create table load_files (
    experiment integer not null,
    name text not null,
    content text not null,
    primary key (experiment, name)
) strict, without rowid;

-- Where the requests of a service go. A service that is routed no more has no hosts, and keeps its row.
create table load_routes (
    service text primary key,
    revision integer not null,          -- goes up by one with each change
    document text not null
) strict, without rowid;
