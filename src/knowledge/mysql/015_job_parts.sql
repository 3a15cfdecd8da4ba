-- What each data set had to do with a job that reads several, as JSON; null: it reads one.
alter table measurements add column job_parts text character set utf8mb4;
