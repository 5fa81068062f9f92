/* reference.c - the page docs/cserver.ini.md: the rules of the file, then every key from the tables
 * that check it. */
#include "conf/conf.h"
#include "conf/schema.h"

static const char rules[] =
    "# cserver.ini\n"
    "\n"
    "The settings of cserver. This page is made from the tables that check the file: `cserver "
    "--reference`\n"
    "prints it, `cserver -t` checks a file, `cserver -T` shows what holds and where each value "
    "comes from.\n"
    "\n"
    "## The file\n"
    "\n"
    "```ini\n"
    "; a comment; so is a line that starts with #\n"
    "include = sites/*.ini       ; other files, in alphabetical order\n"
    "\n"
    "[server]                    ; a section\n"
    "workers = auto              ; a key and its value; a comment behind a value is a blank and "
    "\";\"\n"
    "\n"
    "[site:main]                 ; a section with a label, its name in logs and errors\n"
    "host = example.com,         ; a list: commas or lines of their own\n"
    "    www.example.com\n"
    "root = ${env.WWW:/srv/www}  ; from the environment, with a default\n"
    "```\n"
    "\n"
    "- The file is UTF-8 with plain line ends. Each section and, but for lists, each key stands "
    "once.\n"
    "- A section is `[kind]` or `[kind:label]`. A label has at most 39 letters, digits, `_`, `.` "
    "and `-`.\n"
    "- A key is `name = value` and starts at the beginning of its line; only `=` separates the "
    "two.\n"
    "- An indented line goes on with the value above it: a list gets elements, a text a blank and "
    "the line, a\n"
    "  path or a `match` just the line. A value may be 64 KiB long.\n"
    "- Quotes: a value that starts with `\"` runs to the closing quote on the same line, and keeps "
    "`;`, `#` and\n"
    "  blanks. Inside, a quote is `\\\"` and a backslash `\\\\`. In a list, a line in quotes is "
    "one element.\n"
    "- Same key twice: an error, but a list gets the elements of both.\n"
    "- `${env.NAME}` and `${env.NAME:default}` take a variable of the environment when the file is "
    "read; the first form\n"
    "  needs it to be set. A plain `${` is written `$${`.\n"
    "- Values *with variables* also take those of a request, such as `${host}`: "
    "[all of them](settings.md#variables).\n"
    "  Elsewhere other names in `${...}` are refused.\n"
    "- `include` stands in `[server]` or before the first section. Names are relative to the file "
    "that includes. A\n"
    "  pattern that matches nothing is fine, a missing file is an error.\n"
    "- `-g section.key=value` and `-g kind:label.key=value` on the command line win over the "
    "file.\n"
    "\n"
    "Values: a size is a number of bytes with k, m, g or t (`8k`); a time needs a unit, ms, s, m, "
    "h or d (`30s`), but\n"
    "for 0; a switch is `on` or `off`. A relative path starts at the prefix: for "
    "`P/conf/cserver.ini` that is `P`,\n"
    "for the installed file the folder that the server was installed below, else the file's own "
    "folder; `-p` names\n"
    "another.\n"
    "\n"
    "A module's own keys stand in `[module:NAME]`. Those marked *route* may also stand in "
    "`[site:...]` and\n"
    "`[route:...]`; what is set on the route wins over the site, and that over the module; a list "
    "replaces the\n"
    "list of the level above, but those marked *adds up* come behind it. There they are written "
    "plainly, or\n"
    "`NAME.key` where two modules have the same key.\n"
    "\n"
    "A reload starts new workers, unless all that has changed are keys marked *run-time*: those "
    "the "
    "running workers take.\n"
    "What is marked *restart* stays as it is until the server is started anew. `cserver diff` "
    "shows "
    "what a reload would do.\n";

static void add_escaped(struct buf *out, const char *z)
{
    for (; *z; z++) {
        if (*z == '|' || *z == '\\' || *z == '*' || *z == '<')
            buf_add_char(out, '\\');
        buf_add_char(out, *z);
    }
}

static void add_default(const cs_directive *d, struct buf *out)
{
    if (d->def && d->def[0])
        buf_printf(out, "`%s`", d->def);
    else if (d->flags & CS_REQUIRED)
        buf_add_z(out, d->flags & CS_ONE_OF ? "*one is required*" : "*required*");
    else
        buf_add_z(out, "(empty)");
}

/* core: these flags mean something in the tables of the core only. */
static void add_row(const cs_directive *d, bool core, struct buf *out)
{
    struct buf takes = {0};

    schema_accepts(d, &takes);
    buf_printf(out, "| `%s` | ", d->name);
    add_escaped(out, takes.p);
    buf_add_z(out, " | ");
    add_default(d, out);
    buf_add_z(out, " | ");
    add_escaped(out, d->help);
    if (d->flags & CS_PER_ROUTE)
        buf_add_z(out, d->flags & CS_ADDS ? " *(route, adds up)*" : " *(route)*");
    if (core && d->flags & CONF_RUNTIME)
        buf_add_z(out, " *(run-time)*");
    if (core && d->flags & CONF_RESTART)
        buf_add_z(out, " *(restart)*");
    if (d->flags & CS_SECRET)
        buf_add_z(out, " `-T` does not show it.");
    buf_add_z(out, " |\n");
    buf_free(&takes);
}

static void add_table(const cs_directive *table, bool core, struct buf *out)
{
    buf_add_z(out, "\n| key | value | default | |\n|---|---|---|---|\n");
    for (const cs_directive *d = table; d->type != CS_T_END; d++)
        add_row(d, core, out);
}

static void add_kind(const struct conf_kind *k, struct buf *out)
{
    buf_printf(out, "\n## [%s%s]\n\n", k->name, k->labelled ? ":label" : "");
    add_escaped(out, k->help);
    buf_add_char(out, '\n');
    add_table(k->table, true, out);
}

void conf_reference_module(const cs_module *m, struct buf *out)
{
    buf_printf(out, "\n## [module:%s]\n\n", m->name);
    add_escaped(out, m->help ? m->help : "");
    buf_add_char(out, '\n');
    if (m->directives && m->directives->type != CS_T_END)
        add_table(m->directives, false, out);
    else
        buf_add_z(out, "\nIt has no keys of its own.\n");
}

void conf_reference(const cs_module *const *modules, size_t n, struct buf *out)
{
    buf_add_z(out, rules);
    for (const struct conf_kind *k = conf_kinds; k->name; k++)
        add_kind(k, out);
    for (size_t i = 0; i < n; i++)
        conf_reference_module(modules[i], out);
}
