#!/usr/bin/env python3
"""Ten kinds of broken settings (lib/ten.py) against `-t` and `-s reload` under load: each is refused with a reason, the old
settings stay, no request fails meanwhile; then a good file goes live."""
from broken import good
from soak import Run, status

from lib import ten


def refuses(run, case, done):
    run.check(f"{case.name}: -s reload refuses it with a reason ({done.returncode})",
              done.returncode in case.codes and all(w in done.stderr for w in case.words), done)


with Run() as run:
    server = run.serve(good("first"))
    generation = status(server)["generation"]
    clients = [run.client(server, "/hello", "-c", 16, "-w", 3, "-b", len("first\n")),
               run.client(server, "/hello", "-c", 4, "-1", "-w", 3, "-b", len("first\n")),
               run.client(server, "/slow?ms=300", "-c", 8)]
    cases = ten.Ten(run.folder)
    for case in cases.cases:
        case.write(server, good("wrong and longer"))
        undo = ten.fill(server.pid) if case.full else lambda: None
        done = server.run("-c", server.conf, "-t")
        run.check(f"{case.name}: -t exits with {case.test or 0}", done.returncode == (case.test or 0), done)
        refuses(run, case, server.ctl("reload"))
        undo()
        now = status(server)
        run.check(f"{case.name}: the old settings stay",
                  now["generation"] == generation and server.get("/hello").text == "first\n", now)
    cases.close()
    failed = status(server)["totals"]["reloads_failed"]
    run.check("each refusal is counted", failed == 10, f"reloads_failed: {failed}")

    server.configure(good("other"))
    done = server.run("-c", server.conf, "-t")
    run.check("-t accepts a good file while the server runs", done.returncode == 0, done.stdout + done.stderr)
    done = server.ctl("reload")
    run.check("a good file is taken", done.returncode == 0, done.stdout + done.stderr)
    run.check("it is live when -s reload returns", all(server.get("/hello").text == "other\n" for _ in range(20)))
    for result in map(run.finish, clients):
        run.check(f"{result.what}: {result.requests} requests, {result.failed} failed",
                  result.failed == 0 and result.requests >= 16 and result.ended_idle == 0, result)
