-- Who reads which data set, whether it has a reference by now or not. One that reads another one from its next start on is
-- written anew then.
create table readers (
    agent integer not null,
    data_set text not null,
    primary key (agent, data_set)
) strict, without rowid;

create index readers_by_data_set on readers (data_set);

insert into readers (agent, data_set) select agent, data_set from reference_replicas;
-- Without a reference: of the only data set that there was.
insert or ignore into readers (agent, data_set)
    select agents.id, data_sets.name from agents, data_sets
    where agents.id not in (select agent from readers) and (select count(*) from data_sets) = 1;

-- What others answer to an action is about one data set.
alter table counters rename to counters_of_one;
create table counters (
    data_set text not null,
    action text not null,
    value integer not null,
    changed_at_ms integer not null,
    primary key (data_set, action)
) strict, without rowid;
insert into counters (data_set, action, value, changed_at_ms)
    select data_sets.name, action, value, changed_at_ms from counters_of_one, data_sets;
drop table counters_of_one;
