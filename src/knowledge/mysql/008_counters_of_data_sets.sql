-- What was answered before there were several data sets is about each one that there was.
insert ignore into counters (data_set, action, value, changed_at_ms)
    select data_sets.name, action, value, changed_at_ms from counters join data_sets where data_set = '';

delete from counters where data_set = '';
