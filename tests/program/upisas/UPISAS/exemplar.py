from abc import ABC, abstractmethod


class Exemplar(ABC):
    def __init__(self, base_endpoint, docker_kwargs, auto_start=False):
        raise NotImplementedError("containers are not stood in for")

    @abstractmethod
    def start_run(self):
        pass
