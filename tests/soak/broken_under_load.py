#!/usr/bin/env python3
"""Ten kinds of broken settings against `-t` and `-s reload` under load: each is refused with a reason and exit code 78,
the old settings stay, no request fails meanwhile; then a good file goes live."""
from broken import all_broken, good
from soak import Run, status

REFUSED = 78


def refuses(run, server, broken, what, done):
    text = done.stdout + done.stderr
    run.check(f"{broken.name}: {what} refuses it with a reason",
              done.returncode == REFUSED and broken.word in text, f"exit code {done.returncode}\n{text}")


with Run() as run:
    server = run.serve(good("first"))
    generation = status(server)["generation"]
    clients = [run.client(server, "/hello", "-c", 16, "-w", 3, "-b", len("first\n")),
               run.client(server, "/hello", "-c", 4, "-1", "-w", 3, "-b", len("first\n")),
               run.client(server, "/slow?ms=300", "-c", 8)]
    for broken in all_broken(run, server):
        broken.write(server, "wrong and longer")
        refuses(run, server, broken, "-t", server.run("-c", server.conf, "-t"))
        refuses(run, server, broken, "-s reload", server.ctl("reload"))
        now = status(server)
        run.check(f"{broken.name}: the old settings stay",
                  now["generation"] == generation and server.get("/hello").text == "first\n", now)
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
