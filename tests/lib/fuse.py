"""A file system in the test's own process, whose answers can be held back: a disk that hangs until it is told to go on.

    with SlowDisk({"/a.txt": b"text"}) as disk:
        disk.hold("read", "/a.txt")
        ...                          # whoever reads /a.txt waits
        disk.wait_held()             # until somebody does
        disk.go_on()

It speaks the kernel's own protocol on /dev/fuse (linux/fuse.h), so that nothing has to be installed; it takes root and the
device: available() tells why not. Held back can be "lookup", "getattr", "open", "read", "flush" (closing), "opendir" and "statfs". The kernel asks for
attributes each time, unless `valid` (seconds) says otherwise.

Whoever is killed while he waits is let go, as by a disk that can be interrupted. Nothing of the test's own process may
touch the folder while something is held back.
"""
import contextlib
import ctypes
import errno
import os
import stat
import struct
import tempfile
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS, INTERRUPT, DESTROY, \
    BATCH_FORGET = 1, 2, 3, 14, 15, 17, 18, 25, 26, 27, 28, 29, 34, 36, 38, 42
NAMES = {LOOKUP: "lookup", GETATTR: "getattr", OPEN: "open", READ: "read", OPENDIR: "opendir", STATFS: "statfs",
         FLUSH: "flush"}
IN_HEADER = struct.Struct("<IIQQIIII")
OUT_HEADER = struct.Struct("<IiQ")
PARALLEL_LOOKUPS = 1 << 18  # of one folder
NO_REPLY = (FORGET, BATCH_FORGET)


def available():
    """Empty, or why there can be none."""
    if os.geteuid() != 0:
        return "mounting takes root"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as e:
        return f"/dev/fuse: {e.strerror}"
    try:
        with SlowDisk({}):
            return ""
    except OSError as e:
        return f"cannot mount: {e}"


class SlowDisk:
    def __init__(self, files, valid=0, folder=None):
        self.files = dict(files)
        self.valid = valid
        self.times = dict.fromkeys(self.files, 1_700_000_000)
        self.folder = folder or tempfile.mkdtemp(prefix="cs-disk-")
        self.lock = threading.Condition()
        self.paths = {1: "/"}
        self.holds = set()
        self.held = []  # (unique, opcode, path, body)
        self.log = []   # (name, path) of all that was asked
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other"
        if LIBC.mount(b"slowdisk", self.folder.encode(), b"fuse", 6, options.encode()) != 0:
            code = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(code, os.strerror(code))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with self.lock:
            self.holds.clear()
        self.go_on()
        LIBC.umount2(self.folder.encode(), MNT_DETACH)
        # The mount is gone when nobody uses it any more: then read() says so, and the thread ends.
        self.thread.join(20)
        os.close(self.fd)
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)

    # ---- What tests do ----

    def put(self, path, content, mtime):
        with self.lock:
            self.files[path] = content
            self.times[path] = mtime

    def touch(self, path):
        """It is a second newer: what somebody has of it is not good any more."""
        with self.lock:
            self.times[path] += 1

    def hold(self, what, path):
        """From now on such questions about the path wait."""
        with self.lock:
            self.holds.add((what, path))

    def go_on(self, path=None):
        """Nothing (of that path) is held back any more, and all that waits is answered."""
        with self.lock:
            self.holds = {h for h in self.holds if path and h[1] != path}
            ready = [h for h in self.held if not path or h[2] == path]
            self.held = [h for h in self.held if h not in ready]
        for unique, opcode, where, body in ready:
            self._answer(unique, opcode, body, where)

    def waiting(self, what=None):
        """The paths that are being waited for."""
        with self.lock:
            return [path for _, opcode, path, _ in self.held if not what or NAMES[opcode] == what]

    def wait_held(self, n=1, what=None, seconds=60):
        end = time.monotonic() + seconds
        with self.lock:
            def enough():
                return sum(not what or NAMES[h[1]] == what for h in self.held) >= n
            if not self.lock.wait_for(enough, end - time.monotonic()):
                raise AssertionError(f"nobody waits for the disk; it was asked {self.log[-20:]}")

    # ---- The protocol ----

    def _reply(self, unique, error=0, body=b""):
        with contextlib.suppress(OSError):
            os.write(self.fd, OUT_HEADER.pack(OUT_HEADER.size + len(body), -error, unique) + body)

    def _serve(self):
        while True:
            try:
                data = os.read(self.fd, 1 << 20)
            except OSError as e:
                if e.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                return
            self._take(data)

    def _take(self, data):
        _, opcode, unique, node = IN_HEADER.unpack_from(data)[:4]
        body = data[IN_HEADER.size:]
        if opcode == INTERRUPT:
            self._interrupt(struct.unpack_from("<Q", body)[0])
            return
        if opcode in NO_REPLY:
            return
        path = self.paths.get(node, "")
        if opcode == LOOKUP:
            path = os.path.join(path, body.split(b"\0")[0].decode())
        with self.lock:
            self.log.append((NAMES.get(opcode, str(opcode)), path))
            if (NAMES.get(opcode), path) in self.holds:
                self.held.append((unique, opcode, path, body))
                self.lock.notify_all()
                return
        self._answer(unique, opcode, body, path)

    def _interrupt(self, unique):
        with self.lock:
            found = [h for h in self.held if h[0] == unique]
            self.held = [h for h in self.held if h[0] != unique]
        for h in found:
            self._reply(h[0], errno.EINTR)

    def _is_folder(self, path):
        return path == "/" or any(p.startswith(path + "/") for p in self.files)

    def _node(self, path):
        for node, known in self.paths.items():
            if known == path:
                return node
        node = len(self.paths) + 1
        self.paths[node] = path
        return node

    def _attributes(self, path):
        folder = self._is_folder(path)
        size = 0 if folder else len(self.files[path])
        when = self.times.get(path, 1_700_000_000)
        mode = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | 0o644
        return struct.pack("<6Q10I", self._node(path), size, (size + 511) // 512, when, when, when, 0, 0, 0, mode, 1, 0, 0, 0,
                           4096, 0)

    def _answer(self, unique, opcode, body, path):
        try:
            self._reply(unique, 0, self._body(opcode, body, path))
        except OSError as e:
            self._reply(unique, e.errno)

    def _body(self, opcode, body, path):
        if opcode == INIT:
            major, minor, ahead, _ = struct.unpack_from("<4I", body)
            return struct.pack("<4I2H2I2H8I", 7, min(minor, 31), ahead, PARALLEL_LOOKUPS, 64, 64, 1 << 17, 1, 0, 0, *[0] * 8) if major == 7 else b""
        if opcode == STATFS:
            return struct.pack("<5Q4I6I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0, *[0] * 6)
        if opcode in (OPEN, OPENDIR):
            return struct.pack("<Q2I", 0, 0, 0)
        if opcode == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self.files[path][offset:offset + size]
        if opcode == READDIR:
            return b""
        if opcode in (RELEASE, RELEASEDIR, FLUSH, ACCESS, DESTROY):
            return b""
        if opcode not in (LOOKUP, GETATTR):
            raise OSError(errno.ENOSYS, "")
        if path not in self.files and not self._is_folder(path):
            raise OSError(errno.ENOENT, "")
        valid = struct.pack("<QI", self.valid, 0)
        if opcode == GETATTR:
            return valid + struct.pack("<I", 0) + self._attributes(path)
        return struct.pack("<4Q2I", self._node(path), 0, self.valid, self.valid, 0, 0) + self._attributes(path)
