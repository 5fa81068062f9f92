"""Sends inputs to a server, each on a connection of its own that is half-closed behind it, and reads what it has to say."""
import re
import selectors
import socket
import time

AT_ONCE = 24
PATIENCE = 20  # seconds of silence after which a connection is given up
ANSWER = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9])[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
MIRROR = re.compile(rb"(?im)^x-mirror: ([0-9a-f.]*)\r$")


def understood(raw):
    """A server's answers: [(status, request)], request is (method, target, host, body) where it said so, else None."""
    return [(int(m[1]), request_of(m[2])) for m in ANSWER.finditer(raw)]


def request_of(fields):
    said = MIRROR.search(fields)
    return tuple(bytes.fromhex(part.decode()) for part in said[1].split(b".")[:4]) if said else None


class Talk:
    def __init__(self, address, index, data):
        self.index, self.data, self.got, self.since = index, data, b"", time.monotonic()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(address)
        try:
            self.sock.sendall(data)
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.sock.setblocking(False)

    def read(self):
        """True when there is nothing more to come."""
        try:
            piece = self.sock.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.got += piece
        return not piece


def ask(address, inputs):
    """The answers of one server to all inputs: [bytes]."""
    answers, todo, under_way = [b""] * len(inputs), enumerate(inputs), 0
    with selectors.DefaultSelector() as selector:
        def more():
            for index, data in todo:
                t = Talk(address, index, data)
                selector.register(t.sock, selectors.EVENT_READ, t)
                return 1
            return 0

        def end(t):
            selector.unregister(t.sock)
            t.sock.close()
            answers[t.index] = t.got
            return more() - 1

        for _ in range(AT_ONCE):
            under_way += more()
        while under_way:
            for key, _ in selector.select(1):
                if key.data.read():
                    under_way += end(key.data)
            late = time.monotonic() - PATIENCE
            for t in [k.data for k in selector.get_map().values() if k.data.since < late]:
                t.got += b"(silence)"
                under_way += end(t)
    return answers
