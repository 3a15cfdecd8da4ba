#!/usr/bin/env bash
# Real demo runs, one after the other, to be calibrated on and compared with (docs/simulator.md, "True to reality").
#
#   scripts/real_runs.sh POLICY FIRST LAST [DIRECTORY]     scripts/real_runs.sh fixed 1 20 agent-data/real
#
# Leaves DIRECTORY/POLICY-SEED/network.db and DIRECTORY/POLICY-SEED.json; a run that is there already is not made again. A demo
# measures the machine that it runs on: each waits until nothing else keeps that busy, and is made again when something did
# meanwhile. AGENT names another binary.
set -euo pipefail
policy=$1 first=$2 last=$3 directory=${4:-agent-data/real}
agent=${AGENT:-target/debug/agent}
readonly BUSY=${BUSY:-3} # load average of the last minute

load() { cut -d' ' -f1 /proc/loadavg; }
is_busy() { awk -v now="$(load)" -v busy="$BUSY" 'BEGIN { exit !(now >= busy) }'; }

mkdir -p "$directory"
for ((seed = first; seed <= last; seed++)); do
    run=$directory/$policy-$seed
    until [[ -s $run.json ]]; do
        while is_busy; do sleep 5; done
        # 3: it has not converged, which is a result, too.
        "$agent" demo --seed "$seed" --policy "$policy" --data "$run" --json >"$run.part" || (($? == 3))
        if is_busy; then
            echo "$run: again, the load rose to $(load)"
        else
            mv "$run.part" "$run.json"
            echo "$run: at a load of $(load)"
        fi
    done
done
