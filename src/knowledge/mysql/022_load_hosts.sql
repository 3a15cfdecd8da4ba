-- Load hosts: processes that make load for whoever asks them by this table.

-- Until when each is there its document says; it says so again and again.
create table if not exists load_hosts (
    name varchar(255) not null primary key,
    document mediumtext not null
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

-- What hosts are asked. The row goes when whoever asked has heard the answer.
create table if not exists load_orders (
    id bigint not null primary key,
    host varchar(255) not null,
    document mediumtext not null,
    key load_orders_by_host (host)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

create table if not exists load_answers (
    order_id bigint not null primary key,
    content longtext not null
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';
