#!/usr/bin/env bash
# The demo in containers, from nothing to convergence, a fourth node, faults, and convergence again; then nothing is left of
# it but images. Says what it does and how long that took; when it fails, why, and what the containers said last.
#
#   bash test.sh             COMPOSE="docker compose" chooses between the two if both are installed
set -euo pipefail
cd "$(dirname "$0")"
# Of its own, for another one may run beside it.
readonly PROJECT=agent-test-$$
WORK=$(mktemp -d)
if [[ -z ${COMPOSE:-} ]]; then
    if docker compose version >/dev/null 2>&1; then COMPOSE="docker compose"; else COMPOSE=docker-compose; fi
fi
# A port that nobody uses, chosen by the kernel.
export ADMINER_PORT=0 PANEL_PORT=0 PROMETHEUS_PORT=0

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
fail() { say "FAILED: $*"; return 1; }
# Every command has an end, also one that waits for a container that hangs.
# With workers from the beginning: applications do not notice.
export COMPOSE_FILE=docker-compose.yml:batch.yml
compose() { timeout --foreground 300 $COMPOSE --project-name "$PROJECT" --env-file "$WORK/env" "$@" 2>>"$WORK/compose.log"; }
# A container outlives its restarts, so it is asked for once: docker-compose takes a second to say anything.
id() {
    [[ -s $WORK/id-$1 ]] || compose ps -q "$1" >"$WORK/id-$1"
    cat "$WORK/id-$1"
}
# inside SERVICE COMMAND...: in its running container.
inside() {
    local container
    container=$(id "$1")
    timeout --foreground 60 docker exec "$container" "${@:2}" 2>>"$WORK/compose.log"
}
sql() { inside database mariadb --batch --skip-column-names --execute "$1" agent; }
agent() { inside agent1 agent "$@"; }

tear_down() {
    local status=$?
    set +e
    if ((status)); then
        say "FAILED; what the containers are and said last:"
        compose ps
        compose logs --no-color --tail 20
        tail -n 20 "$WORK/compose.log"
    fi
    compose --profile node4 --profile watch down --volumes --remove-orphans --timeout 5 >/dev/null
    rm -rf "$WORK"
    say "torn down"
    exit "$status"
}

# within SECONDS WHAT COMMAND...: until the command succeeds.
within() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || { fail "not in time: $what"; return 1; }
        sleep 0.5
    done
    say "$what"
}

converged() { agent status --json | grep -q '^  "converged": true'; }
healthy() { [[ $(docker inspect --format '{{.State.Health.Status}}' "$(id "$1")") == healthy ]]; }
jobs_since() { (($(sql "select count(*) from measurements where agent = $1 and id > $2") >= 3)); }
others_since() { (($(sql "select count(*) from measurements where agent <> $1 and id > $2") >= 3)); }
last_job() { sql "select coalesce(max(id), 0) from measurements"; }
holds() { (($(sql "select count(*) from replicas where node = $1 and state = 'present'") > 0)); }
service_of() { if (($1 == 4)); then echo node4; else echo "agent$1"; fi; }
# Every data set has a present replica, the bytes of each are what the catalogue says, and no reference leads nowhere. An
# action that is under way meanwhile is no mistake: `within` asks again.
intact() {
    local name node key sha256 found rows
    rows=$(sql "select d.name, r.node, r.object_key, d.sha256 from data_sets d left join replicas r
                on r.data_set = d.name and r.state = 'present'")
    [[ -n $rows ]] || return 1
    rm -f "$WORK/intact"
    while read -r name node key sha256; do
        found=$(inside "$(service_of "$node")" sha256sum "agent-data/run/nodes/$node/objects/agent/$key" </dev/null)
        [[ ${found%% *} == "$sha256" ]] || return 1
        echo "$name on node $node" >>"$WORK/intact"
    done <<<"$rows"
    (($(sql "select count(*) from reference_replicas f left join replicas r on r.id = f.replica and r.state = 'present'
             where r.id is null") == 0))
}
verified() {
    within 60 "every replica holds what the catalogue says" intact
    paste -sd , "$WORK/intact"
}

# Agents go on, all goals are met, and nothing was lost.
well() {
    local last agent
    last=$(last_job)
    for agent in 1 2 3; do within 90 "$1: agent $agent runs jobs" jobs_since "$agent" "$last"; done
    within 150 "$1: converged" converged
    verified
}

confined() {
    local container
    for container in $(compose ps -q); do
        docker inspect --format '{{.Name}} {{.Config.User}} {{.HostConfig.ReadonlyRootfs}}' "$container"
    done | awk '$2 == "" || $2 ~ /^(root|0)(:|$)/ || $3 != "true" { print "not confined: " $0; bad = 1 } END { exit bad }'
    [[ $(docker ps --filter "label=com.docker.compose.project=$PROJECT" --format '{{.Ports}}' | grep -c -- '->') == 1 ]] ||
        fail "more than one port is published"
    compose port adminer 8080 | grep -q '^127\.0\.0\.1:' || fail "Adminer is published beyond loopback"
    say "containers are confined, and Adminer's port on loopback is the only one"
}

# The way to another agent's store leads through the emulator and nowhere else.
isolated() {
    local address
    address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(id agent2)")
    inside agent1 timeout 5 bash -c "</dev/tcp/emulator/8474" || fail "agent 1 does not get to the emulator"
    ! inside agent1 timeout 5 bash -c "</dev/tcp/$address/9000" || fail "agent 1 gets to node 2's store directly"
    say "agents reach each other's stores only through the emulator"
}

# A node that nobody knew; and a storm in which it is the only one that stays up, so that somebody takes the data there.
joined() {
    local node
    agent add-node --id 4 --name gateway --availability 99 --latency 1=200,2=1000,3=1000
    compose --profile node4 up --detach node4
    within 60 "node 4 has joined" healthy node4
    for node in 1 2 3; do agent set availability "$node" 40; done
    within 150 "node 4 holds the data, when all others are down often" holds 4
    agent set availability 1 97
    agent set availability 2 80
    agent set availability 3 85
}

# Prometheus sees all agents through the panel, which shows nothing to whoever has no token.
scraped() { (($(inside prometheus promtool query instant http://127.0.0.1:9090 agent_goal_met | grep -c '^agent_goal_met') == 3)); }
watched() {
    local status
    compose --profile watch up --detach panel prometheus
    within 60 "the panel serves" healthy panel
    status=$(inside panel bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080; printf "GET /metrics HTTP/1.0\r\nHost: panel\r\n\r\n" >&3; head -n 1 <&3')
    [[ $status == *" 401 "* ]] || fail "without a token the panel answers: $status"
    within 60 "Prometheus sees the agents' goals" scraped
    compose --profile watch stop panel prometheus
}

killed() {
    local last
    last=$(last_job)
    docker kill --signal KILL "$(id agent2)" >/dev/null
    within 60 "agent 2 is killed; others go on" others_since 2 "$last"
    compose start agent2 >/dev/null
    within 60 "agent 2 is back" healthy agent2
}

partitioned() {
    local last container
    last=$(last_job) container=$(id agent3)
    docker network disconnect "${PROJECT}_node3" "$container"
    within 60 "node 3 is cut off; others go on" others_since 3 "$last"
    docker network connect --alias agent3 "${PROJECT}_node3" "$container"
    say "node 3 is joined again"
}

# Jobs on three workers, one of which is killed: each ends, what the dead one had is tried again elsewhere, and nothing stays taken.
over() { (($(sql "select count(*) from batch_jobs where state = 'done'") == $1)); }
running_on() { (($(sql "select count(*) from batch_tasks where state = 'running' and node = $1") > 0)); }
workers() { (($(agent worker list --json | grep -c '"standing": "active"') == 3)); }
batched() {
    local job
    within 60 "three nodes take tasks" workers
    job='name = "compose"
[[task]]
count = 2
tries = 5
command = ["sleep", "4"]'
    inside agent1 bash -c "cat >agent-data/job.toml <<<'$job'; for _ in 1 2 3; do agent batch submit agent-data/job.toml --wait >/dev/null; done"
    within 60 "tasks run on node 2" running_on 2
    docker kill --signal KILL "$(id agent2)" >/dev/null
    compose start agent2 >/dev/null
    within 120 "all jobs have ended" over 3
    within 60 "agent 2 takes tasks again" workers
    agent batch list
    (($(agent worker list --json | grep -c '"tasks": 0') == 3)) || fail "something stays taken"
}

trap tear_down EXIT
trap 'exit 143' INT TERM
bash prepare.sh "$WORK/env"
say "prepared"
# One service of each image: side by side, those that share one would build it as often.
compose build --parallel database adminer agent1 prometheus >>"$WORK/compose.log"
say "images built"
compose up --detach
within 60 "the database is healthy" healthy database
within 150 "converged" converged
compose run --rm -T agent1 status | tee "$WORK/status"
grep -q converged "$WORK/status"
(($(compose logs --no-color agent1 agent2 agent3 | grep -c ' job ') > 5)) || fail "the logs tell no story"
verified
confined
isolated
watched
batched
joined
killed
partitioned
compose restart database
within 60 "the database was restarted" healthy database
well "healed"
say "passed"
