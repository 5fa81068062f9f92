"""pytest fixtures: `serve` makes servers and ends them, `folder` is a short-named temporary folder.

A test may take 150 seconds, or what @pytest.mark.limit(seconds) says; then it has failed, wherever it waits.
"""
import shutil
import signal
import tempfile

import pytest

from .server import Server, kill_leftovers, strays


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): how long the test may take")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else 150

    def on_alarm(number, frame):
        pytest.fail(f"it took more than {seconds} s")

    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets a fixture see whether its test has failed."""
    outcome = yield
    if call.when == "call":
        item.has_failed = outcome.get_result().failed


@pytest.fixture
def folder():
    """A folder of our own. Its name is short, since a unix socket's path may have 107 bytes only."""
    path = tempfile.mkdtemp(prefix="cs-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def serve(request):
    """serve(conf, ...) starts a Server (same arguments); all are ended and judged after the test."""
    servers = []

    def start(*args, **options):
        server = Server(*args, **options)
        servers.append(server)
        return server.start() if server.at_once else server

    yield start
    if getattr(request.node, "has_failed", False):
        for server in servers:
            print(f"--- the log of {server.conf}\n{server.log()[-6000:]}")
    faults = []
    for server in reversed(servers):
        faults += server.end()
    faults += kill_leftovers(strays)
    assert not faults, "\n".join(faults)
