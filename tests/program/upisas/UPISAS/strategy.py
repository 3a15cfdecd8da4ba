from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import requests

from UPISAS import get_response_for_get_request, validate_schema
from UPISAS.exceptions import EndpointNotReachable


@dataclass
class Knowledge:
    monitored_data: dict = field(default_factory=dict)
    analysis_data: dict = field(default_factory=dict)
    plan_data: dict = field(default_factory=dict)
    adaptation_options: dict = field(default_factory=dict)
    monitor_schema: dict = field(default_factory=dict)
    execute_schema: dict = field(default_factory=dict)
    adaptation_options_schema: dict = field(default_factory=dict)


class Strategy(ABC):
    def __init__(self, exemplar):
        self.exemplar = exemplar
        self.knowledge = Knowledge()

    def monitor(self, endpoint_suffix="monitor", with_validation=True, verbose=False):
        fresh = self._get(endpoint_suffix)
        if with_validation:
            self.knowledge.monitor_schema = self.knowledge.monitor_schema or self._get("monitor_schema")
            validate_schema(fresh, self.knowledge.monitor_schema)
        for key, value in fresh.items():
            self.knowledge.monitored_data.setdefault(key, []).append(value)
        return True

    def execute(self, adaptation=None, endpoint_suffix="execute", with_validation=True):
        adaptation = adaptation or self.knowledge.plan_data
        if with_validation:
            self.knowledge.execute_schema = self.knowledge.execute_schema or self._get("execute_schema")
            validate_schema(adaptation, self.knowledge.execute_schema)
        response = requests.put(f"{self.exemplar.base_endpoint}/{endpoint_suffix}", json=adaptation, timeout=60)
        if response.status_code == 404:
            raise EndpointNotReachable
        return True

    def get_adaptation_options(self, endpoint_suffix="adaptation_options", with_validation=True):
        options = self.knowledge.adaptation_options = self._get(endpoint_suffix)
        if with_validation:
            known = self.knowledge.adaptation_options_schema or self._get("adaptation_options_schema")
            self.knowledge.adaptation_options_schema = known
            validate_schema(options, known)

    def _get(self, suffix):
        response = get_response_for_get_request(f"{self.exemplar.base_endpoint}/{suffix}")
        if response.status_code == 404:
            raise EndpointNotReachable(suffix)
        return response.json()

    @abstractmethod
    def analyze(self):
        pass

    @abstractmethod
    def plan(self):
        pass
