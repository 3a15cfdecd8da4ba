-- The newest version of a data set, from 1; when the first one was registered and the newest announced [milliseconds of scenario
-- time]; and in how many bytes each version differed from the one before, all together.
alter table data_sets add column version integer not null default 1;
alter table data_sets add column registered_at integer;
alter table data_sets add column written_at integer;
alter table data_sets add column written_bytes integer not null default 0;

-- The former version that a replica holds until it is refreshed, as JSON; null: it holds the newest.
alter table replicas add column former text;

-- How old the first version was that a job's replica lacked, where its goal speaks of it [seconds of scenario time].
alter table measurements add column staleness_s real;
