-- Nodes that come and go while the agents run, and whose agent is whose. nodes.state may also be `leaving`.

alter table agents add column life text; -- the start of its process that the agent belongs to; null: of an earlier version

-- Nodes that were removed: a configuration that still lists them does not bring them back.
create table removed_nodes (
    id integer primary key,
    removed_at_ms integer not null
) strict;
