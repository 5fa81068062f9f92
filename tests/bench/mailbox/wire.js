'use strict';
// wire.js - process.send of Node's cluster, measured as wire.c measures: the same numbers, in the same words.
//
//   node wire.js json|advanced WORKERS
//
// Prints "ready", then for each line of JSON on stdin, {"up": false, "how": "flood", "size": 64, "receivers": 3,
// "seconds": 0.3}, one line with what came of it. up: the first worker sends to the primary, else the primary to the
// first workers. With json a message is an object with a text, with advanced a Buffer. Ends with its stdin.
const cluster = require('node:cluster');
const fs = require('node:fs');
const readline = require('node:readline');

const PACE_MS = 1;
const BUSY_NS = 50000;
const BATCH = 262144; // bytes, or
const BATCH_MAX = 128; // messages, from one wait for the channels to the next
const FRONT = 24;

const advanced = process.argv[2] === 'advanced';

const nanoseconds = () => Number(process.hrtime.bigint());

// System calls that write, of this process; libuv writes messages without a descriptor by write.
function writes() {
    try {
        return Number(/^syscw: (\d+)/m.exec(fs.readFileSync('/proc/self/io', 'latin1'))[1]);
    } catch {
        return NaN;
    }
}

function account() {
    const { userCPUTime, systemCPUTime, voluntaryContextSwitches } = process.resourceUsage();
    return { cpu: userCPUTime + systemCPUTime, sleeps: voluntaryContextSwitches, writes: writes() };
}

function spent(before) {
    const now = account();
    return { cpu: now.cpu - before.cpu, sleeps: now.sleeps - before.sleeps, writes: now.writes - before.writes,
        done: nanoseconds() };
}

// ---- Messages ----

function packer(size) {
    if (!advanced) {
        const text = 'x'.repeat(size);
        return (sent, number, last) => ({ sent, number, last, text });
    }
    const data = Buffer.alloc(size, 'x'); // process.send copies it
    return (sent, number, last) => {
        data.writeDoubleLE(sent, 0);
        data.writeDoubleLE(number, 8);
        data.writeDoubleLE(last, 16);
        return data;
    };
}

function unpack(m) {
    if (!advanced)
        return { sent: m.sent, number: m.number, last: m.last, size: m.text.length };
    return { sent: m.readDoubleLE(0), number: m.readDoubleLE(8), last: m.readDoubleLE(16), size: m.length };
}

const isOrder = (m) => m.order !== undefined;

// ---- Receiving ----

class Receiver {
    constructor(order, report) {
        Object.assign(this, { order, report, messages: 0, errors: 0, samples: [], turns: 0, over: false });
        this.before = account();
        this.from = nanoseconds();
        if (order.how === 'busy')
            this.compute();
    }

    compute() {
        const end = process.hrtime.bigint() + BigInt(BUSY_NS);
        while (process.hrtime.bigint() < end)
            ;
        this.turns++;
        if (!this.over)
            setImmediate(() => this.compute());
    }

    take(message) {
        const m = unpack(message);
        if (m.number !== ++this.messages || m.size !== this.order.size)
            this.errors++;
        if (this.order.how !== 'flood')
            this.samples.push((nanoseconds() - m.sent) / 1e3);
        if (!m.last)
            return;
        this.over = true;
        const turn = this.turns ? (nanoseconds() - this.from) / 1e3 / this.turns : 0;
        this.report({ order: 'received', messages: this.messages, errors: this.errors, samples: this.samples, turn,
            ...spent(this.before) });
    }
}

// ---- Sending ----

class Sender {
    constructor(order, targets, report) {
        Object.assign(this, { order, targets, report, messages: 0 });
        this.pack = packer(order.size);
        this.batch = Math.min(BATCH_MAX, Math.max(1, Math.floor(BATCH / order.size)));
        this.before = account();
        this.from = nanoseconds();
        this.until = this.from + order.seconds * 1e9;
        if (order.how === 'flood')
            this.flood();
        else
            this.timer = setInterval(() => this.pace(), PACE_MS);
    }

    send(sent, last, written) {
        const message = this.pack(sent, ++this.messages, last ? 1 : 0);
        for (const target of this.targets)
            target.send(message, written);
    }

    // A channel takes all that it is given, into memory: the last message of a batch says when it has left.
    flood() {
        if (nanoseconds() >= this.until)
            return this.end(0);
        for (let i = 1; i < this.batch; i++)
            this.send(0, false, undefined);
        let waiting = this.targets.length;
        this.send(0, false, () => {
            if (--waiting === 0)
                setImmediate(() => this.flood());
        });
    }

    pace() {
        const now = nanoseconds();
        if (now < this.until)
            return this.send(now, false, undefined);
        clearInterval(this.timer);
        this.end(now);
    }

    end(sent) {
        let waiting = this.targets.length;
        this.send(sent, true, () => {
            if (--waiting === 0)
                this.report({ order: 'sent', from: this.from, messages: this.messages, ...spent(this.before) });
        });
    }
}

// ---- The two kinds of processes ----

function work() {
    let receiver;
    const answer = (m) => process.send(m);
    process.on('message', (m) => {
        if (!isOrder(m))
            return receiver.take(m);
        if (m.order === 'send')
            new Sender(m, [process], answer);
        else {
            receiver = new Receiver(m, answer);
            answer({ order: 'ready' });
        }
    });
}

const percentile = (sorted, p) => sorted.length ? sorted[Math.floor(sorted.length * p / 100)] : -1;

function result(sent, received) {
    const all = received.flatMap((r) => r.samples).sort((a, b) => a - b);
    const sum = (f) => received.reduce((total, r) => total + f(r), 0);
    const each = sent.messages * received.length;
    return {
        messages: sent.messages, rate: sent.messages * 1e9 / (Math.max(...received.map((r) => r.done)) - sent.from),
        cpu: (sent.cpu + sum((r) => r.cpu)) / each, calls: sent.writes / each,
        sleeps: (sent.sleeps + sum((r) => r.sleeps)) / each, p50: percentile(all, 50), p99: percentile(all, 99),
        turn: Math.max(...received.map((r) => r.turn)), cpu_all: (sent.cpu + sum((r) => r.cpu)) / 1e6,
        errors: sum((r) => r.errors + (r.messages !== sent.messages ? 1 : 0)),
    };
}

// One measurement: the promise of its result.
function measure(order, workers) {
    return new Promise((resolve) => {
        let sent, waiting = order.receivers, receiver;
        const received = [];
        const note = (m) => {
            if (m.order === 'sent')
                sent = m;
            else if (m.order === 'received')
                received.push(m);
            if (sent && received.length === order.receivers)
                resolve(result(sent, received));
        };
        const hear = (worker, m) => {
            if (!isOrder(m))
                receiver.take(m);
            else if (m.order !== 'ready')
                note(m);
            else if (--waiting === 0)
                setTimeout(() => new Sender(order, workers.slice(0, order.receivers), note), 5);
        };
        cluster.removeAllListeners('message');
        cluster.on('message', hear);
        if (order.up) {
            receiver = new Receiver(order, note);
            workers[0].send({ ...order, order: 'send' });
        } else
            for (const worker of workers.slice(0, order.receivers))
                worker.send({ ...order, order: 'receive' });
    });
}

async function lead() {
    cluster.setupPrimary({ serialization: advanced ? 'advanced' : 'json' });
    const workers = [];
    for (let i = 0; i < Number(process.argv[3]); i++)
        workers.push(cluster.fork());
    cluster.on('exit', () => process.exit(1));
    await Promise.all(workers.map((w) => new Promise((resolve) => w.once('online', resolve))));
    console.log('ready');
    for await (const line of readline.createInterface({ input: process.stdin }))
        console.log(JSON.stringify(await measure(JSON.parse(line), workers)));
    process.exit(0);
}

if (cluster.isPrimary)
    lead();
else
    work();
