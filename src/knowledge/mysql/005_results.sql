-- result: what the job computed, for people. failure: store, program, data, changed_data, surroundings; null: it did not fail.
alter table measurements
    add column result varchar(2048),
    add column failure varchar(16),
    add column failure_reason varchar(2048);
