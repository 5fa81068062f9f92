"""Who the client is, as the log has it: behind proxies, and when somebody claims to be one."""
import socket

from lib.balancer import v2, v4
from lib.server import LIMIT, Connection, wait_for

TRUSTED = "127.0.0.1, 10.0.0.0/8, 2001:db8::/32"
LISTENERS = {  # label: (address, keys)
    "plain": ("127.0.0.1", ""),
    "xff": ("127.0.0.2", f"trusted = {TRUSTED}"),
    "forwarded": ("127.0.0.3", f"trusted = {TRUSTED}\nclient_from = Forwarded"),
    "off": ("127.0.0.4", f"trusted = {TRUSTED}\nclient_from = off"),
    "proxy": ("127.0.0.5", f"trusted = {TRUSTED}\nproxy_protocol = on"),
    "both": ("127.0.0.6", f"trusted = {TRUSTED}\nproxy_protocol = on\nclient_from = X-Forwarded-For"),
    "stranger": ("127.0.0.7", "trusted = 10.0.0.0/8"),
    "everybody": ("127.0.0.8", "trusted = all"),
    "unix": (None, "trusted = unix, 10.0.0.0/8"),
}
X = "X-Forwarded-For: "
F = "Forwarded: "
ROWS = [
    ("plain", "no proxy is trusted", [X + "192.0.2.1"], "127.0.0.1"),
    ("plain", "nor is Forwarded", [F + "for=192.0.2.1"], "127.0.0.1"),
    ("stranger", "a peer that is not trusted", [X + "10.0.0.1, 192.0.2.1"], "127.0.0.1"),
    ("off", "trusted, but no field", [X + "192.0.2.1", F + "for=192.0.2.1"], "127.0.0.1"),
    ("xff", "no field", [], "127.0.0.1"),
    ("xff", "one", [X + "192.0.2.1"], "192.0.2.1"),
    ("xff", "with a port", [X + "192.0.2.1:4711"], "192.0.2.1"),
    ("xff", "IPv6", [X + "2001:DB9::1"], "2001:db9::1"),
    ("xff", "IPv6 with a port", [X + "[2001:db9::1]:80"], "2001:db9::1"),
    ("xff", "mapped", [X + "::ffff:192.0.2.1"], "192.0.2.1"),
    ("xff", "the field's name in another case", ["x-FORWARDED-for: 192.0.2.1"], "192.0.2.1"),
    ("xff", "what the client said stands before", [X + "6.6.6.6, 192.0.2.1"], "192.0.2.1"),
    ("xff", "a proxy behind a proxy", [X + "192.0.2.1, 10.1.2.3, 2001:db8::7"], "192.0.2.1"),
    ("xff", "a forged proxy before the client", [X + "6.6.6.6, 10.0.0.1, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
    ("xff", "only proxies", [X + "10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("xff", "several fields are one list", [X + "6.6.6.6", X + "192.0.2.1", X + "10.0.0.1"], "192.0.2.1"),
    ("xff", "garbage at the end", [X + "192.0.2.1, unknown"], "127.0.0.1"),
    ("xff", "garbage behind a proxy", [X + "192.0.2.1, <script>, 10.0.0.2"], "10.0.0.2"),
    ("xff", "garbage before the client", [X + "unknown, 192.0.2.1"], "192.0.2.1"),
    ("xff", "an empty element", [X + "192.0.2.1, ,10.0.0.2"], "10.0.0.2"),
    ("xff", "an empty field", [X], "127.0.0.1"),
    ("xff", "a field that is garbage, then a good one", [X + '"', X + "192.0.2.1"], "192.0.2.1"),
    ("xff", "a block is no address", [X + "192.0.2.0/24"], "127.0.0.1"),
    ("xff", "the other field does not count", [F + "for=192.0.2.1"], "127.0.0.1"),
    ("xff", "1,000 elements, the client last", [X + ",".join(["6.6.6.6"] * 999 + ["192.0.2.1"])], "192.0.2.1"),
    ("xff", "1,000 proxies", [X + ",".join(["192.0.2.1"] + ["10.0.0.1"] * 999)], "192.0.2.1"),
    ("forwarded", "one", [F + "for=192.0.2.1;proto=https"], "192.0.2.1"),
    ("forwarded", "IPv6, quoted, with a port", [F + 'for="[2001:db9::1]:4711"'], "2001:db9::1"),
    ("forwarded", "a proxy behind a proxy", [F + "for=192.0.2.1, for=10.0.0.1;by=10.0.0.2"], "192.0.2.1"),
    ("forwarded", "what the client said stands before", [F + "for=6.6.6.6", F + "for=192.0.2.1"], "192.0.2.1"),
    ("forwarded", "hidden", [F + "for=_secret"], "127.0.0.1"),
    ("forwarded", "hidden behind a proxy", [F + "for=_secret, for=10.0.0.1"], "10.0.0.1"),
    ("forwarded", "the client opened a quoted string", [F + 'for="6.6.6.6, for=192.0.2.1'], "127.0.0.1"),
    ("forwarded", "the other field does not count", [X + "192.0.2.1"], "127.0.0.1"),
    ("forwarded", "1,000 elements", [F + ",".join(["for=192.0.2.1"] + ["for=10.0.0.1"] * 999)], "192.0.2.1"),
    ("everybody", "the first one of all", [X + "192.0.2.1, 192.0.2.2"], "192.0.2.1"),
    ("unix", "by a unix socket", [X + "192.0.2.1"], "192.0.2.1"),
    ("unix", "without a field", [], "unix:"),
    ("proxy", "the balancer's word", [], "192.0.2.50"),
    ("proxy", "fields do not count, unless asked for", [X + "10.0.0.1"], "192.0.2.50"),
    ("both", "the client that the balancer names is no proxy", [X + "6.6.6.6"], "192.0.2.50"),
]


def settings():
    text = "[limits]\nmax_head = 64k\n"
    for label, (host, keys) in LISTENERS.items():
        address = f"{host}:@PORT@" if host else "unix:@DIR@/s.sock"
        text += f"[listen:{label}]\naddress = {address}\n{keys}\n"
    return text + "[module:hello]\n[route:hello]\nmatch = /\nhandler = hello\n"


def connect(s, label):
    host = LISTENERS[label][0]
    return s.connect((host, s.port) if host else s.path("s.sock"))


def request(number, fields):
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"GET /{number} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode()


def clients(s, number):
    """Of each number the client, as the access log has it."""
    wait_for(lambda: s.read("access.log").count("\n") >= number, what=f"{number} lines")
    return {line.split()[6]: line.split()[0] for line in s.read("access.log").splitlines()}


def test_who_it_is(serve):
    s = serve(settings())
    for i, (label, _, fields, _) in enumerate(ROWS):
        with connect(s, label) as c:
            if "proxy_protocol" in LISTENERS[label][1]:
                c.send(v2(1, 0x11, v4("192.0.2.50")))
            assert c.send(request(i, fields)).response().status == 200, ROWS[i]
    found = clients(s, len(ROWS))
    wrong = [(ROWS[i], found[f"/{i}"]) for i in range(len(ROWS)) if found[f"/{i}"] != ROWS[i][3]]
    assert not wrong


def test_each_request_for_itself(serve):
    """A proxy sends requests of many clients on one connection."""
    s = serve(settings())
    with connect(s, "xff") as c:
        for i in range(3):
            assert c.send(request(i, [f"{X}192.0.2.{i}"])).response().status == 200
        assert c.send(request(3, [])).response().status == 200
        c.send(b"nonsense\r\n" + X.encode() + b"192.0.2.9\r\n\r\n").response()  # what is refused is not believed
    wait_for(lambda: s.read("access.log").count("\n") == 5)
    assert [line.split()[0] for line in s.read("access.log").splitlines()] == [
        "192.0.2.0", "192.0.2.1", "192.0.2.2", "127.0.0.1", "127.0.0.1"]


def test_a_balancer_that_is_not_trusted(serve):
    s = serve(settings())
    before = socket.create_connection(("127.0.0.5", s.port), LIMIT, source_address=("127.0.0.9", 0))
    with Connection(before) as c:
        assert c.send(v2(1, 0x11, v4("192.0.2.50")) + request(0, [])).rest() == b""
    s.log_has("its other end is not in `trusted`, and [listen:proxy] has proxy_protocol = on")


def test_the_error_log_names_the_client(serve):
    s = serve(settings(), server={"log_format": "json"})
    with connect(s, "xff") as c:
        c.send(b"GET /../x HTTP/1.1\r\nHost: x\r\n" + X.encode() + b"192.0.2.1\r\n\r\n").response()
    s.log_has('"client":"192.0.2.1"')
