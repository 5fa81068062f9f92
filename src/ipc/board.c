/* board.c - reads need no lock: each number has one writer, and a sum that is a few events old is a
 * true one. */
#include "ipc/board.h"

#include "base/check.h"

#define WAKEUPS                                                                                    \
    "cserver_wakeups_total", "Returns from waiting for events, by the first cause.", "cause"

static const struct board_counter counters[IPC_COUNTERS] = {
    [IPC_ACCEPTS] = {.name = "cserver_accepts_total", .help = "Connections accepted."},
    [IPC_ACCEPT_EMPTY] = {.name = "cserver_accept_empty_total",
                          .help = "Attempts to accept that found no connection waiting."},
    [IPC_ACCEPT_FULL] = {.name = "cserver_accept_full_total",
                         .help = "Pauses in accepting because descriptors or memory ran out."},
    [IPC_TURN_TAKES] = {.name = "cserver_turn_takes_total",
                        .help = "Times the accept turn was taken."},
    [IPC_TURN_GIVES] = {.name = "cserver_turn_gives_total",
                        .help = "Times the accept turn was passed on."},
    [IPC_TURN_KICKS_SENT] = {.name = "cserver_turn_kicks_sent_total",
                             .help = "Sleeping workers woken to take the accept turn."},
    [IPC_TURN_KICKS_RECEIVED] = {.name = "cserver_turn_kicks_received_total",
                                 .help = "Times a worker was woken to take the accept turn."},
    [IPC_TURN_RECOVERED] = {.name = "cserver_turn_recovered_total",
                            .help = "Times the accept turn was taken over from a dead worker."},
    [IPC_TURN_KICKS_FUTILE] =
        {.name = "cserver_turn_kicks_futile_total",
         .help = "Times a worker was woken to take the accept turn and somebody else had it."},
    [IPC_WAKEUPS_KICK] = {WAKEUPS, "kick"},
    [IPC_WAKEUPS_LISTENER] = {WAKEUPS, "listener"},
    [IPC_WAKEUPS_CONNECTION] = {WAKEUPS, "connection"},
    [IPC_WAKEUPS_BELL] = {WAKEUPS, "bell"},
    [IPC_WAKEUPS_TIMER] = {WAKEUPS, "timer"},
    [IPC_WAKEUPS_NOTHING] = {WAKEUPS, "nothing"},
    [IPC_CONNECTIONS] = {.name = "cserver_connections_opened_total", .help = "Connections begun."},
    [IPC_REQUESTS] = {.name = "cserver_requests_total",
                      .help = "Requests that ended: answered, or the client went away."},
    [IPC_STATUS_1XX] = {.name = "cserver_responses_1xx_total",
                        .help = "Responses with a status of 100 to 199."},
    [IPC_STATUS_2XX] = {.name = "cserver_responses_2xx_total",
                        .help = "Responses with a status of 200 to 299."},
    [IPC_STATUS_3XX] = {.name = "cserver_responses_3xx_total",
                        .help = "Responses with a status of 300 to 399."},
    [IPC_STATUS_4XX] = {.name = "cserver_responses_4xx_total",
                        .help = "Responses with a status of 400 to 499."},
    [IPC_STATUS_5XX] = {.name = "cserver_responses_5xx_total",
                        .help = "Responses with a status of 500 to 599."},
    [IPC_BYTES_IN] = {.name = "cserver_bytes_in_total", .help = "Bytes received from clients."},
    [IPC_BYTES_OUT] = {.name = "cserver_bytes_out_total", .help = "Bytes sent to clients."},
    [IPC_BAD_REQUEST] =
        {.name = "cserver_bad_requests_total",
         .help = "Requests refused because their head or body breaks the rules of HTTP."},
    [IPC_LIMIT_HEAD] = {.name = "cserver_limit_head_total",
                        .help = "Requests refused because their head, target, chunk extensions or "
                                "trailers are too long."},
    [IPC_LIMIT_BODY] = {.name = "cserver_limit_body_total",
                        .help = "Requests refused because their body is too long."},
    [IPC_LIMIT_CONNECTIONS] =
        {.name = "cserver_limit_connections_total",
         .help = "Connections refused or closed early because there are too many."},
    [IPC_TIMEOUT_HEAD] = {.name = "cserver_timeout_head_total",
                          .help = "Connections closed because the request head took too long."},
    [IPC_TIMEOUT_BODY] = {.name = "cserver_timeout_body_total",
                          .help = "Connections closed because the request body took too long."},
    [IPC_TIMEOUT_IDLE] = {.name = "cserver_timeout_idle_total",
                          .help = "Connections closed because no further request came."},
    [IPC_TIMEOUT_WRITE] = {.name = "cserver_timeout_write_total",
                           .help =
                               "Connections closed because the client read its answer too slowly."},
    [IPC_TIMEOUT_HANDLER] = {.name = "cserver_timeout_handler_total",
                             .help = "Requests ended because a handler took too long to answer."},
    [IPC_CLIENT_GONE] = {.name = "cserver_client_gone_total",
                         .help = "Clients that went away before their answer was complete."},
    [IPC_HANDLER_ERRORS] = {.name = "cserver_handler_errors_total",
                            .help = "Errors that handlers reported."},
    [IPC_REGEX_LIMIT] =
        {.name = "cserver_regex_limit_total",
         .help = "Requests answered with 500 because a regex of a route ran into its limits."},
    [IPC_LOG_ENTRIES] = {.name = "cserver_log_entries_total",
                         .help = "Requests that an access log is to have a line of."},
    [IPC_LOG_LINES] = {.name = "cserver_log_lines_total",
                       .help = "Lines written to the access log."},
    [IPC_LOG_BLOCKED] = {.name = "cserver_log_blocked_total",
                         .help = "Writes to the access log that took longer than 10 ms."},
    [IPC_LOG_DROPPED] = {.name = "cserver_log_dropped_total",
                         .help = "Lines lost because the access log could not be written, or "
                                 "their process was killed."},
    [IPC_STREAM_MESSAGES] = {.name = "cserver_stream_messages_total",
                             .help = "Messages sent to streams, counted for each stream."},
    [IPC_STREAM_BYTES] = {.name = "cserver_stream_bytes_total",
                          .help = "Bytes of messages sent to streams."},
    [IPC_STREAM_SLOW] = {.name = "cserver_streams_slow_total",
                         .help = "Streams closed because the client read too slowly."},
    [IPC_STREAM_SKIPPED] = {.name = "cserver_stream_skipped_total",
                            .help =
                                "Messages that streams missed because the client read too slowly."},
    [IPC_STREAMS_MOVED] = {.name = "cserver_streams_moved_total",
                           .help = "Streams that a draining worker gave to another one."},
    [IPC_STREAMS_ADOPTED] = {.name = "cserver_streams_adopted_total",
                             .help = "Streams that a worker took from a draining one."},
    [IPC_STREAMS_CLOSED] =
        {.name = "cserver_streams_closed_total",
         .help = "Streams ended because their worker drained and they could not move."},
    [IPC_BAD_PROXY] =
        {.name = "cserver_bad_proxy_total",
         .help = "Connections closed because they did not begin with a good PROXY header."},
    [IPC_DISK_READS] =
        {.name = "cserver_disk_reads_total",
         .help = "Pieces of files that were not in memory, and were handed to a thread."},
    [IPC_DISK_TIMEOUT] =
        {.name = "cserver_timeout_disk_total",
         .help = "Connections closed because the disk did not give what was to be sent."},
    [IPC_TASK_WAITS] = {.name = "cserver_task_waits_total",
                        .help = "Times that handlers have waited on a stack of their own."},
    [IPC_TASK_NO_STACK] = {.name = "cserver_task_no_stack_total",
                           .help = "Requests refused because there was no stack for a task."},
    [IPC_FETCHES] = {.name = "cserver_fetches_total",
                     .help = "Requests of modules to other servers, subrequests among them."},
    [IPC_FETCH_CONNECTS] = {.name = "cserver_fetch_connects_total",
                            .help = "Connections made to other servers."},
    [IPC_FETCH_REUSES] = {.name = "cserver_fetch_reuses_total",
                          .help =
                              "Requests to other servers that a kept connection was taken for."},
    [IPC_FETCH_REPEATS] =
        {.name = "cserver_fetch_repeats_total",
         .help = "Requests sent once more because the other server had closed a kept connection."},
    [IPC_FETCH_NO_NAME] = {.name = "cserver_fetch_no_name_total",
                           .help = "Requests to hosts that have no address."},
    [IPC_FETCH_NO_CONNECT] = {.name = "cserver_fetch_no_connect_total",
                              .help = "Requests to servers that took no connection."},
    [IPC_FETCH_TIMEOUT] = {.name = "cserver_fetch_timeout_total",
                           .help = "Requests to servers that took too long."},
    [IPC_FETCH_BROKEN] =
        {.name = "cserver_fetch_broken_total",
         .help = "Requests to servers that ended the connection before their answer was whole."},
    [IPC_FETCH_BAD] = {.name = "cserver_fetch_bad_total",
                       .help = "Requests to servers whose answers break the rules of HTTP."},
    [IPC_SUBREQUESTS] = {.name = "cserver_subrequests_total",
                         .help = "Requests of modules to routes of this server."},
};

const struct board_counter *board_counter(enum ipc_counter c)
{
    check((unsigned)c < IPC_COUNTERS);
    return &counters[c];
}

uint64_t board_get(const struct region *r, int slot, enum ipc_counter c)
{
    check(slot >= 0 && (unsigned)slot < r->nslots && (unsigned)c < IPC_COUNTERS);
    return atomic_load_explicit(&r->slots[slot].counters[c], memory_order_relaxed);
}

uint64_t board_sum(const struct region *r, enum ipc_counter c)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < r->nslots; i++)
        sum += board_get(r, (int)i, c);
    return sum;
}

static const struct board_histogram histograms[IPC_HISTOGRAMS] = {
    [IPC_HOLD] = {"cserver_turn_hold_seconds",
                  "Time from a listener's first event until the turn was passed on."},
    [IPC_GIVE_TO_TAKE] = {"cserver_turn_give_to_take_seconds",
                          "Time from when the turn was passed on until the worker took it."},
};

const struct board_histogram *board_histogram(enum ipc_histogram h)
{
    check((unsigned)h < IPC_HISTOGRAMS);
    return &histograms[h];
}

uint64_t board_module_sum(const struct region *r, unsigned index)
{
    check(index < IPC_MODULE_COUNTERS);
    uint64_t sum = 0;
    for (unsigned i = 0; i < r->nslots; i++)
        sum += atomic_load_explicit(&r->slots[i].module_counters[index], memory_order_relaxed);
    return sum;
}

const struct ipc_module *board_module(const struct region *r, unsigned number)
{
    if (number == 0 || number >= IPC_MODULES ||
        !atomic_load_explicit(&r->modules[number].used, memory_order_acquire))
        return NULL;
    return &r->modules[number];
}

bool board_is_quarantined(const struct region *r, const struct ipc_module *m)
{
    uint32_t until = atomic_load_explicit(&m->quarantined, memory_order_relaxed);
    return until > 0 && until >= atomic_load_explicit(&r->header->generation, memory_order_relaxed);
}

int board_active(const struct region *r)
{
    int sum = 0;
    for (unsigned i = 0; i < r->nslots; i++)
        sum += atomic_load_explicit(&r->slots[i].active, memory_order_relaxed);
    return sum;
}

const char *board_state_name(enum ipc_state s)
{
    static const char *const names[IPC_STATES] = {
        [IPC_FREE] = "free",
        [IPC_STARTING] = "starting",
        [IPC_READY] = "ready",
        [IPC_DRAINING] = "draining",
    };
    return (unsigned)s < IPC_STATES ? names[s] : "unknown";
}

uint64_t board_unwritten(const struct region *r, int slot)
{
    return board_get(r, slot, IPC_LOG_ENTRIES) - board_get(r, slot, IPC_LOG_LINES) -
           board_get(r, slot, IPC_LOG_DROPPED);
}

/* The park state goes first, so that nobody kicks the dead any more; the kick goes after it,
 * because a kick left behind would make everybody think that the successor has been woken. */
void board_bury(struct region *r, int slot)
{
    struct ipc_slot *s = region_slot(r, slot);
    region_add(s, IPC_LOG_DROPPED, board_unwritten(r, slot));
    atomic_store_explicit(&s->crumb.where, 0, memory_order_relaxed);
    atomic_store_explicit(&s->crumb.request, 0, memory_order_relaxed);
    atomic_store_explicit(&s->crumb.waits_for, 0, memory_order_relaxed);
    atomic_store_explicit(&s->crumb.signal, 0, memory_order_relaxed);
    atomic_store_explicit(&s->crumb.refused, 0, memory_order_relaxed);
    atomic_store(&s->park, IPC_RUN);
    atomic_store(&s->kick, 0);
    atomic_store_explicit(&s->fit, IPC_UNFIT, memory_order_relaxed);
    atomic_store_explicit(&s->lost, 0, memory_order_relaxed);
    atomic_store_explicit(&s->recycle, 0, memory_order_relaxed);
    atomic_store_explicit(&s->active, 0, memory_order_relaxed);
    atomic_store_explicit(&s->max, 0, memory_order_relaxed);
    atomic_store_explicit(&s->streams, 0, memory_order_relaxed);
    atomic_store_explicit(&s->fetch_conns, 0, memory_order_relaxed);
    atomic_store_explicit(&s->fetch_idle, 0, memory_order_relaxed);
    atomic_store_explicit(&s->tasks, 0, memory_order_relaxed);
    atomic_store_explicit(&s->task_stacks, 0, memory_order_relaxed);
    atomic_store_explicit(&s->drain_since, 0, memory_order_relaxed);
    atomic_store_explicit(&s->idle, 0, memory_order_relaxed);
    atomic_store_explicit(&s->heirs, 0, memory_order_relaxed);
    atomic_store_explicit(&s->pid, 0, memory_order_relaxed);
    atomic_store_explicit(&s->state, IPC_FREE, memory_order_release);
}
