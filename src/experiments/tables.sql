-- What an experiment came to. Every column is explained in docs/experiments.md.

create table experiment (
    name       text not null,
    about      text not null,
    format     integer not null,
    written_by text not null
) strict;

create table runs (
    id                      integer primary key,
    scenario                text not null,
    policy                  text not null,
    factors                 text not null,
    seed                    integer not null,
    hours                   real not null,
    identity                text not null unique,
    agents                  integer not null,
    jobs                    integer not null,
    violated                integer not null,
    failed                  integer not null,
    expected_share          real,
    best_share              real,
    on_best                 integer,
    actions                 integer not null,
    moves                   integer not null,
    copies                  integer not null,
    references_changed      integer not null,
    evicts                  integer not null,
    actions_failed          integer not null,
    action_cost             real not null,
    bytes_moved             integer not null,
    first_violation_s       real,
    last_action_s           real,
    replicas_mean           real not null,
    replicas_end            integer not null,
    changes                 integer not null,
    oscillations            integer not null,
    fairness                real not null,
    messages_per_agent_hour real not null,
    decisions               integer not null,
    decision_us             real,
    converged               integer not null,
    unique (scenario, policy, factors, seed)
) strict;

create table run_agents (
    run      integer not null references runs (id) on delete cascade,
    agent    integer not null,
    jobs     integer not null,
    violated integer not null,
    actions  integer not null,
    messages integer not null,
    primary key (run, agent)
) strict, without rowid;

create table run_series (
    run      integer not null references runs (id) on delete cascade,
    at_s     real not null,
    violated integer not null,
    jobs     integer not null,
    replicas integer not null,
    primary key (run, at_s)
) strict, without rowid;

-- `sequence` counts a run's placements: two agents may do the same at the same millisecond.
create table run_placements (
    run      integer not null references runs (id) on delete cascade,
    sequence integer not null,
    at_s     real not null,
    agent    integer,
    action   text not null,
    replicas text not null,
    refs     text not null,
    primary key (run, sequence)
) strict, without rowid;
