#!/usr/bin/env python3
"""A reload from any settings to any others makes the same server as a cold start with those: all pairs (P31)."""
from soak import Run, Server

from lib.pairs import SETTINGS, Same


def all_pairs(names):
    """A walk on which each of them follows each of them once."""
    walk = []
    for i, first in enumerate(names):
        walk.append(first)
        for second in names[i + 1:]:
            walk += [first, second]
    return walk + [names[0]]


with Run() as run:
    server = Server(www={"page.txt": "a page\n"})
    run.servers.append(server)
    server.has_www = False
    same = Same(server, run.folder)
    for name in SETTINGS:
        same.start(name)
        server.stop()
    walk = all_pairs(list(SETTINGS))
    same.configure(walk[0])
    server.start()
    for before, after in zip(walk, walk[1:]):
        faults = same.warm(after)
        run.check(f"{before} - {after}", not faults, "\n".join(faults))
