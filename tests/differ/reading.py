"""How a request has to be read: RFC 9112 and the choices of docs/http.md, written a second time and simply.

read(data) -> [Item]: what a server that is given these bytes, and then the end of them, has to make of them.
"""
import dataclasses
import re
import socket

TCHAR = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
TOKEN = re.compile(TCHAR + rb"+")
FIELD = re.compile(rb"(" + TCHAR + rb"+):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)[ \t]*")
QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
EXTENSION = rb"(?:[ \t]*;[ \t]*" + TCHAR + rb"+(?:[ \t]*=[ \t]*(?:" + TCHAR + rb"+|" + QUOTED + rb"))?)*"
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})" + EXTENSION)
REG_NAME = rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|" + REG_NAME + rb")(?::([0-9]*))?")
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS")
MANY = 1 << 63


class Refused(Exception):
    """A status and the name of the rule."""


class Cut(Exception):
    """The bytes end before the request does."""


@dataclasses.dataclass
class Item:
    """A request that is taken (request: method, target, host, body), or why there is none: status and rule. `unrouted` is one
    that was understood and then refused. Of the bytes it has data[start:end], its head ends at `body`."""
    request: tuple = None
    unrouted: tuple = None
    status: int = 0
    at_once: int = 0  # the status that is said whatever the body is
    rule: str = ""
    start: int = 0
    body: int = 0
    end: int = 0


def line(data, at):
    """The line at `at` and where the next one begins. A line that holds a bare CR or LF is refused."""
    for i in range(at, len(data)):
        if data[i] == 10:
            raise Refused(400, "bare LF")
        if data[i] == 13:
            if i + 1 == len(data):
                raise Cut
            if data[i + 1] != 10:
                raise Refused(400, "bare CR")
            return data[at:i], i + 2
    raise Cut


def prefix_ok(pattern, data, at):
    """A line without its end is refused as soon as it cannot become right."""
    return re.compile(pattern).match(data, at)


def split_host(text):
    m = HOST.fullmatch(text)
    if not m or (m[2] and int(m[2]) > 65535):
        return None
    if text.startswith(b"["):
        return short_v6(m[1][1:-1], m[2])
    return m[1].lower().removesuffix(b"."), m[2]


def short_v6(text, port):
    try:
        packed = socket.inet_pton(socket.AF_INET6, text.decode())
    except OSError:
        return None
    return b"[%s]" % socket.inet_ntop(socket.AF_INET6, packed).encode(), port


def read_target(method, target):
    """The host that the target names, or None."""
    if method == b"CONNECT":
        host = split_host(target)
        if not host or not host[0] or not host[1] or int(host[1]) == 0:
            raise Refused(400, "CONNECT target")
        return host[0]
    if target[:1] == b"/" or (target == b"*" and method == b"OPTIONS"):
        return None
    m = re.fullmatch(rb"(?i)https?://([^/?]*)(.*)", target, re.S)
    host = split_host(m[1]) if m else None
    if not host or not host[0]:
        raise Refused(400, "target form")
    return host[0]


def path_is_fine(target):
    """It is decoded once, is UTF-8, and stays below the root."""
    path = re.sub(rb"(?i)^https?://[^/?]*", b"", target).split(b"?")[0] or b"/"
    plain = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: m[0] if m[1].lower() == b"2f" else bytes([int(m[1], 16)]), path)
    if re.search(rb"%(?![0-9A-Fa-f]{2})", path) or re.search(rb"[\x00-\x1f\x7f]", plain):
        return False
    try:
        plain.decode("utf-8")
    except UnicodeDecodeError:
        return False
    depth = 0
    for segment in plain.split(b"/"):
        depth += -1 if segment == b".." else segment not in (b"", b".")
        if depth < 0:
            return False
    return True


def members(value):
    return [m for m in (v.strip(b" \t") for v in value.split(b",")) if m]


class Head:
    def __init__(self, method, target, minor):
        self.method, self.target, self.minor = method, target, minor
        self.host = None
        self.fields = {}
        self.length, self.chunked, self.expects = None, False, False

    def take(self, name, value):
        name = name.lower()
        before = self.fields.setdefault(name, [])
        before.append(value)
        check = {b"host": self.on_host, b"content-length": self.on_length, b"transfer-encoding": self.on_coding,
                 b"expect": self.on_expect}.get(name)
        if check:
            check(value, len(before) > 1)

    def on_host(self, value, again):
        if again:
            raise Refused(400, "two Hosts")
        host = split_host(value)
        if host is None or (value and not host[0]):
            raise Refused(400, "bad Host")

    def on_length(self, value, again):
        if again:
            raise Refused(400, "two lengths")
        if b"transfer-encoding" in self.fields:
            raise Refused(400, "length and coding")
        if not re.fullmatch(rb"[0-9]+", value) or int(value) >= MANY:
            raise Refused(400, "bad length")
        self.length = int(value)

    def on_coding(self, value, again):
        if self.minor == 0:
            raise Refused(400, "coding in HTTP/1.0")
        if again:
            raise Refused(400, "two codings")
        if b"content-length" in self.fields:
            raise Refused(400, "length and coding")
        self.chunked = True
        if value.lower() == b"chunked":
            return
        codings = [c.lower() for c in members(value)]
        if any(not TOKEN.fullmatch(c) for c in codings) or codings[-1:] != [b"chunked"] or codings.count(b"chunked") > 1 \
                or len(codings) == 1:
            raise Refused(400, "bad coding")
        raise Refused(501, "other coding")

    def on_expect(self, value, _):
        if self.minor and any(m.lower() != b"100-continue" for m in members(value)):
            raise Refused(417, "expectation")
        self.expects = self.expects or bool(self.minor and members(value))

    def finish(self):
        if self.minor and b"host" not in self.fields:
            raise Refused(400, "no Host")
        named = read_target(self.method, self.target)
        field = self.fields.get(b"host")
        self.host = named if named is not None else split_host(field[0])[0] if field else b""

    def closes(self):
        options = [m.lower() for v in self.fields.get(b"connection", []) for m in members(v)]
        return b"close" in options or (not self.minor and b"keep-alive" not in options)


def read_head(data, at):
    for _ in range(3):
        if data[at:at + 1] == b"\r":
            if at + 1 == len(data):
                raise Cut
            if data[at + 1:at + 2] != b"\n":
                raise Refused(400, "bare CR")
            at += 2
            if _ == 2:
                raise Refused(400, "empty lines")
    h, at = read_request_line(data, at)
    h.at = at
    while True:
        if not data[at:]:
            raise Cut
        if data[at:at + 1] in b" \t":
            raise Refused(400, "obs-fold")
        if data[at:at + 1] == b"\r":
            _, at = line(data, at)
            h.finish()
            return h, at
        refuse_line_early(data, at)
        text, at = line(data, at)
        h.take(*FIELD.fullmatch(text).groups())


def read_request_line(data, at):
    m = prefix_ok(TCHAR + rb"*", data, at)
    if m.end() == len(data):
        raise Cut
    if data[m.end():m.end() + 1] != b" " or m.end() == at:
        raise Refused(400, rule_of(data[m.end()], "request line"))
    method, start = m[0], m.end() + 1
    m = prefix_ok(rb"[\x21\x22\x24-\x7e]*", data, start)
    if m.end() == len(data):
        raise Cut
    if data[m.end():m.end() + 1] != b" " or m.end() == start:
        raise Refused(400, rule_of(data[m.end()], "request line"))
    target, start = m[0], m.end() + 1
    for i, c in enumerate(b"HTTP/0.0\r\n"):
        if start + i == len(data):
            raise Cut
        got = data[start + i]
        if not (48 <= got <= 57 if c == 48 else got == c):
            raise Refused(400, rule_of(got, "version"))
    if data[start + 5:start + 6] != b"1":
        raise Refused(505, "major version")
    read_target(method, target)
    return Head(method, target, int(data[start + 7:start + 8] != b"0")), start + 10


def rule_of(byte, rule):
    return {10: "bare LF", 13: "bare CR"}.get(byte, rule)


def refuse_line_early(data, at):
    m = prefix_ok(TCHAR + rb"*", data, at)
    if m.end() == len(data):
        raise Cut
    if data[m.end():m.end() + 1] != b":" or m.end() == at:
        raise Refused(400, rule_of(data[m.end()], "field name"))
    m = prefix_ok(rb"[^\x00-\x08\x0a-\x1f\x7f]*", data, m.end())
    if m.end() < len(data) and data[m.end()] not in b"\r\n":
        raise Refused(400, "field value")


def read_chunks(data, at):
    body = b""
    while True:
        text, at = chunk_line(data, at)
        m = CHUNK.fullmatch(text)
        size = int(m[1], 16) if m else MANY
        if size >= MANY:
            raise Refused(400, "chunk line")
        if size == 0:
            break
        body += data[at:at + size]
        tail = data[at + size:at + size + 2]
        if tail != b"\r\n"[:len(tail)]:
            raise Refused(400, "chunk end")
        if len(tail) < 2:
            raise Cut
        at += size + 2
    while True:
        if data[at:at + 1] and data[at:at + 1] in b" \t":
            raise Refused(400, "trailer")
        text, at = chunk_line(data, at)
        if not text:
            return body, at
        if not FIELD.fullmatch(text):
            raise Refused(400, "trailer")


def chunk_line(data, at):
    """Only whole lines are looked at: what is cut is refused or not, both are right."""
    return line(data, at)


def read_one(data, at, item):
    h, at = read_head(data, at)
    item.body = at
    if h.method == b"CONNECT":
        raise Refused(501, "CONNECT")
    item.status, item.rule = refused_by_routing(h)
    item.at_once = 200 if h.target == b"*" else 0
    body = b""
    if (item.status or item.at_once) and h.expects and (h.chunked or h.length):
        raise Cut  # whether the body comes is not known
    if h.chunked:
        body, at = read_chunks(data, at)
    elif h.length:
        if h.length > 1 << 20:
            raise Refused(413, "large body")
        if len(data) - at < h.length:
            raise Cut
        body, at = data[at:at + h.length], at + h.length
    item.end = at
    understood = (h.method, h.target, h.host, body)
    item.request, item.unrouted = (None, understood) if item.status else (understood, None)
    return h, at


def refused_by_routing(h):
    """Said before the body is read; where that can be read, the next request can be, too."""
    if h.method == b"TRACE":
        return 405, "TRACE"
    return (400, "path") if h.target != b"*" and not path_is_fine(h.target) else (0, "")


def read(data):
    items, at = [], 0
    while True:
        item = Item(start=at, end=len(data), body=len(data))
        items.append(item)
        try:
            h, at = read_one(data, at, item)
        except (Cut, Refused) as e:
            if not item.status:
                item.status, item.rule = e.args or (0, "cut")
                item.status = item.at_once or item.status
            return items
        if h.closes():
            return items
