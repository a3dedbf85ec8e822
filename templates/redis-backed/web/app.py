import os

from flask import Flask
from redis import Redis

app = Flask(__name__)
redis = Redis(host=os.environ["REDIS_HOST"])


@app.get("/")
def count():
    return f"visit {redis.incr('visits')}\n"


@app.get("/healthz")
def healthz():
    redis.ping()
    return "ok\n"
