"""The front door: passes /projects/ on to webapp-1 and /verify/ to rpc-app-1.

It dials per request, so that each one is balanced over the replicas behind it.
"""

import json
import urllib.request

import grpc
from flask import Flask, Response, request

app = Flask(__name__)


@app.get("/")
def health():
    return "OK\n"


@app.post("/projects/")
def projects():
    call = urllib.request.Request(
        "http://webapp-1/create", data=request.get_data(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(call, timeout=5) as answer:
        return Response(answer.read(), answer.status, content_type=answer.headers["Content-Type"])


@app.post("/verify/")
def verify():
    with grpc.insecure_channel("rpc-app-1:6000") as channel:
        call = channel.unary_unary(
            "/verifier.Verify/Verify", request_serializer=lambda body: json.dumps(body).encode(), response_deserializer=json.loads
        )
        return call(request.get_json(), timeout=5)
