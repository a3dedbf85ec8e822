"""Keeps values in Redis, at the address that REDIS_IP gives."""

import os

import redis
from flask import Flask, abort, request

app = Flask(__name__)
store = redis.Redis(os.environ["REDIS_IP"], 6379, db=0, decode_responses=True)


@app.get("/hello-service")
def hello():
    return "Hello world\n"


@app.post("/set")
def put():
    body = request.get_json()
    store.set(body["key"], body["value"])
    return {body["key"]: body["value"]}


@app.get("/get/<key>")
def get(key):
    value = store.get(key)
    return {key: value} if value is not None else abort(404)
