"""A cserver for one scenario: its own folder, its own port, gone afterwards.

    def test_hello(serve):
        s = serve('''
            [module:hello]
            [route:hello]
            match = /hello
            handler = hello
        ''')
        assert s.get("/hello").status == 200

The text given is the rest of the settings: the harness writes [server], and [listen:main] unless the text has a
[listen:...] of its own. Indentation common to all lines goes. @PORT@ and @DIR@ are replaced. With www={"name":
content} it writes a folder www, and makes it the root of [site:default] unless the text has a [site:...].

Afterwards every server gets SIGTERM, then SIGKILL; the test fails when one leaves a process behind, when the
log tells of a sanitizer report or a failed check, or when SIGTERM did not end it.

Nothing here sleeps for a fixed time in the hope that something happens: wait_for() and deadline() poll.
"""
import contextlib
import ctypes
import getpass
import http.client
import json
import os
import random
import re
import select
import shutil
import signal as signals
import socket
import struct
import subprocess
import tempfile
import textwrap
import threading
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("CSERVER_BUILD") or SOURCE)
PROGRAM = os.path.join(BUILD, "cserver")
LIMIT = 60  # seconds that anything may take before it counts as stuck; a deadline, never a pause
ALARMS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "check failed")

# Keys of [server] for workers that may look into the folders of tests.
OURSELVES = {"user": getpass.getuser(), "allow_root": "on"}

# Orphans of our servers become our children, so that none of them escapes the count.
PR_SET_CHILD_SUBREAPER = 36
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def begin_afresh(end_with_us):
    """In a new server, before it is one: signals that a shell in the background ignores count again, and it gets
    SIGTERM when the tests are killed."""
    signals.signal(signals.SIGINT, signals.SIG_DFL)
    signals.signal(signals.SIGQUIT, signals.SIG_DFL)
    if end_with_us:
        LIBC.prctl(PR_SET_PDEATHSIG, signals.SIGTERM, 0, 0, 0)


# ---- Waiting -----------------------------------------------------------------------------------

def deadline(seconds=LIMIT, what="it did not happen"):
    """for _ in deadline(5, "no new worker"): if ...: break -- looks often, fails when the time is over."""
    end = time.monotonic() + seconds
    pause = 0.002
    while True:
        yield
        if time.monotonic() > end:
            raise AssertionError(f"{what} (waited {seconds} s)")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def wait_for(condition, seconds=LIMIT, what=""):
    """Calls condition() until it returns something true, and returns that."""
    for _ in deadline(seconds, what or f"{getattr(condition, '__name__', 'condition')} never held"):
        value = condition()
        if value:
            return value


def free_port(host="127.0.0.1"):
    """A port outside the range that the kernel gives to outgoing connections, free right now."""
    for _ in range(200):
        port = random.SystemRandom().randint(10000, 32000)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((host, port))
                return port
            except OSError:
                pass
    raise AssertionError("no free port")


# ---- Processes ---------------------------------------------------------------------------------

def process_table():
    """pid -> (parent, state, session) of all processes."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{name}/stat", "rb") as f:
                fields = f.read().rsplit(b")", 1)[1].split()
                table[int(name)] = (int(fields[1]), fields[0].decode(), int(fields[3]))
    return table


def title(pid):
    """The command line of a process, as ps shows it; "" when it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
        return f.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    return ""


def is_program(pid):
    with contextlib.suppress(OSError):
        return os.path.basename(os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")) == "cserver"
    return False


def is_alive(pid):
    """Not gone and not a zombie."""
    entry = process_table().get(pid)
    return bool(entry) and entry[1] not in "ZX"


def descendants(pid):
    table = process_table()
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        children = [p for p, entry in table.items() if entry[0] == parent]
        found += children
        todo += children
    return found


# ---- Answers -----------------------------------------------------------------------------------

class Response:
    """status, reason, headers (list of pairs, as sent), body. response["name"] is the first such header or None."""

    def __init__(self, status, reason, headers, body, version="HTTP/1.1"):
        self.status, self.reason, self.headers, self.body, self.version = status, reason, headers, body, version

    def __getitem__(self, name):
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.reason} {dict(self.headers)} {self.body[:80]!r}>"


class Connection:
    """One connection, byte by byte: send(), response(), eof(). Reading has a deadline."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(LIMIT)
        self.buffer = bytearray()  # grows and shrinks at its ends without being copied

    def send(self, data):
        self.sock.sendall(data)
        return self

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def close(self):
        self.sock.close()

    def reset(self):
        """Goes away without a word: a server that only reads an end may take it for a client that sends no more."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fill(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def take(self, n):
        while len(self.buffer) < n:
            if not self.fill():
                raise EOFError(f"closed after {len(self.buffer)} of {n} bytes")
        data = bytes(memoryview(self.buffer)[:n])
        del self.buffer[:n]
        return data

    def until(self, mark):
        """Bytes up to and with `mark`."""
        while mark not in self.buffer:
            if not self.fill():
                raise EOFError(f"closed before {mark!r}: {bytes(self.buffer[-200:])!r}")
        return self.take(self.buffer.index(mark) + len(mark))

    def rest(self):
        """All bytes until the server closes; a reset counts as the end too."""
        with contextlib.suppress(ConnectionResetError):
            while self.fill():
                pass
        return self.take(len(self.buffer))

    def is_silent(self, seconds):
        """Nothing comes, nor an end, for so long."""
        return not self.buffer and not select.select([self.sock], [], [], seconds)[0]

    def eof(self):
        """Waits for the server to close; true when nothing came before."""
        return self.rest() == b""

    def response(self, method="GET"):
        """Reads one response; the method tells whether a body can follow. 1xx are responses too."""
        head = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, reason = (head[0] + " ").split(" ", 2)
        headers = []
        for line in head[1:-2]:
            name, value = line.split(":", 1)
            headers.append((name, value.strip()))
        r = Response(int(status), reason.strip(), headers, b"", version)
        if method == "HEAD" or r.status < 200 or r.status in (204, 304):
            return r
        if (r["transfer-encoding"] or "").lower() == "chunked":
            r.body = self.chunks(r)
        elif r["content-length"] is not None:
            r.body = self.take(int(r["content-length"]))
        else:
            r.body = self.rest()
        return r

    def chunks(self, response):
        """A chunked body; trailers are added to the headers."""
        body = bytearray()
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            body += self.take(size)
            assert self.take(2) == b"\r\n"
        while True:
            line = self.until(b"\r\n")[:-2].decode("latin-1")
            if not line:
                return bytes(body)
            name, value = line.split(":", 1)
            response.headers.append((name, value.strip()))


# ---- The server --------------------------------------------------------------------------------

class Successor:
    """A master that another one has started, as a Popen of it would be: after its parent's end it is our child."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
            except ChildProcessError:
                if not is_alive(self.pid):
                    self.returncode = 0 if self.pid not in process_table() else None
        return self.returncode

    def wait(self, timeout=LIMIT):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout)
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signals.SIGKILL)


class Server:
    """conf: the rest of the settings. server, limits: dicts, more keys of [server] and [limits]. www: files of the
    document root. env: more environment. args: more arguments. allow: words of ALARMS that this test provokes.
    program: another than the one of the build. ready=False: start() does not wait; start=False: serve() does not even start it. files: more files below the folder, name -> content."""

    def __init__(self, conf="", server=None, limits=None, www=None, files=None, env=None, args=(), allow=(),
                 ready=True, start=True, program=PROGRAM):
        self.program = program
        self.folder = tempfile.mkdtemp(prefix="cs-")
        self.port = free_port()
        self.conf = os.path.join(self.folder, "conf/cserver.ini")
        self.pid_file = os.path.join(self.folder, "cserver.pid")
        self.control = os.path.join(self.folder, "control.sock")
        self.error_log = os.path.join(self.folder, "error.log")
        self.access_log = os.path.join(self.folder, "access.log")
        self.args, self.allow, self.ready, self.at_once = list(args), set(allow), ready, start
        self.env = {**os.environ, **(env or {})}
        self.env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1:strict_string_checks=1")
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        self.keys = {"workers": 2, "pid_file": self.pid_file, "control": self.control, "error_log": "stderr",
                     "access_log": self.access_log, **(server or {})}
        self.limits = limits or {}
        self.has_www = www is not None
        self.process = self.session = None
        self.ended = False
        self.wrap = []  # words in front of the program: a command that runs it
        for name, content in (files or {}).items():
            self.write(name, content)
        for name, content in (www or {}).items():
            self.write("www/" + name, content)
        if self.has_www:
            os.makedirs(self.path("www"), exist_ok=True)
        self.configure(conf)

    # -- files

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return path

    def read(self, name):
        try:
            with open(self.path(name), "rb") as f:
                return f.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def configure(self, conf, **server):
        """Writes the settings (again): for reload."""
        self.keys.update(server)
        conf = textwrap.dedent(conf)
        lines = ["[server]"] + [f"{k} = {v}" for k, v in self.keys.items() if v is not None]
        if self.limits:
            lines += ["", "[limits]"] + [f"{k} = {v}" for k, v in self.limits.items()]
        if "[listen:" not in conf:
            lines += ["", "[listen:main]", f"address = 127.0.0.1:{self.port}"]
        if self.has_www and "[site:" not in conf:
            lines += ["", "[site:default]", f"root = {self.path('www')}"]
        text = "\n".join(lines) + "\n\n" + conf
        self.write("conf/cserver.ini", text.replace("@PORT@", str(self.port)).replace("@DIR@", self.folder))

    def log(self):
        """All that the server has said: its standard output and error, and the error log when that is a file."""
        return self.read("stderr.txt") + self.read("error.log")

    def log_has(self, word, seconds=LIMIT):
        return wait_for(lambda: word in self.log(), seconds, f"{word!r} is not in the log:\n{self.log()[-3000:]}")

    # -- life

    def start(self):
        with open(self.path("stderr.txt"), "ab") as out:
            # The kernel looks at the thread that started it, so a thread of a test cannot give that order.
            is_main = threading.current_thread() is threading.main_thread()
            command = [*self.wrap, self.program, "-c", self.conf, *self.args]
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                                            preexec_fn=lambda: begin_afresh(is_main))
        if self.ready:
            self.wait_ready()
        return self

    def wait_ready(self):
        """Until a connection is taken and the number of workers asked for is there."""
        number = self.keys.get("workers")
        number = number if isinstance(number, int) else 1
        for _ in deadline(LIMIT, "the server is not ready"):
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()[-3000:]}")
            if self.accepts() and self.has_pid_file() and len(self.workers()) >= number:
                return

    def has_pid_file(self):
        """True too where the test wants another one."""
        return self.keys["pid_file"] != self.pid_file or self.read("cserver.pid").strip() == str(self.pid)

    def accepts(self):
        """Is somebody listening? True too where the test has listeners of its own without @PORT@."""
        if f":{self.port}" not in self.read("conf/cserver.ini"):
            return True
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as c:
            with contextlib.suppress(OSError):  # closed by who has taken it: it does not wait there when the test begins
                c.shutdown(socket.SHUT_WR)
                c.recv(1)
            return True
        return False

    def has_control(self):
        """Does the master answer commands? The name is there a moment before."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as c:
            c.connect(self.control)
            return True
        return False

    @property
    def pid(self):
        """The master."""
        return self.process.pid

    def workers(self, word="cserver: worker"):
        """The pids of the live workers, in the order of their titles."""
        table = process_table()
        found = [(title(p), p) for p, entry in table.items() if entry[0] == self.pid and entry[1] not in "ZX"]
        return [p for t, p in sorted(found) if t.startswith(word)]

    def primary(self):
        found = self.workers("cserver: primary")
        return found[0] if found else None

    def signal(self, number, pid=None):
        os.kill(pid or self.pid, number)

    def follow(self):
        """After an upgrade: the master is the one of the pid file. Returns the one before."""
        before, self.process = self.process, Successor(int(self.read("cserver.pid")))
        self.session = self.session or before.pid
        return before

    def wait(self, seconds=LIMIT):
        """Waits for the end of the master and returns its exit code (-N: killed by signal N)."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server does not end:\n{self.log()[-3000:]}") from None

    def stop(self, number=signals.SIGTERM, seconds=LIMIT):
        """Signals the master and waits; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(seconds)

    def run(self, *args, timeout=LIMIT, env=None):
        """Runs the program with these arguments to its end; returncode, stdout, stderr of what comes back."""
        return subprocess.run([PROGRAM, *args], cwd=self.folder, env={**self.env, **(env or {})}, text=True,
                              errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, check=False)

    def ctl(self, *args, timeout=LIMIT):
        """./cserver -c CONF -s ARGS"""
        return self.run("-c", self.conf, "-s", *args, timeout=timeout)

    def ours(self):
        """Live processes of this server: those of its session, and orphans that work in its folder."""
        found = []
        mine = self.session or self.process and self.process.pid
        for p, (parent, state, session) in process_table().items():
            if state in "ZX" or p == os.getpid():
                continue
            if mine and session == mine or parent == os.getpid() and self.folder in place(p):
                found.append(p)
        return found

    def end_daemon(self):
        """SIGTERM for the server of the pid file, when the test started one with -D."""
        pid = int(self.read("cserver.pid").strip() or 0)
        if pid and (not self.process or pid != self.process.pid) and is_program(pid):
            os.kill(pid, signals.SIGTERM)
            with contextlib.suppress(AssertionError):
                wait_for(lambda: not is_alive(pid), LIMIT)

    def end(self):
        """Ends everything; returns what is to be complained about, as sentences."""
        if self.ended:
            return []
        self.ended = True
        faults = []
        if self.process and self.process.poll() is None:
            # Only to one that is stopped: SIGCONT takes away the SIGSTOP with which LeakSanitizer holds a process
            # that is about to exit, and then waits for ever.
            if process_table().get(self.process.pid, "???")[1] == "T":
                self.process.send_signal(signals.SIGCONT)
            self.process.send_signal(signals.SIGTERM)
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                faults.append(f"SIGTERM did not end the server\n{self.log()[-2000:]}")
                self.process.kill()
                self.process.wait()
        self.end_daemon()
        faults += self.end_leftovers()
        log = self.log()
        for word in ALARMS:
            if word in log and word not in self.allow:
                at = log.index(word)
                faults.append(f"the log says {word!r}:\n{log[max(0, at - 500):at + 3000]}")
        if not faults:
            shutil.rmtree(self.folder, ignore_errors=True)
        return faults

    def end_leftovers(self):
        return kill_leftovers(self.ours)

    # -- requests

    def connect(self, address=None):
        """A Connection to the port, to (host, port), or to a unix socket's path."""
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(LIMIT)
            sock.connect(address)
        else:
            sock = socket.create_connection(address or ("127.0.0.1", self.port), LIMIT)
        return Connection(sock)

    def raw(self, data, half_close=False, address=None):
        """Sends bytes, returns all that comes until the server closes."""
        with self.connect(address) as c:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                c.send(data)
                if half_close:
                    c.half_close()
            return c.rest()

    def exchange(self, data, method="GET", address=None):
        """Sends bytes, returns the first response."""
        with self.connect(address) as c:
            return c.send(data).response(method)

    def request(self, method, path, body=None, headers=None):
        """One request by http.client on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        try:
            client.request(method, path, body=body, headers=dict(headers or {}))
            r = client.getresponse()
            return Response(r.status, r.reason, r.getheaders(), r.read(), {10: "HTTP/1.0"}.get(r.version, "HTTP/1.1"))
        finally:
            client.close()

    def get(self, path="/", headers=None):
        return self.request("GET", path, headers=headers)

    def head(self, path="/", headers=None):
        return self.request("HEAD", path, headers=headers)

    def post(self, path, body=b"", headers=None):
        return self.request("POST", path, body=body, headers=headers)


def place(pid):
    """Words that tell which server a process belongs to: its command line, its folder, its log."""
    words = title(pid)
    for name in ("cwd", "fd/1", "fd/2"):
        with contextlib.suppress(OSError):
            words += " " + os.readlink(f"/proc/{pid}/{name}")
    return words


def strays():
    """Processes of the program that are ours and that no Server knows: daemons, workers of a killed master."""
    return [p for p, (parent, state, session) in process_table().items()
            if parent == os.getpid() and state not in "ZX" and session != p and is_program(p)]


def kill_leftovers(find):
    """Workers see that their master is gone and end by themselves; what is still there then is left over."""
    with contextlib.suppress(AssertionError):
        wait_for(lambda: not find(), 10)
    left = find()
    names = [f"{p} {title(p)}" for p in left]
    for p in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(p, signals.SIGKILL)
    reap_orphans()
    return [f"left over: {', '.join(names)}"] if names else []


def reap_orphans():
    """Waits for the zombies that came to us, not for children that a Popen of the test wants to wait for."""
    for p, (parent, state, session) in process_table().items():
        if parent == os.getpid() and state == "Z" and session not in (p, os.getsid(0)):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(p, os.WNOHANG)


# ---- Modules for tests -------------------------------------------------------------------------

def make_value(name):
    done = subprocess.run(["make", "-s", "--no-print-directory", "print-" + name], cwd=BUILD, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return done.stdout.strip()


def build_module(folder, name, source, flags=""):
    """Compiles C text to folder/NAME.so as the Makefile would; returns the path."""
    os.makedirs(folder, exist_ok=True)
    c_file, so_file = os.path.join(folder, name + ".c"), os.path.join(folder, name + ".so")
    with open(c_file, "w", encoding="utf-8") as f:
        f.write(textwrap.dedent(source))
    words = make_value("module_cc").split() + make_value("link_module").split()[1:] + flags.split()
    words = [w for w in words if not re.fullmatch(r"-Werror|-W(all|extra|pedantic|shadow|conversion)", w)]
    done = subprocess.run([*words, "-o", so_file, c_file], cwd=BUILD, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    return so_file
