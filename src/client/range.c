#include "client/range.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "client/args.h"
#include "client/moment.h"

static bool literal(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* Text up to the next ':' or the end, as args_ms understands it. */
static bool duration(const char **at, int64_t *ret_ms)
{
    char word[32];
    size_t len = strcspn(*at, ":");
    if (len == 0 || len >= sizeof(word))
        return false;
    memcpy(word, *at, len);
    word[len] = '\0';
    if (!args_ms(word, ret_ms))
        return false;
    *at += len;
    return true;
}

/* base_ms: what a duration without a sign is added to; INT64_MIN: it is none then. */
static bool moment(const char **at, int64_t now_ms, int64_t base_ms, int64_t *ret_ms)
{
    const char *p = *at;
    int64_t ms, part = 0;
    if (moment_date(&p, &ms)) {
        if (literal(&p, 'T') && (!moment_clock(&p, &part) || !literal(&p, 'Z')))
            return false;
        *ret_ms = ms + part;
        *at = p;
        return true;
    }
    size_t len = strspn(p, "0123456789");
    bool bare = len > 0 && (p[len] == '\0' || p[len] == ':');
    if (bare && (len == 13 || (len >= 9 && len <= 10))) {
        ms = strtoll(p, NULL, 10);
        *ret_ms = len == 13 ? ms : ms * 1000;
        *at = p + len;
        return true;
    }
    if (bare || !duration(at, &ms))
        return false;
    if (ms >= 0 && base_ms == INT64_MIN)
        return false;
    *ret_ms = (ms < 0 ? now_ms : base_ms) + ms;
    return true;
}

static bool times(const char *at, int64_t now_ms, struct range *ret)
{
    int64_t base_ms = INT64_MIN;
    if (*at != ':') {
        if (!moment(&at, now_ms, INT64_MIN, &base_ms))
            return false;
        ret->from = (struct range_edge){ RANGE_TIME, base_ms };
    }
    if (*at == '\0')
        return base_ms != INT64_MIN;
    if (!literal(&at, ':'))
        return false;
    if (*at == '\0')
        return base_ms != INT64_MIN;
    ret->bounded = true;
    ret->to = (struct range_edge){ RANGE_END, 0 };
    if (strcmp(at, "end") == 0)
        return true;
    ret->to.kind = RANGE_TIME;
    return moment(&at, now_ms, base_ms, &ret->to.value) && *at == '\0';
}

static bool edge(const char *text, size_t len, struct range_edge *ret)
{
    char word[24];
    int64_t value;
    if (len == 0 || len >= sizeof(word))
        return false;
    memcpy(word, text, len);
    word[len] = '\0';
    *ret = (struct range_edge){ RANGE_START, 0 };
    if (strcmp(word, "start") == 0 || strcmp(word, "oldest") == 0)
        return true;
    ret->kind = RANGE_END;
    if (strcmp(word, "end") == 0 || strcmp(word, "newest") == 0)
        return true;
    if (!args_int(word, &value) || value == INT64_MIN)
        return false;
    ret->kind = word[0] == '+' ? RANGE_AFTER_START : value < 0 ? RANGE_BEFORE_END : RANGE_OFFSET;
    if (word[0] == '-')
        ret->kind = RANGE_BEFORE_END;
    ret->value = value < 0 ? -value : value;
    return true;
}

static bool offsets(const char *text, struct range *ret)
{
    size_t len = strcspn(text, ":");
    if (len > 0 && !edge(text, len, &ret->from))
        return false;
    if (text[len] == '\0')
        return len > 0;
    const char *to = text + len + 1;
    if (*to == '\0')
        return len > 0;
    ret->bounded = true;
    return edge(to, strlen(to), &ret->to);
}

bool range_parse(const char *text, int64_t now_ms, struct range *ret, const char **ret_why)
{
    struct range parsed = { .from = { RANGE_START, 0 } };
    bool time = *text == '@';
    if (!(time ? times(text + 1, now_ms, &parsed) : offsets(text, &parsed))) {
        *ret_why = time ? "a time is 13 or 10 digits, 2026-11-22, 2026-11-22T10:00:00Z or -48h; a range is @T1:T2"
                        : "an offset is start, end, N, +N or -N; a range is A:B";
        return false;
    }
    *ret = parsed;
    return true;
}

int64_t range_resolve(const struct range_edge *at, int64_t start, int64_t end, int64_t time_offset)
{
    int64_t offset = start;
    switch (at->kind) {
    case RANGE_START: break;
    case RANGE_END: offset = end; break;
    case RANGE_OFFSET: offset = at->value; break;
    case RANGE_AFTER_START: offset = __builtin_add_overflow(start, at->value, &offset) ? end : offset; break;
    case RANGE_BEFORE_END: offset = end - at->value; break;
    case RANGE_TIME: offset = time_offset < 0 ? end : time_offset; break;
    }
    return MAX(start, MIN(offset, end));
}
