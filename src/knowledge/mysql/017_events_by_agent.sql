-- What was done by one agent, or to one data set, however long the history is.
alter table events add key events_by_agent (agent), add key events_by_data_set (data_set);
