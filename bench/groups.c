/*
 * Measures consumer groups: `groups NAME --broker HOST:PORT --topic NAME [options]`, one line of JSON each.
 * bench/run.py starts the servers and reads memory and flushes.
 */
#include "bench/groups.h"

#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIND_COORDINATOR_VERSION 4
#define READY_ROUNDS_MAX         600
#define READY_PAUSE_MS           50

static const struct measurement {
    const char *name;
    void (*run)(const struct groups_options *options);
    const char *what;
} measurements[] = {
    { "commit", groups_commit, "OffsetCommits per second over --connections, --outstanding on each" },
    { "fill", groups_fill, "makes --groups with offsets on --group-partitions" },
    { "lag", groups_lag, "committed and end offsets of what fill has made, --rounds times" },
    { "join", groups_join, "--members of a classic group come at once, then one more" },
    { "move", groups_move, "one more member for a group of the newer protocol, while --members read --partitions" },
};

struct odk_str group_name(const struct groups_options *options, uint32_t number, char dst[GROUP_NAME_BYTES])
{
    int len = snprintf(dst, GROUP_NAME_BYTES, "%s-%u", options->prefix, number);
    return (struct odk_str){ .data = dst, .len = (size_t)len };
}

bool group_is_loading(int16_t error)
{
    return error == KAFKA_COORDINATOR_LOAD_IN_PROGRESS || error == KAFKA_COORDINATOR_NOT_AVAILABLE ||
           error == KAFKA_NOT_COORDINATOR;
}

void group_ready(struct talk *talk, struct odk_str group)
{
    struct find_coordinator_request request;
    find_coordinator_request_init(&request);
    request.coordinator_keys = &group;
    request.coordinator_keys_count = 1;
    for (int round = 0; round < READY_ROUNDS_MAX; round++) {
        const struct find_coordinator_response *response =
            talk_ask(talk, WIRE_KEY_FIND_COORDINATOR, FIND_COORDINATOR_VERSION, &request);
        if (response->coordinators_count == 1 && response->coordinators[0].error_code == KAFKA_NONE)
            return;
        (void)poll(NULL, 0, READY_PAUSE_MS);
    }
    talk_fatal("group %.*s has no coordinator", ODK_STR_FMT(group));
}

/* -- arguments ----------------------------------------------------------------------------------------------------- */

static _Noreturn void usage(int code)
{
    FILE *to = code ? stderr : stdout;
    fputs("usage: groups NAME --broker HOST:PORT --topic NAME [options]\n", to);
    for (size_t i = 0; i < countof(measurements); i++)
        fprintf(to, "  %-7s %s\n", measurements[i].name, measurements[i].what);
    fputs("  --partitions N        that the topic has (default 1)\n"
          "  --prefix TEXT         of group names (default bench)\n"
          "  --members N           (default 100)    --connections N  (default 64)    --outstanding N  (default 1)\n"
          "  --groups N            (default 100)    --group-partitions N  (default 1)\n"
          "  --rounds N            (default 20)     --seconds N  (default 5)\n"
          "  --delay-ms N          the server's group.initial.rebalance.delay.ms (default 3000)\n",
          to);
    exit(code);
}

static uint32_t number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || end == text || value > 1000000)
        usage(2);
    return (uint32_t)value;
}

static const char *arguments(struct groups_options *options, int argc, char **argv)
{
    static const struct option names[] = {
        { "broker", 1, NULL, 'b' },  { "topic", 1, NULL, 't' },       { "partitions", 1, NULL, 'p' },
        { "prefix", 1, NULL, 'x' },  { "members", 1, NULL, 'm' },     { "connections", 1, NULL, 'c' },
        { "groups", 1, NULL, 'g' },  { "outstanding", 1, NULL, 'o' }, { "group-partitions", 1, NULL, 'q' },
        { "rounds", 1, NULL, 'r' },  { "delay-ms", 1, NULL, 'd' },    { "seconds", 1, NULL, 's' },
        { "help", 0, NULL, 'h' },    { 0 },
    };
    const char *broker = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'b': broker = optarg; break;
        case 't': options->topic = optarg; break;
        case 'x': options->prefix = optarg; break;
        case 'p': options->partitions = number(optarg); break;
        case 'm': options->members = number(optarg); break;
        case 'c': options->connections = number(optarg); break;
        case 'o': options->outstanding = number(optarg); break;
        case 'g': options->groups = number(optarg); break;
        case 'q': options->group_partitions = number(optarg); break;
        case 'r': options->rounds = number(optarg); break;
        case 'd': options->delay_ms = number(optarg); break;
        case 's': options->seconds = strtod(optarg, NULL); break;
        default: usage(option == 'h' ? 0 : 2);
        }
    }
    if (!broker || !options->topic || optind != argc - 1 || !options->partitions || !options->members ||
        !options->connections || !options->outstanding || !options->groups || !options->rounds ||
        options->group_partitions > options->partitions)
        usage(2);
    options->loop = talk_loop_new(broker);
    return argv[optind];
}

int main(int argc, char **argv)
{
    struct groups_options options = { .prefix = "bench",
                                      .partitions = 1,
                                      .members = 100,
                                      .connections = 64,
                                      .outstanding = 1,
                                      .groups = 100,
                                      .group_partitions = 1,
                                      .rounds = 20,
                                      .delay_ms = 3000,
                                      .seconds = 5 };
    const char *name = arguments(&options, argc, argv);
    for (size_t i = 0; i < countof(measurements); i++)
        if (strcmp(measurements[i].name, name) == 0) {
            measurements[i].run(&options);
            talk_loop_free(options.loop);
            return 0;
        }
    usage(2);
}
