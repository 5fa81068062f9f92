"""Reads cserver.h as text: what it declares, and the comment that belongs to each thing.

It knows the header's own way to write, not C: a comment straight above a declaration, or behind it on the same line,
belongs to it; a comment with an empty line below it stands for what follows. Used by apidoc (the manual) and by
tests/abi (the frozen interface).
"""
import re

IDENT = re.compile(r"[A-Za-z_]\w*")
ATTRIBUTE = re.compile(r"\s*__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")


class Problem(Exception):
    pass


class Item:
    """A declaration or a macro: kind (struct, enum, opaque, typedef, macro, member, value, note), name, doc, text.
    Members: decl (the declaration without its comment). Structs and enums: members. note: a comment of its own."""

    def __init__(self, kind, name="", doc="", text="", **more):
        self.kind, self.name, self.doc, self.text = kind, name, doc, text
        self.members, self.params, self.body, self.section, self.shares = [], None, "", "", None
        self.__dict__.update(more)


def clean(comment):
    """The text of a comment: paragraphs keep their line ends and indentation."""
    lines = comment[2:-2].split("\n")
    lines = [lines[0].strip()] + [re.sub(r"^\s*\*? ?", "", line, count=1).rstrip() for line in lines[1:]]
    return "\n".join(lines).strip("\n ")


def joined(text):
    """One line of it."""
    return re.sub(r"\s+", " ", text).strip()


def split_top(text, mark=","):
    """Splits at marks outside of all brackets and quotes."""
    parts, depth, start, quote, i = [], 0, 0, "", 0
    while i < len(text):
        c = text[i]
        if quote:
            i += c == "\\"
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == mark and depth == 0:
            parts.append(text[start:i])
            start = i + 1
        i += 1
    return [p.strip() for p in parts + [text[start:]] if p.strip()]


def close_of(text, at):
    """The index of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i
    raise Problem(f"a bracket is never closed: {text[at:at + 60]!r}")


# ---- Declarations -------------------------------------------------------------------------------

def function_pointer(decl):
    """(return type, name, parameters) of `int (*name)(...)` or `void *(*name)(...)`; None when it is none."""
    m = re.search(r"\(\s*\*\s*(\w*)\s*\)\s*\(", decl)
    if not m:
        return None
    end = close_of(decl, m.end() - 1)
    params = split_top(decl[m.end():end])
    return joined(decl[:m.start()]), m.group(1), [] if params == ["void"] else [joined(p) for p in params]


def name_of(decl):
    function = function_pointer(decl)
    if function:
        return function[1]
    names = IDENT.findall(decl.split("[")[0])
    return names[-1] if names else ""


BASIC = {"int", "void", "char", "double", "float", "long", "short", "unsigned", "signed", "_Bool"}


def type_of(decl):
    """The declaration without its names, parameters' names included: what has to stay the same for ever."""
    decl = joined(ATTRIBUTE.sub("", decl))
    function = function_pointer(decl)
    if function:
        result, _, params = function
        return f"{type_of(result + ' x')} (*)({', '.join(type_of(p) for p in params) or 'void'})"
    names = IDENT.findall(decl)
    words = [n for n in names if n not in ("const", "struct", "enum", "volatile")]
    if decl != "..." and len(words) > 1 and names[-1] not in BASIC:
        decl = decl[:decl.rindex(names[-1])] + decl[decl.rindex(names[-1]) + len(names[-1]):]
    return joined(re.sub(r"\s*\*\s*", " *", decl)).replace("* *", "**")


# ---- The scanner --------------------------------------------------------------------------------

def without_cplusplus(text):
    """What a C compiler sees, as far as __cplusplus decides it."""
    out, stack = [], []
    for line in text.split("\n"):
        word = re.match(r"\s*#\s*(ifdef|ifndef|if|else|elif|endif)\b\s*(.*)", line)
        if word:
            kind, rest = word.groups()
            if kind in ("ifdef", "ifndef", "if"):
                stack.append([rest.strip() == "__cplusplus", kind == "ifdef"])
            elif kind == "else" and stack:
                stack[-1][1] = not stack[-1][1]
            elif kind == "endif" and stack and stack.pop()[0]:
                continue
            if stack and stack[-1][0]:
                continue
        if not any(ours and hidden for ours, hidden in stack):
            out.append(line)
    return "\n".join(out)


def skip_blank(text, at):
    """(next index that is no blank, number of line ends on the way)"""
    start = at
    while at < len(text) and text[at].isspace():
        at += 1
    return at, text.count("\n", start, at)


def end_of_statement(text, at):
    """Behind the `;` of the declaration at `at`, or behind the `}` of a function."""
    i = at
    while i < len(text):
        if text[i] in "([{":
            i = close_of(text, i)
            rest, _ = skip_blank(text, i + 1)
            if text[i] == "}" and not re.match(r"[\w;,]", text[rest:rest + 1]):
                return i + 1
        elif text[i] == ";":
            return i + 1
        i += 1
    raise Problem(f"a declaration has no end: {text[at:at + 60]!r}")


def end_of_directive(text, at):
    i = at
    while True:
        i = text.find("\n", i)
        if i < 0:
            return len(text)
        if text[i - 1] != "\\":
            return i
        i += 1


def end_of_value(text, at):
    """Behind one enumerator: its comma, or where its comment or the list ends."""
    while at < len(text) and text[at] != "," and not text.startswith("/*", at):
        at += 1
    return at + (text[at:at + 1] == ",")


def scan(text, end_of):
    """Yields (comment above, text, comment behind on the same line); (comment, "", "") for one that stands alone.
    A comment above is a list: [] where there is none."""
    above, at = "", 0
    while True:
        at, lines = skip_blank(text, at)
        if above and (lines > 1 or at == len(text)):
            yield above, "", ""
            above = ""
        if at == len(text):
            return
        if text.startswith("/*", at):
            if above:
                yield above, "", ""
            end = text.index("*/", at) + 2
            above, at = text[at:end], end
            continue
        end = end_of_directive(text, at) if text[at] == "#" else end_of(text, at)
        piece, at = text[at:end], end
        behind = re.compile(r"[ \t]*,?[ \t]*(/\*.*?\*/)", re.S).match(text, at)
        if text[at - len(piece)] != "#" and behind:
            at = behind.end()
        yield above, piece, behind.group(1) if behind else ""
        above = ""


# ---- What the pieces are ------------------------------------------------------------------------

def members_of(body):
    """Members of a struct; those that one declaration lists (`uint16_t a, b;`) come one by one. A member without a
    comment of its own has shares = the member that the comment stands above."""
    found, last = [], None
    for above, piece, behind in scan(body, end_of_statement):
        if not piece:
            found.append(Item("note", doc=clean(above)))
            last = None
            continue
        decl = joined(piece.rstrip(";"))
        doc = "\n".join(clean(c) for c in (above, behind) if c)
        bare = ATTRIBUTE.sub("", decl)
        many = split_top(bare)
        first = many[0]
        base = first[:first.rindex(name_of(first))].rstrip("* ") if len(many) > 1 else ""
        for i, one in enumerate(many):
            full = one if i == 0 else f"{base} {one}"
            m = Item("member", name_of(full), doc, full, shares=None if doc else last)
            last = (m if above else None) if doc else last
            found.append(m)
    return found


def values_of(body):
    found = []
    for above, piece, behind in scan(body, end_of_value):
        if not piece:
            found.append(Item("note", doc=clean(above)))
            continue
        name = IDENT.match(piece.strip()).group(0)
        value = piece.split("=", 1)[1].strip().rstrip(",").strip() if "=" in piece else ""
        found.append(Item("value", name, "\n".join(clean(c) for c in (above, behind) if c), value))
    return found


def macro(piece, doc):
    text = joined(piece.replace("\\\n", " "))
    comment = re.search(r"/\*(.*)\*/\s*$", text)
    if comment:
        text = text[:comment.start()].strip()
        doc = doc or comment.group(1).strip()
    m = re.match(r"#\s*define\s+(\w+)(\(([^)]*)\))?\s*(.*)$", text)
    if not m:
        return None
    params = [p.strip() for p in m.group(3).split(",")] if m.group(2) is not None else None
    return Item("macro", m.group(1), doc, text, params=params and [p for p in params if p], body=m.group(4))


def declaration(piece, doc):
    flat = joined(piece)
    brace = piece.find("{")
    m = re.match(r"(typedef )?(struct|enum)\b ?(\w*) ?\{", flat)
    if m and not flat.startswith("extern"):
        body = piece[brace + 1:close_of(piece, brace)]
        name = name_of(flat[flat.rindex("}") + 1:].rstrip(";")) or m.group(3)
        kind = m.group(2)
        return Item(kind, name, doc, piece, members=members_of(body) if kind == "struct" else values_of(body))
    m = re.match(r"typedef struct (\w+) \1;", flat)
    if m:
        return Item("opaque", m.group(1), doc, flat)
    if flat.startswith("typedef"):
        return Item("typedef", name_of(flat[7:].rstrip(";")), doc, flat)
    return None


def read(text):
    """All items of the header in order, each with the name of its section (`---- Name ----`)."""
    items, section = [], ""
    for above, piece, behind in scan(without_cplusplus(text), end_of_statement):
        banner = re.match(r"/\* -{3,} (.*?) -{3,}", above)
        if banner:
            section = banner.group(1)
            above = re.sub(r"-{3,} .*? -{3,}", "", above, count=1)
        doc = clean(above) if above else ""
        if behind and not doc:
            doc = clean(behind)
        if not piece:
            item = Item("note", doc=doc) if doc else None
        elif piece.startswith("#"):
            item = macro(piece, doc)
        else:
            item = declaration(piece, doc)
        if not item and doc and "clang-format" not in doc:
            item = Item("note", doc=doc)
        if item:
            item.section = section
            items.append(item)
    return items


def struct(items, name):
    for i in items:
        if i.kind == "struct" and i.name == name:
            return i
    raise Problem(f"there is no struct {name}")
