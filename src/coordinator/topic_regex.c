#include "coordinator/topic_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/limits.h"

/* Numbers that a match may remember: about 330 alternatives at once, each with a callout of its own. */
#define TOPIC_REGEX_WORKSPACE 4096u
/* Of groups within each other: the compiler of PCRE2 is recursive. */
#define TOPIC_REGEX_NESTING 100u
/* RE2's. */
#define TOPIC_REGEX_REPEAT_MAX 1000u

struct topic_regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

/* -- what RE2 does not know --------------------------------------------------------------------------------------- */

struct reader {
    const char *at;
    const char *end;
};

static bool reads(struct reader *r, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, text, len) != 0)
        return false;
    r->at += len;
    return true;
}

/* Behind a backslash. */
static const char *escape_check(struct reader *r)
{
    if (r->at == r->end)
        return NULL;
    char c = *r->at++;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (c == 'Q')
        while (r->at < r->end && !reads(r, "\\E"))
            r->at++;
    else if (c >= '1' && c <= '9')
        return "references to groups are not supported";
    else if (letter && !strchr("AabBdDfnpPrsStvwWxz", c))
        return "unknown escape";
    return NULL;
}

/* Behind a bracket that opens. */
static const char *class_check(struct reader *r)
{
    (void)reads(r, "^");
    for (bool first = true; r->at < r->end; first = false) {
        if (reads(r, "[:")) {
            while (r->at < r->end && !reads(r, ":]"))
                r->at++;
        } else if (*r->at == '\\') {
            r->at++;
            const char *wrong = escape_check(r);
            if (wrong)
                return wrong;
        } else if (*r->at++ == ']' && !first) {
            return NULL;
        }
    }
    return NULL;
}

/* Behind a parenthesis that opens: plain, named, not captured, or with flags. */
static const char *group_check(struct reader *r)
{
    if (reads(r, "*"))
        return "verbs are not supported";
    if (!reads(r, "?") || reads(r, "P<"))
        return NULL;
    if (reads(r, "<"))
        return r->at < r->end && (*r->at == '=' || *r->at == '!') ? "looking behind is not supported" : NULL;
    while (r->at < r->end && strchr("imsU-", *r->at))
        r->at++;
    return r->at < r->end && (*r->at == ':' || *r->at == ')') ? NULL : "this kind of group is not supported";
}

/* Skips {n}, {n,} or {n,m}; anything else in braces is text. */
static bool counted(struct reader *r, unsigned *ret_most)
{
    const char *at = r->at + 1;
    unsigned most = 0;
    bool digits = false;
    for (; at < r->end && (*at == ',' || (*at >= '0' && *at <= '9')); at++) {
        digits |= *at != ',';
        most = *at == ',' ? 0 : MIN(most * 10 + (unsigned)(*at - '0'), 100000u);
        *ret_most = MAX(*ret_most, most);
    }
    if (!digits || at == r->end || *at != '}')
        return false;
    r->at = at + 1;
    return true;
}

/* At a character that may repeat what stands before. */
static const char *repeat_check(struct reader *r)
{
    unsigned most = 0;
    bool braces = *r->at == '{';
    if (!braces || !counted(r, &most))
        r->at++;
    if (braces && r->at[-1] == '{')
        return NULL;
    if (most > TOPIC_REGEX_REPEAT_MAX)
        return "more than 1000 repetitions";
    if (!reads(r, "?") && r->at < r->end && (*r->at == '+' || *r->at == '*'))
        return "a repetition of a repetition";
    return NULL;
}

static const char *foreign(struct odk_str pattern)
{
    struct reader r = { pattern.data, pattern.data + pattern.len };
    const char *wrong = NULL;
    while (!wrong && r.at < r.end) {
        if (reads(&r, "\\"))
            wrong = escape_check(&r);
        else if (reads(&r, "["))
            wrong = class_check(&r);
        else if (reads(&r, "("))
            wrong = group_check(&r);
        else if (strchr("*+?{", *r.at))
            wrong = repeat_check(&r);
        else
            r.at++;
    }
    return wrong;
}

/* -- PCRE2 -------------------------------------------------------------------------------------------------------- */

static pcre2_code *compile(struct odk_str pattern, char why[TOPIC_REGEX_WHY_BYTES])
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    ASSERT(context != NULL);
    (void)pcre2_set_parens_nest_limit(context, TOPIC_REGEX_NESTING);
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.len,
                                     PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
                                         PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT,
                                     &error, &at, context);
    pcre2_compile_context_free(context);
    PCRE2_UCHAR text[TOPIC_REGEX_WHY_BYTES - 32];
    if (!code && pcre2_get_error_message(error, text, sizeof(text)) != PCRE2_ERROR_BADDATA)
        (void)snprintf(why, TOPIC_REGEX_WHY_BYTES, "%s at offset %zu", (const char *)text, at);
    return code;
}

struct topic_regex *topic_regex_new(struct odk_str pattern, char why[TOPIC_REGEX_WHY_BYTES])
{
    const char *wrong = foreign(pattern);
    if (wrong) {
        (void)snprintf(why, TOPIC_REGEX_WHY_BYTES, "%s", wrong);
        return NULL;
    }
    pcre2_code *code = compile(pattern, why);
    if (!code)
        return NULL;
    struct topic_regex *regex = xcalloc(1, sizeof(*regex));
    regex->code = code;
    regex->match = pcre2_match_data_create(1, NULL);
    regex->context = pcre2_match_context_create(NULL);
    ASSERT(regex->match != NULL && regex->context != NULL);
    return regex;
}

void topic_regex_free(struct topic_regex *regex)
{
    if (!regex)
        return;
    pcre2_match_context_free(regex->context);
    pcre2_match_data_free(regex->match);
    pcre2_code_free(regex->code);
    free(regex);
}

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

enum topic_regex_verdict topic_regex_match(const struct topic_regex *regex, struct odk_str name, uint64_t *steps)
{
    int workspace[TOPIC_REGEX_WORKSPACE];
    uint64_t granted = MIN(*steps, (uint64_t)GROUP_REGEX_STEPS_MAX), left = granted;
    (void)pcre2_set_callout(regex->context, step_count, &left);
    int verdict = pcre2_dfa_match(regex->code, (PCRE2_SPTR)name.data, name.len, 0, 0, regex->match, regex->context,
                                  workspace, TOPIC_REGEX_WORKSPACE);
    *steps -= granted - left;
    if (verdict >= 0)
        return TOPIC_REGEX_YES;
    return verdict == PCRE2_ERROR_NOMATCH ? TOPIC_REGEX_NO : TOPIC_REGEX_TOO_COSTLY;
}
