/* scan_lanes.h - the body of the wide ways. Who includes it has defined
 *
 *   WAY         attributes of functions that may use the instructions
 *   LANES       bytes of a register: 16 or 32
 *   NARROWER    the way for what is shorter than that
 *   struct lanes, and on it: load, rows_of, not_in, not_value
 *
 * A mask has one bit for each byte of a register, the first byte lowest. `end` is behind the last byte. What stands
 * at the end is looked at in the last LANES bytes: those before it, which are known already, are shifted out. */

WAY static inline unsigned first(uint64_t mask)
{
    return (unsigned)__builtin_ctzll(mask);
}

static inline bool is_crlf(const char *p)
{
    return memcmp(p, "\r\n", 2) == 0;
}

WAY static inline const char *run_value(const char *p, const char *end)
{
    for (; end - p >= LANES; p += LANES) {
        uint64_t stop = not_value(load(p));
        if (stop)
            return p + first(stop);
    }
    uint64_t stop = not_value(load(end - LANES)) >> (p - (end - LANES));
    return stop ? p + first(stop) : end;
}

WAY static size_t wide_value(const char *p, size_t i, size_t n)
{
    return n < LANES ? NARROWER.value(p, i, n) : (size_t)(run_value(p + i, p + n) - p);
}

/* The same for a class of ASCII. */
WAY static inline const char *run_in(struct lanes rows, const char *p, const char *end)
{
    for (; end - p >= LANES; p += LANES) {
        uint64_t stop = not_in(load(p), rows);
        if (stop)
            return p + first(stop);
    }
    uint64_t stop = not_in(load(end - LANES), rows) >> (p - (end - LANES));
    return stop ? p + first(stop) : end;
}

WAY static size_t wide_target(const char *p, size_t i, size_t n)
{
    return n < LANES ? NARROWER.target(p, i, n)
                     : (size_t)(run_in(rows_of(&scan_targets), p + i, p + n) - p);
}

/* A line whose name does not end in the register with which it begins. */
__attribute__((noinline)) WAY static const char *long_name(const char *line, const char *end,
                                                           struct http_header *to)
{
    const char *colon = run_in(rows_of(&scan_tchars), line, end);
    if (colon == end || *colon != ':')
        return line;
    const char *stop = run_value(colon, end);
    if (end - stop < 2 || !is_crlf(stop))
        return line;
    scan_keep(to, line, colon, stop);
    return stop + 2;
}

/* One line; what stands behind it, or the line itself if it is left to others. The register in which it begins
 * mostly has its end too. */
WAY static inline const char *field(struct lanes tchars, const char *line, const char *end,
                                    struct http_header *to)
{
    const char *at = end - line < LANES ? end - LANES : line;
    struct lanes v = load(at);
    uint64_t stop = not_in(v, tchars) >> (line - at);
    if (!stop)
        return long_name(line, end, to);
    const char *colon = line + first(stop);
    if (*colon != ':' || colon == line)
        return line;
    stop = not_value(v) >> (colon - at);
    const char *value_end = stop ? colon + first(stop) : run_value(at + LANES, end);
    if (end - value_end < 2 || !is_crlf(value_end))
        return line;
    scan_keep(to, line, colon, value_end);
    return value_end + 2;
}

WAY static size_t wide_fields(const char *p, size_t i, size_t n, struct http_header *to,
                              size_t room, size_t *taken)
{
    if (n < LANES)
        return NARROWER.fields(p, i, n, to, room, taken);
    struct lanes tchars = rows_of(&scan_tchars);
    const char *line = p + i, *next;
    size_t k = 0;
    for (; k < room && (next = field(tchars, line, p + n, &to[k])) != line; k++)
        line = next;
    *taken = k;
    return (size_t)(line - p);
}
