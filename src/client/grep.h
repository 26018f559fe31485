/*
 * A regular expression somewhere in a record's bytes. Matching follows all alternatives at once (pcre2_dfa_match), in
 * bounded memory and a bounded number of steps for each record, whatever pattern and record are.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <odradek/bytes.h>

/* Items of the pattern that are looked at for one record: about a second. */
#define GREP_STEPS_MAX 50000000u
#define GREP_WHY_BYTES 160u

struct grep;

/* NULL: it is none; why says in what way. Owner calls grep_free. */
struct grep *grep_new(const char *pattern, char why[GREP_WHY_BYTES]);
void grep_free(struct grep *grep);

enum grep_verdict { GREP_NO, GREP_YES, GREP_TOO_COSTLY };
enum grep_verdict grep_match(struct grep *grep, struct odk_bytes bytes);
