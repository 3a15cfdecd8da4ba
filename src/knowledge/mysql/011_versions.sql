-- The newest version of a data set, from 1; when the first one was registered and the newest announced [milliseconds of scenario
-- time]; and in how many bytes each version differed from the one before, all together.
alter table data_sets
    add column version bigint not null default 1,
    add column registered_at bigint,
    add column written_at bigint,
    add column written_bytes bigint not null default 0;
