"""cserver.h in C++: a module written in it compiles without a word, with each compiler and standard, and works."""
import os
import shutil
import subprocess

import pytest
from lib import cheader
from lib.server import SOURCE

COMPILERS = [c for c in ("g++", "clang++") if shutil.which(c)]
MODULE = r"""
#include <cserver/cserver.h>

#include <string>
#include <vector>

namespace {

struct conf {
    cs_str greeting, place;
    cs_list names;
    int64_t times, size, pause, mode;
    bool loud;
};

cs_counter *seen;
cs_group *group;
cs_zone *zone;
cs_topic *topic;

int worker_start(cs_proc *p)
{
    group = cs_group_new(p, .on_slow = CS_SLOW_SKIP, .max_streams = 10);
    return group ? CS_OK : CS_NOMEM;
}

void on_message(const cs_msg *m)
{
    cs_log(CS_INFO, "%zu bytes", m->len);
}

int header(cs_str name, cs_str, void *arg)
{
    static_cast<std::vector<std::string> *>(arg)->emplace_back(name.p, name.n);
    return 0;
}

int handler(cs_req *r)
{
    auto c = static_cast<const conf *>(cs_conf(r));
    std::vector<std::string> names;
    cs_counter_add(seen, 1);
    cs_header_each(r, header, &names);
    ++*static_cast<uint64_t *>(cs_zone_of(zone));
    if (cs_is(r, "DELETE"))
        return cs_publish(topic, CS_TO_ALL, "x", 1) == CS_OK ? 204 : 503;
    if (cs_is(r, "POST"))
        return cs_reply(r, 200, "text/plain", cs_body(r));
    if (cs_is(r, "PUT"))
        return cs_reply(r, 200, "text/plain", (cs_str{"put", 3}));
    cs_set_header(r, "X-Loud", c->loud ? "yes" : CS_S("no").p);
    cs_add_header(r, "X-Names", CS_S("a"));
    std::string text(c->greeting.p, c->greeting.n);
    cs_ctx(r) = nullptr;
    return cs_textf(r, 200, "%s %zu %d %llu", text.c_str(), c->names.n, (int)names.empty(), cs_counter_sum(seen));
}

const char *const modes[] = {"soft", "hard", nullptr};
const cs_directive directives[] = {
    CS_STRING(conf, greeting, "Hello", 0, 100, CS_PER_ROUTE | CS_SECRET, "What to say."),
    CS_PATH(conf, place, "x", 0, "A file."),
    CS_LIST(conf, names, "a, b", 0, 5, 0, "Names."),
    CS_INT(conf, times, "1", 0, 5, 0, "How often."),
    CS_SIZE(conf, size, "1k", 0, 5000, 0, "How large."),
    CS_MSEC(conf, pause, "1s", 0, 5000, 0, "How long."),
    CS_ENUM(conf, mode, "hard", modes, 0, "How."),
    CS_BOOL(conf, loud, "on", 0, "How loud."),
    CS_END,
};
const cs_counter_def counters[] = {{&seen, "seen_total", "Seen."}, {}};
const cs_zone_def zones[] = {{&zone, "zone", 64, nullptr, nullptr}, {}};
const cs_topic_def topics[] = {{&topic, "cpp.topic", on_message, 64, CS_LATEST}, {}};

}

CS_MODULE(.handler = handler, .name = "cpp", .version = "1.0", .zones = zones, .topics = topics, .flags = 0,
          .help = "In another order than declared.", .directives = directives, .conf_size = sizeof(conf),
          .counters = counters, .worker_start = worker_start);
"""


def compile_cpp(folder, text, compiler, standard):
    source, so = os.path.join(folder, "cpp.cc"), os.path.join(folder, "cpp.so")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    done = subprocess.run([compiler, "-std=c++" + standard, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                           "-I" + os.path.join(SOURCE, "src/api"), "-o", so, source], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return so, done


pytestmark = pytest.mark.skipif(not COMPILERS, reason="no C++ compiler")


@pytest.mark.parametrize("standard", ["17", "20"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_module(serve, folder, compiler, standard):
    so, done = compile_cpp(folder, MODULE, compiler, standard)
    assert done.returncode == 0 and done.stdout == "", done.stdout
    s = serve(f"[module:cpp]\nfile = {so}\n[route:all]\nmatch = /\nhandler = cpp\n")
    r = s.get("/")
    assert (r.text, r["x-loud"], r["x-names"]) == ("Hello 2 0 1", "yes", "a")
    assert s.post("/", b"body").text == "body"
    assert s.request("PUT", "/").text == "put"
    assert s.request("DELETE", "/").status == 204
    s.log_has("1 bytes")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_all_members_at_once(folder, compiler):
    """The macro that makes assignments of them gets to the end of the longest list."""
    with open(os.path.join(SOURCE, "src/api/cserver/cserver.h"), encoding="utf-8") as f:
        members = cheader.struct(cheader.read(f.read()), "cs_module").members
    names = [m.name for m in members
             if m.kind == "member" and m.name not in ("magic", "size", "abi_major", "abi_minor", "api")]
    text = f"#include <cserver/cserver.h>\nCS_MODULE({', '.join(f'.{n} = 0' for n in reversed(names))});\n"
    assert compile_cpp(folder, text, compiler, "17")[1].returncode == 0


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_directive_of_the_wrong_type_does_not_compile(folder, compiler):
    text = MODULE.replace("int64_t times,", "int times;\n    int64_t")
    assert text != MODULE
    assert compile_cpp(folder, text, compiler, "17")[1].returncode
