"""The interface of a cserver.h as a list of lines, and what may not change between two such lists.

Offsets and sizes are asked from the compiler by a program that is made from the header; types come from its text.
"""
import os
import re
import subprocess

from . import cheader

HINT = "append what is new at the end, or make a new major version (CS_ABI_MAJOR)"


def constants(items):
    """Macros that are a value."""
    return [m.name for m in items
            if m.kind == "macro" and m.params is None and re.match(r"CS_[A-Z]", m.name)
            and re.fullmatch(r"\d\w*|-\d+", m.body)]


def structs(items):
    return [i for i in items if i.kind == "struct"]


def members(item):
    return [m for m in item.members if m.kind == "member"]


def is_sized(item):
    """It says its own size, so it may grow."""
    return any(m.name == "size" and cheader.type_of(m.text) == "uint32_t" for m in members(item))


def program(items):
    lines = ["#define CS_NO_SHORT_NAMES", "#include <cserver/cserver.h>", "#include <stdio.h>", "int main(void)", "{",
             '    printf("pointer bytes = %zu\\n", sizeof(void *));']
    for name in constants(items):
        lines.append(f'    printf("macro {name} = %lld\\n", (long long){name});')
    for item in items:
        if item.kind == "enum":
            lines += [f'    printf("enum {v.name} = %lld\\n", (long long){v.name});' for v in item.members]
    for item in structs(items):
        grows = "grows" if is_sized(item) else "fixed"
        lines.append(f'    printf("struct {item.name} = %zu bytes, {grows}\\n", sizeof({item.name}));')
        for m in members(item):
            at = f"offsetof({item.name}, {m.name}), sizeof((({item.name} *)0)->{m.name})"
            lines.append(f'    printf("member {item.name}.{m.name} = at %zu, %zu bytes, %s\\n", {at}, '
                         f'"{cheader.type_of(m.text)}");')
    for item in items:
        if item.kind == "typedef":
            lines.append(f'    printf("type {item.name} = %s\\n", "{cheader.type_of(item.text[7:].rstrip(";"))}");')
    return "\n".join([*lines, "    return 0;", "}", ""])


def describe(header, folder, cc="cc"):
    """The lines for the header at that path. `folder` is for temporary files."""
    include = os.path.join(folder, "described/cserver")
    os.makedirs(include, exist_ok=True)
    with open(header, encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(include, "cserver.h"), "w", encoding="utf-8") as f:
        f.write(text)
    source, binary = os.path.join(folder, "describe.c"), os.path.join(folder, "describe")
    with open(source, "w", encoding="utf-8") as f:
        f.write(program(cheader.read(text)))
    done = subprocess.run([*cc.split(), "-std=c11", "-I" + os.path.dirname(include), "-o", binary, source], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise cheader.Problem(done.stdout)
    return subprocess.run([binary], text=True, stdout=subprocess.PIPE, check=True).stdout.splitlines()


def table(lines):
    """key -> value, in order; a key is `kind name`."""
    return dict(line.split(" = ", 1) for line in lines if line)


def version_of(lines):
    t = table(lines)
    return int(t["macro CS_ABI_MAJOR"]), int(t["macro CS_ABI_MINOR"])


def place(value):
    """(offset, bytes, type) of a member."""
    at, size, kind = re.match(r"at (\d+), (\d+) bytes, (.*)", value).groups()
    return int(at), int(size), kind


def bytes_of(value):
    return int(value.split()[0])


# ---- What may not change ------------------------------------------------------------------------

def member_change(name, was, now, moved):
    """A sentence for a member that is not as it was; None where it has only moved with one that was named already."""
    struct, member = name.split(".")
    (was_at, was_size, was_type), (at, size, kind) = place(was), place(now)
    if at != was_at:
        if struct in moved:
            return None
        moved.add(struct)
        return (f"{struct}.{member} was at {was_at} and is at {at} now: something in front of it was inserted, removed or has "
                f"another size. {HINT}")
    if kind != was_type:
        return f"{struct}.{member} was {was_type} and is {kind} now: old modules still use it as it was. {HINT}"
    return f"{struct}.{member} had {was_size} bytes and has {size} now. {HINT}"


def struct_change(name, was, now):
    before, after = bytes_of(was), bytes_of(now)
    if after == before or was.endswith("grows") and after > before:
        return None
    if after > before:
        return (f"{name} had {before} bytes and has {after} now: it does not say its own size, and stands in tables of modules, "
                "so it can never grow. Put what is new into a struct of its own, or make a new major version "
                "(CS_ABI_MAJOR)")
    return f"{name} had {before} bytes and has {after} now. {HINT}"


def change(key, was, now, moved):
    kind, name = key.split(" ", 1)
    if now is None:
        return f"{name} ({kind}) is gone: old modules may use it. Nothing goes within a major version"
    if kind == "struct":
        return struct_change(name, was, now)
    if was == now or key == "macro CS_ABI_MINOR" and int(now) >= int(was):
        return None
    if kind == "member":
        return member_change(name, was, now, moved)
    return f"{name} ({kind}) was {was} and is {now} now: it is compiled into old modules. {HINT}"


def padding(old, new):
    """New members that lie within what a struct already had: modules of before seem to have them."""
    for key, value in new.items():
        if key.startswith("member ") and key not in old:
            struct = key.split()[1].split(".")[0]
            before = old.get("struct " + struct)
            if before and before.endswith("grows") and place(value)[0] < bytes_of(before):
                yield (f"{key.split()[1]} lies at {place(value)[0]}, and {struct} had {bytes_of(before)} bytes already: old "
                       "modules would seem to have it. Let it begin behind them")


def broken(frozen, now):
    """Sentences: what modules built with the frozen header would stumble over."""
    old, new = table(frozen), table(now)
    moved, found = set(), []
    for key, was in old.items():
        sentence = change(key, was, new.get(key), moved)
        if sentence:
            found.append(sentence)
    return found or list(padding(old, new))


def unannounced(frozen, now):
    """Sentences: what was appended to the newest release without a new minor version."""
    old, new = table(frozen), table(now)
    if version_of(now) != version_of(frozen):
        return []
    added = [key.split(" ", 1)[1] for key in new if key not in old]
    if not added:
        return []
    version = "{}.{}".format(*version_of(now))
    return [f"{', '.join(added)}: not in the frozen {version}. Raise CS_ABI_MINOR, since a module that needs this must not load "
            f"into a server of {version}; before {version} is released: tests/abi/freeze --again"]
