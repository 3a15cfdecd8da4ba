"""Two strategies for a whole network (the base `network`), to begin from.

`Reactive` knows what was measured; `Planning` weighs what the agents expect of their actions, for all whom an action concerns. Both
let one agent act at a time: the next decision sees what the last one did.
"""

import re

from UPISAS.strategy import Strategy

NOTHING = "NA"


class OneAtATime(Strategy):
    """What both have in common: who needs something, and an answer that names every agent."""

    def analyze(self):
        latest = {key: values[-1] for key, values in self.knowledge.monitored_data.items()}
        self.agents = {key: value for key, value in latest.items() if key.startswith("agent_")}
        unhappy = [key for key, agent in self.agents.items() if agent["goal_met"] is False]
        self.knowledge.analysis_data["unhappy"] = unhappy
        return bool(unhappy)

    def order(self, key, action):
        plan = {agent: NOTHING for agent in self.agents}
        plan[key] = action
        self.knowledge.plan_data = plan

    def options(self):
        self.get_adaptation_options()
        return self.knowledge.adaptation_options


class Reactive(OneAtATime):
    """Whose goal is missed reads at its own node: agent N lives on node N. It gets a copy there when there is none."""

    def plan(self):
        options = self.options()
        for key in self.knowledge.analysis_data["unhappy"]:
            home, possible = key.removeprefix("agent_"), options[key]["values"]
            wanted = [f"CR{home}", f"C{self.agents[key]['reference']}_{home}"]
            action = next((action for action in wanted if action in possible), None)
            if action is not None:
                self.order(key, action)
                return True
        return False


# What an action takes, in units of what it brings.
COST = {"CR": 1.0, "E": 0.5, "C": 1.8, "M": 1.5}


class Planning(OneAtATime):
    """Of all actions of those whose goal is missed the one that is expected to bring most to everybody it concerns. A move concerns
    whoever reads the replica. What was tried before is worth less with each time."""

    def __init__(self, exemplar):
        super().__init__(exemplar)
        self.tried = {}

    def plan(self):
        options = self.options()
        worth = {}
        for key in self.knowledge.analysis_data["unhappy"]:
            for action in options[key]["values"]:
                if action != NOTHING:
                    worth[key, action] = self.worth(options, key, action)
        best = max(worth, key=worth.get, default=None)
        if best is None or worth[best] <= 0:
            return False
        self.tried[best] = self.tried.get(best, 0) + 1
        self.order(*best)
        return True

    def worth(self, options, key, action):
        value = self.expected(options, key, action)
        if action.startswith("M"):
            source = self.agents[key]["reference"]
            beside = [other for other, agent in self.agents.items() if other != key and agent["reference"] == source]
            value += sum(self.expected(options, other, action) for other in beside)
        kind = re.match("CR|E|C|M", action).group()
        return value / COST[kind] / (1 + self.tried.get((key, action), 0))

    def expected(self, options, key, action):
        """For the metrics that the agent's goal speaks of; nothing where nothing is known."""
        impacts = options[key]["impacts"].get(action, {})
        return sum(impact for metric, impact in impacts.items() if metric in self.agents[key]["goal"])
