#include "client/args.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define OPTIONS_MAX 48u
/* getopt values above this are rows of the table; letters are below. */
#define ROW_VALUE   256
#define HELP_COLUMN 30

struct parser {
    struct option longs[OPTIONS_MAX + 2];
    char shorts[3 * OPTIONS_MAX + 4];
};

bool args_int(const char *text, int64_t *ret)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == ' ' || *text == '\t')
        return false;
    *ret = value;
    return true;
}

bool args_ms(const char *text, int64_t *ret)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = { { "", 1 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *text == ' ')
        return false;
    for (size_t i = 0; i < countof(units); i++) {
        int64_t ms;
        if (strcmp(end, units[i].name) != 0)
            continue;
        if (__builtin_mul_overflow((int64_t)value, units[i].ms, &ms))
            return false;
        *ret = ms;
        return true;
    }
    return false;
}

void args_list_deinit(struct args_list *list)
{
    free(list->items);
    *list = (struct args_list){ 0 };
}

int args_mistake(const struct args_spec *spec, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "odradek %s: ", spec->verb);
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\ntry: odradek %s --help\n", spec->verb);
    va_end(args);
    return EXIT_CODE_USAGE;
}

static void help_row(char letter, const char *name, const char *value, const char *help)
{
    char left[128];
    char dash[8] = "    ";
    if (letter)
        (void)snprintf(dash, sizeof(dash), "-%c, ", letter);
    int used = snprintf(left, sizeof(left), "  %s--%s%s%s", dash, name, value ? " " : "", value ? value : "");
    if (used >= HELP_COLUMN)
        (void)printf("%s\n%*s%s\n", left, HELP_COLUMN, "", help);
    else
        (void)printf("%-*s%s\n", HELP_COLUMN, left, help);
}

static void help_print(const struct args_spec *spec)
{
    (void)printf("%s\n\nusage: odradek %s [OPTION]...%s%s\n", spec->summary, spec->verb, *spec->operands ? " " : "",
                 spec->operands);
    (void)printf("\noptions:\n");
    for (size_t i = 0; i < spec->option_count; i++)
        help_row(spec->options[i].letter, spec->options[i].name, spec->options[i].value, spec->options[i].help);
    help_row('h', "help", NULL, "show this help");
    if (spec->details)
        (void)printf("\n%s\n", spec->details);
}

static void parser_init(struct parser *parser, const struct args_spec *spec)
{
    size_t letters = 0;
    ASSERT(spec->option_count <= OPTIONS_MAX);
    memset(parser, 0, sizeof(*parser));
    parser->shorts[letters++] = ':'; /* a missing value is told apart from an unknown option */
    parser->shorts[letters++] = 'h';
    for (size_t i = 0; i < spec->option_count; i++) {
        const struct args_option *row = &spec->options[i];
        bool wants = row->kind != ARGS_FLAG;
        int value = !wants ? no_argument : row->otherwise ? optional_argument : required_argument;
        parser->longs[i] = (struct option){ row->name, value, NULL, ROW_VALUE + (int)i };
        if (!row->letter)
            continue;
        parser->shorts[letters++] = row->letter;
        if (wants)
            parser->shorts[letters++] = ':';
        if (row->otherwise)
            parser->shorts[letters++] = ':';
    }
    parser->longs[spec->option_count] = (struct option){ "help", no_argument, NULL, 'h' };
}

static const struct args_option *row_find(const struct args_spec *spec, int value)
{
    if (value >= ROW_VALUE)
        return &spec->options[value - ROW_VALUE];
    for (size_t i = 0; i < spec->option_count; i++)
        if (spec->options[i].letter == value)
            return &spec->options[i];
    return NULL;
}

static int int_set(const struct args_spec *spec, const struct args_option *row, const char *text)
{
    int64_t value = 0;
    bool good = row->kind == ARGS_MS ? args_ms(text, &value) : args_int(text, &value);
    if (!good)
        return args_mistake(spec, "--%s: '%s' is not a %s", row->name, text,
                            row->kind == ARGS_MS ? "duration (examples: 500ms, 5s, 2m)" : "number");
    if (row->most == INT64_MAX && value < row->least)
        return args_mistake(spec, "--%s: %lld is below %lld", row->name, (long long)value, (long long)row->least);
    if ((row->least != 0 || row->most != 0) && (value < row->least || value > row->most))
        return args_mistake(spec, "--%s: %lld is outside %lld..%lld", row->name, (long long)value,
                            (long long)row->least, (long long)row->most);
    *(int64_t *)row->into = value;
    return ARGS_GO_ON;
}

static int row_set(const struct args_spec *spec, const struct args_option *row, const char *text)
{
    struct args_list *list;
    switch (row->kind) {
    case ARGS_FLAG: *(bool *)row->into = true; return ARGS_GO_ON;
    case ARGS_TEXT: *(const char **)row->into = text; return ARGS_GO_ON;
    case ARGS_INT:
    case ARGS_MS: return int_set(spec, row, text);
    case ARGS_LIST:
        list = row->into;
        list->items = xrealloc(list->items, (list->count + 1) * sizeof(*list->items));
        list->items[list->count++] = text;
        return ARGS_GO_ON;
    }
    UNREACHABLE();
}

/* The value of a row, when it may be left out and no '=' has said it. */
static const char *value_left_out(const struct args_option *row, int argc, char **argv)
{
    bool number = optind < argc && argv[optind][0] >= '0' && argv[optind][0] <= '9';
    return number ? argv[optind++] : row->otherwise;
}

static int operands_check(const struct args_spec *spec, size_t count)
{
    if (count < spec->operands_min)
        return args_mistake(spec, "missing operand: %s", spec->operands);
    if (count > spec->operands_max)
        return args_mistake(spec, "too many operands");
    return ARGS_GO_ON;
}

int args_parse(const struct args_spec *spec, int argc, char **argv, struct args_operands *ret_operands)
{
    struct parser parser;
    parser_init(&parser, spec);
    optind = 0; /* getopt forgets an earlier verb's scan */
    opterr = 0;
    for (int value; (value = getopt_long(argc, argv, parser.shorts, parser.longs, NULL)) != -1;) {
        if (value == 'h') {
            help_print(spec);
            return EXIT_CODE_OK;
        }
        if (value == ':')
            return args_mistake(spec, "%s needs a value", argv[optind - 1]);
        const struct args_option *row = value == '?' ? NULL : row_find(spec, value);
        if (!row && optopt > 0 && optopt < ROW_VALUE && value == '?')
            return args_mistake(spec, "unknown option -%c", optopt);
        if (!row)
            return args_mistake(spec, "unknown option %s", argv[optind - 1]);
        int code = row_set(spec, row, row->otherwise && !optarg ? value_left_out(row, argc, argv) : optarg);
        if (code != ARGS_GO_ON)
            return code;
    }
    *ret_operands = (struct args_operands){ .items = argv + optind, .count = (size_t)(argc - optind) };
    return operands_check(spec, ret_operands->count);
}
