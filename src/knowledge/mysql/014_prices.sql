-- What things cost, and what may be spent, in the words of the configuration: `0.021 EUR/GB/month` of `storage` on `from_node`,
-- `0.09 EUR/GB` of `egress` from one node to another, `5 EUR/day` as the `budget` of an agent (0: of the network).
create table if not exists prices (
    what varchar(16) not null,
    from_node bigint not null,
    to_node bigint not null,
    agent bigint not null,
    written varchar(255) not null,
    primary key (what, from_node, to_node, agent)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- What was spent, added up for each day (or hour) and cause; `amount` in billionths of the currency's unit, `bytes` that have
-- travelled. Of what is held the agent is 0.
create table if not exists charges (
    since_ms bigint not null,
    agent bigint not null,
    data_set varchar(255) not null,
    kind varchar(16) not null,
    from_node bigint not null,
    to_node bigint not null,
    currency varchar(8) not null,
    bytes bigint not null,
    amount bigint not null,
    primary key (since_ms, agent, data_set, kind, from_node, to_node, currency)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- The last bill of an agent, which is not written twice; of 0 up to when what is held was billed. Whoever spends raises the
-- revision of 0 first, so that spenders queue there.
create table if not exists billing (
    agent bigint not null primary key,
    bill varchar(255),
    until_ms bigint,
    revision bigint not null default 0
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';
