-- Where else an application's jobs may run, and where they were moved to.
alter table agents
    add column may_run_on text,     -- a JSON list of nodes, besides its own; null: at home alone
    add column runs_at int;         -- null: at home
alter table measurements add column ran_at int; -- where the job ran; null: at home
