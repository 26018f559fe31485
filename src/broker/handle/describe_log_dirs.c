/* DescribeLogDirs: the data directory, its volume, and how much of it each partition takes. Source: KIP-113, KIP-827. */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/part_legs.h"

struct dir_part {
    struct part part;
    uint64_t size;
    bool known;   /* there is a log, and it says how large it is */
    bool offline; /* it does not take records any more */
};

struct dir_topic {
    struct odk_str name;
    struct dir_part *parts;
    uint32_t part_count;
};

struct log_dirs {
    struct part_legs legs;
    struct describe_log_dirs_request in;
    struct describe_log_dirs_response reply;
    struct describe_log_dirs_response_log_dir dir;
    struct dir_topic *topics;
    uint32_t topic_count;
};

/* On the owner. */
static void part_look(struct part *base, struct partition *partition, struct broker *at)
{
    struct dir_part *part = container_of(base, struct dir_part, part);
    if (part_check(partition, -1, at) != KAFKA_NONE || odk_log_end_offset(partition->log) < 0)
        return;
    part->known = true;
    part->size = odk_log_size(partition->log);
    part->offline = odk_log_state(partition->log) == ODK_ERR_OFFLINE;
}

/* -- in ----------------------------------------------------------------------------------------------------------- */

/* The topic may be gone when the answer is made. False: no memory. */
static bool name_copy(struct log_dirs *dirs, const struct topic *topic, struct odk_str *ret)
{
    struct odk_str name = topic_name(topic);
    char *copy = arena_new(&dirs->legs.request->arena, char, name.len);
    if (!copy)
        return false;
    memcpy(copy, name.data, name.len);
    *ret = (struct odk_str){ .data = copy, .len = name.len };
    return true;
}

/* Adds partitions of a topic to what is asked; indexes NULL: all of them. False: no memory. */
static bool topic_add(struct log_dirs *dirs, struct topic *topic, const int32_t *indexes, uint32_t count)
{
    struct dir_topic *into = &dirs->topics[dirs->topic_count++];
    if (!name_copy(dirs, topic, &into->name))
        return false;
    into->parts = arena_new(&dirs->legs.request->arena, struct dir_part, count);
    for (uint32_t i = 0; into->parts && i < count; i++) {
        struct dir_part *part = &into->parts[into->part_count];
        struct partition *partition = topic_partition(topic, indexes ? indexes[i] : (int32_t)i);
        if (!partition)
            continue;
        into->part_count++;
        part_legs_add(&dirs->legs, &part->part, topic, partition);
    }
    return into->parts != NULL;
}

static bool plan(struct log_dirs *dirs, struct request *request)
{
    const struct describe_log_dirs_request *in = &dirs->in;
    const struct topics *topics = &request->broker->topics;
    size_t count = in->topics_count < 0 ? topics->topic_count : (size_t)in->topics_count;
    dirs->topics = arena_new(&request->arena, struct dir_topic, count);
    bool fits = part_legs_init(&dirs->legs, request) && dirs->topics;
    for (struct topic *topic = topics->by_name; topic && in->topics_count < 0 && fits; topic = topic->by_name.next)
        fits = topic_add(dirs, topic, NULL, (uint32_t)topic->partition_count);
    for (int32_t i = 0; i < in->topics_count && fits; i++) {
        struct topic *topic = topics_by_name(topics, in->topics[i].topic);
        if (topic)
            fits = topic_add(dirs, topic, in->topics[i].partitions, (uint32_t)in->topics[i].partitions_count);
    }
    return fits;
}

/* -- out ---------------------------------------------------------------------------------------------------------- */

/* False: no memory. */
static bool topic_fill(struct log_dirs *dirs, const struct dir_topic *topic)
{
    struct describe_log_dirs_response_topic *out = &dirs->dir.topics[dirs->dir.topics_count];
    describe_log_dirs_response_topic_init(out);
    out->name = topic->name;
    out->partitions =
        arena_new(&dirs->legs.request->arena, struct describe_log_dirs_response_partition, topic->part_count);
    for (uint32_t i = 0; out->partitions && i < topic->part_count; i++) {
        const struct dir_part *part = &topic->parts[i];
        if (!part->known)
            continue;
        out->partitions[out->partitions_count++] = (struct describe_log_dirs_response_partition){
            .partition_index = part->part.index, .partition_size = (int64_t)part->size
        };
        if (part->offline)
            dirs->dir.error_code = KAFKA_KAFKA_STORAGE_ERROR;
    }
    dirs->dir.topics_count += out->partitions_count > 0;
    return out->partitions != NULL;
}

static bool dir_fill(struct log_dirs *dirs)
{
    struct request *request = dirs->legs.request;
    struct describe_log_dirs_response_log_dir *dir = &dirs->dir;
    uint64_t unused, total;
    describe_log_dirs_response_log_dir_init(dir);
    dir->log_dir = odk_str_from(odk_store_dir(request->broker->store));
    enum odk_err err = odk_store_space(request->broker->store, &unused, &total);
    if (err == ODK_OK) {
        dir->total_bytes = (int64_t)MIN(total, (uint64_t)INT64_MAX);
        dir->usable_bytes = (int64_t)MIN(unused, (uint64_t)INT64_MAX);
    } else {
        dir->error_code = (int16_t)kafka_error_of(err);
    }
    dir->topics = arena_new(&request->arena, struct describe_log_dirs_response_topic, dirs->topic_count);
    bool fits = dir->topics != NULL;
    for (uint32_t i = 0; i < dirs->topic_count && fits; i++)
        fits = topic_fill(dirs, &dirs->topics[i]);
    return fits;
}

static void legs_on_done(struct part_legs *legs)
{
    struct log_dirs *dirs = container_of(legs, struct log_dirs, legs);
    struct request *request = legs->request;
    if (!dir_fill(dirs)) {
        request_too_large(request);
        return;
    }
    describe_log_dirs_response_init(&dirs->reply);
    dirs->reply.results = &dirs->dir;
    dirs->reply.results_count = 1;
    request_reply(request,
                  describe_log_dirs_response_encode(&dirs->reply, request_reply_begin(request), request->version));
}

void handle_describe_log_dirs(struct request *request)
{
    struct log_dirs *dirs = arena_new(&request->arena, struct log_dirs, 1);
    if (!dirs) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request,
                         describe_log_dirs_request_decode(&dirs->in, &request->body, &request->arena, request->version)))
        return;
    dirs->legs.look = part_look;
    dirs->legs.done = legs_on_done;
    if (plan(dirs, request))
        part_legs_go(&dirs->legs);
    else
        request_too_large(request);
}
