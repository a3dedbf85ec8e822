"""A socket between a client and the engine that counts what the client sends."""

import contextlib
import os
import socket
import tempfile
import threading

DEFAULT = "/var/run/docker.sock"


def counted(work):
    """Runs `work(env)` with DOCKER_HOST on the counting socket; the bytes that went to the engine."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/docker.sock"
        listener.bind(path)
        listener.listen()
        counter = Counter(engine_socket())
        threading.Thread(target=counter.serve, args=(listener,), daemon=True).start()
        work({"DOCKER_HOST": f"unix://{path}"})
        return counter.sent


def engine_socket():
    host = os.environ.get("DOCKER_HOST", f"unix://{DEFAULT}")
    return host.removeprefix("unix://")


class Counter:
    def __init__(self, target):
        self.target, self.sent = target, 0
        self.lock = threading.Lock()

    def serve(self, listener):
        with contextlib.suppress(OSError):  # closed: the work is done
            while True:
                client, _ = listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self.target)
                for source, sink, counts in ((client, engine, True), (engine, client, False)):
                    threading.Thread(target=self._pass, args=(source, sink, counts), daemon=True).start()

    def _pass(self, source, sink, counts):
        with contextlib.suppress(OSError):  # either side may go first
            while data := source.recv(1 << 16):
                if counts:
                    with self.lock:
                        self.sent += len(data)
                sink.sendall(data)
        # One direction may end before the other: hijacked connections do that.
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
