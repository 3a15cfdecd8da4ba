-- Who reads which data set, whether it has a reference by now or not. Whoever reads another one from its next start on is
-- written anew then.
create table if not exists readers (
    agent bigint not null,
    data_set varchar(255) not null,
    primary key (agent, data_set),
    key readers_by_data_set (data_set)
) engine = InnoDB, character set utf8mb4, collate utf8mb4_bin, comment 'agent';

insert ignore into readers (agent, data_set) select agent, data_set from reference_replicas;

-- Without a reference: of the only data set that there was.
insert ignore into readers (agent, data_set)
    select agents.id, min(data_sets.name) from agents join data_sets left join reference_replicas
        on reference_replicas.agent = agents.id
    where reference_replicas.agent is null group by agents.id having count(*) = 1;

-- What others answer to an action is about one data set. Last: that the column is there already means that all is done.
alter table counters
    add column data_set varchar(255) not null default '' first,
    drop primary key,
    add primary key (data_set, action);
