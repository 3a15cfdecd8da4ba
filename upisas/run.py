#!/usr/bin/env python3
"""Runs the strategies in lockstep with simulations, and says what came of them.

    python3 upisas/run.py fixtures/scenarios/published.toml fixtures/scenarios/drift.toml --seeds 20 --hours 4

UPISAS has to be importable: its checkout on PYTHONPATH.
"""

import argparse
import contextlib
import io
import logging
import math
import statistics
from pathlib import Path

from UPISAS.exceptions import ServerNotReachable

from agent_exemplar import AgentProcess
from strategies import Planning, Reactive

STRATEGIES = {"reactive": Reactive, "planning": Planning}


def run(strategy, exemplar):
    """The loop of a strategy until the exemplar has come to its end; its results."""
    exemplar.start_run()
    is_known = False
    try:
        # A network at work says much, and nobody reads it here.
        with contextlib.redirect_stdout(io.StringIO()):
            while True:
                try:
                    # Validating takes the client longer than everything else together; once tells as much.
                    strategy.monitor(with_validation=not is_known)
                    is_known = True
                    if strategy.analyze() and strategy.plan():
                        strategy.execute()
                except ServerNotReachable:
                    if not exemplar.has_ended():
                        raise
                    return exemplar.results
    finally:
        exemplar.stop_run()


def mean(values):
    """With the half width of its 95 % interval."""
    if len(values) < 2:
        return f"{values[0]:.3g}"
    return f"{statistics.mean(values):.3g} ± {1.96 * statistics.stdev(values) / math.sqrt(len(values)):.2g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="+", help="files of scenarios")
    parser.add_argument("--strategy", choices=STRATEGIES, action="append", help="this one [default: all]")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each [default: 10]")
    parser.add_argument("--hours", type=float, default=4, help="of virtual time [default: 4]")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--binary", default="agent", help="the program [default: agent]")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.WARNING)
    for scenario in arguments.scenarios:
        for name in arguments.strategy or STRATEGIES:
            violated, actions = [], []
            for seed in range(1, arguments.seeds + 1):
                command = ["simulate", "--scenario", scenario, "--seed", str(seed), "--hours", str(arguments.hours)]
                exemplar = AgentProcess(command, port=arguments.port, binary=arguments.binary)
                results = run(STRATEGIES[name](exemplar), exemplar)
                agents = results["agents"]
                violated.append(sum(agent["violated"] + agent["failed"] for agent in agents))
                actions.append(sum(agent["actions"] for agent in agents))
            print(f"{Path(scenario).stem:16} {name:10} violated {mean(violated):>14}  actions {mean(actions)}", flush=True)


if __name__ == "__main__":
    main()
