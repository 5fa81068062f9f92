"""What /metrics and /status tell of a server, for the tests of both.

    s = serve(CONF, ...)
    scrape(s).value("cserver_worker_up", worker="1")
    status(s)["totals"]["requests"]
"""
import contextlib
import os
import signal

from .exposition import Exposition
from .server import Server, build_module, wait_for

CONF = """
    [module:metrics]
    [module:status]
    [module:hello]

    [route:metrics]
    match = = /metrics
    handler = metrics

    [route:status]
    match = ~ ^/status(\\.json)?$
    handler = status
    refresh = 7s

    [route:still]
    match = = /still
    handler = status
    refresh = 0

    [route:hello]
    match = = /hello
    handler = hello
"""


def running():
    """For a fixture of a whole file: `yield from running()`. Three workers and a page, judged at the end."""
    s = Server(CONF, server={"workers": 3}, www={"index.html": "front"}).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def scrape(s, accept=None):
    r = s.get("/metrics", {"Accept": accept} if accept else {})
    assert r.status == 200
    return Exposition(r)


def status(s):
    return s.get("/status.json").json


def check_methods(s, path, kind):
    """HEAD tells the length, others get 405."""
    r = s.exchange(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), "HEAD")
    assert (r.status, r["content-type"]) == (200, kind) and int(r["content-length"]) > 1000
    r = s.post(path, b"x")
    assert (r.status, r["allow"]) == (405, "GET, HEAD")


@contextlib.contextmanager
def held(s, number):
    """So many open connections, each with an answer behind it."""
    connections = [s.connect() for _ in range(number)]
    for c in connections:
        c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.response().status == 200
    yield connections
    for c in connections:
        c.close()


def kill(s, process):
    """Ends that process (an entry of the status page); the entry of its successor, once that is ready."""
    os.kill(process["pid"], signal.SIGKILL)

    def successor():
        j = status(s)
        now = [w for w in j["workers"] if w["worker"] == process["worker"]] if "worker" in process else \
            [j["processes"]["primary"]]
        return now and now[0]["state"] == "ready" and now[0]["pid"] != process["pid"] and now[0]

    return wait_for(successor, 10)


# ---- Mail --------------------------------------------------------------------------------------

POSTER = r"""
    #include <cserver/cserver.h>
    #include <stdlib.h>
    #include <unistd.h>

    static cs_topic *all, *once;

    static void on_message(const cs_msg *m)
    {
        (void)m;
    }

    /* ?3 publishes three messages for all, and one for the primary. */
    static int handler(cs_req *r)
    {
        const cs_str text = cs_format(r, "%.*s", CS_F(cs_info(r)->query));
        for (int n = atoi(text.p); n > 0; n--)
            if (cs_publish(all, CS_TO_ALL, "12345", 5) != CS_OK)
                return 503;
        return cs_publish(once, CS_TO_PRIMARY, "123", 3) == CS_OK ? cs_text(r, 200, "ok\n") : 503;
    }

    static int primary_start(cs_proc *p)
    {
        (void)p;
        return access("@FOLDER@/no-primary", F_OK) == 0 ? CS_ERROR : CS_OK;
    }

    static const cs_topic_def topics[] = {
        {.ref = &all, .name = "poster.all", .on_message = on_message},
        {.ref = &once, .name = "poster.once", .on_message = on_message},
        {0},
    };
    CS_MODULE(.name = "poster", .version = "1", .help = "Posts.", .topics = topics, .handler = handler,
              .primary_start = primary_start);
"""


def poster(folder):
    """Settings with a module that publishes: /post?3 three messages for all, and one for the primary. While there is a
    file no-primary in the folder, no primary can start."""
    return CONF + f"""
    [module:poster]
    file = {build_module(folder, "poster", POSTER.replace("@FOLDER@", folder))}

    [route:poster]
    match = = /post
    handler = poster
    """
