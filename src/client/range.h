/*
 * Where to read: one text for offsets and times, with an optional end.
 *
 *   start  end  N  +N (behind the start)  -N (before the end)  A:B  :B  :end  A:
 *   @T  @T1:T2  @:T     T: unix milliseconds (13 digits) or seconds (10 or fewer), 2026-11-22, 2026-11-22T10:00:00Z
 *                       (UTC, fraction optional), -48h (before now); for T2 also 30m (behind T1) and "end"
 *
 * The end of a range is exclusive.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum range_kind {
    RANGE_START,       /* the log's start */
    RANGE_END,         /* the log's end at the moment of asking */
    RANGE_OFFSET,      /* value: an offset */
    RANGE_AFTER_START, /* value: records behind the start */
    RANGE_BEFORE_END,  /* value: records before the end */
    RANGE_TIME,        /* value: the first record at or behind this time, ms since 1970 */
};

struct range_edge {
    enum range_kind kind;
    int64_t value;
};

struct range {
    struct range_edge from;
    struct range_edge to; /* meaningful if bounded */
    bool bounded;
};

/* now_ms: what "-48h" is relative to. False, with a static sentence in ret_why, when text is none of the above. */
bool range_parse(const char *text, int64_t now_ms, struct range *ret, const char **ret_why);

/*
 * An edge as an offset, given what the broker says of the partition; clamped to [start, end].
 * time_offset: the answer for edge->value when its kind is RANGE_TIME; negative when no record is that young.
 */
int64_t range_resolve(const struct range_edge *edge, int64_t start, int64_t end, int64_t time_offset);
