"""Odd requests for the handler hello of a `shared()` server, and what has to come of them: a request behind each of them shows whether
server and test still agree on where it ends."""
import contextlib

H = b"Host: a\r\n"
NEXT = b"GET /hello?next HTTP/1.1\r\nHost: a\r\n\r\n"
# Verdicts: 200 and then 200 for NEXT; 200 and closed; a status (or one of several) and closed; or a list with the status of every answer.
TAKEN, REFUSED, DONE = "taken", 400, "taken, then closed"
CL, TE = b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"
FIVE, CHUNKS = b"0\r\n\r\n", b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"


def post(*lines, body=b"", version=b"HTTP/1.1"):
    return b"POST /hello " + version + b"\r\n" + H + b"".join(lines) + b"\r\n" + body


def coding(value, status=REFUSED):
    return f"coding {value!r}", post(b"Transfer-Encoding:" + value + b"\r\n", body=CHUNKS), status


def length(value, status=REFUSED):
    return f"length {value!r}", post(b"Content-Length:" + value + b"\r\n", body=FIVE), status


def chunk(line, status=REFUSED, end=b"\r\n"):
    return f"chunk {line!r} {end!r}", post(TE, body=line + b"hello" + end + b"0\r\n\r\n"), status


def last(text, status=REFUSED):
    return f"last {text!r}", post(TE, body=b"5\r\nhello\r\n" + text), status


def name(text, status=REFUSED):
    return f"name {text!r}", post(text + b": 5\r\n"), status


def host(*lines, status=REFUSED, target=b"/hello"):
    return f"host {lines!r} {target!r}", b"GET " + target + b" HTTP/1.1\r\n" + b"".join(lines) + b"\r\n", status


def first(line, status=REFUSED):
    return f"line {line!r}", line + H + b"\r\n", status


def talk(server, data):
    """All answers to these bytes and a request behind them, until the server closes."""
    with server.connect() as c:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            c.send(data + NEXT).half_close()
        answers = []
        head = data.lstrip(b"\r\n").startswith(b"HEAD")
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                r = c.response("HEAD" if head and not answers else "GET")
                if r.status >= 200:
                    answers.append(r)
        return answers


def judge(server, label, data, want):
    answers = talk(server, data)
    statuses = [r.status for r in answers]
    if want == TAKEN:
        assert statuses == [200, 200], label
    elif want == DONE:
        assert statuses == [200] and answers[0]["connection"] == "close", label
    elif isinstance(want, list):
        assert statuses == want, label
    elif want == 404:
        assert statuses == [404, 200], label
    else:
        assert len(statuses) == 1 and statuses[0] in (want if isinstance(want, tuple) else (want,)), label
        assert answers[0]["connection"] == "close", label
