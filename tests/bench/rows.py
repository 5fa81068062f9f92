"""What make bench measures under load, and what cserver has to reach there."""

from typing import NamedTuple

PEERS = ("nginx", "h2o", "lighttpd")
BEST = "best peer"
HELLO = "Hello, world!\n"  # cserver has it from its module, nginx from its settings: return 200
FILES = {"1k.txt": 1024, "100k.bin": 100 * 1024, "1m.bin": 1024 * 1024}

IDLE = 10000        # connections of the memory row
IDLE_BYTES = 400    # most for each of them
CALLS = 2.10        # most system calls per keep-alive request: recv, one that sends, and a share of epoll_wait


class Target(NamedTuple):
    """The most that a request may cost, as a share of what it costs somebody else in the same round."""

    of: str  # a server, or BEST: the peer with the least median
    most: float
    who: str = "cserver"


class Row(NamedTuple):
    key: str
    title: str
    short: str  # for the plots
    file: str = "1k.txt"
    connections: int = 64
    close: bool = False
    pipeline: bool = False
    idle: int = 0        # connections that stand beside the load, with one answered request each
    servers: tuple = ()  # only these; empty: all
    targets: tuple = ()

    def takes(self, server):
        return server in self.servers if self.servers else server in ("floor", *PEERS, "cserver")


ROWS = (
    Row("keepalive", "1 KiB, keep-alive, 64 connections", "1 KiB, 64 connections",
        targets=(Target(BEST, 0.90), Target("floor", 1.15))),
    Row("close", "1 KiB, close per request, 64 connections", "1 KiB, a connection each", close=True,
        targets=(Target(BEST, 1.00),)),
    Row("pipeline", "1 KiB, 16-deep pipeline, 64 connections", "1 KiB, 16 at once", pipeline=True,
        targets=(Target(BEST, 0.35),)),
    Row("100k", "100 KiB, keep-alive, 64 connections", "100 KiB", "100k.bin", targets=(Target(BEST, 1.00),)),
    Row("1m", "1 MiB, keep-alive, 64 connections", "1 MiB", "1m.bin", targets=(Target(BEST, 1.00),)),
    Row("c1000", "1 KiB, keep-alive, 1000 connections", "1 KiB, 1,000 connections", connections=1000,
        targets=(Target(BEST, 0.90),)),
    Row("crowd", "1 KiB, keep-alive, 64 busy connections beside 8,000 idle ones", "1 KiB, 64 beside 8,000 idle",
        idle=8000, targets=(Target(BEST, 0.90),)),
    Row("hello", "a module's \"Hello, world!\", keep-alive, 64 connections", "\"Hello, world!\"", "hello.txt",
        servers=("floor", "nginx", "cserver"), targets=(Target("nginx", 0.90), Target("floor", 1.25))),
    # 0.95 of the rate is 1 / 0.95 of the time. The others have no log: how each gathers lines is its own affair.
    Row("log", "1 KiB, keep-alive, 64 connections, with an access log", "1 KiB, with an access log",
        servers=("cserver", "combined", "json"), targets=(Target("cserver", 1.05, "combined"), Target("cserver", 1.05, "json"))),
)
