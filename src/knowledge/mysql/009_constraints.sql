-- What nobody may do with a data set, as JSON; null: nothing is forbidden. No action on it begins before `paused_until`
-- [milliseconds of scenario time].
alter table data_sets add column constraints text, add column paused_until bigint;
