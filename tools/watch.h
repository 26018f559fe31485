/* Doing the same again and again until a signal ends it, with output that is redrawn on a terminal. */
#pragma once
#include "client/args.h"

/*
 * The value of --watch, "2" or "2s" or "500ms": the row is { "watch", 'w', ARGS_TEXT, "[SECONDS]", ..., .otherwise =
 * "2" }. ARGS_GO_ON, or the mistake is explained.
 */
int watch_parse(const struct args_spec *spec, const char *text, int64_t *ret_ms);

/*
 * Shows what print writes, over and over. The first failure ends it; a later one is shown in the place of the data and
 * tried again. Returns the exit code.
 *
 * print  writes data to out and complaints to err, which may be the same
 */
typedef int watch_print(void *context, FILE *out, FILE *err);
enum watch_style {
    WATCH_REDRAW, /* in place, on a terminal */
    WATCH_APPEND, /* for programs: one after the other, wherever it goes */
};
int watch_run(enum watch_style style, int64_t every_ms, watch_print *print, void *context);
