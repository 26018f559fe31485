/*
 * What a large consumer group costs: processor time of the coordinator alone, without log, network and codec.
 *
 *   ninja tests/unit/coordinator/coordinator_modern_bench && tests/unit/coordinator/coordinator_modern_bench [MEMBERS
 * PARTITIONS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "coordinator/groups.h"
#include "wire/messages.h"

struct world {
    struct groups *groups;
    struct group_topic topic;
    uint64_t now_ns;
    int64_t wall_ms;
    struct timers timers;
    struct group_memory memory;
    struct group_turn turn;
    int32_t interval_ms;
    uint64_t records, record_bytes, flush_count;
};

struct reader {
    char id[24];
    int32_t epoch;
    int32_t *owned;
    int32_t owned_count;
    bool changed;
};

static struct world w;

static void record(void *context, struct odk_bytes key, struct odk_bytes value)
{
    (void)context;
    w.records++;
    w.record_bytes += key.len + value.len;
}

static void flush(void *context)
{
    (void)context;
    w.flush_count++;
}

static void answer(void *context, struct group_call *call)
{
    (void)context;
    (void)call;
}

static bool by_name(void *context, struct odk_str name, struct group_topic *ret)
{
    (void)context;
    *ret = w.topic;
    return odk_str_eq(name, w.topic.name);
}

static bool by_id(void *context, struct odk_uuid id, struct group_topic *ret)
{
    (void)context;
    *ret = w.topic;
    return odk_uuid_eq(id, w.topic.id);
}

static bool from(void *context, struct odk_str after, bool (*visit)(void *visitor, const struct group_topic *topic),
                 void *visitor, bool *ret_ended)
{
    (void)context;
    *ret_ended = after.data || visit(visitor, &w.topic);
    return true;
}

static void settings(void *context, struct odk_str group_id, struct group_settings *ret)
{
    (void)context;
    (void)group_id;
    *ret = (struct group_settings){ .session_timeout_ms = 45000,
                                    .heartbeat_interval_ms = 5000,
                                    .assignment_interval_ms = w.interval_ms };
}

static void random_bytes(void *context, void *dst, size_t len)
{
    (void)context;
    memset(dst, 7, len);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

enum say { SAY_NOTHING, SAY_OWNED };

static void beat(struct reader *reader, enum say say)
{
    static struct arena arena;
    static struct odk_str topic = { "t", 1 };
    struct consumer_group_heartbeat_request in;
    struct consumer_group_heartbeat_response out;
    struct consumer_group_heartbeat_request_topic_partition row = { w.topic.id, reader->owned, reader->owned_count };
    consumer_group_heartbeat_request_init(&in);
    consumer_group_heartbeat_response_init(&out);
    in.group_id = ODK_STR("g");
    in.member_id = odk_str_from(reader->id);
    in.member_epoch = reader->epoch;
    if (reader->epoch == 0) {
        in.rebalance_timeout_ms = 300000;
        in.subscribed_topic_names = &topic;
        in.subscribed_topic_names_count = 1;
    }
    in.topic_partitions = &row;
    in.topic_partitions_count = say == SAY_NOTHING ? -1 : reader->owned_count > 0;
    struct group_call call = { .kind = GROUP_CALL_CONSUMER_HEARTBEAT,
                               .version = 1,
                               .client_id = ODK_STR("client"),
                               .client_host = ODK_STR("/127.0.0.1"),
                               .arena = &arena,
                               .in = &in,
                               .out = &out };
    groups_call(w.groups, &call);
    if (out.error_code != KAFKA_NONE) {
        printf("error %d\n", out.error_code);
        exit(1);
    }
    reader->epoch = out.member_epoch;
    if (out.assignment) {
        reader->owned_count = 0;
        for (int32_t i = 0; i < out.assignment->topic_partitions_count; i++)
            for (int32_t j = 0; j < out.assignment->topic_partitions[i].partitions_count; j++)
                reader->owned[reader->owned_count++] = out.assignment->topic_partitions[i].partitions[j];
        reader->changed = true;
    }
    arena_reset(&arena);
}

static bool stable(void)
{
    struct arena arena = { 0 };
    struct list_groups_request in = { 0 };
    struct list_groups_response out = { 0 };
    struct group_call call = { .kind = GROUP_CALL_LIST, .version = 5, .arena = &arena, .in = &in, .out = &out };
    groups_call(w.groups, &call);
    bool result = odk_str_eq(out.groups[0].group_state, ODK_STR("Stable"));
    arena_deinit(&arena);
    return result;
}

static void say(const char *what, uint64_t begin_ns, uint64_t count)
{
    double us = (double)(cpu_ns() - begin_ns) / 1e3;
    printf("%-34s %9.1f ms %9.2f us each; records %llu, %.1f MB\n", what, us / 1e3, us / (double)count,
           (unsigned long long)w.records, (double)w.record_bytes / 1e6);
    w.records = w.record_bytes = 0;
}

static void run(uint32_t members, int32_t partitions, int32_t interval_ms)
{
    static struct groups_config config;
    config = (struct groups_config){ .modern_size_max = INT32_MAX,
                                     .assignors = { true, true },
                                     .retention_check_interval_ms = 600000,
                                     .offsets_retention_ms = 600000,
                                     .consumer_enabled = true };
    w = (struct world){ .now_ns = NS_PER_S, .wall_ms = 1, .memory = { .max = UINT64_MAX }, .interval_ms = interval_ms };
    w.topic = (struct group_topic){ .id = { { 1 } }, .name = ODK_STR("t"), .partition_count = partitions };
    struct groups_env env = { .record = record,
                              .flush = flush,
                              .answer = answer,
                              .topic_by_name = by_name,
                              .topic_by_id = by_id,
                              .topics_from = from,
                              .settings = settings,
                              .random = random_bytes,
                              .now_ns = &w.now_ns,
                              .wall_ms = &w.wall_ms,
                              .timers = &w.timers,
                              .config = &config,
                              .memory = &w.memory,
                              .turn = &w.turn };
    struct reader *readers = calloc(members, sizeof(*readers));
    w.groups = groups_new(&env);
    groups_loaded(w.groups);
    printf("%u members, %d partitions, assignment interval %d ms\n", members, partitions, interval_ms);
    uint64_t begin = cpu_ns();
    for (uint32_t i = 0; i < members; i++) {
        snprintf(readers[i].id, sizeof(readers[i].id), "member-%u", i);
        readers[i].owned = calloc((size_t)partitions, sizeof(int32_t));
        beat(&readers[i], SAY_OWNED);
        w.now_ns += NS_PER_MS;
        timers_fire(&w.timers, w.now_ns);
    }
    say("all join, one each ms", begin, members);
    begin = cpu_ns();
    uint32_t rounds = 0;
    for (; !stable(); rounds++) {
        for (uint32_t i = 0; i < members; i++) {
            bool changed = readers[i].changed;
            readers[i].changed = false;
            beat(&readers[i], changed ? SAY_OWNED : SAY_NOTHING);
        }
        w.now_ns += 5 * NS_PER_S;
        timers_fire(&w.timers, w.now_ns);
    }
    printf("%u rounds of heartbeats\n", rounds);
    say("until stable", begin, (uint64_t)members * MAX(rounds, 1u));
    begin = cpu_ns();
    for (uint32_t round = 0; round < 10; round++)
        for (uint32_t i = 0; i < members; i++)
            beat(&readers[i], SAY_NOTHING);
    say("a heartbeat without news", begin, 10 * (uint64_t)members);
    begin = cpu_ns();
    for (uint32_t round = 0; round < 10; round++)
        for (uint32_t i = 0; i < members; i++)
            beat(&readers[i], SAY_OWNED);
    say("one that says what it owns", begin, 10 * (uint64_t)members);
    groups_free(w.groups);
    timers_deinit(&w.timers);
    for (uint32_t i = 0; i < members; i++)
        free(readers[i].owned);
    free(readers);
}

int main(int argc, char **argv)
{
    uint32_t members = argc > 2 ? (uint32_t)atoi(argv[1]) : 1000;
    int32_t partitions = argc > 2 ? atoi(argv[2]) : 1000;
    run(members, partitions, 1000);
    run(members, partitions, 0);
    return 0;
}
