#!/usr/bin/env python3
"""Files of random sizes with random ranges, codings and conditions to many clients, every byte compared: first while the settings
are loaded again and again, when nothing may break, then while workers are killed, when only their connections may."""
import asyncio
import os
import random
import signal
import time
import zlib

from soak import Run, options

from lib.codings import decode

CONF = """
    [module:static]
    precompressed = gz, br
    cache_valid = 100ms
    [module:compress]
    [site:a]
    root = @DIR@/www
    use = compress
"""
args = options(__doc__, mib=1024, clients=500, seconds=40, workers=2, seed=1)
BASE = random.Random(7).randbytes(1 << 20) + b" ".join(random.Random(8).choices(
    [b"ship", b"harbour", b"lighthouse", b"storm", b"anchor"], k=1 << 20))
MOST = 8 << 20


class File:
    def __init__(self, number, size, rng):
        self.name = f"{number}.{rng.choice(['txt', 'bin'])}"
        self.size, self.at = size, rng.randrange(len(BASE))
        self.sibling = None
        self.tags = {}

    def part(self, first, n):
        place, found = (self.at + first) % len(BASE), b""
        while len(found) < n:
            found += BASE[place:place + n - len(found)]
            place = 0
        return found

    def lay(self, server, rng):
        whole = self.part(0, self.size)
        server.write("www/" + self.name, whole)
        if self.size < 200000 and rng.random() < 0.4:
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            self.sibling = packer.compress(whole) + packer.flush()
            server.write(f"www/{self.name}.gz", self.sibling)


class Client:
    def __init__(self, port, files, rng, count):
        self.port, self.files, self.rng, self.count = port, files, rng, count
        self.reader = self.writer = None

    async def run(self, until):
        while time.monotonic() < until:
            try:
                await self.ask(self.rng.choice(self.files))
            except (OSError, EOFError):
                self.count["broken"] += 1
                self.close()
                await asyncio.sleep(0.05)
        self.close()

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def head(self):
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = [line.split(": ", 1) for line in text[1:] if line]
        return int(text[0].split()[1]), {name.lower(): value for name, value in fields}

    async def body(self, fields):
        if fields.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(fields.get("content-length", 0)))
        found = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            found += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return found

    async def ask(self, f):
        rng, fields, method = self.rng, "", "GET"
        accept = rng.choice([None, None, "gzip", "br", "zstd", "gzip, br, zstd", "identity"])
        first = rng.randrange(f.size) if f.size else 0
        n = min(rng.randrange(1, 200000), f.size - first)
        kind = rng.choice(["whole", "whole", "range", "range", "many", "tag", "head"])
        if kind == "whole" and f.size > 1 << 20:
            kind = "range"
        if accept:
            fields += f"Accept-Encoding: {accept}\r\n"
        if kind in ("range", "many") and n:
            more = f", {first + n + 100}-{first + n + 1100}" if kind == "many" else ""
            fields += f"Range: bytes={first}-{first + n - 1}{more}\r\n"
        elif kind == "tag" and accept in f.tags:
            fields += f"If-None-Match: {f.tags[accept]}\r\n"
        elif kind == "tag" and f.size > 1 << 20:
            method = "HEAD"
        elif kind == "head":
            method = "HEAD"
        if not self.writer:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(f"{method} /{f.name} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
        status, got = await self.head()
        body = b"" if method == "HEAD" or status == 304 else await self.body(got)
        if got.get("connection") == "close":
            self.close()
        self.look(f, accept, status, got, body, method)
        self.count[f"{status} {got.get('content-encoding', 'as it is')}"] = \
            self.count.get(f"{status} {got.get('content-encoding', 'as it is')}", 0) + 1
        self.count["bytes"] += len(body)

    def look(self, f, accept, status, got, body, method):
        coding = got.get("content-encoding")
        if status in (304, 416) or method == "HEAD":
            good = status in (200, 206, 304, 416)
        elif status == 200:
            f.tags[accept] = got["etag"]
            good = decode(coding, body) == f.part(0, f.size)
        else:
            good = status == 206 and self.is_part(f, coding, got, body)
        if not good:
            self.count["wrong"].append(f"{f.name} ({f.size} bytes): {status} {got}, {len(body)} bytes")

    def is_part(self, f, coding, got, body):
        def slice_of(place):
            first, last = place.split("/")[0].split(" ")[1].split("-")
            first, n = int(first), int(last) - int(first) + 1
            return f.sibling[first:first + n] if coding else f.part(first, n)

        if "multipart" not in got.get("content-type", ""):
            return body == slice_of(got["content-range"])
        mark = got["content-type"].split("boundary=")[1].encode()
        parts = body.split(b"\r\n--" + mark)[1:-1]
        for part in parts:
            head, _, data = part.partition(b"\r\n\r\n")
            place = [line for line in head.decode().lower().split("\r\n") if line.startswith("content-range: ")][0]
            if data != slice_of(place[len("content-range: "):]):
                return False
        return len(parts) > 1


async def phase(server, files, rng, trouble):
    count = {"broken": 0, "bytes": 0, "wrong": []}
    until = time.monotonic() + args.seconds / 2
    clients = [Client(server.port, files, random.Random(rng.random()), count) for _ in range(args.clients)]
    times = asyncio.create_task(trouble(until))
    await asyncio.gather(*(c.run(until) for c in clients))
    return count, await times


def main():
    rng = random.Random(args.seed)
    with Run() as run:
        server = run.serve(CONF, server={"workers": args.workers}, files={"www/x": "x"})
        files, left = [], args.mib << 20
        while left > 0:
            size = min(left, int(2 ** rng.uniform(0, 23)), MOST)
            files.append(File(len(files), size, rng))
            files[-1].lay(server, rng)
            left -= size
        print(f"{len(files)} files, {args.mib} MiB", flush=True)

        async def reloads(until):
            done = 0
            while time.monotonic() < until - 2:
                done += (await asyncio.to_thread(server.ctl, "reload")).returncode == 0
                await asyncio.sleep(1)
            return done

        async def kills(until):
            done = 0
            while time.monotonic() < until - 1:
                workers = server.workers()
                if workers:
                    os.kill(rng.choice(workers), signal.SIGKILL)
                    done += 1
                await asyncio.sleep(1)
            return done

        for trouble, what in ((reloads, "reloads"), (kills, "kills")):
            count, times = asyncio.run(phase(server, files, rng, trouble))
            shown = {k: v for k, v in sorted(count.items()) if k != "wrong"}
            answers = sum(v for k, v in count.items() if k[0].isdigit())
            run.check(f"{what}: {times}; {answers} answers to {args.clients} clients, none with a wrong byte: {shown}",
                      answers > 500 and times and not count["wrong"], "\n".join(count["wrong"]))
            most = 0 if what == "reloads" else times * args.clients
            run.check(f"{what}: {count['broken']} connections broke, at most {most} may", count["broken"] <= most)


main()
