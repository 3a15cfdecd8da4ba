"""An experiment for experiment-runner (https://github.com/S2-group/experiment-runner): strategies against scenarios and seeds.

    PYTHONPATH=UPISAS:upisas python3 experiment-runner/experiment-runner upisas/RunnerConfig.py
"""

import json
import os
from pathlib import Path

from ConfigValidator.Config.Models.FactorModel import FactorModel
from ConfigValidator.Config.Models.OperationType import OperationType
from ConfigValidator.Config.Models.RunTableModel import RunTableModel
from EventManager.EventSubscriptionController import EventSubscriptionController
from EventManager.Models.RunnerEvents import RunnerEvents
from UPISAS.exceptions import ServerNotReachable

from agent_exemplar import AgentProcess
from strategies import Planning, Reactive

HERE = Path(__file__).resolve().parent
SCENARIOS = HERE.parent / "fixtures" / "scenarios"
STRATEGIES = {"reactive": Reactive, "planning": Planning}


class RunnerConfig:
    ROOT_DIR = HERE
    name = "agent"
    results_output_path = HERE / "experiments"
    operation_type = OperationType.AUTO
    time_between_runs_in_ms = 0
    # Set by the runner.
    experiment_path = None

    def __init__(self):
        hooks = {
            RunnerEvents.BEFORE_EXPERIMENT: self.before_experiment,
            RunnerEvents.BEFORE_RUN: self.before_run,
            RunnerEvents.START_RUN: self.start_run,
            RunnerEvents.START_MEASUREMENT: self.start_measurement,
            RunnerEvents.INTERACT: self.interact,
            RunnerEvents.STOP_MEASUREMENT: self.stop_measurement,
            RunnerEvents.STOP_RUN: self.stop_run,
            RunnerEvents.POPULATE_RUN_DATA: self.populate_run_data,
            RunnerEvents.AFTER_EXPERIMENT: self.after_experiment,
        }
        EventSubscriptionController.subscribe_to_multiple_events(list(hooks.items()))
        self.run_table_model = None
        self.exemplar = None
        self.strategy = None
        self.results = None

    def create_run_table_model(self):
        factors = [
            FactorModel("strategy", list(STRATEGIES)),
            FactorModel("scenario", ["published", "drift"]),
            FactorModel("seed", [1, 2, 3]),
        ]
        self.run_table_model = RunTableModel(factors=factors, data_columns=["jobs", "violated", "actions"])
        return self.run_table_model

    def before_experiment(self):
        pass

    def before_run(self):
        pass

    def start_run(self, context):
        variation = self.variation(context)
        scenario = SCENARIOS / f"{variation['scenario']}.toml"
        command = ["simulate", "--scenario", str(scenario), "--seed", str(variation["seed"]), "--hours", "4"]
        self.exemplar = AgentProcess(command, binary=os.environ.get("AGENT", "agent"))
        self.strategy = STRATEGIES[variation["strategy"]](self.exemplar)
        self.exemplar.start_run()

    @staticmethod
    def variation(context):
        """What is tried in this run; the name of it depends on the runner's version."""
        return context.execute_run if hasattr(context, "execute_run") else context.run_variation

    def start_measurement(self, context):
        pass

    def interact(self, context):
        while True:
            try:
                self.strategy.monitor()
                if self.strategy.analyze() and self.strategy.plan():
                    self.strategy.execute()
            except ServerNotReachable:
                if not self.exemplar.has_ended():
                    raise
                return

    def stop_measurement(self, context):
        pass

    def stop_run(self, context):
        self.results = self.exemplar.stop_run()
        (context.run_dir / "results.json").write_text(json.dumps(self.results, indent=2))

    def populate_run_data(self, context):
        agents = self.results["agents"]
        return {
            "jobs": sum(agent["jobs"] for agent in agents),
            "violated": sum(agent["violated"] + agent["failed"] for agent in agents),
            "actions": sum(agent["actions"] for agent in agents),
        }

    def after_experiment(self):
        pass
