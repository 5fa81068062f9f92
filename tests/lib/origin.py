"""A server that modules fetch from: one thread a connection, which answers as a test says, and remembers what it was asked."""
import contextlib
import socket
import threading

from .server import LIMIT, Connection


class Asked:
    """One request: line, fields (lower case), body."""

    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.method, self.target = lines[0].split(" ")[:2]
        self.fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.fields.setdefault(name.lower(), []).append(value.strip())
        self.body = body

    def field(self, name):
        return ", ".join(self.fields.get(name, []))


def read_body(c, head):
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        body = b""
        while (size := int(c.until(b"\r\n").split(b";")[0], 16)) > 0:
            body += c.take(size)
            c.take(2)
        c.until(b"\r\n")
        return body
    for line in lower.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return c.take(int(line.split(b":")[1]))
    return b""


def ok(body=b"ok\n", status="200 OK", fields=""):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body


class Origin:
    """answer(asked, connection): bytes, or None to end the connection. With early=True it is called when the head is there."""

    def __init__(self, answer=lambda asked, c: ok(), early=False):
        self.answer, self.early = answer, early
        self.asked, self.connections, self.ended = [], 0, 0
        self.open = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # the thread in accept() would take one more
        self.listener.close()
        for c in self.open:
            with contextlib.suppress(OSError):
                c.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            c = Connection(sock)
            self.open.append(c)
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            while self.one(c):
                pass
        except (OSError, EOFError, AssertionError, ValueError):
            pass
        self.ended += 1
        c.close()

    def one(self, c):
        c.sock.settimeout(LIMIT)
        head = c.until(b"\r\n\r\n")
        if not head:
            return False
        asked = Asked(head[:-4], b"" if self.early else read_body(c, head))
        self.asked.append(asked)
        answer = self.answer(asked, c)
        if answer is None:
            return False
        c.send(answer)
        return True
