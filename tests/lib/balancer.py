"""PROXY headers of version 2, as balancers write them."""
import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command, family, body):
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


def v4(client, server="10.0.0.9", ports=(50000, 80)):
    return socket.inet_aton(client) + socket.inet_aton(server) + struct.pack("!HH", *ports)


def v6(client, server="::9", ports=(50000, 80)):
    return socket.inet_pton(socket.AF_INET6, client) + socket.inet_pton(socket.AF_INET6, server) + struct.pack(
        "!HH", *ports)
