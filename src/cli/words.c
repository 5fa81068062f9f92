/* words.c - see words.h. */
#include "cli/words.h"

#include "base/mem.h"

#include <string.h>

static bool is_one_of(const char *word, const char *const words[])
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

bool words_is_command(const char *word)
{
    static const char *const words[] = {"stop",    "quit",   "reload", "reopen",
                                        "upgrade", "status", NULL};

    return is_one_of(word, words);
}

static int take_verb(struct options *o, const char *word, struct buf *error)
{
    static const char *const verbs[] = {"send", "tail", "topics", NULL};

    o->verb = word;
    if (is_one_of(word, verbs))
        return 0;
    buf_printf(error, "msg takes send, tail or topics, not \"%s\"", word);
    return -1;
}

static int take_msg_word(struct options *o, const char *word, struct buf *error)
{
    if (!o->verb)
        return take_verb(o, word, error);
    if (!o->topic && strcmp(o->verb, "topics") != 0)
        o->topic = word;
    else if (!o->data && strcmp(o->verb, "send") == 0)
        o->data = word;
    else {
        buf_printf(error, "what is \"%s\"? msg %s takes %s", word, o->verb,
                   o->verb[0] == 's'   ? "one topic and one DATA: quote what has blanks"
                   : o->verb[1] == 'a' ? "one topic"
                                       : "no topic, it tells about all");
        return -1;
    }
    return 0;
}

static const struct words_verb verbs[] = {
    {"new", "a name, and perhaps a folder", 1, 2},
    {"build", "a folder, or C files", 0, SIZE_MAX},
    {"check", "module files", 1, SIZE_MAX},
    {"info", "module files", 1, SIZE_MAX},
    {"list", "no file: -c FILE names settings", 0, 0},
};

const struct words_verb *words_verb(const char *word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].word, word) == 0)
            return &verbs[i];
    return NULL;
}

static int take_module_word(struct options *o, const char *word, struct buf *error)
{
    if (!o->verb) {
        o->verb = word;
        if (words_verb(word))
            return 0;
        buf_printf(error, "module takes new, build, check, info or list, not \"%s\"", word);
        return -1;
    }
    o->words = mem_resize(o->words, (o->nwords + 1) * sizeof *o->words);
    o->words[o->nwords++] = word;
    return 0;
}

static int take_request(struct options *o, const char *word, struct buf *error)
{
    if (!o->request) {
        o->request = word;
        return 0;
    }
    buf_printf(error,
               "what is \"%s\"? explain takes one request: quote it, as in cserver explain '%s %s'",
               word, o->request, word);
    return -1;
}

int words_take(struct options *o, const char *word, struct buf *error)
{
    if (o->msg)
        return take_msg_word(o, word, error);
    if (o->module)
        return take_module_word(o, word, error);
    if (o->explain)
        return take_request(o, word, error);
    if (o->diff && !o->file) {
        o->file = word;
        return 0;
    }
    if (o->diff) {
        buf_printf(error, "what is \"%s\"? diff takes one FILE", word);
        return -1;
    }
    o->msg = strcmp(word, "msg") == 0;
    o->module = strcmp(word, "module") == 0;
    o->diff = strcmp(word, "diff") == 0;
    o->explain = strcmp(word, "explain") == 0;
    if (o->msg || o->module || o->diff || o->explain)
        return 0;
    buf_printf(error, "what is \"%s\"? Options begin with -", word);
    if (words_is_command(word))
        buf_printf(error, "; did you mean -s %s?", word);
    return -1;
}
