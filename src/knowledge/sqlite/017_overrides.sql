-- What is asked of an application in place of its configuration; null: nothing.
alter table agents add column goal_override text;
alter table agents add column policy_override text;

-- What was said of nodes and links before it was changed, each until when. What is said now stands in their own tables.
create table former_environment (
    id integer primary key,
    from_node integer not null,
    to_node integer not null,   -- 0: it is the availability of from_node, in percent; else the latency of the link, in ms
    basis text not null,        -- declared, or measured
    until_ms integer not null,
    value real                  -- null: nothing was said
) strict;
create index former_environment_by_time on former_environment (until_ms);
