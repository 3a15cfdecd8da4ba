"""`agent` as an exemplar of UPISAS: as a process of this machine, or in a container.

Both serve the interface at `http://127.0.0.1:PORT/BASE`. BASE is `network`, to decide for all agents, or `agents/N`, to decide for one.
"""

import json
import socket
import subprocess
import time

from UPISAS.exemplar import Exemplar

PORT = 3000


class AgentProcess(Exemplar):
    """Runs a command of `agent` that ends with its results on standard output: `agent simulate ... --json`, `agent demo ... --json`."""

    def __init__(self, command, base="network", port=PORT, binary="agent"):
        # There is no container: what the base class would prepare is left out.
        self.exemplar_container = None
        self.base_endpoint = f"http://127.0.0.1:{port}/{base}"
        self.command = [binary, *command, "--upisas", f"127.0.0.1:{port}", "--json"]
        self.port = port
        self.process = None
        self.results = None

    def start_run(self):
        self.results = None
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while not self._listens():
            if self.process.poll() is not None:
                raise RuntimeError(f"{' '.join(self.command)}: {self.process.stderr.read().strip()}")
            time.sleep(0.02)

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def has_ended(self, within_s=5):
        """Whether it came to its end by itself; its results are there then."""
        try:
            self._finish(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop_run(self):
        """Ends it, and returns its results; what it says at Ctrl-C, where it has not come to its end."""
        if self.process.poll() is None:
            self.process.terminate()
        self._finish(30)
        return self.results

    def _finish(self, within_s):
        output, errors = self.process.communicate(timeout=within_s)
        if self.process.returncode != 0:
            raise RuntimeError(f"{' '.join(self.command)}: {errors.strip()}")
        if self.results is None:
            self.results = json.loads(output)


class AgentContainer(Exemplar):
    """The same in the image that `upisas/Dockerfile` makes: it idles until a run is started in it."""

    def __init__(self, command, base="network", port=PORT, image="agent-upisas", auto_start=True, container_name="agent-upisas"):
        self.command = [*command, "--upisas", f"0.0.0.0:{PORT}"]
        # On this machine alone: whoever reaches the interface decides for the agents.
        published = {f"{PORT}/tcp": ("127.0.0.1", port)}
        settings = {"name": container_name, "image": image, "ports": published}
        super().__init__(f"http://127.0.0.1:{port}/{base}", settings, auto_start)

    def start_run(self):
        self.exemplar_container.exec_run(["agent", *self.command], detach=True)
