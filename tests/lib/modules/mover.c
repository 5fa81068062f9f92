/* mover.c - streams that move, with a module that does not always want them to: GET subscribes, POST publishes, and each
 * message is a line with its number, and one of 1000 bytes for each further byte that was said. What happens at the at-th stream that comes is a setting. */
#include <cserver/cserver.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum {
    TAKE,
    REFUSE,   /* this one and all that follow */
    FULL,     /* the same */
    STAY,     /* on_save says no, from the at-th on */
    TALK,     /* on_save sends something */
    DIE,      /* once in the life of the marker file: this worker */
    KILL_OLD, /* once: the worker that it comes from */
    STOP_OLD, /* once: SIGSTOP for that one */
    STOP,     /* once: SIGSTOP for this worker */
    SLOW,     /* each takes 10 ms */
    POISON    /* the first one that is saved kills each worker that it comes to */
};
static const char *const words[] = {"take",     "refuse",   "full", "stay", "talk",   "die",
                                    "kill_old", "stop_old", "stop", "slow", "poison", NULL};

struct conf {
    int64_t then, at, room;
    cs_str marker;
};

struct saved {
    pid_t from;
    int deadly;
    uint64_t told;
};

static const struct conf *conf;
static cs_topic *topic;
static cs_group *clients;
static uint64_t told;
static int64_t adopted, asked;

static void on_message(const cs_msg *m)
{
    told = m->number;
    cs_group_sendf(clients, "%llu\n#%0*d\n", (unsigned long long)m->number,
                   (int)m->len * 1000 - 999, 0);
}

static int worker_start(cs_proc *p)
{
    conf = cs_module_conf(p);
    clients = cs_group_new(p, .max_streams = conf->room, .high_water = 1 << 26);
    return CS_OK;
}

static int on_save(cs_stream *s, void *to, size_t room)
{
    static const cs_stream *poison;
    if (!poison)
        poison = s;
    struct saved saved = {getpid(), conf->then == POISON && s == poison, told};
    if (room < 256 || (conf->then == STAY && ++asked >= conf->at))
        return CS_ERROR;
    if (conf->then == TALK)
        cs_stream_send(s, "talk\n");
    memcpy(to, &saved, sizeof saved);
    return sizeof saved;
}

static _Bool is_first(void)
{
    int fd = open(conf->marker.p, O_CREAT | O_EXCL | O_WRONLY, 0600);
    return fd >= 0 && close(fd) == 0;
}

static void strike(pid_t from)
{
    if (conf->then < DIE || conf->then > STOP || !is_first())
        return;
    kill(conf->then == DIE || conf->then == STOP ? getpid() : from,
         conf->then == DIE || conf->then == KILL_OLD ? SIGKILL : SIGSTOP);
}

static int say_again(const cs_msg *m, void *s)
{
    char text[32];
    int n = 0;
    for (uint64_t v = m->number; v || !n; v /= 10)
        text[31 - ++n] = (char)('0' + v % 10);
    text[31] = '\n';
    cs_stream_send(s, ((cs_str){text + 31 - n, (size_t)n + 1}));
    return 0;
}

static int on_adopt(cs_stream *s, cs_str bytes)
{
    struct saved saved;
    if (bytes.n != sizeof saved)
        return CS_ERROR;
    memcpy(&saved, bytes.p, sizeof saved);
    if (++adopted >= conf->at && conf->then == REFUSE)
        return CS_ERROR;
    if (adopted >= conf->at && conf->then == FULL)
        return CS_AGAIN;
    if (saved.deadly)
        kill(getpid(), SIGKILL);
    if (adopted == conf->at)
        strike(saved.from);
    if (conf->then == SLOW)
        usleep(10000);
    int rc = cs_group_join(clients, s);
    if (rc == CS_OK)
        cs_replay(topic, CS_SINCE_SAVE, say_again, s);
    return rc;
}

static int handler(cs_req *r)
{
    if (cs_is(r, "POST"))
        return cs_publish(topic, CS_TO_WORKERS, cs_body(r).p, cs_body(r).n) == CS_OK ? 204 : 503;
    /* outside of on_adopt there is no such number */
    if (cs_replay(topic, CS_SINCE_SAVE, say_again, NULL) != CS_ERROR)
        return 500;
    cs_stream *s = cs_detach(r, 200);
    return s ? cs_group_join(clients, s) : 503;
}

static const cs_topic_def topics[] = {{&topic, "mover", on_message, 4096, 0}, {0}};
static const cs_directive directives[] = {
    CS_ENUM(struct conf, then, "take", words, 0, "What happens."),
    CS_INT(struct conf, at, "1", 1, 1000000, 0, "At which stream."),
    CS_INT(struct conf, room, "100000", 1, 1000000, 0, "Most streams."),
    CS_STRING(struct conf, marker, "", 0, 200, 0, "The file."),
    CS_END,
};

CS_MODULE(.name = "mover", .version = "1.0", .help = "Streams that move, or do not.",
          .directives = directives, .conf_size = sizeof(struct conf), .topics = topics,
          .worker_start = worker_start, .handler = handler, .on_save = on_save,
          .on_adopt = on_adopt);
