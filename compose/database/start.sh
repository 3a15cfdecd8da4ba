#!/usr/bin/env bash
# Makes the database at the first start, states the accounts at every start (so a changed password in .env counts), and
# becomes the server.
#
# owner   makes and changes tables: `agent db init`, and people
# agent   reads and writes rows, nothing else: the agents
set -euo pipefail

for name in OWNER_PASSWORD AGENT_PASSWORD; do
    if ! [[ ${!name:-} =~ ^[A-Za-z0-9]{16,}$ ]]; then
        echo "$name has to be 16 or more letters and digits; prepare.sh writes such into .env" >&2
        exit 1
    fi
done

if ! [[ -d /var/lib/mysql/mysql ]]; then
    echo "first start: making the database"
    mariadb-install-db --skip-test-db --auth-root-authentication-method=socket --auth-root-socket-user=mysql >/dev/null
fi

umask 077
cat >/run/mysqld/accounts.sql <<SQL
create database if not exists agent character set utf8mb4 collate utf8mb4_bin;
create or replace user owner@'%' identified by '$OWNER_PASSWORD';
create or replace user agent@'%' identified by '$AGENT_PASSWORD';
grant all on agent.* to owner@'%';
grant select, insert, update, delete on agent.* to agent@'%';
SQL
unset OWNER_PASSWORD AGENT_PASSWORD
exec mariadbd
