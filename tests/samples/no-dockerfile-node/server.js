const http = require("http");
const port = process.env.PORT || 4000;
http.createServer((request, response) => response.end("hello\n")).listen(port);
process.on("SIGTERM", () => process.exit(0));
