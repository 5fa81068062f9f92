// Two servers that say what they understood of a request, in the field X-Mirror: argv[2] is the socket of Node's own
// HTTP server (its parser is llhttp), argv[3] that of an SCGI server, for a server in front that cannot say it itself.
"use strict";
const http = require("http");
const net = require("net");

const hex = (...parts) => parts.map((p) => Buffer.from(p, "latin1").toString("hex") + ".").join("");

const own = http.createServer((req, res) => {
    let body = "";
    req.setEncoding("latin1");
    req.on("data", (piece) => { body += piece; });
    req.on("end", () => {
        res.setHeader("X-Mirror", hex(req.method, req.url, req.headers.host || "", body));
        res.end();
    });
});
// A moment later: the requests before it are answered first.
own.on("clientError", (error, socket) => setImmediate(() => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")));
own.on("connection", (socket) => socket.on("error", () => {}));
own.httpAllowHalfOpen = true;
own.requestTimeout = own.headersTimeout = 0;
own.keepAliveTimeout = 60000;
own.timeout = 2000; // it waits for ever for the rest of an upgraded request that is wrong
own.listen(process.argv[2]);

function scgi(text) {
    const colon = text.indexOf(":");
    const size = colon < 0 ? NaN : Number(text.slice(0, colon));
    if (!(text.length > colon + 1 + size))
        return null;
    // A field of the request may have a NUL, too: names are looked for.
    const head = "\0" + text.slice(colon + 1, colon + 1 + size);
    const value = (name) => (head.split("\0" + name + "\0")[1] || "").split("\0")[0];
    const body = text.slice(colon + 2 + size);
    return body.length < Number(value("CONTENT_LENGTH")) ? null : { value, body };
}

net.createServer({ allowHalfOpen: true }, (socket) => {
    let text = "";
    socket.setEncoding("latin1");
    socket.on("error", () => {});
    socket.on("data", (piece) => {
        text += piece;
        const r = scgi(text);
        if (r)
            socket.end("Status: 200 OK\r\nContent-Length: 0\r\nX-Mirror: " +
                hex(r.value("REQUEST_METHOD"), r.value("REQUEST_URI"), r.value("HTTP_HOST"), r.body) + "\r\n\r\n");
    });
}).listen(process.argv[3]);
