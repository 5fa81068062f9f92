"""Where a server has made something else of the bytes than the reading says.

compare(items, answers) -> [Difference]. Kinds:
    takes    the server takes what is refused here; `what` is the rule
    refuses  the server takes no request where there is one; `what` is the status, or "nothing"
    reads    both take it, but not as the same: `what` is what differs, of method, target, host, body
    goes on  the server takes requests behind the end; `what` is why it is one"""
import dataclasses
import re


@dataclasses.dataclass
class Difference:
    kind: str
    what: str
    item: object  # reading.Item
    got: tuple = None


def plain(request):
    """Servers tell the target without the authority, an empty query or not, and the host with its port or without."""
    method, target, host, body = request
    target = re.sub(rb"(?i)^https?://[^/?]*", b"", target).removesuffix(b"?") or b"/"
    if target[:1] == b"?":
        target = b"/" + target
    return method, target, re.sub(rb":[0-9]*$", b"", host.lower()).removesuffix(b"."), body


def fields_that_differ(ours, theirs):
    names = ("method", "target", "host", "body")
    return [name for name, a, b in zip(names, plain(ours), plain(theirs)) if a != b]


def in_step(differ):
    """The next request begins at the same byte."""
    return not {"method", "body"} & set(differ)


def compare(items, answers):
    found, rest = [], list(answers)
    for item in items:
        if not rest:
            if item.request:
                found.append(Difference("refuses", "nothing", item))
            return found
        status, theirs = rest.pop(0)
        difference = between(item, status, theirs)
        if difference:
            found.append(difference)
            if item.request is None and item.unrouted is None or not in_step(difference.what.split()):
                return found
        if theirs is None and not rest:
            return found
    beyond = [theirs for _, theirs in rest if theirs]
    if beyond:
        found.append(Difference("goes on", items[-1].rule, items[-1], beyond[0]))
    return found


def between(item, status, theirs):
    """The difference between an item and the answer to it."""
    if item.request is None:
        return Difference("takes", item.rule, item, theirs) if theirs else None
    if theirs is None:
        is_asterisk = item.request[1] == b"*" and status == 200
        return None if is_asterisk else Difference("refuses", str(status), item)
    differ = fields_that_differ(item.request, theirs)
    return Difference("reads", " ".join(differ), item, theirs) if differ else None
