-- How old the first version was that a job's replica lacked, where its goal speaks of it [seconds of scenario time].
alter table measurements add column staleness_s double;
