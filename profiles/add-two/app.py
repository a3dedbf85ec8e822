"""A small JSON service: says who it is, and adds two to a number."""

from flask import Flask, request

app = Flask(__name__)
app.json.mimetype = "application/json; charset=utf-8"


@app.get("/")
def about():
    return {"name": "Ada", "email": "ada@example.org", "number": 5, "message": "POST a number to /add_two"}


@app.post("/add_two")
def add_two():
    return {"output": request.get_json()["num"] + 2}
