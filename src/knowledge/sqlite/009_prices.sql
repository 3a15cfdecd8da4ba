-- What things cost, and what may be spent, in the words of the configuration: `0.021 EUR/GB/month` of `storage` on `from_node`,
-- `0.09 EUR/GB` of `egress` from one node to another, `5 EUR/day` as the `budget` of an agent (0: of the network).
create table prices (
    what text not null,
    from_node integer not null,
    to_node integer not null,
    agent integer not null,
    written text not null,
    primary key (what, from_node, to_node, agent)
) strict;

-- What was spent, added up for each day (or hour) and cause; `amount` in billionths of the currency's unit, `bytes` that have
-- travelled. Of what is held the agent is 0.
create table charges (
    since_ms integer not null,
    agent integer not null,
    data_set text not null,
    kind text not null,
    from_node integer not null,
    to_node integer not null,
    currency text not null,
    bytes integer not null,
    amount integer not null,
    primary key (since_ms, agent, data_set, kind, from_node, to_node, currency)
) strict;

-- The last bill of an agent, which is not written twice; of 0 up to when what is held was billed.
create table billing (
    agent integer primary key,
    bill text,
    until_ms integer
) strict;
