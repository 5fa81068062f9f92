"""Why other servers make something else of a request, class by class. A difference (compare.py) that no class explains fails.

id; kind and what: a difference of that kind, whose `what` matches the regex whole; peers: whose it may be; bytes: a
regex that is found in the bytes of that request, or, with "all:" in front, in all that was sent; why: for docs/differ.md.
"""
import dataclasses
import re


@dataclasses.dataclass
class Class:
    id: str
    kind: str
    what: str
    peers: str
    bytes: str
    why: str

    def explains(self, peer, difference, data):
        if self.kind != difference.kind or peer not in self.peers.split() or not re.fullmatch(self.what, difference.what):
            return False
        pattern = self.bytes.removeprefix("all:").encode("latin-1")
        part = data if self.bytes.startswith("all:") else data[difference.item.start:difference.item.end]
        return re.search(pattern, part, re.S) is not None


EVERYBODY = "nginx h2o node lighttpd"
CLASSES = [
    # We refuse, others do not.
    Class("bare LF", "takes", "bare LF", EVERYBODY, "\n",
          "RFC 9112 section 2.2 allows a lone LF to end a line, and does not ask for it. Whoever stands in front may see no line end "
          "there, and a field or a request too few"),
    Class("bare CR", "takes", "bare CR", EVERYBODY, "\r",
          "RFC 9112 section 2.2: a CR without LF is invalid, or a blank. Others end a line with it, skip it or keep it"),
    Class("obs-fold", "takes", "obs-fold", "h2o lighttpd", "[ \t]",
          "RFC 9112 section 5.2: 400, or blanks in its place. Others join the lines, or make a field of the second one"),
    Class("field name", "takes", "field name", "nginx", "",
          "RFC 9110 section 5.1, RFC 9112 section 5.1: a name is a token, with the colon right behind it. Others leave such fields out, "
          "or take them with the blank or the odd byte"),
    Class("field value", "takes", "field value", "nginx", r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",
          "RFC 9110 section 5.5: CR, LF and NUL make a value invalid; other control bytes may be kept. All are refused here"),
    Class("request line", "takes", "request line", EVERYBODY, "",
          "RFC 9112 section 3: one blank between the parts, a method that is a token, a target of ASCII without fragment. Others split at "
          "more or other blanks, or take bytes as they are"),
    Class("version", "takes", "version", "nginx node lighttpd", "",
          "RFC 9112 section 2.3: exactly HTTP/, a digit, a dot, a digit. Others take HTTP/1.01, RTSP/1.0, a blank before or behind it, or no version as HTTP/0.9"),
    Class("major version", "takes", "major version", "node", r"HTTP/[02-9]",
          "RFC 9110 section 15.6.6: another major version is refused with 505"),
    Class("target form", "takes", "target form", "nginx h2o node", "",
          "RFC 9112 section 3.2: one of four forms, and http or https with a host for an origin server. Others take what does not begin with a slash"),
    Class("empty lines", "takes", "empty lines", "nginx node", r"^(\r\n){3}",
          "RFC 9112 section 2.2: at least one empty line before a request is to be ignored. Two are here, others ignore all"),
    Class("CONNECT", "takes", "CONNECT( target)?", "h2o lighttpd", "CONNECT", "An origin server has nothing to connect to: 501"),
    Class("TRACE", "takes", "TRACE", "h2o node lighttpd", "TRACE", "405: what a client sent is not shown to scripts of another page"),
    Class("path", "takes", "path", "h2o node lighttpd", "",
          "A path that leads above the root, has half an escape, a control byte or bytes that are not UTF-8 is refused before anybody is "
          "asked (docs/http.md, Paths). Others leave that to the handler"),
    Class("no Host", "takes", "no Host", "h2o lighttpd", "", "RFC 9112 section 3.2: 400. Others answer for the default site"),
    Class("two Hosts", "takes", "two Hosts", "h2o node lighttpd", "(?i)host", "RFC 9112 section 3.2: 400. Others take the first or the last"),
    Class("bad Host", "takes", "bad Host", "nginx h2o node", "(?i)host",
          "RFC 9112 section 3.2: an invalid Host is 400. Others take a host with blanks, slashes, user names or ports that are none"),
    Class("two lengths", "takes", "two lengths", "h2o lighttpd", "(?i)content-length",
          "RFC 9112 section 6.3: lengths that differ are refused, equal ones may be. Others take the first or the last"),
    Class("bad length", "takes", "bad length", "h2o lighttpd", "(?i)content-length",
          "RFC 9110 section 8.6: digits, and nothing else. Others read signs, lists and what is left of a number, or do not look at it beside "
          "Transfer-Encoding"),
    Class("length and coding", "takes", "length and coding", "h2o lighttpd", "(?i)transfer-encoding",
          "RFC 9112 section 6.3: a server may refuse it, and who does not has to close afterwards. Others take the coding"),
    Class("two codings", "takes", "two codings", "h2o node lighttpd", "(?i)transfer-encoding",
          "Two fields are one list, and chunked twice is wrong (RFC 9112 section 7). Others look at one of them"),
    Class("bad coding", "takes", "bad coding", "h2o node lighttpd", "(?i)transfer-encoding",
          "RFC 9112 section 6.3: what does not end with chunked has no length. Others read it as chunked or as no body, or take odd "
          "spellings"),
    Class("other coding", "takes", "other coding", "h2o node", "(?i)transfer-encoding",
          "RFC 9112 section 6.1: 501 for a coding that is not understood. Others take the body undecoded"),
    Class("coding in HTTP/1.0", "takes", "coding in HTTP/1.0", "h2o node lighttpd", r"HTTP/1\.0",
          "RFC 9112 section 6.1: framing is faulty, close after it. Here it is refused"),
    Class("expectation", "takes", "expectation", EVERYBODY, "(?i)expect", "RFC 9110 section 10.1.1: 417 may be answered; others ignore it"),
    Class("chunk line", "takes", "chunk line", EVERYBODY, "(?i)chunked",
          "RFC 9112 section 7.1: hex digits, then extensions that follow the grammar, at most 16 digits here. Others skip what "
          "stands behind the digits, or take a line without digits as 0"),
    Class("chunk end", "takes", "chunk end", "nginx h2o", "(?i)chunked",
          "RFC 9112 section 7.1: CRLF behind the data. Others skip to the next line end, or take a lone LF"),
    Class("trailer", "takes", "trailer", "nginx h2o lighttpd", "(?i)chunked",
          "Trailer fields are checked like fields of a head, here. Others skip to the empty line"),
    Class("OPTIONS * with Expect", "takes", "cut", EVERYBODY, r"OPTIONS \* [^\0]*(?i:\nexpect:)",
          "RFC 9110 section 10.1.1: who answers at once does not know whether the body will come. Answered and closed here; others read it"),
    # Others refuse, we do not.
    Class("POST without a length", "refuses", "411", "lighttpd", r"^(\r\n)*POST ",
          "RFC 9112 section 6.3: a request with neither length nor coding has no body; 411 may be answered"),
    Class("unknown method", "refuses", "400|405|501", "nginx node lighttpd", r"^(\r\n)*(?!\r\n)(?!(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) )",
          "RFC 9110 section 9.1: any token is a method; here the route's handlers say which they take"),
    Class("higher minor version", "refuses", "400|505|nothing", "lighttpd node", r"^(\r\n)*[^\r]* HTTP/1\.[2-9]\r",
          "RFC 9110 section 2.5: a higher minor version of the same major one is served as the highest that is known"),
    Class("empty Host", "refuses", "400", "nginx lighttpd", r"(?i)\nhost:[ \t]*\r",
          "RFC 9112 section 3.2: Host is empty where the target has no authority. The default site answers"),
    Class("odd but valid Host", "refuses", "400", "nginx lighttpd h2o node", r"(?i)(\nhost:|\w://)[^\r]*([^a-z0-9.: \t\r\[\]-]|\.\.|[ /]\.|[ :/]-|-[:\r.]|:\r|:0)|\nhost:[ \t]*(-|\.|(?![0-9]+\.[0-9]+\.[0-9]+\.[0-9]+[\r:])[0-9][0-9.]*[\r:a-z])",
          "RFC 3986 section 3.2.2: a reg-name may have signs, escapes and empty labels. No site has such a name, so it is the default site's"),
    Class("OPTIONS *", "refuses", "400", "nginx", r"^(\r\n)*OPTIONS \* ",
          "RFC 9112 section 3.2.4: a server-wide OPTIONS. Answered here by the server itself"),
    Class("empty lines in front", "refuses", "400", "h2o lighttpd", r"^\r\n",
          "RFC 9112 section 2.2: at least one is to be ignored; two are here. h2o takes one, lighttpd none before the first request"),
    Class("blanks around a value", "refuses", "400|501", "nginx h2o node", r"(?i)\n(content-length|transfer-encoding|expect|host):(\t| +\t|[^\r]*[ \t]\r)",
          "RFC 9112 section 5: blanks and tabs before and behind a value are no part of it. Others know blanks only, or none behind it"),
    Class("many zeros", "refuses", "400", "h2o", r"(?i)content-length:[ \t]*0{10}",
          "RFC 9110 section 8.6: 1*DIGIT. What counts is the number"),
    Class("empty Expect", "refuses", "417", "h2o node", r"(?i)\nexpect:[ \t]*\r",
          "RFC 9110 section 5.6.1: an empty list has no members, so nothing is expected"),
    Class("Expect in HTTP/1.0", "refuses", "417", "h2o node", r"HTTP/1\.0\r\n.*(?i:expect)",
          "RFC 9110 section 10.1.1: an expectation in HTTP/1.0 is ignored"),
    Class("field that may come once", "refuses", "400", "nginx lighttpd", r"(?i)\n(if-[a-z-]*|expect|authorization|range|user-agent|referer|content-type):.*\n\1:",
          "RFC 9110 section 5.3: two lines are one list. If-Match and Expect are lists; they refuse two lines of one name"),
    Class("h2c", "refuses", "nothing|400", "h2o lighttpd", r"all:(?i)upgrade:[ \t]*h2c|http2-settings",
          "They go over to HTTP/2, which is not spoken here yet"),
    Class("Upgrade in HTTP/1.0", "refuses", "400", "lighttpd", r"(?i)HTTP/1\.0\r\n.*upgrade:",
          "RFC 9110 section 7.8: Upgrade in HTTP/1.0 is ignored"),
    Class("blanks in a chunk line", "refuses", "400", "node", r"\n[0-9A-Fa-f]+[^\r\n]*[ \t]",
          "RFC 9112 section 7.1.1: bad whitespace around extensions has to be read"),
    Class("framing in a trailer", "refuses", "400", "node", r"(?i)\n0+(?:[ \t]*;[^\r]*)?\r\n[^\0]*(content-length|transfer-encoding)",
          "RFC 9112 section 7.1.2: trailer fields may be dropped, as all of them are here"),
    Class("Connection in a trailer", "refuses", "nothing|400", "node", r"all:(?i)\n0+(?:[ \t]*;[^\r]*)?\r\n[^\0]*connection:[^\r]*close",
          "RFC 9110 section 6.5.1: Connection is no field of a trailer. Node closes for it"),
    Class("after CONNECT or Upgrade", "refuses", "nothing", "node", r"all:CONNECT |(?i:upgrade:)",
          "What follows is of another protocol there. Here no protocol is changed, so requests go on"),
    Class("HTTP/1.0 keep-alive", "refuses", "nothing", "node", r"all:HTTP/1\.0", "Node closes after an answer without a body"),
    Class("Proxy-Connection", "refuses", "nothing", "node", r"all:(?i)proxy-connection:[^\r]*close", "Node takes it for Connection"),
    Class("close in a word", "refuses", "nothing", "nginx", r"all:(?i)connection:(?![ \t]*close[ \t]*\r)[^\r]*close",
          "nginx looks for the letters, not for the member of the list"),
    Class("Connection with other names", "refuses", "nothing", "h2o", r"all:(?i)connection:(?![ \t]*(close|keep-alive)[ \t]*\r)",
          "h2o closes after a Connection that is not keep-alive; by RFC 9112 section 9.3 only close does that"),
    Class("417 and on", "goes on", ".*", "node lighttpd", r"(?i)\nexpect:",
          "Node answers 417, lighttpd OPTIONS *, and takes the next request. Here it is not known whether the body will come (RFC 9110 section 10.1.1): closed"),
    Class("keep-alive in a word", "goes on", "", "nginx", r"(?i)HTTP/1\.0\r\n.*connection:(?![ \t]*keep-alive[ \t]*\r)[^\r]*keep-alive",
          "nginx looks for the letters, not for the member of the list"),
    # Others read it otherwise.
    Class("host of an absolute target", "reads", "host", "h2o node", r"(?i)^(\r\n)*[^ ]+ https?://",
          "RFC 9112 section 3.2.2: the host of the target counts, not the Host field. It does so here, in nginx and in lighttpd"),
    Class("blank behind Host", "reads", "host", "h2o node", r"(?i)\nhost:[^\r]*([ \t]|\.\.)[ \t]*\r", "h2o keeps the blank as a part of the host; two dots at the end are two or one"),
    Class("IPv6 address", "reads", "host", EVERYBODY, r"\[[0-9A-Fa-f:.]+\]",
          "RFC 9110 section 4.2.3: one address, however it is written; it is brought into its short form here. Others take the letters"),
    Class("no host", "reads", "host", "h2o", r"HTTP/1\.0\r", "h2o names its default site"),
    Class("close and keep-alive", "goes on", "|path|TRACE", "h2o nginx lighttpd node", r"(?i)connection:[^\r]*(close[^\0]*keep-alive|keep-alive[^\r]*close)",
          "RFC 9112 section 9.3: close is looked for first, in all fields. Others go by the last word or the last field"),
]
