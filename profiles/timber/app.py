"""Answers /index. Version 2 also says why: the text in `why.txt`."""

import json
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ANSWER = {"timber": "so delicious"}
if why := Path("why.txt").read_text().strip():
    ANSWER["why"] = why


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(ANSWER if self.path == "/index" else {"error": "not found"}).encode()
        self.send_response(200 if self.path == "/index" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False  # requests under way are answered before the process ends


server = Server(("", 8080), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
