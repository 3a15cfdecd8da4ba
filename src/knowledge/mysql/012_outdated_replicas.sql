-- The former version that a replica holds until it is refreshed, as JSON; null: it holds the newest.
alter table replicas add column former text;
