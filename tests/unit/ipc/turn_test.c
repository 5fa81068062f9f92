/* The accept turn: who is kicked, what a broken or orphaned lock does, and a storm of SIGKILLs. */
#include "ipc/turn.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/board.h"
#include "os/child.h"
#include "os/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 4
#define W0      IPC_SLOT_WORKERS
#define MANY    10000

static struct region region;
static struct turn turns[WORKERS];
static int log_file;

/* All slots of the test are fit, running and without connections. */
static int set_up(void **state)
{
    (void)state;
    log_file = memfd_create("log", MFD_CLOEXEC);
    log_open(log_file, false);
    if (region_new(&region, WORKERS) < 0)
        return -1;
    for (int i = 0; i < WORKERS; i++) {
        turn_init(&turns[i], &region, W0 + i);
        atomic_store(&turns[i].me->fit, IPC_FIT);
        atomic_store(&turns[i].me->state, IPC_READY);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_open(2, false);
    fd_close(&log_file);
    region_free(&region);
    return 0;
}

static int log_count(const char *words)
{
    static char text[65536];
    ssize_t n = pread(log_file, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    int count = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
        count++;
    return count;
}

static uint64_t own(int worker, enum ipc_counter c)
{
    return board_get(&region, W0 + worker, c);
}

/* Which workers have been rung: a bit each. Drains the bells. */
static unsigned rung(void)
{
    unsigned set = 0;
    for (int i = 0; i < WORKERS; i++)
        set |= fd_event_drain(region.bells[W0 + i]) ? 1u << i : 0;
    return set;
}

static void test_take_and_give(void **state)
{
    (void)state;
    assert_true(turn_take(&turns[0]));
    assert_true(turn_take(&turns[0]));
    assert_int_equal(atomic_load(&region.turn->owner), W0);
    assert_false(turn_take(&turns[1]));
    turn_give(&turns[1]);
    assert_false(turn_take(&turns[1]));
    turn_give(&turns[0]);
    turn_give(&turns[0]);
    assert_int_equal(atomic_load(&region.turn->owner), -1);
    assert_true(turn_take(&turns[1]));
    turn_give(&turns[1]);
    assert_int_equal(own(0, IPC_TURN_TAKES), 1);
    assert_int_equal(own(0, IPC_TURN_GIVES), 1);
    assert_int_equal(own(1, IPC_TURN_TAKES), 1);
    assert_int_equal(own(1, IPC_TURN_GIVES), 1);
    assert_int_equal(board_sum(&region, IPC_TURN_RECOVERED), 0);
    assert_int_equal(rung(), 0);
}

/* Each column is one worker: p parked, r running, k parked with a kick not yet seen, l the same and declared lost, u
 * parked but unfit, f parked and full, F running and full, s parked and a stranger (takes no turns); then its open
 * connections. Worker `giver` has the turn and gives it. */
struct give_row {
    const char *label;
    int giver;
    const char *parked;
    int active[WORKERS];
    int expect; /* worker that is rung, -1: nobody */
    int max;    /* connections of each, 0 = MANY */
    bool least; /* pick = least */
};

static const struct give_row give_rows[] = {
    {"nobody sleeps", 0, "rrrr", {0}, -1},
    {"one sleeps", 0, "rrpr", {0}, 2},
    {"the next in the ring", 0, "rppp", {0}, 1},
    {"the ring goes round", 3, "pppr", {0}, 0},
    {"round, the first is busy", 3, "rppr", {0}, 1},
    {"from the middle", 1, "prpp", {0}, 2},
    {"itself is not asked", 2, "rrpr", {0}, -1},
    {"unfit sleepers are passed over", 0, "ruup", {0}, 3},
    {"only unfit ones sleep", 0, "ruuu", {0}, -1},
    {"a kick on its way is enough", 0, "rkpp", {0}, -1},
    {"a light one before a loaded one", 0, "rppr", {0, 100, 0, 0}, 2},
    {"a loaded one before none", 0, "rprr", {0, 100, 0, 0}, 1},
    {"within the margin counts as light", 0, "rppr", {0, 16, 0, 0}, 1},
    {"an eighth above a large mean is light", 0, "rppr", {1000, 1160, 1000, 1000}, 1},
    {"more than that is not", 0, "rppr", {1000, 1300, 1000, 1000}, 2},
    {"the least loaded is not sought", 0, "rppp", {30, 30, 0, 0}, 1},
    {"unfit ones do not count in the mean", 0, "rpup", {0, 30, 9000, 0}, 3},
    {"all are loaded alike", 0, "rppp", {5000, 5000, 5000, 5000}, 1},
    {"loaded ones in ring order", 2, "pprr", {900, 900, 0, 0}, 0},
    {"7/8 of the room is loaded", 0, "rppr", {0, 14, 13, 0}, 2, 16},
    {"below 7/8 of the room is not", 0, "rppr", {0, 13, 13, 0}, 1, 16},
    {"7/8 of the room before none", 0, "rprr", {15, 15, 15, 15}, 1, 16},
    {"7/8 of very little room", 0, "rppr", {0, 7, 6, 0}, 2, 8},
    {"room for one", 0, "rppr", {0, 0, 0, 0}, 1, 1},
    {"a fit one before a full one", 0, "rffp", {0}, 3},
    {"a loaded fit one before a full one", 0, "rffp", {0, 0, 0, 900}, 3},
    {"no full one while somebody runs and is fit", 0, "Fffr", {0}, -1},
    {"no full one while the giver is fit", 0, "rfff", {0}, -1},
    {"a full one when nobody is fit", 0, "FFfu", {0}, 2},
    {"full ones in ring order", 2, "ffFu", {0}, 0},
    {"a full one with a kick on its way", 0, "Fkff", {0}, -1},
    {"the lost one is passed over", 0, "rlpr", {0}, 2},
    {"only a lost one sleeps", 0, "rlrr", {0}, -1},
    {"a full one when the fit ones are lost", 0, "Flfl", {0}, 2},
    {"a lost one does not count in the mean", 0, "rplp", {0, 30, 9000, 0}, 3},
    {"strangers are passed over", 0, "rssp", {0}, 3},
    {"only strangers sleep", 0, "rsss", {0}, -1},
    {"a full one though strangers are fit", 0, "Fsfs", {0}, 2},
    {"least: the next of equals", 0, "rppp", {0}, 1, 0, true},
    {"least: not the next", 0, "rppp", {0, 3, 2, 5}, 2, 0, true},
    {"least: the last", 0, "rppp", {0, 3, 2, 1}, 3, 0, true},
    {"least: only sleepers", 0, "rprp", {0, 3, 0, 5}, 1, 0, true},
    {"least: loaded ones too", 0, "rppr", {0, 900, 800, 0}, 2, 0, true},
    {"least: itself is not asked", 1, "pppr", {7, 0, 8, 0}, 0, 0, true},
    {"least: full ones", 0, "Fffu", {8, 8, 7, 0}, 2, 0, true},
    {"least: not the lost one", 0, "rlpp", {0, 0, 4, 3}, 3, 0, true},
    {"least: a kick on its way is enough", 0, "rkpp", {0, 1, 2, 3}, -1, 0, true},
};

static enum ipc_fit fit_of(char c)
{
    return c == 'u' ? IPC_UNFIT : c == 'f' || c == 'F' ? IPC_FULL : IPC_FIT;
}

static void arrange(const struct give_row *row)
{
    for (int i = 0; i < WORKERS; i++) {
        struct ipc_slot *s = turns[i].me;
        char c = row->parked[i];
        atomic_store(&s->park, c == 'r' || c == 'F' ? IPC_RUN : IPC_PARK);
        atomic_store(&s->kick, c == 'k' || c == 'l');
        atomic_store(&s->lost, c == 'l');
        atomic_store(&s->fit, fit_of(c));
        atomic_store(&s->active, row->active[i]);
        atomic_store(&s->max, row->max ? row->max : MANY);
        turns[i].takes = c != 's';
        atomic_store(&s->takes, c != 's');
        turns[i].least = row->least;
    }
}

/* Fit or not, as a worker that has had the turn for a while. */
static void take_by_force(struct turn *t)
{
    uint32_t fit = atomic_exchange(&t->me->fit, IPC_FIT);
    assert_true(turn_take(t));
    atomic_store(&t->me->fit, fit);
}

static void check_kick(const struct give_row *row, uint64_t sent)
{
    unsigned expect = row->expect < 0 ? 0 : 1u << row->expect, got = rung();
    if (got != expect)
        fail_msg("%s: rung %#x, expected %#x", row->label, got, expect);
    if (own(row->giver, IPC_TURN_KICKS_SENT) - sent != (row->expect >= 0))
        fail_msg("%s: the kick is not counted", row->label);
    if (row->expect >= 0 && !turn_kicked(&turns[row->expect]))
        fail_msg("%s: no flag at the bell", row->label);
}

static void test_give_kicks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(give_rows); i++) {
        const struct give_row *row = &give_rows[i];
        arrange(row);
        uint64_t sent = own(row->giver, IPC_TURN_KICKS_SENT);
        take_by_force(&turns[row->giver]);
        turn_give(&turns[row->giver]);
        check_kick(row, sent);
    }
    print_message("rows: %zu\n", ARRAY_LEN(give_rows));
}

/* A worker that was kicked but drains: the same choice, without having had the turn. */
static void test_forward(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(give_rows); i++) {
        const struct give_row *row = &give_rows[i];
        arrange(row);
        uint64_t sent = own(row->giver, IPC_TURN_KICKS_SENT);
        uint64_t gives = own(row->giver, IPC_TURN_GIVES);
        turn_forward(&turns[row->giver]);
        check_kick(row, sent);
        assert_int_equal(own(row->giver, IPC_TURN_GIVES), gives);
    }
    print_message("rows: %zu\n", ARRAY_LEN(give_rows));
}

static void test_heard(void **state)
{
    (void)state;
    turn_park(&turns[1]);
    assert_int_equal(atomic_load(&turns[1].me->park), IPC_PARK);
    assert_false(turn_kicked(&turns[1]));
    turn_take(&turns[0]);
    turn_give(&turns[0]);
    turn_wake(&turns[1]);
    assert_int_equal(atomic_load(&turns[1].me->park), IPC_RUN);
    assert_true(turn_kicked(&turns[1]));
    assert_int_equal(rung(), 1u << 1);
    turn_answer(&turns[1]);
    assert_true(turns[1].have);
    turn_answer(&turns[1]);
    assert_false(turn_kicked(&turns[1]));
    assert_int_equal(own(1, IPC_TURN_KICKS_RECEIVED), 1);
    assert_int_equal(own(1, IPC_TURN_KICKS_FUTILE), 0);
    turn_give(&turns[1]);
}

static void test_others_parked(void **state)
{
    (void)state;
    static const struct {
        const char *label, *parked;
        bool expect;
    } rows[] = {
        {"all run", "rrrr", false},
        {"only itself sleeps", "prrr", false},
        {"another sleeps", "rrpr", true},
        {"only unfit ones sleep", "ruur", false},
        {"a kicked one sleeps", "rrrk", true},
        {"a lost one sleeps", "rrrl", false},
        {"a full one sleeps", "rrrf", false},
        {"a stranger sleeps", "rrrs", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        arrange(&(struct give_row){.parked = rows[i].parked});
        if (turn_others_parked(&turns[0]) != rows[i].expect)
            fail_msg("%s", rows[i].label);
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_overloaded(void **state)
{
    (void)state;
    static const struct {
        const char *label, *parked;
        int active[WORKERS];
        bool expect;
        int max;
    } rows[] = {
        {"no connections", "rrrr", {0, 0, 0, 0}, false},
        {"a few more than nothing", "rrrr", {16, 0, 0, 0}, false},
        {"mean 5, margin 16: not yet", "rrrr", {21, 0, 0, 0}, false},
        {"mean 5, margin 16: one more", "rrrr", {22, 0, 0, 0}, true},
        {"mean 200, margin 25: not yet", "rrrr", {225, 192, 192, 191}, false},
        {"mean 200, margin 25: one more", "rrrr", {226, 192, 192, 191}, true},
        {"everybody is busy", "rrrr", {900, 900, 900, 900}, false},
        {"others have more", "rrrr", {0, 900, 900, 900}, false},
        {"the unfit ones do not count", "ruuu", {500, 0, 0, 0}, false},
        {"the full ones do not count", "rfff", {500, 0, 0, 0}, false},
        {"the lost ones do not count", "rlll", {500, 0, 0, 0}, false},
        {"strangers do not count", "rsss", {500, 0, 0, 0}, false},
        {"full", "frrr", {0, 900, 900, 900}, true},
        {"7/8 of the room: not yet", "rrrr", {69, 69, 69, 69}, false, 80},
        {"7/8 of the room", "rrrr", {70, 70, 70, 70}, true, 80},
        {"7/8 of 1: never before it is full", "rrrr", {0, 0, 0, 0}, false, 1},
        {"7/8 of 8: one is left", "rrrr", {7, 7, 7, 7}, true, 8},
        {"7/8 of 8: two are left", "rrrr", {6, 6, 6, 6}, false, 8},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct give_row row = {.parked = rows[i].parked, .max = rows[i].max};
        memcpy(row.active, rows[i].active, sizeof(row.active));
        arrange(&row);
        if (turn_overloaded(&turns[0]) != rows[i].expect)
            fail_msg("%s", rows[i].label);
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

/* Who may take the turn when it is free: turn_take of worker 0. */
static void test_eligible(void **state)
{
    (void)state;
    static const struct {
        const char *label, *workers;
        bool expect;
    } rows[] = {
        {"fit", "rrrr", true},
        {"fit, the others are full", "rfFf", true},
        {"fit, the others are unfit", "ruuu", true},
        {"unfit", "urrr", false},
        {"unfit, and nobody else is there", "uuuu", false},
        {"unfit, the others are full", "ufff", false},
        {"full, all others are fit", "Frpk", false},
        {"full, one runs and is fit", "Fffr", false},
        {"full, one sleeps and is fit", "Fffp", false},
        {"full, a fit one has a kick", "Fffk", false},
        {"full, as all are", "FFff", true},
        {"full, the others are unfit", "Fuuu", true},
        {"full, the fit one is lost", "Fffl", true},
        {"full, one is lost and one is fit", "Flfr", false},
        {"full, the fit ones are strangers", "Fsss", true},
        {"a stranger", "srrr", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        arrange(&(struct give_row){.parked = rows[i].workers});
        if (turn_take(&turns[0]) != rows[i].expect)
            fail_msg("%s", rows[i].label);
        if (rows[i].workers[0] != 's' && turn_may(&turns[0]) != rows[i].expect)
            fail_msg("%s: turn_may", rows[i].label);
        turn_give(&turns[0]);
        rung();
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

/* Worker 0, without the turn, becomes something else: whom does it wake? */
static void test_fit(void **state)
{
    (void)state;
    static const struct {
        const char *label, *workers;
        enum ipc_fit to;
        int expect;
    } rows[] = {
        {"still fit", "rfff", IPC_FIT, -1},
        {"the last one fills up", "rfff", IPC_FULL, 1},
        {"the last one rests", "rfff", IPC_UNFIT, 1},
        {"another is fit and runs", "rffr", IPC_FULL, -1},
        {"another is fit and sleeps", "rffp", IPC_FULL, -1},
        {"the other fit one is lost", "rlff", IPC_FULL, 2},
        {"the full ones run", "rFFF", IPC_FULL, -1},
        {"the others are unfit", "ruuu", IPC_FULL, -1},
        {"the next full one is unfit", "rufu", IPC_UNFIT, 2},
        {"a full one rests", "Ffff", IPC_UNFIT, -1},
        {"a full one has room again", "Ffff", IPC_FIT, -1},
        {"a rest is over", "ufff", IPC_FIT, -1},
        {"a rest is over, but it is full", "ufff", IPC_FULL, -1},
        {"strangers are no comfort", "rssf", IPC_FULL, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        arrange(&(struct give_row){.parked = rows[i].workers});
        turn_fit(&turns[0], rows[i].to);
        unsigned expect = rows[i].expect < 0 ? 0 : 1u << rows[i].expect, got = rung();
        if (got != expect)
            fail_msg("%s: rung %#x, expected %#x", rows[i].label, got, expect);
        if (atomic_load(&turns[0].me->fit) != (uint32_t)rows[i].to)
            fail_msg("%s: not stored", rows[i].label);
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

/* Who has the turn tells when it gives it, and not before. */
static void test_fit_of_the_holder(void **state)
{
    (void)state;
    arrange(&(struct give_row){.parked = "rfff"});
    assert_true(turn_take(&turns[0]));
    turn_fit(&turns[0], IPC_FULL);
    assert_int_equal(rung(), 0);
    assert_true(turn_may(&turns[0]));
    turn_give(&turns[0]);
    assert_int_equal(rung(), 1u << 1);
}

static void test_answer(void **state)
{
    (void)state;
    static const struct {
        const char *label, *workers;
        bool kicked, busy, expect;
        int forwarded;
        unsigned futile;
    } rows[] = {
        {"free", "rrrr", true, false, true, -1, 0},
        {"somebody has it", "rrrr", true, true, false, -1, 1},
        {"a bell without a kick", "rrrr", false, true, false, -1, 0},
        {"unfit", "uprr", true, false, false, 1, 0},
        {"unfit, nobody sleeps", "urrr", true, false, false, -1, 0},
        {"full, and nobody is fit", "Ffff", true, false, true, -1, 0},
        {"full, and somebody is fit again", "Fffp", true, false, false, 3, 0},
        {"full, and the fit one runs", "Fffr", true, false, false, -1, 0},
        {"a stranger", "srrr", true, false, false, -1, 0},
        {"a stranger that is unfit", "sprr", true, false, false, -1, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        arrange(&(struct give_row){.parked = rows[i].workers});
        atomic_store(&turns[0].me->kick, rows[i].kicked);
        uint64_t futile = own(0, IPC_TURN_KICKS_FUTILE), got = own(0, IPC_TURN_KICKS_RECEIVED);
        if (rows[i].busy)
            assert_true(turn_take(&turns[2]));
        turn_answer(&turns[0]);
        if (turns[0].have != rows[i].expect || turn_kicked(&turns[0]))
            fail_msg("%s", rows[i].label);
        if (rung() != (rows[i].forwarded < 0 ? 0 : 1u << rows[i].forwarded))
            fail_msg("%s: forwarded to somebody else", rows[i].label);
        if (own(0, IPC_TURN_KICKS_FUTILE) - futile != rows[i].futile ||
            own(0, IPC_TURN_KICKS_RECEIVED) - got != rows[i].kicked)
            fail_msg("%s: counted wrongly", rows[i].label);
        turn_give(&turns[0]);
        turn_give(&turns[2]);
        rung();
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

/* Worker 0 has kicked worker 1, is back before that one has woken up, and tries again. */
static void test_promised(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        unsigned accepts; /* of worker 0; the others have none */
        enum {
            ASLEEP,
            AWAKE,
            HEARD,
            GONE,
            LOST,
            NEXT_ROUND
        } heir;
        bool expect;
    } rows[] = {
        {"as many as the others", 0, ASLEEP, true},
        {"a few more", 8, ASLEEP, true},
        {"clearly more", 40, ASLEEP, false},
        {"so many that another window begins", 1000, ASLEEP, true},
        {"it has woken up", 40, AWAKE, true},
        {"it has heard of it", 40, HEARD, true},
        {"it is not fit any more", 40, GONE, true},
        {"it is lost", 40, LOST, true},
        {"that was in the last round", 40, NEXT_ROUND, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ipc_slot *heir = turns[1].me;
        arrange(&(struct give_row){.parked = "rppp"});
        turns[0].mine_before = own(0, IPC_ACCEPTS);
        turns[0].all_before = turns[0].mine_before;
        region_add(turns[0].me, IPC_ACCEPTS, rows[i].accepts);
        assert_true(turn_take(&turns[0]));
        turn_give(&turns[0]);
        assert_int_equal(rung(), 1u << 1);
        if (rows[i].heir == AWAKE)
            atomic_store(&heir->park, IPC_RUN);
        if (rows[i].heir == HEARD)
            atomic_store(&heir->kick, 0);
        if (rows[i].heir == GONE)
            atomic_store(&heir->fit, IPC_UNFIT);
        if (rows[i].heir == LOST)
            atomic_store(&heir->lost, 1);
        if (rows[i].heir == NEXT_ROUND)
            turn_wake(&turns[0]);
        if (turn_take(&turns[0]) != rows[i].expect)
            fail_msg("%s", rows[i].label);
        turn_give(&turns[0]);
        rung();
        atomic_store(&heir->lost, 0);
        atomic_store(&heir->kick, 0);
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

/* A worker that wakes up, or goes to sleep, is not lost. */
static void test_lost(void **state)
{
    (void)state;
    arrange(&(struct give_row){.parked = "rlrr"});
    turn_wake(&turns[1]);
    assert_int_equal(atomic_load(&turns[1].me->lost), 0);
    atomic_store(&turns[1].me->lost, 1);
    turn_park(&turns[1]);
    assert_int_equal(atomic_load(&turns[1].me->lost), 0);
    atomic_store(&turns[1].me->lost, 1);
    turn_init(&turns[1], &region, W0 + 1);
    assert_int_equal(atomic_load(&turns[1].me->lost), 0);
}

static uint64_t timed(int worker, enum ipc_histogram h, uint64_t *sum_us)
{
    const struct ipc_buckets *b = &turns[worker].me->histograms[h];
    uint64_t n = 0;
    for (int i = 0; i < IPC_BUCKETS; i++)
        n += atomic_load(&b->count[i]);
    *sum_us = atomic_load(&b->sum_us);
    return n;
}

static void test_histograms(void **state)
{
    (void)state;
    uint64_t us;
    clock_update();
    assert_true(turn_take(&turns[0]));
    assert_int_equal(timed(0, IPC_GIVE_TO_TAKE, &us), 0); /* nobody has given it */
    turn_give(&turns[0]);
    assert_int_equal(timed(0, IPC_HOLD, &us), 0); /* no listener was ready */
    usleep(2000);
    assert_true(turn_take(&turns[1]));
    assert_int_equal(timed(1, IPC_GIVE_TO_TAKE, &us), 1);
    assert_in_range(us, 2000, 10000000);
    assert_int_equal(atomic_load(&region.turn->given_us), 0);
    usleep(3000);
    clock_update();
    turn_event(&turns[1]);
    usleep(2000);
    clock_update();
    turn_event(&turns[1]); /* it counts from the first */
    usleep(2000);
    turn_give(&turns[1]);
    assert_int_equal(timed(1, IPC_HOLD, &us), 1);
    assert_in_range(us, 4000, 10000000);
    turn_event(&turns[1]); /* without the turn: nothing */
    assert_true(turn_take(&turns[1]));
    turn_give(&turns[1]);
    assert_int_equal(timed(1, IPC_HOLD, &us), 1);
    assert_int_equal(timed(1, IPC_GIVE_TO_TAKE, &us), 2);
}

static void test_abstain(void **state)
{
    (void)state;
    turn_abstain(&turns[1]);
    assert_false(turn_take(&turns[1]));
    assert_true(turn_may(&turns[1]));
    turn_park(&turns[1]);
    assert_true(turn_take(&turns[0]));
    turn_give(&turns[0]);
    assert_int_equal(rung(), 0);
    turn_init(&turns[1], &region, W0 + 1);
    assert_true(turn_take(&turns[1]));
    turn_give(&turns[1]);
}

/* Every process is rung, parked or not, flagged or not; free slots are left alone. */
static void test_rescue(void **state)
{
    (void)state;
    arrange(&(struct give_row){.parked = "rpku"});
    atomic_store(&turns[3].me->state, IPC_FREE);
    atomic_store(&turns[3].me->park, IPC_RUN);
    turn_rescue(&region);
    assert_int_equal(rung(), 7);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(turn_kicked(&turns[i]), i < 3);
}

/* What the predecessor left does not silence the bell of its successor. */
static void test_newborn(void **state)
{
    (void)state;
    atomic_store(&turns[1].me->kick, 1);
    turn_init(&turns[1], &region, W0 + 1);
    assert_false(turn_kicked(&turns[1]));
    turn_park(&turns[1]);
    turn_take(&turns[0]);
    turn_give(&turns[0]);
    assert_int_equal(rung(), 1u << 1);
}

static void run_child(void (*body)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void die_holding(void)
{
    turn_take(&turns[1]);
}

static void die_before_the_name(void)
{
    lock_try(&region.turn->lock);
}

static void test_recovery(void **state)
{
    (void)state;
    run_child(die_holding);
    assert_true(turn_take(&turns[2]));
    assert_int_equal(atomic_load(&region.turn->owner), W0 + 2);
    assert_int_equal(own(2, IPC_TURN_RECOVERED), 1);
    assert_int_equal(own(2, IPC_TURN_TAKES), 1);
    uint64_t us;
    assert_int_equal(timed(2, IPC_GIVE_TO_TAKE, &us), 0);
    assert_int_equal(log_count("worker 2, has died"), 1);
    turn_give(&turns[2]);
    run_child(die_before_the_name);
    assert_true(turn_take(&turns[3]));
    assert_int_equal(own(3, IPC_TURN_RECOVERED), 1);
    turn_give(&turns[3]);
    assert_true(turn_take(&turns[0]));
    turn_give(&turns[0]);
    assert_int_equal(board_sum(&region, IPC_TURN_RECOVERED), 2);
}

/* Gives an orphaned lock away without repairing it, which nothing in the tree does. */
static void break_lock(void)
{
    run_child(die_holding);
    pthread_mutex_trylock(&region.turn->lock.mutex);
    pthread_mutex_unlock(&region.turn->lock.mutex);
}

static void test_broken(void **state)
{
    (void)state;
    arrange(&(struct give_row){.parked = "rppr"});
    break_lock();
    assert_false(turn_take(&turns[0]));
    assert_true(turns[0].shared);
    assert_false(turns[0].have);
    assert_int_equal(atomic_load(&region.turn->broken), 1);
    /* The sleepers are told. */
    assert_int_equal(rung() & 6, 6);
    assert_false(turn_take(&turns[1]));
    assert_true(turns[1].shared);
    assert_false(turn_take(&turns[0]));
    assert_int_equal(rung(), 0);
    assert_int_equal(log_count("cannot be recovered"), 1);
    turn_init(&turns[2], &region, W0 + 2);
    assert_true(turns[2].shared);
}

/* ---- The storm ------------------------------------------------------------------------------
 *
 * Worker processes share a queue of work (an eventfd that counts down), which only the holder of
 * the turn looks at. The parent kills holders and others at random moments, buries them and starts
 * successors. */

#define STORM_MS    2000
#define PROGRESS_MS 5000

struct storm {
    _Atomic int holder; /* pid of who believes that it has the turn */
    _Atomic uint64_t served;
    _Atomic int violations;
};

static struct storm *storm;
static int queue = -1;
static pid_t pids[WORKERS];

static void now_holding(struct turn *t, uint64_t recovered)
{
    int before = atomic_exchange(&storm->holder, getpid());
    bool taken_over = board_get(t->region, t->slot, IPC_TURN_RECOVERED) != recovered;
    if (before != 0 && !taken_over)
        atomic_fetch_add(&storm->violations, 1);
}

static void storm_take(struct turn *t)
{
    bool had = t->have;
    uint64_t recovered = board_get(t->region, t->slot, IPC_TURN_RECOVERED);
    if (turn_take(t) && !had)
        now_holding(t, recovered);
}

static void storm_answer(struct turn *t)
{
    bool had = t->have;
    uint64_t recovered = board_get(t->region, t->slot, IPC_TURN_RECOVERED);
    turn_answer(t);
    if (t->have && !had)
        now_holding(t, recovered);
}

static void storm_give(struct turn *t)
{
    if (atomic_exchange(&storm->holder, 0) != getpid())
        atomic_fetch_add(&storm->violations, 1);
    turn_give(t);
}

/* A handler: mostly nothing, now and then some time. */
static void storm_handle(void)
{
    atomic_fetch_add(&storm->served, 1);
    int dice = rand() % 100;
    if (dice < 20) {
        struct timespec ts = {0, dice * 100000L};
        nanosleep(&ts, NULL);
    }
}

static _Noreturn void storm_worker(int slot)
{
    struct turn t;
    srand((unsigned)getpid());
    turn_init(&t, &region, slot);
    atomic_store(&t.me->fit, IPC_FIT);
    atomic_store(&t.me->state, IPC_READY);
    for (;;) {
        storm_take(&t);
        turn_park(&t);
        storm_take(&t);
        struct pollfd fds[2] = {{.fd = region.bells[slot], .events = POLLIN},
                                {.fd = t.have ? queue : -1, .events = POLLIN}};
        poll(fds, 2, -1);
        turn_wake(&t);
        if (fds[0].revents || turn_kicked(&t)) {
            fd_event_drain(region.bells[slot]);
            storm_answer(&t);
        }
        uint64_t one;
        if (fds[1].revents && read(queue, &one, sizeof(one)) == (ssize_t)sizeof(one)) {
            storm_give(&t);
            storm_handle();
        }
    }
}

static void storm_start(int worker)
{
    atomic_store(&region_slot(&region, W0 + worker)->state, IPC_STARTING);
    pid_t pid = child_fork(SIGKILL);
    if (pid == 0)
        storm_worker(W0 + worker);
    assert_true(pid > 0);
    pids[worker] = pid;
}

static void storm_kill(int worker)
{
    int status = 0;
    assert_int_equal(kill(pids[worker], SIGKILL), 0);
    assert_int_equal(waitpid(pids[worker], &status, 0), pids[worker]);
    assert_true(WIFSIGNALED(status));
    board_bury(&region, W0 + worker);
    turn_rescue(&region);
}

static bool queue_is_empty(void)
{
    struct pollfd p = {.fd = queue, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

static void storm_post(uint64_t n)
{
    assert_int_equal(write(queue, &n, sizeof(n)), sizeof(n));
}

static bool queue_runs_dry(uint64_t ms)
{
    uint64_t until = clock_us_now() + ms * 1000;
    while (!queue_is_empty()) {
        if (clock_us_now() > until)
            return false;
        usleep(100);
    }
    return true;
}

/* Who has taken work off the queue counts it a little later. */
static bool all_served(uint64_t wanted, uint64_t ms)
{
    uint64_t until = clock_us_now() + ms * 1000;
    while (atomic_load(&storm->served) < wanted) {
        if (clock_us_now() > until)
            return false;
        usleep(100);
    }
    return true;
}

/* The successor starts when the others have emptied the queue: a turn that is lost shows in the
 * same round. */
static void storm_round(int round)
{
    storm_post((uint64_t)(rand() % 40));
    usleep((useconds_t)(rand() % 3000));
    int holder = atomic_load(&region.turn->owner) - W0;
    int victim = round % 3 && holder >= 0 ? holder : rand() % WORKERS;
    storm_kill(victim);
    if (!queue_runs_dry(PROGRESS_MS))
        fail_msg("round %d: the turn is lost: owner %d", round, atomic_load(&region.turn->owner));
    storm_start(victim);
}

static void storm_end(void)
{
    for (int i = 0; i < WORKERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    fd_close(&queue);
    munmap(storm, sizeof(*storm));
}

static void test_storm(void **state)
{
    (void)state;
    srand(4711);
    storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(storm != MAP_FAILED);
    queue = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    for (int i = 0; i < WORKERS; i++)
        storm_start(i);
    uint64_t until = clock_us_now() + STORM_MS * 1000;
    int rounds = 0;
    while (clock_us_now() < until)
        storm_round(rounds++);
    uint64_t before = atomic_load(&storm->served);
    storm_post(1000);
    assert_true(queue_runs_dry(20000));
    bool served = all_served(before + 1000, 5000);
    int violations = atomic_load(&storm->violations);
    storm_end();
    print_message("%d kills, %llu recoveries, %llu turns\n", rounds,
                  (unsigned long long)board_sum(&region, IPC_TURN_RECOVERED),
                  (unsigned long long)board_sum(&region, IPC_TURN_TAKES));
    assert_int_equal(violations, 0);
    assert_true(rounds >= 10);
    assert_true(board_sum(&region, IPC_TURN_RECOVERED) > 0);
    assert_true(board_sum(&region, IPC_TURN_KICKS_RECEIVED) > 0);
    assert_true(served);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_take_and_give), TEST(test_give_kicks),
        TEST(test_forward),       TEST(test_heard),
        TEST(test_others_parked), TEST(test_overloaded),
        TEST(test_rescue),        TEST(test_newborn),
        TEST(test_recovery),      TEST(test_broken),
        TEST(test_storm),         TEST(test_eligible),
        TEST(test_fit),           TEST(test_fit_of_the_holder),
        TEST(test_answer),        TEST(test_promised),
        TEST(test_lost),          TEST(test_histograms),
        TEST(test_abstain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
