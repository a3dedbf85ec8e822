const express = require("express");

const app = express();

app.get("/", (request, response) => response.send("Hello from Coracle\n"));
app.get("/healthz", (request, response) => response.send("ok\n"));

const server = app.listen(3000, "0.0.0.0");

// The first process of a container is not ended by a signal that it does not catch.
process.on("SIGTERM", () => server.close(() => process.exit(0)));
