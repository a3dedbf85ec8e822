"""D3: how long after the API says that a pod is ready we say so.

A condition's time in the API has whole seconds. So a watch of our own notes when its
line arrives: `kubectl get pods --watch` prints a line at each event, a few milliseconds
after the API server sent it, the same for both contenders.
"""

import json
import subprocess
import threading
import time

from . import Benchmark
from .session import Failed
from .ten import Ten

PEER = "kubectl rollout status"
LINE = '{.object.metadata.name} {.object.status.conditions[?(@.type=="Ready")].status}{"\\n"}'


class Report(Benchmark):
    id = "D3"
    work = "pod ready, says the API → said to the user"
    rounds = 10
    compares = False  # a few milliseconds on both sides, or less than none

    def setup(self):
        self.ten = Ten(self.session, "d3", count=1)
        self.workspace, self.peer = self.ten.workspace, self.ten.peer
        self.workspace.coracle("up", "--yes")
        self.peer.create_cluster()
        self.peer.deploy()
        self.places = {
            "ours": (self.workspace.kubeconfig_of(self.workspace.cluster), self.workspace.name),
            PEER: (self.workspace.kubeconfig_of(self.peer.cluster), "default"),
        }

    def reset(self, who):
        if who == "ours":
            self.workspace.coracle("down", "--yes")
        else:
            self.peer.remove()
        self.watch = Watch(self.session, *self.places[who])

    def ours(self):
        command = [self.session.coracle, "up", "--yes", "-o", "json"]
        return self.lag(command, is_ready_event, cwd=self.workspace.profile, env=self.workspace.our_env)

    def peers(self):
        return {PEER: self._rollout_status}

    def _rollout_status(self):
        self.peer.apply(self.peer.services)
        command = ["kubectl", "--context", self.peer.context, "rollout", "status", "deployment/s0"]
        return self.lag(command, lambda line: "successfully rolled out" in line, env=self.workspace.env)

    def lag(self, command, is_report, **options):
        """Milliseconds from the watch's line to the line that says ready."""
        with self.session.start(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options) as process:
            reported = None
            for line in process.stdout:
                if reported is None and is_report(line):
                    reported = time.perf_counter()
        ready = self.watch.ready_at()
        if process.returncode != 0 or reported is None:
            raise Failed(f"`{command[0]}` exited with {process.returncode} and said ready: {reported is not None}")
        return (reported - ready) * 1000

    def verify(self, who):
        self.ten.expect_answers(who)

    def teardown(self):
        if hasattr(self, "watch"):
            self.watch.close()
        if hasattr(self, "ten"):
            self.ten.close()


def is_ready_event(line):
    try:
        event = json.loads(line)
    except ValueError:
        return False  # the answer on stdout is not narration
    return (event.get("event"), event.get("subject"), event.get("outcome")) == ("end", "workload", "done")


class Watch:
    """Notes when the first pod of a namespace is ready."""

    def __init__(self, session, kubeconfig, namespace):
        command = ["kubectl", "--kubeconfig", kubeconfig, "-n", namespace, "get", "pods", "--watch"]
        command += ["--output-watch-events", "-o", f"jsonpath={LINE}"]
        self.process = session.start(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.found = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        time.sleep(1)  # until it watches

    def _read(self):
        for line in self.process.stdout:
            if line.split()[1:] == ["True"]:
                self.at = time.perf_counter()
                self.found.set()
                return

    def ready_at(self):
        found = self.found.wait(5)
        self.close()
        if not found:
            raise Failed("the watch saw no pod become ready")
        return self.at

    def close(self):
        self.process.kill()
        self.process.wait()
