#include "base/limits.h"
#include "coordinator/groups_internal.h"
#include "wire/messages.h"

/* -- memory of answers -------------------------------------------------------------------------------------------- */

struct odk_bytes call_bytes(struct group_call *call, struct odk_bytes bytes)
{
    if (!bytes.data)
        return (struct odk_bytes){ 0 };
    uint8_t *copy = arena_alloc(call->arena, bytes.len, 1);
    if (!copy)
        return (struct odk_bytes){ 0 };
    memcpy(copy, bytes.data, bytes.len);
    return (struct odk_bytes){ .data = copy, .len = bytes.len };
}

struct odk_str call_text(struct group_call *call, struct odk_str text)
{
    struct odk_bytes copy = call_bytes(call, (struct odk_bytes){ (const uint8_t *)text.data, text.len });
    return (struct odk_str){ .data = (const char *)copy.data, .len = copy.len };
}

struct odk_str text_cut(struct odk_str text)
{
    if (text.len <= GROUP_TEXT_BYTES_MAX)
        return text;
    size_t len = GROUP_TEXT_BYTES_MAX;
    while (len > 0 && ((uint8_t)text.data[len] & 0xc0) == 0x80)
        len--;
    return (struct odk_str){ text.data, len };
}

/* A random UUID as Java prints it. */
static void uuid_hex(const uint8_t raw[16], char dst[GROUP_UUID_TEXT_LEN])
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            dst[used++] = '-';
        dst[used++] = digits[raw[i] >> 4];
        dst[used++] = digits[raw[i] & 15];
    }
    ASSERT(used == GROUP_UUID_TEXT_LEN);
}

struct odk_str call_member_id(struct groups *groups, struct group_call *call, struct odk_str prefix)
{
    uint8_t raw[16];
    groups->env.random(groups->env.context, raw, sizeof(raw));
    raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40);
    raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
    size_t len = prefix.len + 1 + GROUP_UUID_TEXT_LEN;
    char *text = arena_alloc(call->arena, len, 1);
    if (!text)
        return (struct odk_str){ 0 };
    if (prefix.len > 0)
        memcpy(text, prefix.data, prefix.len);
    text[prefix.len] = '-';
    uuid_hex(raw, text + prefix.len + 1);
    return (struct odk_str){ .data = text, .len = len };
}

/* -- refusals ----------------------------------------------------------------------------------------------------- */

static void refuse_join(struct group_call *call, int16_t error)
{
    const struct join_group_request *in = call->in;
    struct join_group_response *out = call->out;
    join_group_response_init(out);
    out->error_code = error;
    out->member_id = in->member_id;
}

/* A member that is not known is an error of that member, from the version on that can say so. */
static void refuse_leave(struct group_call *call, int16_t error)
{
    const struct leave_group_request *in = call->in;
    struct leave_group_response *out = call->out;
    leave_group_response_init(out);
    out->error_code = error;
    if (error != KAFKA_UNKNOWN_MEMBER_ID || call->version < LEAVE_VERSION_MEMBERS)
        return;
    out->members = arena_new(call->arena, struct leave_group_response_member, (size_t)in->members_count);
    if (!out->members)
        return;
    out->error_code = KAFKA_NONE;
    out->members_count = in->members_count;
    for (int32_t i = 0; i < in->members_count; i++) {
        out->members[i].member_id = in->members[i].member_id;
        out->members[i].group_instance_id = in->members[i].group_instance_id;
        out->members[i].error_code = error;
    }
}

static bool commit_topic_begin(struct group_call *call, const struct offset_commit_request_topic *asked,
                               struct offset_commit_response_topic *topic)
{
    size_t count = (size_t)asked->partitions_count;
    topic->name = asked->name;
    topic->topic_id = asked->topic_id;
    topic->partitions = arena_new(call->arena, struct offset_commit_response_partition, count);
    topic->partitions_count = asked->partitions_count;
    for (size_t i = 0; topic->partitions && i < count; i++)
        topic->partitions[i].partition_index = asked->partitions[i].partition_index;
    return topic->partitions != NULL;
}

bool call_commit_begin(struct group_call *call)
{
    const struct offset_commit_request *in = call->in;
    struct offset_commit_response *out = call->out;
    offset_commit_response_init(out);
    out->topics = arena_new(call->arena, struct offset_commit_response_topic, (size_t)in->topics_count);
    out->topics_count = out->topics ? in->topics_count : -1;
    for (int32_t i = 0; i < out->topics_count; i++)
        if (!commit_topic_begin(call, &in->topics[i], &out->topics[i]))
            out->topics_count = -1;
    return out->topics_count >= 0;
}

void call_commit_error(struct group_call *call, enum kafka_error error)
{
    struct offset_commit_response *out = call->out;
    for (int32_t i = 0; i < out->topics_count; i++)
        for (int32_t j = 0; j < out->topics[i].partitions_count; j++)
            if (out->topics[i].partitions[j].error_code == KAFKA_NONE)
                out->topics[i].partitions[j].error_code = (int16_t)error;
}

static void refuse_commit(struct group_call *call, int16_t error)
{
    if (call_commit_begin(call))
        call_commit_error(call, error);
}

static void refuse_fetch(struct group_call *call, int16_t error)
{
    const struct offset_fetch_request_group *in = call->in;
    struct offset_fetch_response_group *out = call->out;
    offset_fetch_response_group_init(out);
    out->group_id = in->group_id;
    out->error_code = error;
}

static void refuse_offset_delete(struct group_call *call, int16_t error)
{
    struct offset_delete_response *out = call->out;
    offset_delete_response_init(out);
    out->error_code = error;
}

static void refuse_list(struct group_call *call, int16_t error)
{
    struct list_groups_response *out = call->out;
    list_groups_response_init(out);
    out->error_code = error;
}

static void refuse_describe(struct group_call *call, int16_t error)
{
    struct describe_groups_response_group *out = call->out;
    describe_groups_response_group_init(out);
    out->group_id = *(const struct odk_str *)call->in;
    out->error_code = error;
}

static void refuse_delete(struct group_call *call, int16_t error)
{
    struct delete_groups_response_group *out = call->out;
    delete_groups_response_group_init(out);
    out->group_id = *(const struct odk_str *)call->in;
    out->error_code = error;
}

static void refuse_consumer_describe(struct group_call *call, int16_t error)
{
    struct consumer_group_describe_response_group *out = call->out;
    consumer_group_describe_response_group_init(out);
    out->group_id = *(const struct odk_str *)call->in;
    out->error_code = error;
}

static void refuse_consumer_heartbeat(struct group_call *call, int16_t error)
{
    struct consumer_group_heartbeat_response *out = call->out;
    consumer_group_heartbeat_response_init(out);
    out->error_code = error;
}

static void refuse_sync(struct group_call *call, int16_t error)
{
    struct sync_group_response *out = call->out;
    sync_group_response_init(out);
    out->error_code = error;
}

static void refuse_heartbeat(struct group_call *call, int16_t error)
{
    ((struct heartbeat_response *)call->out)->error_code = error;
}

void group_call_refuse(struct group_call *call, enum kafka_error error)
{
    static void (*const refuse[GROUP_CALL_KIND_COUNT])(struct group_call *, int16_t) = {
        [GROUP_CALL_JOIN] = refuse_join,
        [GROUP_CALL_SYNC] = refuse_sync,
        [GROUP_CALL_HEARTBEAT] = refuse_heartbeat,
        [GROUP_CALL_LEAVE] = refuse_leave,
        [GROUP_CALL_COMMIT] = refuse_commit,
        [GROUP_CALL_FETCH] = refuse_fetch,
        [GROUP_CALL_OFFSET_DELETE] = refuse_offset_delete,
        [GROUP_CALL_DESCRIBE] = refuse_describe,
        [GROUP_CALL_LIST] = refuse_list,
        [GROUP_CALL_DELETE] = refuse_delete,
        [GROUP_CALL_CONSUMER_HEARTBEAT] = refuse_consumer_heartbeat,
        [GROUP_CALL_CONSUMER_DESCRIBE] = refuse_consumer_describe,
    };
    refuse[call->kind](call, (int16_t)error);
}
