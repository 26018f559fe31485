/*
 * Regular expressions over names of topics, as consumers of the newer protocol subscribe with them: a name matches as a
 * whole.
 *
 * The language is RE2's, as in Kafka, matched by PCRE2: what only PCRE2 knows (references, looking around, atomic
 * groups, possessive quantifiers, recursion, verbs) is refused. Matching follows all alternatives at once
 * (pcre2_dfa_match), in bounded memory and in a bounded number of steps: an item of the pattern that is looked at for a
 * character of the name. Source: KIP-848; docs/decisions/0021.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <odradek/bytes.h>

struct topic_regex;

#define TOPIC_REGEX_WHY_BYTES 160u

/* NULL when it is none; why says in what way. Owner calls topic_regex_free. */
struct topic_regex *topic_regex_new(struct odk_str pattern, char why[TOPIC_REGEX_WHY_BYTES]);
void topic_regex_free(struct topic_regex *regex);

enum topic_regex_verdict {
    TOPIC_REGEX_NO,
    TOPIC_REGEX_YES,
    TOPIC_REGEX_TOO_COSTLY, /* has to follow too many alternatives at once, or for too long */
};
/* Takes what it needs off *steps, at most GROUP_REGEX_STEPS_MAX; when they do not do, *steps is 0 or the match is too costly
 * by itself. */
enum topic_regex_verdict topic_regex_match(const struct topic_regex *regex, struct odk_str name, uint64_t *steps);
