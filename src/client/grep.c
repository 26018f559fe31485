#include "client/grep.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

#define WORKSPACE 4096u /* numbers that a match may remember */
#define NESTING   100u  /* of groups within each other: the compiler of PCRE2 is recursive */

struct grep {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    uint64_t steps_left;
};

/* PCRE2 calls before it looks at an item of the pattern. */
static int step_count(pcre2_callout_block *block, void *context)
{
    uint64_t *left = context;
    (void)block;
    if (*left == 0)
        return PCRE2_ERROR_CALLOUT;
    --*left;
    return 0;
}

struct grep *grep_new(const char *pattern, char why[GREP_WHY_BYTES])
{
    int error;
    PCRE2_SIZE at;
    PCRE2_UCHAR text[GREP_WHY_BYTES - 32];
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    ASSERT(context != NULL);
    (void)pcre2_set_parens_nest_limit(context, NESTING);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                     PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT, &error, &at,
                                     context);
    pcre2_compile_context_free(context);
    if (!code) {
        if (pcre2_get_error_message(error, text, sizeof(text)) != PCRE2_ERROR_BADDATA)
            (void)snprintf(why, GREP_WHY_BYTES, "%s at offset %zu", (const char *)text, at);
        return NULL;
    }
    struct grep *grep = xcalloc(1, sizeof(*grep));
    grep->code = code;
    grep->match = pcre2_match_data_create(1, NULL);
    grep->context = pcre2_match_context_create(NULL);
    ASSERT(grep->match != NULL && grep->context != NULL);
    (void)pcre2_set_callout(grep->context, step_count, &grep->steps_left);
    return grep;
}

void grep_free(struct grep *grep)
{
    if (!grep)
        return;
    pcre2_match_context_free(grep->context);
    pcre2_match_data_free(grep->match);
    pcre2_code_free(grep->code);
    free(grep);
}

enum grep_verdict grep_match(struct grep *grep, struct odk_bytes bytes)
{
    int workspace[WORKSPACE];
    PCRE2_SPTR subject = bytes.data ? bytes.data : (PCRE2_SPTR) "";
    grep->steps_left = GREP_STEPS_MAX;
    int verdict = pcre2_dfa_match(grep->code, subject, bytes.len, 0, PCRE2_DFA_SHORTEST, grep->match, grep->context,
                                  workspace, WORKSPACE);
    if (verdict >= 0)
        return GREP_YES;
    return verdict == PCRE2_ERROR_NOMATCH ? GREP_NO : GREP_TOO_COSTLY;
}
