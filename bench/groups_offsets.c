/* Offsets of groups without members: committing, keeping, reading all of them back. */
#include "bench/groups.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

#define COMMIT_VERSION   8
#define FETCH_VERSION    8
#define OFFSETS_VERSION  7
#define LATEST           (-1)
#define WARM_UP_S        0.5
#define FILL_CONNECTIONS 16u
#define FILLED_OFFSET    7
#define PARTITIONS_MAX   1000u

/* -- commits ------------------------------------------------------------------------------------------------------- */

struct commits;

/* One group that is committed to again and again. */
struct slot {
    struct commits *commits;
    struct talk *talk;
    char name[GROUP_NAME_BYTES];
    struct odk_str group;
    int64_t offset;
    int32_t partition;
};

struct commits {
    const struct groups_options *options;
    struct histogram took;
    uint64_t count_from_ns, stop_ns, counted, loading;
    uint32_t in_flight;
};

static void commit_send(struct slot *slot, void (*answer)(void *context, const void *response, uint64_t took_ns))
{
    struct offset_commit_request_partition partition;
    struct offset_commit_request_topic topic = { .name = odk_str_from(slot->commits->options->topic),
                                                 .partitions = &partition,
                                                 .partitions_count = 1 };
    struct offset_commit_request request;
    offset_commit_request_partition_init(&partition);
    partition.partition_index = slot->partition;
    partition.committed_offset = slot->offset;
    partition.committed_metadata = ODK_STR("");
    offset_commit_request_init(&request);
    request.group_id = slot->group;
    request.topics = &topic;
    request.topics_count = 1;
    slot->commits->in_flight++;
    talk_send(slot->talk, &(struct talk_call){ .key = WIRE_KEY_OFFSET_COMMIT,
                                               .version = COMMIT_VERSION,
                                               .request = &request,
                                               .answer = answer,
                                               .context = slot });
}

static int16_t commit_error(const struct offset_commit_response *response)
{
    if (response->topics_count != 1 || response->topics[0].partitions_count != 1)
        talk_fatal("an OffsetCommit of one partition is answered for another number");
    return response->topics[0].partitions[0].error_code;
}

static void commit_on_answer(void *context, const void *response, uint64_t took_ns)
{
    struct slot *slot = context;
    struct commits *commits = slot->commits;
    int16_t error = commit_error(response);
    uint64_t now = talk_now_ns();
    commits->in_flight--;
    if (error != KAFKA_NONE && !group_is_loading(error))
        talk_fatal("OffsetCommit: error %d", error);
    if (error != KAFKA_NONE)
        commits->loading++;
    else if (now >= commits->count_from_ns && now < commits->stop_ns) {
        histogram_add(&commits->took, took_ns);
        commits->counted++;
    }
    slot->offset++;
    if (now < commits->stop_ns)
        commit_send(slot, commit_on_answer);
}

void groups_commit(const struct groups_options *options)
{
    struct commits *commits = xcalloc(1, sizeof(*commits));
    uint32_t count = options->connections * options->outstanding;
    struct slot *slots = xcalloc(count, sizeof(*slots));
    struct talk *talk = NULL;
    commits->options = options;
    for (uint32_t i = 0; i < count; i++) {
        if (i % options->outstanding == 0)
            talk = talk_open(options->loop);
        slots[i] = (struct slot){ .commits = commits, .talk = talk, .partition = (int32_t)(i % options->partitions) };
        slots[i].group = group_name(options, i, slots[i].name);
    }
    group_ready(talk, slots[0].group);
    uint64_t begin_ns = talk_now_ns();
    commits->count_from_ns = begin_ns + (uint64_t)(WARM_UP_S * 1e9);
    commits->stop_ns = commits->count_from_ns + (uint64_t)(options->seconds * 1e9);
    for (uint32_t i = 0; i < count; i++)
        commit_send(&slots[i], commit_on_answer);
    while (commits->in_flight > 0)
        talk_turn(options->loop, 100);
    printf("{\"commits_per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"while_loading\":%llu}\n",
           (double)commits->counted / options->seconds, ms_of(histogram_quantile(&commits->took, 0.5)),
           ms_of(histogram_quantile(&commits->took, 0.99)), ms_of(commits->took.max_ns),
           (unsigned long long)commits->loading);
    free(slots);
    free(commits);
}

/* -- groups that only have offsets --------------------------------------------------------------------------------- */

struct fill {
    const struct groups_options *options;
    uint32_t next, done;
};

struct fill_lane {
    struct fill *fill;
    struct talk *talk;
    uint32_t group;
};

static void fill_on_answer(void *context, const void *response, uint64_t took_ns);

static void fill_send(struct fill_lane *lane)
{
    const struct groups_options *options = lane->fill->options;
    struct offset_commit_request_partition partitions[PARTITIONS_MAX];
    struct offset_commit_request_topic topic = { .name = odk_str_from(options->topic),
                                                 .partitions = partitions,
                                                 .partitions_count = (int32_t)options->group_partitions };
    struct offset_commit_request request;
    char name[GROUP_NAME_BYTES];
    for (uint32_t i = 0; i < options->group_partitions; i++) {
        offset_commit_request_partition_init(&partitions[i]);
        partitions[i].partition_index = (int32_t)((lane->group + i) % options->partitions);
        partitions[i].committed_offset = FILLED_OFFSET;
        partitions[i].committed_metadata = ODK_STR("");
    }
    offset_commit_request_init(&request);
    request.group_id = group_name(options, lane->group, name);
    request.topics = &topic;
    request.topics_count = 1;
    talk_send(lane->talk, &(struct talk_call){ .key = WIRE_KEY_OFFSET_COMMIT,
                                               .version = COMMIT_VERSION,
                                               .request = &request,
                                               .answer = fill_on_answer,
                                               .context = lane });
}

static void fill_next(struct fill_lane *lane)
{
    if (lane->fill->next == lane->fill->options->groups)
        return;
    lane->group = lane->fill->next++;
    fill_send(lane);
}

static void fill_on_answer(void *context, const void *response, uint64_t took_ns)
{
    struct fill_lane *lane = context;
    const struct offset_commit_response *got = response;
    (void)took_ns;
    for (int32_t i = 0; i < got->topics[0].partitions_count; i++) {
        int16_t error = got->topics[0].partitions[i].error_code;
        if (group_is_loading(error)) {
            fill_send(lane);
            return;
        }
        if (error != KAFKA_NONE)
            talk_fatal("OffsetCommit: error %d", error);
    }
    lane->fill->done++;
    fill_next(lane);
}

void groups_fill(const struct groups_options *options)
{
    struct fill fill = { .options = options };
    struct fill_lane lanes[FILL_CONNECTIONS];
    char name[GROUP_NAME_BYTES];
    if (options->group_partitions > PARTITIONS_MAX)
        talk_fatal("at most %u partitions in a group", PARTITIONS_MAX);
    for (uint32_t i = 0; i < FILL_CONNECTIONS; i++)
        lanes[i] = (struct fill_lane){ .fill = &fill, .talk = talk_open(options->loop) };
    group_ready(lanes[0].talk, group_name(options, 0, name));
    uint64_t begin_ns = talk_now_ns();
    for (uint32_t i = 0; i < FILL_CONNECTIONS; i++)
        fill_next(&lanes[i]);
    while (fill.done < options->groups)
        talk_turn(options->loop, 100);
    printf("{\"groups\":%u,\"offsets\":%u,\"seconds\":%.3f}\n", options->groups,
           options->groups * options->group_partitions, (double)(talk_now_ns() - begin_ns) / 1e9);
}

/* -- lag ----------------------------------------------------------------------------------------------------------- */

struct lag {
    const struct groups_options *options;
    struct talk *talk;
    struct arena arena; /* what the two requests point to */
    struct offset_fetch_request fetch;
    struct list_offsets_request ends;
    int64_t end_of[PARTITIONS_MAX];
    int64_t sum; /* of all partitions of all groups */
    uint32_t seen, loading;
};

static void lag_ends_read(struct lag *lag)
{
    const struct list_offsets_response *got =
        talk_ask(lag->talk, WIRE_KEY_LIST_OFFSETS, OFFSETS_VERSION, &lag->ends);
    for (int32_t i = 0; i < got->topics[0].partitions_count; i++) {
        const struct list_offsets_response_partition *partition = &got->topics[0].partitions[i];
        if (partition->error_code != KAFKA_NONE)
            talk_fatal("ListOffsets: error %d", partition->error_code);
        lag->end_of[partition->partition_index] = partition->offset;
    }
}

static void lag_group_read(struct lag *lag, const struct offset_fetch_response_group *group)
{
    lag->loading += group_is_loading(group->error_code);
    if (group->error_code != KAFKA_NONE && !group_is_loading(group->error_code))
        talk_fatal("OffsetFetch: error %d", group->error_code);
    for (int32_t t = 0; t < group->topics_count; t++)
        for (int32_t p = 0; p < group->topics[t].partitions_count; p++) {
            const struct offset_fetch_response_group_topic_partition *partition = &group->topics[t].partitions[p];
            lag->sum += lag->end_of[partition->partition_index] - partition->committed_offset;
            lag->seen++;
        }
}

static void lag_read(struct lag *lag)
{
    lag->seen = lag->loading = 0;
    lag->sum = 0;
    lag_ends_read(lag);
    const struct offset_fetch_response *got =
        talk_ask(lag->talk, WIRE_KEY_OFFSET_FETCH, FETCH_VERSION, &lag->fetch);
    for (int32_t i = 0; i < got->groups_count; i++)
        lag_group_read(lag, &got->groups[i]);
}

/* A server that has just started is asked until it has read all groups back. */
static uint64_t lag_measure(struct lag *lag)
{
    uint64_t begin_ns = talk_now_ns();
    for (lag_read(lag); lag->loading > 0; lag_read(lag))
        talk_turn(lag->options->loop, 1);
    uint64_t took_ns = talk_now_ns() - begin_ns;
    if (lag->seen != lag->options->groups * lag->options->group_partitions)
        talk_fatal("offsets of %u partitions of groups, not %u", lag->seen,
                   lag->options->groups * lag->options->group_partitions);
    return took_ns;
}

static void lag_prepare(struct lag *lag)
{
    const struct groups_options *options = lag->options;
    struct offset_fetch_request_group *groups = arena_alloc(&lag->arena, options->groups, sizeof(*groups));
    char(*names)[GROUP_NAME_BYTES] = arena_alloc(&lag->arena, options->groups, sizeof(*names));
    struct list_offsets_request_topic *topic = arena_new(&lag->arena, struct list_offsets_request_topic, 1);
    offset_fetch_request_init(&lag->fetch);
    list_offsets_request_init(&lag->ends);
    for (uint32_t i = 0; i < options->groups; i++) {
        offset_fetch_request_group_init(&groups[i]);
        groups[i].group_id = group_name(options, i, names[i]);
        groups[i].topics_count = -1;
    }
    lag->fetch.groups = groups;
    lag->fetch.groups_count = (int32_t)options->groups;
    topic->name = odk_str_from(options->topic);
    topic->partitions = arena_new(&lag->arena, struct list_offsets_request_partition, options->partitions);
    topic->partitions_count = (int32_t)options->partitions;
    for (uint32_t i = 0; i < options->partitions; i++) {
        list_offsets_request_partition_init(&topic->partitions[i]);
        topic->partitions[i].partition_index = (int32_t)i;
        topic->partitions[i].timestamp = LATEST;
    }
    lag->ends.replica_id = -1;
    lag->ends.topics = topic;
    lag->ends.topics_count = 1;
}

void groups_lag(const struct groups_options *options)
{
    struct lag *lag = xcalloc(1, sizeof(*lag));
    struct histogram took = { 0 };
    if (options->partitions > PARTITIONS_MAX)
        talk_fatal("at most %u partitions", PARTITIONS_MAX);
    lag->options = options;
    lag->talk = talk_open(options->loop);
    lag_prepare(lag);
    group_ready(lag->talk, lag->fetch.groups[0].group_id);
    for (uint32_t i = 0; i < options->rounds; i++)
        histogram_add(&took, lag_measure(lag));
    printf("{\"group_partitions\":%u,\"lag\":%lld,\"p50_ms\":%.3f,\"max_ms\":%.3f}\n", lag->seen, (long long)lag->sum,
           ms_of(histogram_quantile(&took, 0.5)), ms_of(took.max_ns));
    arena_deinit(&lag->arena);
    free(lag);
}
