/*
 * Java's .properties texts: "key=value", "key:value" or "key value", one a line; '#' or '!' opens a comment; a
 * backslash at the end continues the line; \t \n \r \f \uXXXX and \anything are escapes. Text is taken as UTF-8, as
 * tools write it today; Java's own reader takes bytes as ISO 8859-1, which is the same for ASCII.
 *
 * Pure and bounded: memory is one buffer of the text's size.
 *
 * Source: java.util.Properties.load.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <odradek/bytes.h>

struct properties {
    const char *at;
    const char *end;
    char *line;           /* the logical line, escapes still inside, then resolved in place */
    uint32_t line_number; /* of the next physical line, from 1 */
    uint32_t bad_line;    /* 0: none; else where reading stopped at a broken \u */
};

struct property {
    struct odk_str key; /* views are good until the next call */
    struct odk_str value;
    uint32_t line; /* where it begins */
};

struct properties properties_init(struct odk_str text);
void properties_deinit(struct properties *properties);
/* False at the end, or when bad_line was set. */
bool properties_next(struct properties *properties, struct property *ret);
