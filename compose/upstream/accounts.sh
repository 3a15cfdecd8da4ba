# Read once by the entry script of mysql's image, when it has made the database and its owner: the account of the agents,
# which reads and writes rows and nothing else.
docker_process_sql <<SQL
create user agent@'%' identified by '$AGENT_PASSWORD';
grant select, insert, update, delete on agent.* to agent@'%';
SQL
