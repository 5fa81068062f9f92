'use strict';
// tutorial.js - what the manual of Node's cluster shows: workers answer and tell the primary of each request, the primary
// counts, and tells all workers on demand.
//
//   node tutorial.js PORT WORKERS tell|plain       plain: nobody is told
//
// Prints "ready" when all workers listen, then "numReqs = N" every second.
const cluster = require('node:cluster');
const http = require('node:http');

const [port, workers, mode] = process.argv.slice(2);

function lead() {
    let numReqs = 0;
    let starting = Number(workers);
    cluster.on('listening', () => {
        if (--starting === 0)
            console.log('ready');
    });
    cluster.on('message', (worker, message) => {
        if (message.cmd === 'notifyRequest')
            numReqs++;
        else if (message.cmd === 'broadcast')
            for (const each of Object.values(cluster.workers))
                each.send({ cmd: 'broadcast', numReqs });
    });
    for (let i = 0; i < Number(workers); i++)
        cluster.fork();
    setInterval(() => console.log(`numReqs = ${numReqs}`), 1000);
    process.on('SIGTERM', () => {
        for (const each of Object.values(cluster.workers))
            each.process.kill('SIGKILL');
        process.exit(0);
    });
}

function work() {
    const server = http.createServer((request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 12 });
        response.end('hello world\n');
        if (request.url === '/broadcast')
            process.send({ cmd: 'broadcast' });
        else if (mode === 'tell')
            process.send({ cmd: 'notifyRequest' });
    });
    server.keepAliveTimeout = 300000;
    server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
    process.on('message', (message) => {
        if (message.cmd === 'broadcast')
            console.log(`Number of requests: ${message.numReqs}`);
    });
}

if (cluster.isPrimary)
    lead();
else
    work();
