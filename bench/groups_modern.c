/*
 * A group of the newer protocol (KIP-848) that one more member joins while all of them read: which partitions move, and
 * whether the others are read on without a pause. No partition may ever have two owners; that ends the program.
 *
 * Members beat more often than a server asks them to, so that figures are the server's and not those of an interval.
 */
#include "bench/groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEAT_VERSION     1
#define FETCH_VERSION    13
#define METADATA_VERSION 12
#define BEAT_NS          (100 * UINT64_C(1000000))
#define FETCH_WAIT_MS    10
#define PAUSE_NS_MAX     (100 * UINT64_C(1000000)) /* read on: no longer gap between two answers */
#define STEADY_NS        (500 * UINT64_C(1000000))
#define SETTLE_NS_MAX    (120 * UINT64_C(1000000000))
#define PARTITIONS_MAX   1000u
#define NOBODY           UINT32_MAX

struct crowd;

struct reader {
    struct crowd *crowd;
    struct talk *beats, *fetches;
    char id[64];
    int32_t epoch;
    uint32_t number, owned_count;
    bool beating, fetching;
    bool changed; /* what is owned has not been told yet */
    uint64_t beat_ns;
};

struct place {
    uint32_t owner, owner_before;
    bool moved;
    uint64_t read_ns;  /* latest answer to its owner */
    uint64_t gap_ns;   /* longest between two of them */
    uint64_t pause_ns; /* moved: from the last answer to the old owner to the first to the new one */
};

struct crowd {
    const struct groups_options *options;
    char group_text[GROUP_NAME_BYTES];
    struct odk_str group;
    struct odk_uuid topic_id;
    struct reader *readers;
    uint32_t count;
    struct place places[PARTITIONS_MAX];
};

static void reader_beat(struct reader *reader);

/* -- reading ------------------------------------------------------------------------------------------------------- */

static void place_read(struct place *place, const struct reader *reader, uint64_t now)
{
    if (place->owner != reader->number)
        return;
    if (place->moved && place->pause_ns == 0)
        place->pause_ns = now - place->read_ns;
    else if (place->read_ns)
        place->gap_ns = MAX(place->gap_ns, now - place->read_ns);
    place->read_ns = now;
}

static void reader_fetch(struct reader *reader);

static void fetch_on_answer(void *context, const void *response, uint64_t took_ns)
{
    struct reader *reader = context;
    const struct fetch_response *got = response;
    uint64_t now = talk_now_ns();
    (void)took_ns;
    reader->fetching = false;
    if (got->error_code != KAFKA_NONE)
        talk_fatal("Fetch: error %d", got->error_code);
    for (int32_t t = 0; t < got->responses_count; t++)
        for (int32_t p = 0; p < got->responses[t].partitions_count; p++) {
            const struct fetch_response_partition *partition = &got->responses[t].partitions[p];
            if (partition->error_code != KAFKA_NONE)
                talk_fatal("Fetch of partition %d: error %d", partition->partition_index, partition->error_code);
            place_read(&reader->crowd->places[partition->partition_index], reader, now);
        }
    reader_fetch(reader);
}

static void reader_fetch(struct reader *reader)
{
    struct crowd *crowd = reader->crowd;
    struct fetch_request_partition partitions[PARTITIONS_MAX];
    struct fetch_request_topic topic = { .topic_id = crowd->topic_id, .partitions = partitions };
    struct fetch_request request;
    if (reader->fetching || reader->owned_count == 0)
        return;
    for (uint32_t p = 0; p < crowd->options->partitions; p++) {
        if (crowd->places[p].owner != reader->number)
            continue;
        struct fetch_request_partition *partition = &partitions[topic.partitions_count++];
        fetch_request_partition_init(partition);
        partition->partition = (int32_t)p;
        partition->partition_max_bytes = 65536;
    }
    fetch_request_init(&request);
    request.max_wait_ms = FETCH_WAIT_MS;
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    request.topics = &topic;
    request.topics_count = 1;
    reader->fetching = true;
    talk_send(reader->fetches, &(struct talk_call){ .key = WIRE_KEY_FETCH,
                                                    .version = FETCH_VERSION,
                                                    .request = &request,
                                                    .answer = fetch_on_answer,
                                                    .context = reader });
}

/* -- belonging ----------------------------------------------------------------------------------------------------- */

static void place_give(struct crowd *crowd, uint32_t index, uint32_t owner)
{
    struct place *place = &crowd->places[index];
    if (owner != NOBODY && place->owner != NOBODY)
        talk_fatal("partition %u has two owners, members %u and %u", index, place->owner, owner);
    place->owner = owner;
    place->moved = true;
    place->pause_ns = 0;
}

static void reader_assign(struct reader *reader, const struct consumer_group_heartbeat_response_assignment *assignment)
{
    struct crowd *crowd = reader->crowd;
    bool mine[PARTITIONS_MAX] = { false };
    for (int32_t t = 0; t < assignment->topic_partitions_count; t++)
        for (int32_t p = 0; p < assignment->topic_partitions[t].partitions_count; p++) {
            int32_t index = assignment->topic_partitions[t].partitions[p];
            if (index < 0 || (uint32_t)index >= crowd->options->partitions)
                talk_fatal("assigned partition %d", index);
            mine[index] = true;
        }
    reader->owned_count = 0;
    for (uint32_t p = 0; p < crowd->options->partitions; p++) {
        bool owned = crowd->places[p].owner == reader->number;
        if (owned != mine[p]) {
            place_give(crowd, p, mine[p] ? reader->number : NOBODY);
            reader->changed = true;
        }
        reader->owned_count += mine[p];
    }
}

static void beat_on_answer(void *context, const void *response, uint64_t took_ns)
{
    struct reader *reader = context;
    const struct consumer_group_heartbeat_response *got = response;
    (void)took_ns;
    reader->beating = false;
    reader->beat_ns = talk_now_ns() + BEAT_NS;
    if (group_is_loading(got->error_code))
        return;
    if (got->error_code != KAFKA_NONE)
        talk_fatal("ConsumerGroupHeartbeat: error %d, %.*s", got->error_code, ODK_STR_FMT(got->error_message));
    reader->epoch = got->member_epoch;
    if (got->assignment)
        reader_assign(reader, got->assignment);
    if (reader->changed)
        reader_beat(reader);
    reader_fetch(reader);
}

/* Joining, and when what is owned has changed, a member says what it owns. */
static void reader_beat(struct reader *reader)
{
    struct crowd *crowd = reader->crowd;
    struct odk_str topic = odk_str_from(crowd->options->topic);
    int32_t owned[PARTITIONS_MAX];
    struct consumer_group_heartbeat_request_topic_partition mine = { .topic_id = crowd->topic_id, .partitions = owned };
    struct consumer_group_heartbeat_request request;
    consumer_group_heartbeat_request_init(&request);
    request.group_id = crowd->group;
    request.member_id = odk_str_from(reader->id);
    request.member_epoch = reader->epoch;
    for (uint32_t p = 0; p < crowd->options->partitions; p++)
        if (crowd->places[p].owner == reader->number)
            owned[mine.partitions_count++] = (int32_t)p;
    if (reader->epoch == 0) {
        request.rebalance_timeout_ms = 30000;
        request.subscribed_topic_names = &topic;
        request.subscribed_topic_names_count = 1;
    }
    if (reader->epoch == 0 || reader->changed) {
        request.topic_partitions = &mine;
        request.topic_partitions_count = mine.partitions_count > 0;
    }
    reader->changed = false;
    reader->beating = true;
    talk_send(reader->beats, &(struct talk_call){ .key = WIRE_KEY_CONSUMER_GROUP_HEARTBEAT,
                                                  .version = BEAT_VERSION,
                                                  .request = &request,
                                                  .answer = beat_on_answer,
                                                  .context = reader });
}

/* -- the measurement ----------------------------------------------------------------------------------------------- */

static void crowd_turn(struct crowd *crowd)
{
    uint64_t now = talk_now_ns();
    for (uint32_t i = 0; i < crowd->count; i++)
        if (!crowd->readers[i].beating && now >= crowd->readers[i].beat_ns)
            reader_beat(&crowd->readers[i]);
    talk_turn(crowd->options->loop, 1);
}

/* Every partition has an owner and was read by it, everybody is at the same epoch with the same share. */
static bool crowd_is_settled(const struct crowd *crowd)
{
    uint32_t least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < crowd->count; i++) {
        const struct reader *reader = &crowd->readers[i];
        if (reader->changed || reader->epoch == 0 || reader->epoch != crowd->readers[0].epoch)
            return false;
        least = MIN(least, reader->owned_count);
        most = MAX(most, reader->owned_count);
    }
    for (uint32_t p = 0; p < crowd->options->partitions; p++) {
        const struct place *place = &crowd->places[p];
        if (place->owner == NOBODY || (place->moved && place->pause_ns == 0))
            return false;
    }
    return most - least <= 1;
}

static uint64_t crowd_settle(struct crowd *crowd)
{
    uint64_t begin_ns = talk_now_ns();
    while (!crowd_is_settled(crowd)) {
        crowd_turn(crowd);
        if (talk_now_ns() - begin_ns > SETTLE_NS_MAX)
            talk_fatal("the group is not settled after two minutes");
    }
    return talk_now_ns() - begin_ns;
}

static void crowd_add(struct crowd *crowd)
{
    uint32_t number = crowd->count++;
    struct reader *reader = &crowd->readers[number];
    *reader = (struct reader){ .crowd = crowd, .number = number };
    (void)snprintf(reader->id, sizeof(reader->id), "bench-%ld-%u", (long)getpid(), number);
    reader->beats = talk_open(crowd->options->loop);
    reader->fetches = talk_open(crowd->options->loop);
}

static void topic_id_read(struct crowd *crowd, struct talk *talk)
{
    struct metadata_request_topic topic = { .name = odk_str_from(crowd->options->topic) };
    struct metadata_request request;
    metadata_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    const struct metadata_response *got = talk_ask(talk, WIRE_KEY_METADATA, METADATA_VERSION, &request);
    if (got->topics_count != 1 || got->topics[0].error_code != KAFKA_NONE ||
        (uint32_t)got->topics[0].partitions_count != crowd->options->partitions)
        talk_fatal("topic %s does not have %u partitions", crowd->options->topic, crowd->options->partitions);
    crowd->topic_id = got->topics[0].topic_id;
}

static void crowd_report(const struct crowd *crowd, double settled_ms)
{
    uint32_t moved = 0, read_on = 0;
    uint64_t gap_ns = 0, pause_ns = 0;
    for (uint32_t p = 0; p < crowd->options->partitions; p++) {
        const struct place *place = &crowd->places[p];
        moved += place->owner != place->owner_before;
        read_on += !place->moved && place->gap_ns <= PAUSE_NS_MAX;
        gap_ns = MAX(gap_ns, place->moved ? 0 : place->gap_ns);
        pause_ns = MAX(pause_ns, place->moved ? place->pause_ns : 0);
    }
    printf("{\"members\":%u,\"partitions\":%u,\"moved\":%u,\"stayed\":%u,\"read_on\":%u,"
           "\"longest_gap_of_stayed_ms\":%.1f,\"longest_pause_of_moved_ms\":%.1f,\"settled_ms\":%.1f}\n",
           crowd->count, crowd->options->partitions, moved, crowd->options->partitions - moved, read_on, ms_of(gap_ns),
           ms_of(pause_ns), settled_ms);
}

void groups_move(const struct groups_options *options)
{
    struct crowd *crowd = xcalloc(1, sizeof(*crowd));
    if (options->partitions > PARTITIONS_MAX)
        talk_fatal("at most %u partitions", PARTITIONS_MAX);
    crowd->options = options;
    crowd->readers = xcalloc(options->members + 1, sizeof(*crowd->readers));
    crowd->group = group_name(options, 0, crowd->group_text);
    for (uint32_t p = 0; p < options->partitions; p++)
        crowd->places[p].owner = NOBODY;
    for (uint32_t i = 0; i < options->members; i++)
        crowd_add(crowd);
    topic_id_read(crowd, crowd->readers[0].beats);
    group_ready(crowd->readers[0].beats, crowd->group);
    (void)crowd_settle(crowd);
    for (uint64_t until_ns = talk_now_ns() + STEADY_NS; talk_now_ns() < until_ns;)
        crowd_turn(crowd);
    for (uint32_t p = 0; p < options->partitions; p++) {
        struct place *place = &crowd->places[p];
        *place = (struct place){ .owner = place->owner, .owner_before = place->owner, .read_ns = place->read_ns };
    }
    crowd_add(crowd);
    double settled_ms = ms_of(crowd_settle(crowd));
    crowd_report(crowd, settled_ms);
    free(crowd->readers);
    free(crowd);
}
