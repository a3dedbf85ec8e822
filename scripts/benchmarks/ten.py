"""An application of ten services, small Python programs on one base, each with its own answer."""

import json

from .peer import ShellLine
from .session import Failed
from .workspace import Workspace

APP = """import http.server, json, os, signal

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
DOCKERFILE = 'FROM python:3-slim\nCOPY app.py /app.py\nCMD ["python3", "/app.py"]\n'


class Ten:
    def __init__(self, session, name, count=10):
        self.session = session
        self.workspace = Workspace(session, name)
        self.names = [f"s{number}" for number in range(count)]
        for service in self.names:
            self._write(service)
        ours = {name: {"build": name, "ports": ["80:8080"], "health": "/"} for name in self.names}
        self.workspace.write(ours)
        theirs = {"port": 80, "target": 8080, "health": "/", "exposed": True}
        self.peer = ShellLine(self.workspace, [{"name": name, "context": name, **theirs} for name in self.names])

    def _write(self, service):
        folder = self.workspace.profile / service
        folder.mkdir()
        answer = {"service": service, "of": self.workspace.name}
        (folder / "app.py").write_text(f"ANSWER = {json.dumps(answer)}\n{APP}")
        (folder / "Dockerfile").write_text(DOCKERFILE)

    def expect_answers(self, who):
        urls = self.workspace.urls() if who == "ours" else {name: self.peer.url(name) for name in self.names}
        for name in self.names:
            answer = self.session.first_answer(urls[name], within=10)
            if answer != {"service": name, "of": self.workspace.name}:
                raise Failed(f"{who}: {name} answered {answer}")

    def close(self):
        self.workspace.close()
