/* 600 tries over 8 workers within a second, 60 a minute: 60 pass. And no client can push out another one by its choice of
 * addresses. */
#undef NDEBUG
#include "bucket.c"

#include <assert.h>
#include <cserver/test.h>

static int tries(struct cst *t, int n)
{
    int passed = 0;
    for (int i = 0; i < n; i++) {
        cst_answer a = cst_get(t, "/");
        passed += a.status == 200;
        if (a.status != 200)
            cst_expect(a, 429, NULL);
    }
    return passed;
}

#define OTHERS 200

/* NULL: there is none. */
static const struct bucket *first_taken(const struct buckets *b)
{
    for (size_t i = 0; i < BUCKET_SETS * BUCKET_WAYS; i++)
        if (b->all[i].place)
            return &b->all[i];
    return NULL;
}

/* The same client is in another set of each table. */
static void test_seed(void)
{
    static struct buckets b;
    unsigned char met[BUCKET_SETS] = {0};
    size_t sets = 0;
    for (int i = 0; i < OTHERS; i++) {
        memset(&b, 0, sizeof b);
        bucket_init(&b);
        const struct bucket own = {.place = 1, .client = 0x0100007f};
        assert(bucket_take(&b, own, (struct rate){1, 1000, 1}) == 0);
        const size_t set = (size_t)(first_taken(&b) - b.all) / BUCKET_WAYS;
        sets += !met[set];
        met[set] = 1;
    }
    assert(sets > OTHERS / 2); /* 182 on average */
}

/* Where there are more clients than room the table still limits those who come again soon. */
static void test_full(void)
{
    static struct buckets b;
    const struct rate rate = {1, 1000000, 1};
    bucket_init(&b);
    for (uint64_t client = 1; client <= (uint64_t)4 * BUCKET_SETS * BUCKET_WAYS; client++) {
        const struct bucket own = {.place = 1, .client = client, .at = (int64_t)client};
        assert(bucket_take(&b, own, rate) == 0);
        assert(bucket_take(&b, own, rate) > 0);
    }
    size_t taken = 0;
    for (size_t i = 0; i < BUCKET_SETS * BUCKET_WAYS; i++)
        taken += b.all[i].place != 0;
    assert(taken == BUCKET_SETS * BUCKET_WAYS);
}

int main(void)
{
    test_seed();
    test_full();
    struct cst *t =
        cst_open("./ratelimit.so", "requests = 60\nper = 1m\n", .worker = 1, .workers = 8);
    int passed = tries(t, 75);
    for (int worker = 2; worker <= 8; worker++) {
        cst_worker(t, worker, 8);
        passed += tries(t, 75);
    }
    assert(passed == 60);
    assert(cst_counter(t, "refused_total") == 540);
    cst_answer a = cst_get(t, "/");
    assert(cst_is(cst_field(&a, "Retry-After"), "1"));
    cst_advance(t, 30000);
    assert(tries(t, 100) == 30);
    cst_fail(t, "zone_lock", 1);
    cst_expect(cst_get(t, "/"), 200, "ok\n");
    cst_close(t);
}
