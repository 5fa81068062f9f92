/* topic_test.c - names of topics, and how many there can be. */
#include "ipc/topic.h"

#include "mailbox_fake.h"

static void test_topics(void **state)
{
    (void)state;
    static char long_name[IPC_TOPIC_NAME + 1], fits[IPC_TOPIC_NAME];
    memset(long_name, 'x', IPC_TOPIC_NAME);
    memset(fits, 'y', IPC_TOPIC_NAME - 1);
    static const struct {
        const char *label, *name;
        size_t max_len;
        bool latest;
        int expect;
        uint32_t len_after;
    } rows[] = {
        {"new", "a", 10, false, 3, 10},
        {"another", "b", 10, true, 4, 10},
        {"known", "a", 10, false, 3, 10},
        {"known, longer", "a", 20, false, 3, 20},
        {"known, shorter: stays", "a", 5, false, 3, 20},
        {"known, begins to keep", "a", 5, true, 3, 20},
        {"known, too long to keep", "a", IPC_LATEST_MAX + 1, false, -EINVAL, 0},
        {"longest name", fits, 1, false, 5, 1},
        {"name too long", long_name, 1, false, -ENAMETOOLONG, 0},
        {"no name", "", 1, false, -EINVAL, 0},
        {"no length", "c", 0, false, -EINVAL, 0},
        {"longest message", "d", IPC_MAIL_MAX, false, 6, IPC_MAIL_MAX},
        {"too long a message", "e", IPC_MAIL_MAX + 1, false, -EINVAL, 0},
        {"longest value", "f", IPC_LATEST_MAX, true, 7, IPC_LATEST_MAX},
        {"too long a value", "g", IPC_LATEST_MAX + 1, true, -EINVAL, 0},
        {"big one cannot keep", "d", 1, true, -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int id = new_topic(rows[i].name, rows[i].max_len, rows[i].latest);
        if (id != rows[i].expect)
            fail_msg("%s: %d, expected %d", rows[i].label, id, rows[i].expect);
        if (id >= 0 && topic_get(&region, (unsigned)id)->max_len != rows[i].len_after)
            fail_msg("%s: length %u", rows[i].label, topic_get(&region, (unsigned)id)->max_len);
        if (topic_find(&region, rows[i].name) != (id >= 0 ? id : topic_find(&region, rows[i].name)))
            fail_msg("%s: is not found", rows[i].label);
    }
    assert_int_equal(topic_find(&region, "b"), 4);
    assert_int_equal(topic_find(&region, "g"), -ENOENT);
    assert_string_equal(topic_get(&region, 4)->owner, "test");
    assert_null(topic_get(&region, 8));
    assert_null(topic_get(&region, IPC_TOPICS));
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_topics_run_out(void **state)
{
    (void)state;
    char name[16];
    int latest = 0, n = 3;
    for (; n < IPC_TOPICS; n++) {
        snprintf(name, sizeof(name), "t%d", n);
        int id = new_topic(name, 8, latest < IPC_LATEST - 1);
        assert_int_equal(id, n);
        latest++;
    }
    assert_int_equal(new_topic("more", 8, false), -ENOSPC);
    assert_int_equal(new_topic("t250", 8, true), -ENOSPC);
    assert_int_equal(new_topic("t250", 8, false), 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_topics),
        TEST(test_topics_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
