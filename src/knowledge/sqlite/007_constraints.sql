-- What nobody may do with a data set, as JSON; null: nothing is forbidden. No action on it begins before `paused_until`
-- [milliseconds of scenario time].
alter table data_sets add column constraints text;
alter table data_sets add column paused_until integer;

-- What a node is called by, as a JSON object of texts, so that constraints can mean it.
alter table nodes add column labels text;
