-- Stores belong to others, too. replicas.state may also be `changed` (the user's own object is another one by now: a person decides)
-- or `damaged` (its object is gone or not what was written: it is made anew).
-- object_bytes, etag, modified_at_ms: of its object, as it was last seen to be right, the last by the store's own clock in real time;
-- null: not known. remark: what is wrong with it, for people.
alter table replicas
    add column object_bytes bigint,
    add column etag varchar(256),
    add column modified_at_ms bigint,
    add column remark varchar(2048);
