'use strict';
// cluster.js - Node's cluster with the work of accept_module.c.
//
//   node cluster.js PORT WORKERS rr|none BUSY_US BLOCK_MS
//
// Prints "ready" when all workers listen. A worker that dies is not replaced: the benchmark has to notice.
const cluster = require('node:cluster');
const http = require('node:http');

const [port, workers, policy, busyUs, blockMs] = process.argv.slice(2);

function primary() {
    cluster.schedulingPolicy = policy === 'rr' ? cluster.SCHED_RR : cluster.SCHED_NONE;
    let waiting = Number(workers);
    cluster.on('listening', () => {
        if (--waiting === 0)
            console.log('ready');
    });
    for (let i = 0; i < Number(workers); i++)
        cluster.fork();
    process.on('SIGTERM', () => {
        for (const worker of Object.values(cluster.workers))
            worker.process.kill('SIGKILL');
        process.exit(0);
    });
}

function worker() {
    const busy = BigInt(busyUs) * 1000n;
    const never = new Int32Array(new SharedArrayBuffer(4));
    const body = `${process.pid}\n`;
    const server = http.createServer((request, response) => {
        const end = process.hrtime.bigint() + busy;
        while (process.hrtime.bigint() < end)
            ;
        if (request.url === '/block')
            Atomics.wait(never, 0, 0, Number(blockMs));
        response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': body.length });
        response.end(body);
    });
    server.keepAliveTimeout = 300000;
    server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
}

if (cluster.isPrimary)
    primary();
else
    worker();
