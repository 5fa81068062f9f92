#!/usr/bin/env python3
"""A hundred starts by systemd-socket-activate with a fake NOTIFY_SOCKET: each says READY when a worker accepts and not
before, answers who came first, and says STOPPING at its end."""
import os
import textwrap

from soak import MODULES, Run
from lib.systemd import ACTIVATE, Manager, build_gate, gate_conf, try_start
from lib.server import Server

STARTS = 100

with Run() as run:
    if not ACTIVATE:
        raise RuntimeError("systemd-socket-activate is not installed; to install it: ./configure --install-deps=check")
    manager = Manager(os.path.join(run.folder, "notify"))
    gate = gate_conf(build_gate(run.folder))
    os.chmod(run.folder, 0o755)
    right, faults = 0, []
    for number in range(1, STARTS + 1):
        server = Server(textwrap.dedent(MODULES) + gate + "[listen:a]\naddress = 127.0.0.1:@PORT@\n", env=manager.env, ready=False)
        try:
            try_start(server, manager)
            code = server.stop()
            assert (code, manager.states()) == (0, ["READY", "STOPPING"]), (code, manager.messages)
            right += 1
        except AssertionError as e:
            run.note(f"start {number}: {e}\n{server.log()[-2000:]}")
        faults += server.end()
    run.check(f"{right} of {STARTS} starts: READY after a worker accepts, the first one answered, STOPPING at the end",
              right == STARTS)
    run.check("every server ended cleanly", not faults, "\n".join(faults))
