/*
 * One table per verb: parsing, checks and --help come from it.
 *
 * A verb fills a struct args_spec on its stack, whose rows point to the variables they set; args_parse sets them.
 * Options may stand before and behind the operands; "--" ends them. Every verb understands -h and --help.
 * A value that may be left out is taken from the next word only where that begins with a digit.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/base.h"

/* Exit codes of every verb. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILURE = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_NOT_FOUND = 3,
    EXIT_CODE_REFUSED = 4,
    EXIT_CODE_UNREACHABLE = 5,
    EXIT_CODE_CORRUPT = 6,
    EXIT_CODE_THRESHOLD = 7,
    EXIT_CODE_TIMEOUT = 124,
    EXIT_CODE_INTERRUPTED = 130,
};

/* args_parse: nothing to exit for. */
#define ARGS_GO_ON (-1)

enum args_kind {
    ARGS_FLAG, /* bool: present or not */
    ARGS_TEXT, /* const char *: as given */
    ARGS_INT,  /* int64_t within [least, most] */
    ARGS_MS,   /* int64_t: milliseconds, or with a unit: 250ms, 5s, 2m, 1h, 7d */
    ARGS_LIST, /* struct args_list: may be given several times */
};

struct args_list {
    const char **items;
    size_t count;
};

struct args_option {
    const char *name; /* long name without dashes */
    char letter;      /* 0: none */
    enum args_kind kind;
    const char *value; /* how help names the value; NULL for flags */
    const char *help;  /* one line */
    void *into;        /* the variable, of the kind's type; its content is the default */
    int64_t least;     /* ARGS_INT: bounds, both 0: any */
    int64_t most;
    const char *otherwise; /* ARGS_TEXT: the value may be left out and is this then; NULL: it may not */
};

struct args_spec {
    const char *verb;     /* "topic create" */
    const char *summary;  /* one sentence */
    const char *operands; /* "NAME..."; "" for none */
    const struct args_option *options;
    size_t option_count;
    size_t operands_min;
    size_t operands_max; /* SIZE_MAX: any number */
    const char *details; /* further help text, or NULL */
};

/* What stood between the options; views into argv. */
struct args_operands {
    char **items;
    size_t count;
};

/*
 * Parses argv (argv[0] is skipped). Returns ARGS_GO_ON, or the code to exit with: EXIT_CODE_OK after --help (printed on
 * stdout), EXIT_CODE_USAGE after a mistake (explained on stderr). Lists are the caller's (args_list_deinit).
 */
int args_parse(const struct args_spec *spec, int argc, char **argv, struct args_operands *ret_operands);

void args_list_deinit(struct args_list *list);

/* Explains a mistake that only the verb can see; returns EXIT_CODE_USAGE. */
int args_mistake(const struct args_spec *spec, const char *format, ...) PRINTF(2, 3);

/* Whole decimal numbers, nothing around them. */
bool args_int(const char *text, int64_t *ret);
/* Milliseconds: "1500", "250ms", "5s", "2m", "1h", "7d". */
bool args_ms(const char *text, int64_t *ret);
