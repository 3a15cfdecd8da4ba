-- Stores belong to others, too: what tells one content of an object from another, what was found wrong, and what a store can.

-- replicas.state may also be `changed` (the user's own object is another one by now: a person decides) or `damaged` (its object is
-- gone or not what was written: it is made anew). Of its object, as it was last seen to be right; null: not known.
alter table replicas add column object_bytes integer;
alter table replicas add column etag text;
alter table replicas add column modified_at_ms integer; -- by the store's own clock, real time
alter table replicas add column remark text;            -- what is wrong with it, for people

alter table nodes add column store_deletes integer;     -- 0, 1: whether what is written can be deleted; null: not tried
alter table nodes add column store_remarks text;        -- what its store does that costs something, for people

alter table measurements add column result text;        -- what the job computed, for people
alter table measurements add column failure text;       -- store, program, data, changed_data, surroundings; null: it did not fail
alter table measurements add column failure_reason text;

-- Uploads in parts that were begun and neither finished nor given up: not every store can list them.
create table uploads (
    node integer not null,
    object_key text not null,
    upload_id text not null,
    agent integer not null,             -- who began it
    begun_at_ms integer not null,
    primary key (node, object_key, upload_id)
) strict;
