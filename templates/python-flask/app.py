from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello from Coracle\n"


@app.get("/healthz")
def healthz():
    return "ok\n"
