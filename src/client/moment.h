/*
 * Moments and durations as people and Kafka's tools write them.
 *
 *   moment    2026-11-22   2026-11-22T10:00   2026-11-22T10:00:00.123   ...Z   ...+02:00   ...+0200   ...+02
 *             UTC where no zone is named
 *   duration  ISO 8601: P7D, PT1H30M, P1DT12H, PT0.5S, -PT1H (weeks and days are 7 * 24 and 24 hours; months have no
 *             length, so they are refused)
 *
 * The calendar is the Gregorian one, in all years; the 61st second of a minute is taken and belongs to the next.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* YYYY-MM-DD at *at, which moves behind it; ms since 1970. */
bool moment_date(const char **at, int64_t *ret_ms);
/* HH:MM:SS with an optional fraction, likewise; ms since midnight. Digits behind the third are cut. */
bool moment_clock(const char **at, int64_t *ret_ms);

/* The whole text is a moment; ms since 1970. */
bool moment_parse(const char *text, int64_t *ret_ms);
/* The whole text is a duration in ms; below a millisecond is cut. */
bool moment_duration(const char *text, int64_t *ret_ms);
