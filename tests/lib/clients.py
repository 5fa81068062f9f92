"""Clients that count: so many keep-alive connections, each with `depth` requests on their way at a time.

    with Clients(server, "/count") as c:
        ...
    assert c.answered == ... and c.broken == 0
"""
import contextlib
import threading
import time


class Clients:
    """`answered`: whole answers with status 200. `broken`: requests sent whose answer never came. `wrong`: other answers.
    limit: so many requests in all, then they end by themselves; None: until the end of the `with`."""

    def __init__(self, server, path, connections=8, limit=None, depth=1):
        self.server, self.limit, self.depth = server, limit, depth
        self.request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        self.lock = threading.Lock()
        self.begun = self.answered = self.broken = 0
        self.wrong, self.over = [], False
        self.threads = [threading.Thread(target=self.run) for _ in range(connections)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, kind, *_):
        if self.limit is None or kind:
            self.over = True
        for t in self.threads:
            t.join()

    def begin(self):
        """How many requests may be sent now."""
        with self.lock:
            n = 0 if self.over else self.depth if self.limit is None else min(self.depth, self.limit - self.begun)
            self.begun += n
            return n

    def count(self, answer):
        with self.lock:
            if answer.status == 200:
                self.answered += 1
            else:
                self.wrong.append(answer)

    def ask(self, connection, n):
        """Sends n requests and counts their answers. False: the connection is of no more use."""
        seen = 0
        with contextlib.suppress(OSError, EOFError):
            connection.send(self.request * n)
            while seen < n:
                answer = connection.response()
                self.count(answer)
                seen += 1
                if answer["connection"] == "close":
                    break
        with self.lock:
            self.broken += n - seen
        return seen == n and answer["connection"] != "close"

    def connect(self):
        while not self.over:
            with contextlib.suppress(OSError):
                return self.server.connect()
            time.sleep(0.005)
        return None

    def run(self):
        connection = None
        while n := self.begin():
            connection = connection or self.connect()
            if not connection:
                self.drop(n)
                return
            if not self.ask(connection, n):
                connection.close()
                connection = None
        if connection:
            connection.close()

    def drop(self, n):
        """They were never sent."""
        with self.lock:
            self.begun -= n


def pipeline(server, path, connections, depth):
    """Sends `depth` requests at once on each connection, all open at the same time; the list of all answers."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(server.connect()) for _ in range(connections)]
        for c in open_ones:
            c.send(request * depth)
        return [c.response() for c in open_ones for _ in range(depth)]
