/*
 * What a set of logs must hold: the oracle of the store's simulation.
 *
 *   (O1) every acknowledged batch is there, byte for byte, at the offset that was acknowledged, unless trimmed.
 *   (O2) what was ever read, or lay below an end offset that was ever shown, is never gone or different later.
 *   (O3) offsets have no gaps; batches stand in the order of their appends; none twice; none that nobody appended.
 *   (O4) a batch without an acknowledgement may be there or not, but whole.
 *   (O6) below clean_max records may be missing that have a later one of the same key; those that are there are as they
 *        were, at their offsets, and the last one of each key is there. Logs that are not compacted: clean_max is 0.
 *   (O5) the start lies between what is durably trimmed and what was asked for.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <odradek/log.h>

#include "base/base.h"

#define MODEL_KEYS 6 /* "0" .. "5" */

struct model_batch {
    int64_t id;     /* its base timestamp, unique and rising in the run */
    uint8_t *bytes; /* as acknowledged or as first seen; before that, as appended */
    size_t len;
    int64_t base_offset; /* valid when known */
    int64_t next_offset;
    bool known; /* acknowledged or shown: must be there from now on */
    bool acked;
};

struct model_log {
    struct model_batch *batches; /* in the order of appends */
    uint32_t count, cap;
    int64_t shown_end;
    int64_t start_min, start_max;
    int64_t clean_max;                /* compaction may have been as far as that */
    int64_t key_last[MODEL_KEYS];     /* offset + 1 of the last known record of the key, 0: none */
    int64_t key_seen_last[MODEL_KEYS]; /* the same, of what was read since model_look */
};

/* The first violation of a run, in words. */
struct verdict {
    bool failed;
    char text[400];
};

void verdict_fail(struct verdict *verdict, const char *format, ...) PRINTF(2, 3);

void model_deinit(struct model_log *log);
/* A copy of bytes is kept; id is read from them. */
void model_append(struct model_log *log, const uint8_t *bytes, size_t len);
/* The store acknowledged the batch with these bytes. */
void model_ack(struct model_log *log, struct verdict *verdict, const uint8_t *bytes, size_t len, int64_t base_offset);
/* Everything is going to be read. */
void model_look(struct model_log *log);
void model_show_end(struct model_log *log, struct verdict *verdict, int64_t end);
/* Bytes that a read from offset on delivered, [bytes, bytes+len) whole batches. Returns the offset behind them. */
int64_t model_read(struct model_log *log, struct verdict *verdict, int64_t offset, const uint8_t *bytes, size_t len);
/* After a restart, when everything in [start, end) was read: nothing known may be missing; what is not there by now
 * is forgotten. */
void model_settle(struct model_log *log, struct verdict *verdict, int64_t start, int64_t end);
