-- What agents say to each other before one of them acts, and by what they notice cheaply that anything is new.

-- Of the planned placement (the present one with the running actions applied): rises with everything that begins or gives up
-- an action, or changes the placement otherwise; not when an action that runs comes to its end.
alter table data_sets add column generation integer not null default 0;
-- Rises with every question about the data set, every reply, and every end of a question.
alter table data_sets add column said integer not null default 0;

create table asks (
    id integer primary key autoincrement, -- never given twice: a late reply finds its question or none
    idempotency_key text not null unique,
    data_set text not null,
    agent integer not null,             -- who asks
    generation integer not null,        -- of the planned placement that it is about
    action text,                        -- M1_2, C1_2, CR2, E2; null: nothing is proposed
    afresh integer not null,            -- 0, 1: also what was said before is to be said again
    level real not null,                -- how content who asks is now, 0 to 1
    posted_at_ms integer not null,
    closed integer not null             -- 0, 1: it takes no replies any more
) strict;

-- The latest questions are read often, and the oldest deleted.
create index asks_by_data_set on asks (data_set, posted_at_ms);

-- What each question is about.
create table ask_nodes (
    ask integer not null,
    node integer not null,
    primary key (ask, node)
) strict, without rowid;

create table replies (
    ask integer not null,
    agent integer not null,
    level real not null,                -- how content the agent is now, 0 to 1
    said integer not null,              -- how many forecasts it has made from where it reads, in all replies
    nodes text not null,                -- those that it speaks about, `1 2 5`: what is not forecast for them changes nothing
    primary key (ask, agent)
) strict, without rowid;

-- Nodes that would suit the agent, and that nobody had asked about.
create table named_nodes (
    ask integer not null,
    agent integer not null,
    node integer not null,
    primary key (ask, agent, node)
) strict, without rowid;

-- How the agent's level would change if it read at the node while there were so many replicas, or more of which nothing else is
-- said. Only what it has not said before.
create table forecasts (
    ask integer not null,
    agent integer not null,
    node integer not null,
    replicas integer not null,          -- -1: however many
    level_change real not null,         -- -1 to 1
    primary key (ask, agent, node, replicas)
) strict, without rowid;
