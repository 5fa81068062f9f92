/* notes.c - SQLite writes the JSON itself. A worker's threads take turns with its connection; other workers have their own,
 * and are waited for while they write. */
#include "notes.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BUSY_MS 5000

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
    "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)";

#define NOTE "json_object('id', id, 'text', text)"
static const char *const sql[NOTES_ACTIONS] = {
    [NOTES_LIST] = "SELECT json_group_array(json(note)) FROM (SELECT " NOTE " AS note FROM notes "
                   "WHERE id < ?1 ORDER BY id DESC LIMIT 100)",
    [NOTES_ADD] =
        "INSERT INTO notes (text) VALUES (json_extract('\"' || ?2 || '\"', '$')) RETURNING " NOTE
        ", id",
    [NOTES_GET] = "SELECT " NOTE " FROM notes WHERE id = ?1",
    [NOTES_DELETE] = "DELETE FROM notes WHERE id = ?1 RETURNING NULL",
};
static const int found[NOTES_ACTIONS] = {200, 201, 200, 204};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sqlite3 *db;
static sqlite3_stmt *statements[NOTES_ACTIONS];

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The change to WAL does not wait for others by itself: all workers make a new file at once. */
static int make_schema(void)
{
    const int64_t end = now_ms() + BUSY_MS;
    int rc;
    while ((rc = sqlite3_exec(db, schema, NULL, NULL, NULL)) == SQLITE_BUSY && now_ms() < end)
        sqlite3_sleep(10);
    return rc;
}

const char *notes_open(const char *path)
{
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(db, BUSY_MS);
    if (rc == SQLITE_OK)
        rc = make_schema();
    for (int i = 0; i < NOTES_ACTIONS && rc == SQLITE_OK; i++)
        rc = sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL);
    return rc == SQLITE_OK ? NULL : sqlite3_errmsg(db);
}

static void fail(struct notes_job *j, int rc)
{
    j->status = rc == SQLITE_BUSY ? 503 : 500;
    snprintf(j->fault, sizeof j->fault, "%s", sqlite3_errmsg(db));
}

/* Reset before the answer is told: that ends the transaction, and may fail. */
static void run(struct notes_job *j, sqlite3_stmt *s)
{
    int rc = sqlite3_step(s);
    j->status = rc == SQLITE_ROW ? found[j->action] : 404;
    if (rc == SQLITE_ROW && sqlite3_column_text(s, 0))
        j->json = strdup((const char *)sqlite3_column_text(s, 0));
    if (rc == SQLITE_ROW && j->action == NOTES_ADD)
        j->new_id = sqlite3_column_int64(s, 1);
    if (rc == SQLITE_ROW)
        rc = sqlite3_step(s);
    if (rc != SQLITE_DONE)
        fail(j, rc);
}

void notes_do(void *arg)
{
    struct notes_job *j = arg;
    sqlite3_stmt *s = statements[j->action];
    pthread_mutex_lock(&lock);
    sqlite3_bind_int64(s, 1, j->id);
    if (j->action == NOTES_ADD)
        sqlite3_bind_text64(s, 2, j->text, j->len, SQLITE_STATIC, SQLITE_UTF8);
    run(j, s);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    pthread_mutex_unlock(&lock);
}
