/*
 * A plan for the offsets of a group: for every partition where it stands and where it is to stand. Pure.
 *
 *   scenario           new offset
 *   to earliest        the log's start
 *   to latest          the log's end
 *   to current         what is committed; the log's end where nothing is
 *   to offset N        N
 *   shift by N         what is committed, plus N; refused where nothing is committed
 *   to a moment        the first record at or behind it; the log's end where no record is that young
 *   from a file        what the file says
 *
 * New offsets outside the log are moved to its nearer end, with a note; "to current" leaves them as they are, so that
 * it can write down what is there. Source: kafka-consumer-groups --reset-offsets.
 *
 * The file is Kafka's CSV: topic,partition,offset or group,topic,partition,offset; a field may be quoted ("" is a
 * quote).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <odradek/bytes.h>

#include "base/arena.h"

enum plan_kind {
    PLAN_NONE,
    PLAN_TO_EARLIEST,
    PLAN_TO_LATEST,
    PLAN_TO_CURRENT,
    PLAN_TO_OFFSET, /* value: the offset */
    PLAN_SHIFT_BY,  /* value: records, forward or back */
    PLAN_TO_MOMENT, /* value: ms since 1970 */
    PLAN_FROM_FILE,
};

struct plan_scenario {
    enum plan_kind kind;
    int64_t value;
};

enum plan_note {
    PLAN_PLAIN,
    PLAN_RAISED,      /* wanted was in front of the log's start */
    PLAN_LOWERED,     /* wanted was behind the log's end */
    PLAN_TOO_YOUNG,   /* no record at or behind the moment */
    PLAN_UNCOMMITTED, /* nothing was committed: the end instead of "current" */
};

struct plan_row {
    struct odk_str topic;
    int32_t partition;
    int64_t current; /* committed; -1: nothing */
    int64_t start;   /* of the log */
    int64_t end;
    int64_t asked; /* of a moment: the broker's answer, -1 for none; from a file: the offset; else not used */
    /* the outcome */
    int64_t wanted; /* before it was moved into the log */
    int64_t target;
    enum plan_note note;
};

/* Fills the outcome. False: shift without anything committed. */
bool plan_solve(const struct plan_scenario *scenario, struct plan_row *row);
/* "" for PLAN_PLAIN. */
const char *plan_note_text(enum plan_note note);
/* True and the records between current and target (negative: to be read again), when something was committed. */
bool plan_change(const struct plan_row *row, int64_t *ret);

/* By topic, then partition. */
int plan_row_order(const void *left, const void *right);

/*
 * Reads a file's text: rows with topic, partition and asked, ordered, for group (lines of other groups are passed
 * over). The rows and their texts are in the arena or in text.
 *
 * False: ret_why is a sentence that names the line.
 */
bool plan_csv_read(struct odk_str text, struct odk_str group, struct arena *arena, struct plan_row **ret_rows,
                   size_t *ret_count, char *ret_why, size_t why_len);
/* One line: topic,partition,target. */
void plan_csv_write(FILE *to, const struct plan_row *row);
