/* log.h - the error log of this process: one line a call, one write(2), so lines of several
 * processes do not mix (the file is open for append).
 *
 * Text lines: 2026-11-22T21:30:12.123Z info master[123]: sentence
 * JSON lines: {"ts":...,"level":"info","process":"worker 1","pid":123,"message":"sentence", ...}
 * Before log_open lines go to stderr. A write that fails is counted, never retried; so is, from
 * log_open on, a line that finds a pipe full: a reader that has stopped does not stop us. The next line that can be
 * written is followed by one that says how many are missing. A line has
 * at most LOG_LINE_MAX bytes; a longer sentence or value ends in "...", and context keeps its room.
 * Control bytes and bytes that are not UTF-8 are escaped. errno stays as it is. Any thread may write;
 * the rest is for one. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

#define LOG_LINE_MAX 4096

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR
};

/* Where lines go: borrows fd (2 for stderr). Nobody writes to the one before any more. json: as above. */
void log_open(int fd, bool json);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* Name of this process in each line, such as "master" or "worker 1"; copied. */
void log_set_name(const char *name);
int log_fd(void);
bool log_is_json(void);
uint64_t log_failed(void); /* lines that could not be written */

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* With pairs of context behind the sentence: key, value, key, value ..., NULL. As text they are
 * appended as key=value; values with blanks or quotes are quoted. */
struct log_pair {
    const char *key;
    cs_str value;
};
void log_write_with(enum log_level level, const struct log_pair *pairs, size_t npairs,
                    const char *fmt, va_list ap) __attribute__((format(printf, 4, 0)));
/* The same with a finished sentence; a signal handler may call it, and those of the getters above. */
void log_write_plain(enum log_level level, cs_str message, const struct log_pair *pairs,
                     size_t npairs);

/* A text of several lines, such as a report: each is a line here, indented. Of very many the first hundred. */
void log_lines(enum log_level level, cs_str text);

#define log_debug(...)                                                                             \
    (log_enabled(LOG_LEVEL_DEBUG) ? log_write(LOG_LEVEL_DEBUG, __VA_ARGS__) : (void)0)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

/* Start-up only: logs the sentence as an error and ends the process with exit status `code`. */
_Noreturn void fatal(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
