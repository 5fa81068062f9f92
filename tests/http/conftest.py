"""One server for all rows of a file: starting one for each row would cost more than the rows."""
import pytest

from lib.server import Server

MODULES = """
    [module:hello]
    [module:echo]
    [module:slow]
    [module:status]
    [route:hello]
    match = /hello
    handler = hello
    [route:echo]
    match = /echo
    handler = echo
    [route:slow]
    match = /slow
    handler = slow
    [route:status]
    match = /status
    handler = status
"""


@pytest.fixture(scope="module")
def shared():
    """shared(conf, ...) is a Server that lives as long as the test file; the same arguments give the same one."""
    servers = {}

    def start(conf=MODULES, **options):
        key = conf + repr(options)
        if key not in servers:
            servers[key] = Server(conf, **options)
            servers[key].start()
        return servers[key]

    yield start
    faults = [fault for server in servers.values() for fault in server.end()]
    assert not faults, "\n".join(faults)
