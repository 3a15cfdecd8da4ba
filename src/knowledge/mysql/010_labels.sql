-- What a node is called by, as a JSON object of texts, so that constraints can mean it.
alter table nodes add column labels text;
