-- What is asked of an application in place of its configuration; null: nothing.
alter table agents
    add column goal_override text,
    add column policy_override varchar(255);

-- What was said of nodes and links before it was changed, each until when. What is said now stands in their own tables.
create table if not exists former_environment (
    id bigint not null auto_increment primary key,
    from_node bigint not null,
    to_node bigint not null,    -- 0: it is the availability of from_node, in percent; else the latency of the link, in ms
    basis varchar(16) not null, -- declared, or measured
    until_ms bigint not null,
    value double,               -- null: nothing was said
    key former_environment_by_time (until_ms)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';
