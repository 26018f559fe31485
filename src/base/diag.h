/*
 * Diagnostic lines for operators: one sentence or key=value pairs, a level, to a sink that the process owns.
 * "log" always means the data log, never these lines.
 *
 * Text that came from a client is printed through diag_escape; lines that a client can cause are rate limited per
 * site (struct diag_rate, embedded by the owner of the site).
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <odradek/bytes.h>
#include <odradek/diag.h>

#include "base/base.h"

void diag(const struct odk_diag *to, enum odk_diag_level level, const char *format, ...) PRINTF(3, 4);

#define DIAG_INFO(to, ...) diag((to), ODK_DIAG_INFO, __VA_ARGS__)
#define DIAG_WARN(to, ...) diag((to), ODK_DIAG_WARN, __VA_ARGS__)
#define DIAG_ERROR(to, ...) diag((to), ODK_DIAG_ERROR, __VA_ARGS__)

/* FAIL: the one message where an error is born; evaluates to the error. */
#define FAIL(to, err, ...) (diag((to), ODK_DIAG_ERROR, __VA_ARGS__), (err))

struct diag_rate {
    uint64_t window_start_ns;
    uint32_t count;
    uint32_t suppressed;
};

#define DIAG_LINES_PER_WINDOW 10u

/* True if the site may print now; ret_suppressed gets how many lines were withheld in the window that ended. */
bool diag_rate_ok(struct diag_rate *rate, uint64_t now_ns, uint32_t *ret_suppressed);

/* Printable ASCII as it is, everything else as \xNN; NUL-terminated, cut to dst_len. Returns dst. */
char *diag_escape(char *dst, size_t dst_len, struct odk_str text);
