"""maintenance: when the command has returned, no request in any worker sees the old state; and nothing but a message
moves the switch."""
import os
import signal

import pytest
from lib.clients import Clients, pipeline
from lib.server import wait_for

CONF = """
    [module:maintenance]
    [module:hello]
    [module:echo]

    [route:shop]
    match = = /shop
    handler = maintenance, hello
    greeting = open

    [route:open]
    match = = /open
    handler = hello

    [route:upload]
    match = = /upload
    handler = maintenance, echo
    retry_after = 1500ms

    [route:alone]
    match = = /alone
    handler = maintenance

    [route:page]
    match = = /page
    handler = maintenance, hello
    page = /back-soon.html
    retry_after = 2h

    [route:lost-page]
    match = = /lost-page
    handler = maintenance, hello
    page = /nowhere.html
"""
WWW = {"back-soon.html": "<p>our own page</p>"}
WORKERS = 4
ALL = 10_000


@pytest.fixture
def server(serve):
    return serve(CONF, server={"workers": WORKERS}, www=WWW)


def send(s, value, *more):
    return s.run("-c", s.conf, "msg", "send", "maintenance", value, *more)


def switch(s, value, *more):
    done = send(s, value, "--wait=applied", *more)
    assert done.returncode == 0, done.stdout + done.stderr


def seen(s, number=ALL):
    """How many of so many requests, on 100 connections in all workers, got which status."""
    found = {}
    for r in pipeline(s, "/shop", 100, number // 100):
        found[r.status] = found.get(r.status, 0) + 1
    return found


def all_are_new(s, old):
    wait_for(lambda: len(s.workers()) == WORKERS and not set(old) & set(s.workers()))
    wait_for(lambda: s.ctl("status").returncode == 0)


def test_off_it_declines(server):
    assert server.get("/shop").text == "open\n"
    assert server.get("/alone").status == 404


def test_on_it_answers(server):
    switch(server, "on")
    r = server.get("/shop")
    assert (r.status, r["retry-after"], r["cache-control"]) == (503, "60", "no-store")
    assert r["content-type"] == "text/html; charset=utf-8" and "Back soon" in r.text
    assert server.head("/shop").status == 503
    assert server.get("/open").status == 200
    r = server.get("/page")
    assert (r.status, r["retry-after"], r.text) == (503, "7200", "<p>our own page</p>")
    r = server.get("/lost-page")
    assert r.status == 503 and "Back soon" in r.text
    switch(server, "off")
    assert server.get("/shop").text == "open\n" and server.get("/alone").status == 404


def test_a_body_is_not_sent_in_vain(server):
    switch(server, "on")
    with server.connect() as c:
        c.send(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\nExpect: 100-continue\r\n\r\n")
        r = c.response()
    assert (r.status, r["retry-after"]) == (503, "2")
    switch(server, "off")
    assert server.post("/upload", b"x" * 900).body == b"x" * 900


def test_nobody_sees_the_old_state(server):
    assert seen(server) == {200: ALL}
    switch(server, "on")
    assert seen(server) == {503: ALL}
    switch(server, "off")
    assert seen(server) == {200: ALL}


def test_many_times(server):
    with Clients(server, "/open", connections=4):
        for _ in range(20):
            switch(server, "on")
            assert seen(server, 500) == {503: 500}
            switch(server, "off")
            assert seen(server, 500) == {200: 500}


def kill_workers(s):
    old = s.workers()
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    all_are_new(s, old)


def kill_all(s):
    old, primary = s.workers(), s.primary()
    for pid in [*old, primary]:
        os.kill(pid, signal.SIGKILL)
    all_are_new(s, old)
    wait_for(lambda: s.primary() not in (None, primary))


def reload(s):
    old = s.workers()
    done = s.ctl("reload")
    assert done.returncode == 0, done.stderr
    all_are_new(s, old)


@pytest.mark.parametrize("event", [kill_workers, kill_all, reload], ids=lambda f: f.__name__)
def test_who_is_born_later_knows(server, event):
    switch(server, "on")
    event(server)
    assert seen(server) == {503: ALL}
    switch(server, "off")
    event(server)
    assert seen(server) == {200: ALL}


@pytest.mark.parametrize("to", ["all", "workers"])
def test_a_message_that_nobody_lived_to_read(server, to):
    """It is sent while all are stopped, and they are killed before they go on."""
    old = [*server.workers(), server.primary()]
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    done = send(server, "on", "--to", to)
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    assert done.returncode == 0, done.stderr
    all_are_new(server, old)
    assert seen(server) == {503: ALL}


@pytest.mark.parametrize("value", ["", "ON", "on ", "onn", "of", "yes", "1", "maybe", "x" * 64, "on\n"])
def test_other_values_are_refused(server, value):
    switch(server, "on")
    switch(server, value)
    server.log_has("say on or off")
    assert server.log().count("say on or off") == 1, "one process says so, not each"
    assert seen(server, 500) == {503: 500}
    kill_workers(server)
    assert seen(server, 500) == {503: 500}, "a bad value is no value for those who come later"
    assert server.log().count("say on or off") == 1


@pytest.mark.parametrize("to", ["worker:1", "primary", "workers", "all"])
def test_one_process_moves_it_for_all(server, to):
    switch(server, "on", "--to", to)
    assert seen(server, 500) == {503: 500}
    kill_workers(server)
    assert seen(server, 500) == {503: 500}
    switch(server, "off", "--to", to)
    kill_workers(server)
    assert seen(server, 500) == {200: 500}


def test_it_is_said_once(server):
    switch(server, "on")
    switch(server, "on")
    switch(server, "off")
    assert server.log().count("on: requests get 503") == 2


@pytest.mark.parametrize("line", ["retry_after = 5", "retry_after = -1s", "pages = /x"])
def test_settings_refused(serve, line):
    s = serve(f"[module:maintenance]\n{line}\n", start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and line.split()[0][:4] in done.stderr
