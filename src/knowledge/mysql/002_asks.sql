-- What agents say to each other before one of them acts, and by what they notice cheaply that anything is new.

create table if not exists asks (
    id bigint not null auto_increment primary key,
    idempotency_key varchar(255) not null,
    data_set varchar(255) not null,
    agent bigint not null,                 -- who asks
    generation bigint not null,            -- of the planned placement that it is about
    action varchar(64),                    -- M1_2, C1_2, CR2, E2; null: nothing is proposed
    afresh tinyint not null,               -- 0, 1: also what was said before is to be said again
    level double not null,                 -- how content who asks is now, 0 to 1
    posted_at_ms bigint not null,
    closed tinyint not null,               -- 0, 1: it takes no replies any more
    unique key asks_by_key (idempotency_key),
    key asks_by_data_set (data_set, posted_at_ms)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- What each question is about.
create table if not exists ask_nodes (
    ask bigint not null,
    node bigint not null,
    primary key (ask, node)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists replies (
    ask bigint not null,
    agent bigint not null,
    level double not null,                 -- how content the agent is now, 0 to 1
    said bigint not null,                  -- how many forecasts it has made from where it reads, in all replies
    nodes text not null,                   -- those that it speaks about, `1 2 5`: what is not forecast for them changes nothing
    primary key (ask, agent)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- Nodes that would suit the agent, and that nobody had asked about.
create table if not exists named_nodes (
    ask bigint not null,
    agent bigint not null,
    node bigint not null,
    primary key (ask, agent, node)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- How the agent's level would change if it read at the node while there were so many replicas, or more of which nothing else is
-- said. Only what it has not said before.
create table if not exists forecasts (
    ask bigint not null,
    agent bigint not null,
    node bigint not null,
    replicas bigint not null,              -- -1: however many
    level_change double not null,          -- -1 to 1
    primary key (ask, agent, node, replicas)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- Last, because not every server can be told to add what is missing: that both columns are there already means that all is done.
-- generation, of the planned placement (the present one with the running actions applied): rises with everything that begins or
-- gives up an action, or changes the placement otherwise; not when an action that runs comes to its end.
-- said: rises with every question about the data set, every reply, and every end of a question.
alter table data_sets
    add column generation bigint not null default 0,
    add column said bigint not null default 0;
