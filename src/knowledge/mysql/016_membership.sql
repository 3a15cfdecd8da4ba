-- What is measured beside what is declared, and how members of the network find and know each other.

-- The way from one node to another as the first one measured it; what `links` declares is in force. `loss_percent` of what is
-- sent; `bytes_per_s` of transfers, null where there was none.
create table if not exists measured_links (
    from_node bigint not null,
    to_node bigint not null,
    latency_ms double not null,
    loss_percent double not null,
    bytes_per_s double,
    at_ms bigint not null,
    primary key (from_node, to_node)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- What is null in `availability_percent` is as its peers measure it, or 100. HOST:PORT where a node listens for its peers, and
-- what its records are signed with, lower-case hexadecimal.
alter table nodes
    modify column availability_percent double,
    add column measured_availability_percent double,
    add column gossip_address varchar(255),
    add column public_key varchar(64);
