"""Decoders of zstd, brotli and gzip that take a body as it comes: decoder("br").feed(bytes) returns what can be read by now.
They are those of the libraries themselves, as browsers have them."""
import ctypes
import zlib

ROOM = 1 << 16
SIZE = ctypes.c_size_t


class Gzip:
    def __init__(self):
        self.z = zlib.decompressobj(31)

    def feed(self, data):
        return self.z.decompress(data)

    def ended(self):
        return self.z.eof and not self.z.unused_data


class Piece(ctypes.Structure):
    _fields_ = [("p", ctypes.c_void_p), ("size", SIZE), ("pos", SIZE)]


class Zstd:
    def __init__(self):
        self.lib = ctypes.CDLL("libzstd.so.1")
        self.lib.ZSTD_createDStream.restype = ctypes.c_void_p
        self.lib.ZSTD_decompressStream.restype = SIZE
        self.lib.ZSTD_decompressStream.argtypes = [ctypes.c_void_p] + [ctypes.POINTER(Piece)] * 2
        self.lib.ZSTD_isError.argtypes = [SIZE]
        self.lib.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
        self.d = self.lib.ZSTD_createDStream()
        self.room = ctypes.create_string_buffer(ROOM)
        self.left = 1

    def feed(self, data):
        held = ctypes.create_string_buffer(data, len(data) or 1)
        given = Piece(ctypes.addressof(held), len(data), 0)
        found = b""
        while True:
            out = Piece(ctypes.addressof(self.room), ROOM, 0)
            self.left = self.lib.ZSTD_decompressStream(self.d, ctypes.byref(out), ctypes.byref(given))
            assert not self.lib.ZSTD_isError(self.left), "broken zstd"
            found += self.room.raw[:out.pos]
            if given.pos == len(data) and (out.pos < ROOM or not self.left):
                return found

    def ended(self):
        return self.left == 0

    def __del__(self):
        self.lib.ZSTD_freeDStream(self.d)


class Brotli:
    def __init__(self):
        self.lib = ctypes.CDLL("libbrotlidec.so.1")
        self.lib.BrotliDecoderCreateInstance.restype = ctypes.c_void_p
        self.lib.BrotliDecoderCreateInstance.argtypes = [ctypes.c_void_p] * 3
        self.lib.BrotliDecoderDecompressStream.argtypes = [ctypes.c_void_p] * 6
        self.lib.BrotliDecoderIsFinished.argtypes = [ctypes.c_void_p]
        self.lib.BrotliDecoderDestroyInstance.argtypes = [ctypes.c_void_p]
        self.d = self.lib.BrotliDecoderCreateInstance(None, None, None)
        self.room = ctypes.create_string_buffer(ROOM)
        self.over = False

    def feed(self, data):
        held = ctypes.create_string_buffer(data, len(data) or 1)
        n, at, found = SIZE(len(data)), ctypes.c_void_p(ctypes.addressof(held)), b""
        while True:
            space, to = SIZE(ROOM), ctypes.c_void_p(ctypes.addressof(self.room))
            rc = self.lib.BrotliDecoderDecompressStream(self.d, ctypes.byref(n), ctypes.byref(at), ctypes.byref(space),
                                                        ctypes.byref(to), None)
            assert rc, "broken brotli"
            found += self.room.raw[:ROOM - space.value]
            if rc != 3:  # more room is needed
                self.over = rc == 1 and not n.value
                return found

    def ended(self):
        return self.over

    def __del__(self):
        self.lib.BrotliDecoderDestroyInstance(self.d)


DECODERS = {"zstd": Zstd, "br": Brotli, "gzip": Gzip}


def decoder(coding):
    return DECODERS[coding]()


def decode(coding, body):
    """A whole body; coding None: as it is."""
    if coding is None:
        return body
    d = decoder(coding)
    found = d.feed(body)
    assert d.ended(), f"{coding}: {len(body)} bytes are not a whole body"
    return found
