#include "beat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct group_topic *topic_of(struct rig *rig, struct odk_uuid id)
{
    for (uint32_t i = 0; i < RIG_TOPICS; i++)
        if (odk_uuid_eq(rig->topics[i].topic.id, id))
            return &rig->topics[i].topic;
    return NULL;
}

static struct odk_uuid id_of(struct rig *rig, struct odk_str name)
{
    for (uint32_t i = 0; i < RIG_TOPICS; i++)
        if (odk_str_eq(rig->topics[i].topic.name, name))
            return rig->topics[i].topic.id;
    fail_msg("no topic %.*s", ODK_STR_FMT(name));
    return (struct odk_uuid){ 0 };
}

static struct odk_str text(const char *text)
{
    return text ? odk_str_from(text) : (struct odk_str){ 0 };
}

static struct odk_str *names_of(const char *names, struct arena *arena, int32_t *ret_count)
{
    struct odk_str *list = arena_new(arena, struct odk_str, strlen(names) + 1);
    *ret_count = 0;
    for (const char *at = names; *at;) {
        size_t len = strcspn(at, ",");
        list[(*ret_count)++] = (struct odk_str){ at, len };
        at += len + (at[len] == ',');
    }
    return list;
}

static void owned_of(struct rig *rig, const char *owned, struct arena *arena,
                     struct consumer_group_heartbeat_request *in)
{
    in->topic_partitions = arena_new(arena, struct consumer_group_heartbeat_request_topic_partition, strlen(owned) + 1);
    in->topic_partitions_count = 0;
    for (const char *at = owned; *at;) {
        struct consumer_group_heartbeat_request_topic_partition *topic =
            &in->topic_partitions[in->topic_partitions_count++];
        size_t len = strcspn(at, ":");
        topic->topic_id = id_of(rig, (struct odk_str){ at, len });
        topic->partitions = arena_new(arena, int32_t, strlen(at));
        for (at += len; *at && *at != ' ';) {
            char *end;
            topic->partitions[topic->partitions_count++] = (int32_t)strtol(at + 1, &end, 10);
            at = end;
        }
        at += *at == ' ';
    }
}

static void assignment_print(struct rig *rig, const struct consumer_group_heartbeat_response_assignment *assignment,
                             struct beat_out *out)
{
    size_t used = 0;
    for (int32_t i = 0; i < assignment->topic_partitions_count; i++) {
        const struct consumer_group_heartbeat_response_topic_partitions *topic = &assignment->topic_partitions[i];
        const struct group_topic *known = topic_of(rig, topic->topic_id);
        assert_non_null(known);
        used += (size_t)snprintf(out->assignment + used, sizeof(out->assignment) - used, "%s%.*s", used > 0 ? " " : "",
                                 ODK_STR_FMT(known->name));
        for (int32_t j = 0; j < topic->partitions_count; j++)
            used += (size_t)snprintf(out->assignment + used, sizeof(out->assignment) - used, "%s%d", j == 0 ? ":" : ",",
                                     topic->partitions[j]);
        assert_true(used < sizeof(out->assignment));
    }
}

struct beat_out beat_send(struct rig *rig, const struct beat_in *in)
{
    struct arena arena = { 0 };
    struct consumer_group_heartbeat_request request;
    consumer_group_heartbeat_request_init(&request);
    request.group_id = odk_str_from(in->group ? in->group : "g");
    request.member_id = odk_str_from(in->member ? in->member : "");
    request.member_epoch = in->epoch;
    request.instance_id = text(in->instance);
    request.rack_id = text(in->rack);
    request.rebalance_timeout_ms = in->timeout_ms ? in->timeout_ms : -1;
    request.subscribed_topic_regex = text(in->regex);
    request.server_assignor = text(in->assignor);
    if (in->names)
        request.subscribed_topic_names = names_of(in->names, &arena, &request.subscribed_topic_names_count);
    if (in->owned)
        owned_of(rig, in->owned, &arena, &request);
    int16_t version = in->version == 0 ? 1 : in->version < 0 ? 0 : in->version;
    struct rig_call *call =
        rig_call_from(rig, GROUP_CALL_CONSUMER_HEARTBEAT, version, &request, in->client ? in->client : "client");
    assert_true(call->answered);
    const struct consumer_group_heartbeat_response *response = &call->out.consumer_heartbeat;
    struct beat_out out = { .error = response->error_code,
                            .epoch = response->member_epoch,
                            .interval_ms = response->heartbeat_interval_ms,
                            .assigned = response->assignment != NULL };
    snprintf(out.member, sizeof(out.member), "%.*s", ODK_STR_FMT(response->member_id));
    snprintf(out.message, sizeof(out.message), "%.*s", ODK_STR_FMT(response->error_message));
    out.message_len = response->error_message.len;
    if (response->assignment)
        assignment_print(rig, response->assignment, &out);
    rig_call_free(call);
    arena_deinit(&arena);
    return out;
}

/* -- describe ----------------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct consumer_group_describe_response_member *x = a, *y = b;
    int order = memcmp(x->member_id.data, y->member_id.data, MIN(x->member_id.len, y->member_id.len));
    return order != 0 ? order : (int)x->member_id.len - (int)y->member_id.len;
}

static void set_print(FILE *to, const char *what, const struct consumer_group_describe_response_assignment *set)
{
    fprintf(to, " %s=", what);
    for (int32_t i = 0; i < set->topic_partitions_count; i++) {
        fprintf(to, "%s%.*s", i > 0 ? "+" : "", ODK_STR_FMT(set->topic_partitions[i].topic_name));
        for (int32_t j = 0; j < set->topic_partitions[i].partitions_count; j++)
            fprintf(to, "%c%d", j == 0 ? ':' : ',', set->topic_partitions[i].partitions[j]);
    }
}

static void member_print(FILE *to, const struct consumer_group_describe_response_member *member)
{
    fprintf(to, "\n%.*s epoch=%d type=%d names=", ODK_STR_FMT(member->member_id), member->member_epoch,
            member->member_type);
    for (int32_t i = 0; i < member->subscribed_topic_names_count; i++)
        fprintf(to, "%s%.*s", i > 0 ? "," : "", ODK_STR_FMT(member->subscribed_topic_names[i]));
    fprintf(to, " regex=%.*s", ODK_STR_FMT(member->subscribed_topic_regex));
    set_print(to, "assigned", &member->assignment);
    set_print(to, "target", &member->target_assignment);
}

const char *describe_text(struct rig *rig, const char *group)
{
    static char buffer[16384];
    struct odk_str id = odk_str_from(group);
    struct rig_call *call = rig_call(rig, GROUP_CALL_CONSUMER_DESCRIBE, 1, &id);
    const struct consumer_group_describe_response_group *out = &call->out.consumer_describe;
    FILE *to = fmemopen(buffer, sizeof(buffer), "w");
    if (out->error_code != KAFKA_NONE)
        fprintf(to, "error %d", out->error_code);
    else
        fprintf(to, "%.*s epoch=%d target=%d %.*s", ODK_STR_FMT(out->group_state), out->group_epoch,
                out->assignment_epoch, ODK_STR_FMT(out->assignor_name));
    if (out->members_count > 0)
        qsort(out->members, (size_t)out->members_count, sizeof(*out->members), by_id);
    for (int32_t i = 0; i < out->members_count; i++)
        member_print(to, &out->members[i]);
    fclose(to);
    rig_call_free(call);
    return buffer;
}
