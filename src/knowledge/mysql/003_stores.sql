-- What a node's store can, and uploads in parts that were begun and neither finished nor given up: not every store can list them.
create table if not exists uploads (
    id bigint not null auto_increment primary key,
    node bigint not null,
    object_key varchar(2048) not null,
    upload_id varchar(2048) not null,
    agent bigint not null,                 -- who began it
    begun_at_ms bigint not null,
    key uploads_by_node (node)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- Last, because not every server can be told to add what is missing: that both columns are there already means that all is done.
-- store_deletes: 0, 1: whether what is written can be deleted; null: not tried.
-- store_remarks: what its store does that costs something, for people.
alter table nodes
    add column store_deletes tinyint,
    add column store_remarks varchar(2048);
