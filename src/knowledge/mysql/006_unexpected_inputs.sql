-- What an agent's parts were told in its present life though nobody waited for it: faults in the program, for people.
alter table agents add column unexpected int not null default 0;
