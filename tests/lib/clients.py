"""Clients that count: so many keep-alive connections, each with one request on its way at a time.

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

    def __init__(self, server, path, connections=8, limit=None):
        self.server, self.limit = server, limit
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

    def may_begin(self):
        with self.lock:
            self.begun += 1
            return not self.over and (self.limit is None or self.begun <= self.limit)

    def count(self, answer):
        with self.lock:
            if answer is None:
                self.broken += 1
            elif answer.status == 200:
                self.answered += 1
            else:
                self.wrong.append(answer)

    def ask(self, connection):
        """None: no whole answer. A reset is none, even where part of the answer has come."""
        with contextlib.suppress(OSError, EOFError):
            return connection.send(self.request).response()
        return None

    def connect(self):
        while not self.over:
            with contextlib.suppress(OSError):
                return self.server.connect()
            time.sleep(0.005)
        return None

    def run(self):
        connection = None
        while self.may_begin():
            connection = connection or self.connect()
            if not connection:
                return
            answer = self.ask(connection)
            self.count(answer)
            if answer is None or answer["connection"] == "close":
                connection.close()
                connection = None
        if connection:
            connection.close()


def pipeline(server, path, connections, depth):
    """Sends `depth` requests at once on each connection, all open at the same time; the list of all answers."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(server.connect()) for _ in range(connections)]
        for c in open_ones:
            c.send(request * depth)
        return [c.response() for c in open_ones for _ in range(depth)]
