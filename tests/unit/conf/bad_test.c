/* bad_test.c - files that are wrong, and what the operator is told: the place, the words, and
 * nothing else about it. */
#include "fake.h"

#include <stdlib.h>

struct row {
    const char *label, *text, *place,
        *words; /* words: separated by "|", all must be in the report */
};

#define N10  "aaaaaaaaaa"
#define SITE "[site:a]\nroot = /w\n"

static const struct row rows[] = {
    /* Syntax of lines. */
    {"no equals sign", "[server]\nworkers 4\n", "t.ini:2:1", "without \"=\"|name = value"},
    {"colon", "[server]\nworkers: 4\n", "t.ini:2:1", "\":\" does not separate|name = value"},
    {"colon before equals", "[server]\na:b = 4\n", "t.ini:2:2", "\":\" before the \"=\""},
    {"no name", "[server]\n= 4\n", "t.ini:2:1", "the name before \"=\" is missing"},
    {"blank in name", "[server]\nmax workers = 4\n", "t.ini:2:4", "letters, digits"},
    {"quoted name", "[server]\n\"workers\" = 4\n", "t.ini:2:1", "letters, digits"},
    {"name of 49 characters", "[server]\n" N10 N10 N10 N10 "aaaaaaaaa = 4\n", "t.ini:2:1",
     "49 characters|at most 48"},
    {"key before any section", "workers = 4\n", "t.ini:1:1", "before the first section|[server]"},
    {"indented key", "[server]\nlog_level = info\n  workers = 4\n", "t.ini:3:3",
     "reads like a key|remove the blanks|quotes"},
    {"indented key with a tab", "[server]\nlog_level = info\n\tworkers=4\n", "t.ini:3:2",
     "reads like a key"},
    {"indented section", "[server]\nlog_level = info\n  [limits]\n", "t.ini:3:3",
     "reads like a section|remove the blanks"},
    {"indented first key", "[server]\n  workers = 4\n", "t.ini:2:3", "reads like a key"},
    {"nothing to go on with", "[server]\n  four\n", "t.ini:2:3", "there is none"},
    {"nothing to go on with at the start", "  four\n", "t.ini:1:3", "there is none"},
    {"continued number", "[server]\nworkers = 4\n  5\n", "t.ini:2:11",
     "\"4 5\" is not a whole number"},

    /* Characters. */
    {"byte order mark", "\xef\xbb\xbf[server]\nworkers = 4\n", "t.ini:1", "byte order mark|BOM"},
    {"utf-16", "\xff\xfe[\1", "t.ini:1", "UTF-16|UTF-8"},
    {"CR LF", "[server]\r\nworkers = 4\r\n", "t.ini:1:9", "CR LF|Windows"},
    {"CR in a line", "[server]\nworkers = 4\rx\n", "t.ini:2:12", "carriage return"},
    {"no-break space before a key", "[server]\n\xc2\xa0workers = 4\n", "t.ini:2:1",
     "U+00A0|no-break space"},
    {"no-break space in a key", "[server]\nworkers\xc2\xa0= 4\n", "t.ini:2:8", "no-break space"},
    {"no-break space in a value",
     "[server]\nworkers =\xc2\xa0"
     "4\n",
     "t.ini:2:10", "no-break space|in quotes"},
    {"no-break space alone", "[server]\n\xc2\xa0\nworkers = 4\n", "t.ini:2:1", "no-break space"},
    {"no-break space behind a section", "[server]\xc2\xa0\n", "t.ini:1:9", "no-break space"},
    {"no-break space in a section", "[ser\xc2\xa0ver]\n", "t.ini:1:5", "no-break space"},
    {"zero width space",
     "[server]\nwork\xe2\x80\x8b"
     "ers = 4\n",
     "t.ini:2:5", "U+200B|zero width space"},
    {"byte order mark inside", "[server]\n\xef\xbb\xbfworkers = 4\n", "t.ini:2:1",
     "U+FEFF|byte order mark"},
    {"text direction",
     "[server]\nuser = a\xe2\x80\xae"
     "b\n",
     "t.ini:2:9", "U+202E|direction"},
    {"ideographic space", "[server]\nuser =\xe3\x80\x80x\n", "t.ini:2:7", "U+3000"},
    {"bell", "[server]\nuser = a\a\n", "t.ini:2:9", "control character|0x07"},
    {"control character in a comment", "; a\x1b[2J\n", "t.ini:1:4", "control character|0x1B"},
    {"DEL", "[server]\nuser = a\x7f\n", "t.ini:2:9", "0x7F"},
    {"C1 control character", "[server]\nuser = a\xc2\x85\n", "t.ini:2:9", "control character|0x85"},
    {"Latin-1",
     "[server]\nuser = \xfc"
     "ber\n",
     "t.ini:2:8", "0xFC|not UTF-8"},
    {"typographic quotes", "[server]\nuser = \xe2\x80\x9cme\xe2\x80\x9d\n", "t.ini:2:8",
     "typographic"},

    /* Sections. */
    {"unclosed section", "[server\nworkers = 4\n", "t.ini:1:1", "closing \"]\""},
    {"text behind a section", "[server] x\n", "t.ini:1:10", "behind the section"},
    {"comment without blank", "[server];x\n", "t.ini:1:9", "a blank and \";\""},
    {"hash behind a section", "[server] # x\n", "t.ini:1:10", "a blank and \";\""},
    {"key on a section line", "[server] workers = 4\n", "t.ini:1:10", "stands alone"},
    {"blanks in a section", "[ server ]\n", "t.ini:1:2", "without blanks"},
    {"empty section", "[]\n", "t.ini:1:2", "[kind:label]"},
    {"empty label", "[listen:]\naddress = :1\n", "t.ini:1:9", "label is missing"},
    {"label with a blank", "[listen:a b]\naddress = :1\n", "t.ini:1:9", "letters, digits"},
    {"label with a bracket", "[listen:a]b]\naddress = :1\n", "t.ini:1:11", "behind the section"},
    {"quoted label", "[site \"a\"]\n", "t.ini:1:2", "without blanks or quotes"},
    {"two colons", "[site:a:b]\n", "t.ini:1:7", "letters, digits"},
    {"label of 40 characters", "[site:" N10 N10 N10 N10 "]\n", "t.ini:1:7",
     "40 characters|at most 39"},
    {"section of 80 characters", "[" N10 N10 N10 N10 N10 N10 N10 N10 "]\n", "t.ini:1:2",
     "[kind:label]"},
    {"unknown section", "[statistics]\n", "t.ini:1:1",
     "unknown section [statistics]|[server]|[route:...]"},
    {"section with a typo", "[sever]\nworkers = 4\n", "t.ini:1:1",
     "[sever]|did you mean \"server\""},
    {"section in upper case", "[SERVER]\n", "t.ini:1:1", "did you mean \"server\""},
    {"label is missing", "[listen]\naddress = :80\n", "t.ini:1:1", "[listen:main]"},
    {"label too many", "[server:a]\n", "t.ini:1:1", "there is one [server]"},
    {"section twice", "[server]\nworkers = 1\n\n[accept]\n[server]\nuser = x\n", "t.ini:5:1",
     "[server] is opened a second time|t.ini:1"},
    {"labelled section twice", "[site:a]\n[site:b]\nhost = b\n[site:a]\n", "t.ini:4:1",
     "[site:a] is opened a second time|t.ini:1"},

    /* Quotes and comments. */
    {"quote not closed", "[server]\nuser = \"me\n", "t.ini:2:8", "closing quote is missing"},
    {"quote over two lines", "[server]\nuser = \"me\n  you\"\n", "t.ini:2:8", "its own line"},
    {"text behind a quote", "[server]\nuser = \"me\" you\n", "t.ini:2:13",
     "behind the closing quote"},
    {"semicolon behind a quote", "[server]\nuser = \"me\";\n", "t.ini:2:12", "a blank and \";\""},
    {"hash behind a quote", "[server]\nuser = \"me\" # x\n", "t.ini:2:13", "a blank and \";\""},
    {"unknown escape", "[server]\nuser = \"m\\e\"\n", "t.ini:2:10", "no other escapes"},
    {"semicolon behind equals", "[server]\nuser =;me\n", "t.ini:2:7", "right behind \"=\""},
    {"semicolon at the end", "[server]\nworkers = 4;\n", "t.ini:2:11",
     "\"4;\"|no \";\" at the end"},
    {"hash comment", "[server]\nworkers = 4 # four\n", "t.ini:2:11",
     "\"4 # four\"|starts with \" ;\""},
    {"comment inside quotes of a list", "[site:a]\nhost = a, \"b ; c\"\n", "t.ini:2:8",
     "quote in the list is not closed"},
    {"two commas", "[site:a]\nhost = a,, b\n", "t.ini:2:8", "empty element"},
    {"comma at the start", "[site:a]\nhost = , b\n", "t.ini:2:8", "empty element"},
    {"bad line of a list", "[site:a]\nhost = a\nhost = b,,c\n", "t.ini:3:8", "empty element"},

    /* Variables. */
    {"variable not set", "[server]\nuser = ${env.CS_TEST_NOT_SET}\n", "t.ini:2:8",
     "CS_TEST_NOT_SET is not set|${env.CS_TEST_NOT_SET:default}"},
    {"variable not closed", "[server]\nuser = a${env.X\n", "t.ini:2:9", "without its \"}\""},
    {"variable without a name", "[server]\nuser = ${env.}\n", "t.ini:2:8",
     "no name of an environment variable"},
    {"variable with a digit first", "[server]\nuser = ${env.1:x}\n", "t.ini:2:8", "no name"},
    {"variable of a request", "[server]\nuser = x${host}\n", "t.ini:2:9",
     "${host} is not known|$${"},
    {"variable of a request in a list",
     "[module:view]\n[route:a]\nmatch = /\nhandler = view\nwords = a,\n  b${host}\n", "t.ini:6:4",
     "words: ${host} is not known here|$${"},
    {"unknown variable in a template", "[module:view]\ntext = a ${hots}\n", "t.ini:2:10",
     "text: ${hots} is no variable|${host}"},
    {"unknown variable in a list of templates",
     "[module:view]\nfields = A: ${host}\n  B: ${headers.X}\n", "t.ini:3:6",
     "fields: ${headers.X} is no variable|${header.NAME}"},
    {"too many templates", "[module:view]\nfields = a, b, c, d, e\n", "t.ini:2:10", "too long"},
    {"bad block", "[module:view]\nfrom = 10.0.0.0/8, 10.0.0.1/8\n", "t.ini:2:8",
     "10.0.0.1/8|behind its length"},
    {"no address", "[module:view]\nfrom = localhost\n", "t.ini:2:8",
     "\"localhost\" is no IP address"},
    {"variable with line breaks", "[server]\nuser = ${env.CS_TEST_LINES}\n", "t.ini:2:8",
     "control character|CS_TEST_LINES"},

    /* Keys. */
    {"unknown key", "[server]\nwokers = 4\n", "t.ini:2:1",
     "unknown key \"wokers\" in [server]|did you mean \"workers\""},
    {"key in upper case", "[server]\nWORKERS = 4\n", "t.ini:2:1", "did you mean \"workers\""},
    {"key of nobody", "[server]\nfrobnicate = 4\n", "t.ini:2:1",
     "unknown key \"frobnicate\" in [server]\n"},
    {"key of limits", "[server]\nmax_body = 1m\n", "t.ini:2:1", "it belongs to [limits]"},
    {"key of two sections", "[server]\nroot = /x\n", "t.ini:2:1", "[site:...] or [route:...]"},
    {"near key of another section", "[accept]\nmax_bdy = 1m\n", "t.ini:2:1",
     "\"max_body\" of [limits]"},
    {"key of a module", "[server]\nrepeat = 2\n[module:hello]\n", "t.ini:2:1",
     "it belongs to [module:hello]"},
    {"near include", "[server]\ninclud = x\n", "t.ini:2:1", "did you mean \"include\""},
    {"include elsewhere", "[limits]\ninclude = x.ini\n", "t.ini:2:1",
     "in [server] or before the first section"},
    {"include nothing", "[server]\ninclude =\n", "t.ini:2:10", "needs the name"},
    {"key twice", "[server]\nworkers = 1\nuser = x\nworkers = 2\n", "t.ini:4:1",
     "set a second time in [server]|t.ini:2"},
    {"key of a module twice", "[module:hello]\nrepeat = 1\nrepeat = 2\n", "t.ini:3:1",
     "second time|t.ini:2"},
    {"key twice in two forms",
     SITE
     "[module:hello]\n[route:a]\nmatch = /\nhandler = hello\ngreeting = a\nhello.greeting = b\n",
     "t.ini:8:1", "second time|t.ini:7"},

    /* Values. */
    {"not a number", "[server]\nworkers = many\n", "t.ini:2:11",
     "workers: \"many\" is not a whole number|from 1 to 1024, or auto"},
    {"number too large", "[server]\nworkers = 5000\n", "t.ini:2:11", "too large|1 to 1024"},
    {"number too small", "[server]\nworkers = 0\n", "t.ini:2:11", "too small|1 to 1024, or auto"},
    {"number far too large", "[server]\nworkers = 99999999999999999999\n", "t.ini:2:11",
     "too large"},
    {"number with a unit", "[server]\nworkers = 4k\n", "t.ini:2:11", "not a whole number"},
    {"number of nothing", "[server]\nworkers =\n", "t.ini:2:10", "\"\" is not a whole number"},
    {"no switch", "[accept]\nspread = maybe\n", "t.ini:2:10", "neither on nor off|on or off"},
    {"unknown word", "[server]\nlog_level = loud\n", "t.ini:2:13",
     "\"loud\" is not known|debug, info, warn or error"},
    {"size without number", "[limits]\nmax_body = big\n", "t.ini:2:12",
     "does not start with a number"},
    {"size with a strange unit", "[limits]\nmax_body = 10kb\n", "t.ini:2:12",
     "unknown unit|k, m, g, t"},
    {"size too large", "[limits]\nmax_head = 2m\n", "t.ini:2:12", "too large|from 1k to 1m"},
    {"size beyond all", "[limits]\nmax_body = 99999999999g\n", "t.ini:2:12", "too large"},
    {"time without unit", "[limits]\nhead_timeout = 30\n", "t.ini:2:16", "no unit|30s"},
    {"time with a strange unit", "[limits]\nhead_timeout = 30sec\n", "t.ini:2:16",
     "unknown unit|ms, s, m, h, d"},
    {"time below zero", "[limits]\nhead_timeout = -1s\n", "t.ini:2:16", "too small"},
    {"empty path", "[server]\npid_file =\n", "t.ini:2:11", "is empty"},
    {"word for a path", "[server]\nerror_log = off\n", "t.ini:2:13",
     "not possible here|stderr or a path"},
    {"mode", "[listen:a]\naddress = :1\nmode = 0888\n", "t.ini:3:8", "octal number|0660"},
    {"mode in decimal", "[listen:a]\naddress = :1\nmode = 438\n", "t.ini:3:8", "octal"},
    {"mode too large", "[listen:a]\naddress = :1\nmode = 1777\n", "t.ini:3:8",
     "too large|0 to 0777"},

    /* Listeners. */
    {"listener without a site",
     "[listen:a]\naddress = :1\n[listen:b]\naddress = :2\n[site:s]\nlisten = a\n", "t.ini:3:1",
     "[listen:b] leads to no site"},
    {"the same IPv6 host twice", "[site:a]\nhost = [::1]\n[site:b]\nhost = [0::0:1]\n", "t.ini:4:8",
     "\"[::1]\" is named twice"},
    {"size of a site", "[site:a]\nmax_body = 5x\n", "t.ini:2:12", "unknown unit|or nothing"},
    {"time of a route", SITE "[route:a]\nmatch = /\nwrite_timeout = 5\n", "t.ini:5:17",
     "no unit|or nothing"},
    {"log of a site", "[site:a]\naccess_log = stderr\n", "t.ini:2:14", "is not possible here"},
    {"form of a log", "[site:a]\naccess_format = xml\n", "t.ini:2:17",
     "combined or json, or nothing"},
    {"no proxy's address", "[listen:a]\naddress = :1\ntrusted = 10.0.0.0/8, proxy.example\n",
     "t.ini:3:11", "\"proxy.example\" is no IP address"},
    {"field that names no client", "[listen:a]\naddress = :1\nclient_from = X-Real-IP\n",
     "t.ini:3:15", "\"X-Real-IP\" is not known|X-Forwarded-For, Forwarded or off"},
    {"no address", "[listen:main]\nbacklog = 5\n", "t.ini:1:1", "[listen:main] has no \"address\""},
    {"address is a name", "[listen:a]\naddress = localhost:80\n", "t.ini:2:11",
     "address: \"localhost:80\""},
    {"address without port", "[listen:a]\naddress = 127.0.0.1\n", "t.ini:2:11",
     "address: \"127.0.0.1\""},
    {"port too large", "[listen:a]\naddress = :80, :70000\n", "t.ini:2:16", "address: \":70000\""},
    {"address twice", "[listen:a]\naddress = :80\n[listen:b]\naddress = :81\n  :80\n", "t.ini:5:3",
     ":80 is listened on twice|t.ini:2"},
    {"reuseport on a unix socket", "[listen:a]\naddress = unix:/run/a.sock\npolicy = reuseport\n",
     "t.ini:3:10", "policy: reuseport is for TCP|unix:/run/a.sock is a unix socket|turn"},
    {"reuseport on one unix socket of several",
     "[listen:a]\npolicy = reuseport\naddress = :80, unix:/run/a.sock\n", "t.ini:2:10",
     "unix:/run/a.sock|section of its own"},
    {"unknown policy", "[listen:a]\naddress = :80\npolicy = reusport\n", "t.ini:3:10",
     "policy|turn, exclusive, reuseport or default"},

    /* Sites. */
    {"site on an unknown listener", "[listen:main]\naddress = :1\n[site:a]\nlisten = mian\n",
     "t.ini:4:10", "no [listen:mian]|did you mean \"main\""},
    {"host with a port", "[site:a]\nhost = a.com:80\n", "t.ini:2:8", "has a port"},
    {"hosts without commas", "[site:a]\nhost = a.com b.com\n", "t.ini:2:8",
     "has a blank|separated by commas"},
    {"host is an address", "[site:a]\nhost = https://a.com\n", "t.ini:2:8", "bare name"},
    {"host for all below and itself", "[site:a]\nhost = .a.com\n", "t.ini:2:8",
     "starts with a dot|a.com, *.a.com"},
    {"host is a regex", "[site:a]\nhost = ~ ^www\n", "t.ini:2:8", "no regular expression|*.a.com"},
    {"another server's default host", "[site:a]\nhost = _\n", "t.ini:2:8", "write \"*\""},
    {"key of a site that nobody reads",
     "[module:stamp]\n" SITE "ink = red\n[route:b]\nmatch = /b\nhandler = static\n", "t.ini:4:7",
     "\"ink\" in [site:a]|neither the site nor a route of it uses \"stamp\"|use = stamp"},
    {"rewrite without a slash", SITE "[route:a]\nmatch = /a\nrewrite = b\n", "t.ini:5:11",
     "\"b\" is no path"},
    {"clients without commas", SITE "[route:a]\nmatch = /a\nclients = 10.0.0.0/8 ::1\n",
     "t.ini:5:11", "has a blank|separated by commas"},
    {"two signs in a query", SITE "[route:a]\nmatch = /a\nquery = x == 1\n", "t.ini:5:9",
     "has two"},
    {"not equal in a query", SITE "[route:a]\nmatch = /a\nquery = x != 1\n", "t.ini:5:9",
     "said by an expression"},
    {"a query with its sign", SITE "[route:a]\nmatch = /a\nquery = ?x\n", "t.ini:5:9", "no part"},
    {"case in an expression", SITE "[route:a]\nmatch = ~* ^/a\n", "t.ini:4:9", "~ (?i)"},
    {"methods without commas", SITE "[route:a]\nmatch = /a\nmethods = GET POST\n", "t.ini:5:11",
     "separated by commas"},
    {"use without commas", "[site:a]\nroot = /w\nuse = stamp auth\n", "t.ini:3:7",
     "separated by commas"},
    {"key that another server has", SITE "server_name = a.com\n", "t.ini:3:1",
     "unknown key \"server_name\"|nginx|\"host\" of [site:...]"},
    {"key that another server has, and we have not", SITE "proxy_pass = x\n", "t.ini:3:1",
     "unknown key \"proxy_pass\"|not there yet"},
    {"key of a module that is not loaded", SITE "requests = 5\n", "t.ini:3:1",
     "unknown key \"requests\"|load that with [module:NAME]"},
    {"key that another server has, and ours looks like", SITE "error_page = 404 /x\n", "t.ini:3:1",
     "did you mean \"error_pages\""},
    {"another server's variable", "[module:view]\n[site:a]\ntext = ${request_uri}\n", "t.ini:3:8",
     "${request_uri} is no variable|is ${target} here"},
    {"another server's variable with a name", "[module:view]\n[site:a]\ntext = ${http_x_api_key}\n",
     "t.ini:3:8", "is ${header.x-api-key} here"},
    {"host is a url", "[site:a]\nhost = http//a.com\n", "t.ini:2:8", "bare name"},
    {"star inside", "[site:a]\nhost = www.*.com\n", "t.ini:2:8", "\"*\" in the wrong place"},
    {"star without dot", "[site:a]\nhost = *a.com\n", "t.ini:2:8", "wrong place"},
    {"host not in ASCII",
     "[site:a]\nhost = b\xc3\xbc"
     "cher.de\n",
     "t.ini:2:8", "xn--"},
    {"host ends in a dot", "[site:a]\nhost = a.com.\n", "t.ini:2:8", "ends in a dot"},
    {"two dots", "[site:a]\nhost = a..com\n", "t.ini:2:8", "empty part"},
    {"host with a bang", "[site:a]\nhost = ok.com,\n  a!b\n", "t.ini:3:3",
     "host names do not have"},
    {"no IPv6", "[site:a]\nhost = [::g]\n", "t.ini:2:8", "IPv6"},
    {"empty host", "[site:a]\nhost = \"\"\n", "t.ini:2:9", "empty part"},
    {"host list is empty", "[site:a]\nhost =\n", "t.ini:2:7", "is empty"},
    {"same host on two sites", "[site:a]\nhost = x.com\n[site:b]\nhost = y.com, X.com\n",
     "t.ini:4:15", "\"x.com\" is named twice|t.ini:2"},
    {"same host behind a longer one", "[site:a]\nhost = x.com\n[site:b]\nhost = max.com, x.com\n",
     "t.ini:4:17", "\"x.com\" is named twice"},
    {"same host on one site", "[site:a]\nhost = x.com, x.com\n", "t.ini:2:8",
     "named twice|t.ini:2"},
    {"two sites for all names", "[site:a]\n[site:b]\n", "t.ini:2:1",
     "\"*\" is named twice|takes all names|t.ini:1"},

    /* Routes. */
    {"no match", SITE "[route:a]\n", "t.ini:3:1", "[route:a] has no \"match\""},
    {"match without slash", SITE "[route:a]\nmatch = hello\n", "t.ini:4:9",
     "must start with \"/\""},
    {"exact match without slash", SITE "[route:a]\nmatch = = x\n", "t.ini:4:9", "must start with"},
    {"expression without expression", SITE "[route:a]\nmatch = ~\n", "t.ini:4:9", "no expression"},
    {"nginx's case", SITE "[route:a]\nmatch = ~* \\.php$\n", "t.ini:4:9", "(?i)"},
    {"nginx's prefix", SITE "[route:a]\nmatch = ^~ /x\n", "t.ini:4:9", "another server's form"},
    {"nothing to answer with", "[route:a]\nmatch = /\n", "t.ini:1:1",
     "needs a \"handler\" or a \"root\""},
    {"unknown site", SITE "[route:a]\nmatch = /\nsite = b\n", "t.ini:5:8",
     "no [site:b]|did you mean \"a\""},
    {"which site", "[site:a]\nhost = a\nroot = /w\n[site:b]\nhost = b\n[route:a]\nmatch = /\n",
     "t.ini:6:1", "needs \"site\"|2 sites"},
    {"same match", SITE "[route:a]\nmatch = = /x\n[route:b]\nmatch = =/x\n", "t.ini:6:9",
     "on two routes|[route:a]|[route:b]|t.ini:4"},
    {"handler not loaded", "[route:a]\nmatch = /\nhandler = hello\n", "t.ini:3:11",
     "\"hello\" is not loaded|load it with [module:hello]"},
    {"handler with a typo", "[module:hello]\n[route:a]\nmatch = /\nhandler = helo\n", "t.ini:4:11",
     "did you mean \"hello\""},
    {"second handler not loaded", "[module:hello]\n[route:a]\nmatch = /\nhandler = hello, bare\n",
     "t.ini:4:18", "[module:bare]"},
    {"handler is no name", "[route:a]\nmatch = /\nhandler = Hello!\n", "t.ini:3:11",
     "no name of a module"},
    {"handler twice", "[module:hello]\n[route:a]\nmatch = /\nhandler = hello, hello\n",
     "t.ini:4:11", "named twice"},
    {"handler that handles nothing", "[module:tag]\n[route:a]\nmatch = /\nhandler = tag\n",
     "t.ini:4:11", "answers no requests"},

    /* Who takes part. */
    {"use of what is not loaded", SITE "use = auth\n", "t.ini:3:7",
     "use: the module \"auth\" is not loaded|load it with [module:auth]"},
    {"use with a typo", "[module:stamp]\n" SITE "use = stmp\n", "t.ini:4:7",
     "did you mean \"stamp\""},
    {"none of the keys of which one is needed",
     "[module:door]\n" SITE "[route:a]\nmatch = /\nuse = door\ncolour = blue\n", "t.ini:4:1",
     "needs \"key\" (text of 1 to 100 bytes) or \"code\" (text of 1 to 8 bytes)"},
    {"use is no name", SITE "use = Auth!\n", "t.ini:3:7", "no name of a module"},
    {"use twice", "[module:stamp]\n" SITE "use = stamp, stamp\n", "t.ini:4:7",
     "\"stamp\" is named twice"},
    {"use on the site and the route",
     "[module:stamp]\n" SITE "use = stamp\n[route:a]\nmatch = /\nuse = stamp\n", "t.ini:7:7",
     "[site:a] uses \"stamp\"|leave it out here"},
    {"use of a handler", "[module:both]\n[route:a]\nmatch = /\nhandler = both\nuse = both\n",
     "t.ini:5:7", "handler of this route|all its hooks"},
    {"use of a module without hooks", "[module:tag]\n" SITE "use = tag\n", "t.ini:4:7",
     "\"tag\" has no hook"},
    {"use of a module that only answers", "[module:hello]\n" SITE "use = hello\n", "t.ini:4:7",
     "\"hello\" has no hook|behind \"handler\""},
    {"a handler that only takes part",
     "[module:auth]\nrealm = r\n[route:a]\nmatch = /\nhandler = auth\n", "t.ini:5:11",
     "answers no requests|behind \"use\""},
    {"minus on a site", "[module:stamp]\n" SITE "use = -stamp\n", "t.ini:4:7",
     "take away|[route:...]"},
    {"minus of what the site does not use",
     "[module:stamp]\n" SITE "[route:a]\nmatch = /\nuse = -stamp\n", "t.ini:6:7",
     "[site:a] does not use \"stamp\"|nothing to take away"},
    {"minus of what is not loaded", SITE "[route:a]\nmatch = /\nuse = -stamp\n", "t.ini:5:7",
     "\"stamp\" is not loaded"},
    {"minus twice",
     "[module:stamp]\n" SITE "use = stamp\n[route:a]\nmatch = /\nuse = -stamp, -stamp\n",
     "t.ini:7:7", "named twice"},
    {"key of a module that is not in use",
     "[module:stamp]\n" SITE "[route:a]\nmatch = /\nink = red\n", "t.ini:6:1",
     "\"stamp\", which is neither in use nor a handler"},
    {"key of a module that was taken away",
     "[module:stamp]\n" SITE "use = stamp\n[route:a]\nmatch = /\nuse = -stamp\nstamp.ink = red\n",
     "t.ini:8:1", "neither in use nor a handler|would do nothing"},
    {"needed key of a module in use", "[module:auth]\n" SITE "use = auth\n", "t.ini:2:1",
     "[site:a] uses the module \"auth\", which needs \"realm\""},
    {"needed key of a module in use on a route",
     "[module:auth]\n" SITE "[route:a]\nmatch = /\nuse = auth\n", "t.ini:4:1",
     "[route:a] uses the module \"auth\", which needs \"realm\""},

    /* Modules. */
    {"bad name of a module", "[module:Hello]\n", "t.ini:1:1", "module's name"},
    {"unknown key of a module", "[module:hello]\ngreting = x\n", "t.ini:2:1",
     "did you mean \"greeting\""},
    {"module key out of range", "[module:hello]\nrepeat = 11\n", "t.ini:2:10", "too large|1 to 10"},
    {"module key on the wrong route",
     SITE "[module:hello]\n[module:bare]\n[route:a]\nmatch = /\nhandler = bare\ngreeting = x\n",
     "t.ini:8:1", "\"hello\", which is not a handler of this route"},
    {"module.key on the wrong route",
     SITE
     "[module:hello]\n[module:bare]\n[route:a]\nmatch = /\nhandler = bare\nhello.greeting = x\n",
     "t.ini:8:1", "would do nothing"},
    {"server-wide key on a route",
     "[module:hello]\n[route:a]\nmatch = /\nhandler = hello\nrepeat = 2\n", "t.ini:5:1",
     "whole server|[module:hello]"},
    {"server-wide module.key on a site", "[module:hello]\n[site:a]\nhello.repeat = 2\n",
     "t.ini:3:1", "[module:hello]"},
    {"key of two handlers",
     "[module:static]\n[module:files]\n[route:a]\nmatch = /\nhandler = static, files\nindex = x\n",
     "t.ini:6:1", "more than one module|\"static.index\" or \"files.index\""},
    {"key of two modules on a site", "[module:files]\n[site:a]\nroot = /w\nindex = x\n",
     "t.ini:4:1", "files.index|static.index"},
    {"module.key with a typo",
     "[module:hello]\n[route:a]\nmatch = /\nhandler = hello\nhello.greting = x\n", "t.ini:5:1",
     "no key \"greting\"|did you mean \"greeting\""},
    {"key of a module that is not loaded", SITE "[route:a]\nmatch = /\nsse.ping = 3\n", "t.ini:5:1",
     "\"sse\" is not loaded|load it with [module:sse]"},
    {"key of a module with a typo", SITE "statik.index = x\n", "t.ini:3:1",
     "did you mean \"static\""},
    {"unknown key on a route",
     "[module:hello]\n[route:a]\nmatch = /\nhandler = hello\ngreting = x\n", "t.ini:5:1",
     "unknown key \"greting\" in [route:a]|did you mean \"greeting\""},
    {"needed key of a module", "[module:proxy]\ntarget = x\n", "t.ini:1:1",
     "[module:proxy] has no \"token\""},
    {"needed key of a route", "[module:proxy]\ntoken = t\n[route:a]\nmatch = /\nhandler = proxy\n",
     "t.ini:3:1", "needs \"target\"|here or in [module:proxy]"},
    {"empty needed key", "[module:proxy]\ntoken =\ntarget = x\n", "t.ini:2:8", "is empty"},

    {"key of a handler that is not loaded", "[route:a]\nmatch = /\nhandler = hello\ngreeting = x\n",
     "t.ini:3:11", "[module:hello]"},
};

/* Several at once: all of them in one run. */
static const struct several {
    struct row row;
    unsigned errors;
} several[] = {
    {{"another server's file",
      "worker_processes auto;\nhttp {\n  server {\n    listen 80;\n  }\n}\n", "t.ini:1:1",
      "t.ini:2:1|t.ini:6:1|reads like nginx|[site:main]"},
     3},
    {{"values of a section that is there twice", "[server]\n[server]\nworkers = x\n", "t.ini:3:11",
      "not a whole number|second time"},
     2},
    {{"three mistakes", "[server]\nwokers = 4\nlog_level = loud\n[limits]\nmax_body = -1\n",
      "t.ini:2:1", "t.ini:3:13|t.ini:5:12"},
     3},
    {{"a mistake of each stage",
      "[server\n[site:a]\nhost = a:1\n[route:a]\nmatch = /\nhandler = x\n", "t.ini:1:1",
      "t.ini:3:8|t.ini:6:11"},
     3},
};

static const char *missing_word(const char *text, const char *words)
{
    static char word[200];
    cs_str rest = str_of(words), one;

    while (str_split(&rest, '|', &one)) {
        snprintf(word, sizeof word, "%.*s", CS_F(one));
        if (!strstr(text, word))
            return word;
    }
    return NULL;
}

static void check_row(const struct row *r, unsigned errors, const struct fake *f)
{
    const char *text = fake_report(f), *word = missing_word(text, r->words);
    char place[64];

    snprintf(place, sizeof place, "%s: error: ", r->place);
    if (f->rep.errors != errors)
        fail_msg("row \"%s\": %u errors:\n%s", r->label, f->rep.errors, text);
    if (!strstr(text, place))
        fail_msg("row \"%s\": nothing at %s:\n%s", r->label, r->place, text);
    if (word)
        fail_msg("row \"%s\": no \"%s\" in:\n%s", r->label, word, text);
}

static void test_bad_files(void **state)
{
    (void)state;
    unsetenv("CS_TEST_NOT_SET");
    setenv("CS_TEST_LINES", "a\nb", 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fake f;

        fake_read(&f, rows[i].text, NULL, 0);
        check_row(&rows[i], 1, &f);
        fake_free(&f);
    }
    for (size_t i = 0; i < ARRAY_LEN(several); i++) {
        struct fake f;

        fake_read(&f, several[i].row.text, NULL, 0);
        check_row(&several[i].row, several[i].errors, &f);
        fake_free(&f);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows) + ARRAY_LEN(several));
}

/* Without its last line end a file means the same. */
static void test_no_line_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *cut = strdup(rows[i].text);
        size_t n = strlen(cut);
        struct fake f;

        if (n && cut[n - 1] == '\n' && (n < 2 || cut[n - 2] != '\r'))
            cut[n - 1] = '\0';
        fake_read(&f, cut, NULL, 0);
        check_row(&rows[i], 1, &f);
        fake_free(&f);
        free(cut);
    }
}

struct override_row {
    const char *label, *override, *words;
};

static const struct override_row overrides[] = {
    {"no equals sign", "server.workers", "command line|the \"=\" is missing"},
    {"no dot", "workers=4", "section.key=value"},
    {"unknown section", "sever.workers=4", "[sever]|did you mean \"server\""},
    {"unknown key", "server.wokers=4",
     "command line: error: unknown key|-g | server.wokers=4\n      |        ^~~~~~"},
    {"bad value", "server.workers=many", "not a whole number|^~~~"},
    {"label is missing", "listen.address=:80", "needs a label"},
    {"bad label", "listen:a b.address=:80", "kind:label.key"},
    {"include", "server.include=x", "only stand in a settings file"},
    {"variable not set", "server.user=${env.CS_TEST_NOT_SET}", "is not set"},
    {"quote not closed", "server.user=\"x", "closing quote"},
};

static void test_bad_overrides(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(overrides); i++) {
        const struct override_row *r = &overrides[i];
        struct conf_override o = {r->override};
        const char *word;
        struct fake f;

        fake_read(&f, "[server]\nuser = me\n", &o, 1);
        word = missing_word(fake_report(&f), r->words);
        if (f.rep.errors != 1 || word)
            fail_msg("row \"%s\": %u errors, no \"%s\" in:\n%s", r->label, f.rep.errors,
                     word ? word : "", fake_report(&f));
        fake_free(&f);
    }
    printf("rows: %zu\n", ARRAY_LEN(overrides));
}

struct warning_row {
    const char *label, *text, *place, *words;
};

#define VIEW "[module:view]\n[site:a]\n[route:a]\nmatch = ~ ^/(a)\nhandler = view\n"
static const struct warning_row warnings[] = {
    {"trusted for nothing", "[listen:a]\naddress = :1\ntrusted = 10.0.0.1\nclient_from = off\n",
     "t.ini:3:11", "trusted: it means nothing here"},
    {"a field that nobody may send", "[listen:a]\naddress = :1\nclient_from = X-Forwarded-For\n",
     "t.ini:3:15", "client_from: it means nothing here"},
    {"hash behind a value", "[module:hello]\ngreeting = Hi # there\n", "t.ini:2:15",
     "does not start a comment"},
    {"encoded match", SITE "[route:a]\nmatch = /a%20b\n", "t.ini:4:9", "matched decoded"},
    {"query in a match", SITE "[route:a]\nmatch = = /a?b=1\n", "t.ini:4:9", "the query is no part"},
    {"dots in a match", SITE "[route:a]\nmatch = /a/../b\n", "t.ini:4:9", "normalised"},
    {"two slashes in a match", SITE "[route:a]\nmatch = //a\n", "t.ini:4:9", "normalised"},
    {"host as a condition", SITE "[route:a]\nmatch = /a\nheaders = X, host: a.com\n", "t.ini:5:14",
     "headers: Host is compared as it is sent|host = a.com"},
    {"star in a match", SITE "[route:a]\nmatch = /api/*\n", "t.ini:4:9", "plain character"},
    {"semicolon behind a match", SITE "[route:a]\nmatch = /a;\n", "t.ini:4:9", "ends in \";\""},
    {"a variable without braces", VIEW "text = https://$host/\n", "t.ini:6:16",
     "text: \"$host\" is plain text|${host}"},
    {"another server's variable without braces", VIEW "text = $binary_remote_addr\n", "t.ini:6:8",
     "is plain text|${client}"},
    {"in a list", VIEW "fields = a, b $uri c\n", "t.ini:6:15", "is plain text|${path}"},
    {"a capture without braces", VIEW "text = /new/$1\n", "t.ini:6:13",
     "is plain text|${capture.1}"},
    {"an expression for all",
     SITE "[route:a]\nmatch = ~ ^/(?<all>.*)$\n[route:b]\nmatch = /b\n[route:c]\nmatch = ~ ^/c\n"
          "[route:d]\nmatch = = /d\n",
     "t.ini:4:9", "takes all paths|[route:b]|[route:c]|never be reached|match = /"},
};

/* Not everything that looks so is a mistake. */
static const struct warning_row harmless[] = {
    {"money", VIEW "text = costs $5 or $ 7\n", NULL, NULL},
    {"no group to mean", "[module:view]\n" SITE "text = $1\n[route:a]\nmatch = /\nhandler = view\n",
     NULL, NULL},
    {"words behind a dollar", VIEW "text = $hostile $Host $x $$\n", NULL, NULL},
    {"all, but for some", SITE "[route:a]\nmatch = ~ ^/\nmethods = POST\n[route:b]\nmatch = /b\n",
     NULL, NULL},
    {"all, behind the others",
     SITE "[route:c]\nmatch = ~ ^/c\n[route:d]\nmatch = = /d\n[route:a]\nmatch = ~ ^/\n", NULL,
     NULL},
    {"the first page only", SITE "[route:a]\nmatch = ~ ^/$\n[route:b]\nmatch = /b\n", NULL, NULL},
    {"what does not begin so", SITE "[route:a]\nmatch = ~ ^(?!/api).*$\n[route:b]\nmatch = /api\n",
     NULL, NULL},
    {"key of a site for one of its routes",
     "[module:stamp]\n" SITE "ink = red\n[route:b]\nmatch = /b\nuse = stamp\n", NULL, NULL},
};

static void test_harmless(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
        struct fake f;

        fake_read(&f, harmless[i].text, NULL, 0);
        if (f.rep.errors || f.rep.warnings)
            fail_msg("row \"%s\":\n%s", harmless[i].label, fake_report(&f));
        fake_free(&f);
    }
    printf("rows: %zu\n", ARRAY_LEN(harmless));
}

static void test_warnings(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(warnings); i++) {
        const struct warning_row *r = &warnings[i];
        struct fake f;

        fake_read(&f, r->text, NULL, 0);
        if (f.rep.errors || f.rep.warnings != 1 || !strstr(fake_report(&f), r->place) ||
            missing_word(fake_report(&f), r->words))
            fail_msg("row \"%s\":\n%s", r->label, fake_report(&f));
        fake_free(&f);
    }
    printf("rows: %zu\n", ARRAY_LEN(warnings));
}

static void refuse_bytes(const char *label, cs_str bytes, const char *place, const char *words)
{
    struct fake f;
    struct conf_read_opts opts = {.prefix = "/p"};

    report_init(&f.rep);
    f.text = conf_read_bytes("t.ini", bytes, &opts, &f.rep);
    fake_bind(&f);
    if (f.rep.errors != 1 || !strstr(fake_report(&f), place) ||
        missing_word(fake_report(&f), words))
        fail_msg("%s: %u errors:\n%.2000s", label, f.rep.errors, fake_report(&f));
    fake_free(&f);
}

/* What does not fit into a string of the table. */
static void test_large_and_strange(void **state)
{
    struct buf b = {0};

    (void)state;
    refuse_bytes("NUL", CS_S("[server]\nuser = a\0b\n"), "t.ini:2:9", "NUL byte|UTF-16");

    buf_add_z(&b, "[module:hello]\ngreeting = ");
    for (int i = 0; i < 65537; i++)
        buf_add_char(&b, 'x');
    refuse_bytes("value over 64 KiB", buf_str(&b), "t.ini:2:12",
                 "\"greeting\" is longer than 65536 bytes");

    buf_clear(&b);
    buf_add_z(&b, "[site:a]\nhost = a,\n");
    for (int i = 0; i < 70; i++)
        buf_printf(&b, "    %01000d,\n", i);
    refuse_bytes("value over 64 KiB in lines", buf_str(&b), "t.ini:68:5", "longer than 65536");

    buf_clear(&b);
    buf_add_z(&b, "[module:tag]\n");
    for (int i = 0; i < 70; i++)
        buf_printf(&b, "tags = %01000d\n", i);
    refuse_bytes("list over 64 KiB in keys", buf_str(&b), "t.ini:2:1", "longer than 65536");

    buf_clear(&b);
    buf_add_z(&b, "[module:tag]\n");
    for (int i = 0; i < 4097; i++)
        buf_printf(&b, "tags = %d\n", i);
    refuse_bytes("too many keys", buf_str(&b), "t.ini:4098:1", "more than 4096 keys");

    buf_clear(&b);
    for (int i = 0; i < (4 << 20) / 16 + 1; i++)
        buf_add_z(&b, "; fifteen bytes\n");
    refuse_bytes("file over 4 MiB", buf_str(&b), "t.ini", "larger than 4 MiB");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),     cmocka_unit_test(test_no_line_end),
        cmocka_unit_test(test_bad_overrides), cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_harmless),      cmocka_unit_test(test_large_and_strange),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
