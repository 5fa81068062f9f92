"""Requests grown from a grammar, then changed once or twice: a part of the tree goes, is put in twice or elsewhere, or a letter of a leaf does.
Where inputs.py knows odd spellings, this knows none and finds them: a field before the request line, a version in a chunk, two line ends."""

# name: [forms]; a form is a list of names and of bytes
GRAMMAR = {
    "request": [["line", "host", "fields", "rest"]],
    "line": [["method", "blank", "target", "blank", "protocol", "slash", "version", "end"]],
    "method": [[b"GET"], [b"GET"], [b"POST"], [b"PUT"], [b"DELETE"], [b"HEAD"], [b"OPTIONS"], [b"PATCH"], [b"TRACE"], [b"CONNECT"]],
    "target": [[b"/"], [b"/a"], [b"/a?b"], ["scheme", "authority", b"/a"], [b"*"]],
    "scheme": [[b"http", "colon", b"//"], [b"https", "colon", b"//"]],
    "authority": [[b"a"], [b"a", "colon", b"80"], [b"[::1]"]],
    "protocol": [[b"HTTP"]],
    "slash": [[b"/"]],
    "version": [[b"1.1"], [b"1.1"], [b"1.1"], [b"1.0"], [b"0.9"], [b"2.0"]],
    "blank": [[b" "]],
    "colon": [[b":"]],
    "comma": [[b","]],
    "semicolon": [[b";"]],
    "equals": [[b"="]],
    "quote": [[b'"']],
    "end": [[b"\r\n"]],
    "host": [["host-name", "colon", "blank", "authority", "end"]],
    "host-name": [[b"Host"]],
    "fields": [[], [], ["field"], ["field", "field"]],
    "field": [["name", "colon", "blank", "value", "end"], ["connection", "colon", "blank", "options", "end"]],
    "name": [[b"X"], [b"Accept"], [b"Range"], [b"If-Match"], [b"Expect"], [b"Upgrade"], [b"TE"], [b"Trailer"]],
    "value": [[b"100-continue"], [b"x"], [b"bytes", "equals", b"0-1"], ["quoted"], [b"x", "semicolon", b"q", "equals", b"0.1"]],
    "quoted": [["quote", b"x", "quote"]],
    "connection": [[b"Connection"]],
    "options": [["option"], ["option", "comma", "option"]],
    "option": [[b"close"], [b"keep-alive"], [b"Upgrade"], [b"x"]],
    "rest": [["end"], ["length", "end", b"hello"], ["coding", "end", "chunks"], ["coding", "end", "chunks"], ["both", "end", "chunks"]],
    "both": [["length", "coding"], ["coding", "length"]],
    "length": [["length-name", "colon", "blank", "digits", "end"]],
    "length-name": [[b"Content-Length"]],
    "digits": [[b"5"]],
    "coding": [["coding-name", "colon", "blank", "codings", "end"]],
    "coding-name": [[b"Transfer-Encoding"]],
    "codings": [["chunked"], ["chunked"], ["chunked"], [b"identity", "comma", "chunked"]],
    "chunked": [[b"chunked"]],
    "chunks": [["chunk", "last"], ["chunk", "chunk", "last"], ["last"]],
    "chunk": [["size", "extension", "end", "data", "end"]],
    "size": [[b"5"], [b"05"]],
    "extension": [[], [], ["semicolon", b"a"], ["semicolon", b"a", "equals", b"b"], ["semicolon", b"a", "equals", "quoted"]],
    "data": [[b"hello"], [b"0\r\n\r\n"]],
    "last": [["zero", "extension", "end", "trailer", "end"]],
    "zero": [[b"0"]],
    "trailer": [[], [], ["field"], ["length"], ["coding"]],
}
LETTERS = [bytes([c]) for c in [*range(128), 0x80, 0x85, 0xa0, 0xff]]


class Node:
    def __init__(self, name, parts):
        self.name, self.parts = name, parts

    def bytes(self):
        return b"".join(p if isinstance(p, bytes) else p.bytes() for p in self.parts)

    def nodes(self):
        return [self] + [n for p in self.parts if isinstance(p, Node) for n in p.nodes()]


def grow(r, name="request"):
    return Node(name, [p if isinstance(p, bytes) else grow(r, p) for p in r.choice(GRAMMAR[name])])


def change_letters(r, node):
    at = r.choice([i for i, p in enumerate(node.parts) if isinstance(p, bytes)])
    text = node.parts[at]
    i = r.randrange(len(text) + 1)
    node.parts[at] = r.choice([text[:i] + r.choice(LETTERS) + text[i:], text[:i] + r.choice(LETTERS) + text[i + 1:], text[:i] + text[i + 1:]])


def change_parts(r, node):
    i = r.randrange(len(node.parts))
    way = r.randrange(4)
    if way == 0:
        del node.parts[i]
    elif way == 1:
        node.parts.insert(i, node.parts[i])
    else:
        node.parts[i:i + way - 2] = [grow(r, r.choice(list(GRAMMAR)))]


def request(r):
    tree = grow(r)
    for _ in range(r.choice([0, 1, 1, 1, 2])):
        node = r.choice([n for n in tree.nodes() if n.parts])
        letters = any(isinstance(p, bytes) and p for p in node.parts)
        (change_letters if letters and r.random() < 0.7 else change_parts)(r, node)
    return tree.bytes()
