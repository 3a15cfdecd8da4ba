-- Of the requests to a service in a window: what 95 and 99 of 100 answers did not take longer than [seconds of scenario time], and how
-- many were not answered.
alter table measurements
    add column response_time_p95_s double,
    add column response_time_p99_s double,
    add column error_rate_percent double;
