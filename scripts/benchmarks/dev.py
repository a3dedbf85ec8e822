"""A `coracle dev` that runs, and the loops of the usual tools re-enacted beside it.

The tools themselves are not run: their waits and their ways of copying are taken from their
sources, as docs/performance.md says, and done here with the same kubectl on the same cluster.
A re-enactment leaves out what the tools do beside that, so the ratios are lower bounds.
"""

import http.client
import io
import signal
import subprocess
import tarfile
import threading
import time

from .session import Failed
from .workspace import Workspace

SERVER = """\
import hashlib, http.server, pathlib
def digest(folder):
    whole = hashlib.sha256()
    for file in sorted(folder.rglob('*')):
        if file.is_file(): whole.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return whole.hexdigest().encode()
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        path = pathlib.Path('/app' + self.path)
        try: body = digest(path) if path.is_dir() else path.read_bytes()
        except OSError: body = b''
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('', 8000), Page).serve_forever()
"""

DOCKERFILE = """\
FROM python:3-slim
WORKDIR /app
COPY . .
EXPOSE 8000
CMD ["python", "server.py"]
"""


class Loop:
    """`coracle dev` on services `web` (watched) and `peer` (written to by the re-enactments)."""

    def __init__(self, session, name, web, files, peer_files=None, nodes=1):
        self.session = session
        self.workspace = Workspace(session, name)
        for service, own in {"web": {}, "peer": peer_files or {}}.items():
            for path, text in {**files, **own}.items():
                file = self.workspace.profile / service / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        # What the re-enactments write to is built and deployed alike, and never synced.
        self.workspace.write({"web": {"build": "web", **web}, "peer": {"build": "peer", "sync": []}}, nodes)
        self.said = []
        self.process = session.start(
            session.coracle, "dev", "--progress", "plain",
            cwd=self.workspace.profile, env=self.workspace.our_env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.wait_for("web: is ready", 180)
            self.wait_for("peer: is ready", 60)
            self.urls = self.workspace.urls()
            self.kubeconfig = self.workspace.kubeconfig_of(self.workspace.cluster)
        except BaseException:
            self.close()
            raise

    def _listen(self):
        for line in self.process.stdout:
            self.said.append(line.rstrip())

    def wait_for(self, words, within, since=0):
        deadline = time.monotonic() + within
        while not any(words in line for line in self.said[since:]):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Failed(f"`dev` did not say {words!r}\n" + "\n".join(self.said[-40:]))
            time.sleep(0.01)

    @property
    def folder(self):
        return self.workspace.profile / "web"

    def address(self, service):
        return self.urls[service].removeprefix("http://").rstrip("/")

    def copy(self, files):
        """One `kubectl exec` that unpacks these files (path in the container → bytes), as the peers do it."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path, content in files.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mtime = len(content), int(time.time())
                archive.addfile(entry, io.BytesIO(content))
        self.exec("tar", "xmf", "-", "-C", "/", "--no-same-owner", stdin=packed.getvalue())

    def exec(self, *command, stdin=b""):
        words = ["kubectl", "--kubeconfig", self.kubeconfig, "-n", self.workspace.name, "exec", "-i", "deploy/peer", "--"]
        done = subprocess.run([*map(str, words), *command], input=stdin, capture_output=True, env=self.session.env)
        if done.returncode:
            raise Failed(f"{command}: {done.stderr.decode()}")

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.workspace.close()


class Page:
    """One kept connection that asks for a page until its body is the expected one."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(*address.split(":"), timeout=5)

    def until(self, path, expected, within=30):
        deadline = time.monotonic() + within
        while True:
            try:
                self.connection.request("GET", path)
                answer = self.connection.getresponse()
                body = answer.read()
                if answer.status == 200 and body == expected:
                    return
            except (OSError, http.client.HTTPException):
                self.connection.close()  # a process that restarts; the next request connects again
            if time.monotonic() > deadline:
                raise Failed(f"{path} does not have the new content after {within} s")
