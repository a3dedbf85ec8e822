"""Makes projects: the HTTP service behind the gateway."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/_status/healthcheck/")
def healthcheck():
    return "OK\n"


@app.post("/create")
def create():
    return {"id": 123, "url": f"Project-{request.get_json().get('title')}"}
