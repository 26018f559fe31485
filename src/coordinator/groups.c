#include "coordinator/groups_internal.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/units.h"
#include "wire/messages.h"

static void expiry_fire(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    groups_flush(container_of(timer, struct groups, expiry));
}

struct groups *groups_new(const struct groups_env *env)
{
    struct groups *groups = xcalloc(1, sizeof(*groups));
    groups->env = *env;
    groups->loading = true;
    groups->expiry.fire = expiry_fire;
    group_writer_init(&groups->writer, env->record, env->context);
    return groups;
}

static void group_free(struct group *group, enum kafka_error error)
{
    HASH_DELETE(by_id, group->groups->by_id, group);
    classic_free(group->classic, error);
    modern_free(group->modern, error);
    offsets_clear(&group->offsets);
    free(group->id);
    free(group);
}

void groups_free(struct groups *groups)
{
    if (!groups)
        return;
    timer_cancel(groups->env.timers, &groups->expiry);
    struct group *group, *next;
    HASH_ITER(by_id, groups->by_id, group, next)
    group_free(group, KAFKA_NOT_COORDINATOR);
    group_writer_deinit(&groups->writer);
    arena_deinit(&groups->scratch);
    free(groups);
}

/* -- registry ----------------------------------------------------------------------------------------------------- */

struct odk_str group_id(const struct group *group)
{
    return (struct odk_str){ .data = group->id, .len = group->by_id.keylen };
}

struct group *groups_find(const struct groups *groups, struct odk_str id)
{
    struct group *group = NULL;
    if (id.len > 0)
        HASH_FIND(by_id, groups->by_id, id.data, id.len, group);
    return group;
}

struct group *groups_take(struct groups *groups, struct odk_str id)
{
    struct group *group = groups_find(groups, id);
    if (group)
        return group;
    group = xcalloc(1, sizeof(*group));
    group->groups = groups;
    group->id = xstrndup(id.data, id.len);
    HASH_ADD_KEYPTR(by_id, groups->by_id, group->id, id.len, group);
    return group;
}

void groups_tidy(struct group *group)
{
    if (!group->classic && !group->modern && group->offsets.count == 0)
        group_free(group, KAFKA_NONE);
}

struct group_writer *groups_writer(struct groups *groups)
{
    ASSERT(!groups->loading);
    return &groups->writer;
}

void groups_answer(struct groups *groups, struct group_call *call)
{
    list_remove(&call->node);
    groups->env.answer(groups->env.context, call);
}

void groups_refuse(struct groups *groups, struct group_call *call, enum kafka_error error)
{
    group_call_refuse(call, error);
    groups_answer(groups, call);
}

void groups_flush(struct groups *groups)
{
    groups->env.flush(groups->env.context);
    arena_reset(&groups->scratch);
}

uint64_t groups_deadline(const struct groups *groups, int64_t ms)
{
    return deadline_after_ms(*groups->env.now_ns, ms);
}

void groups_loaded(struct groups *groups)
{
    ASSERT(groups->loading);
    groups->loading = false;
    struct group *group, *next;
    HASH_ITER(by_id, groups->by_id, group, next)
    {
        if (group->classic)
            classic_loaded(group);
        if (group->modern)
            modern_loaded(group);
    }
    timer_arm(groups->env.timers, &groups->expiry,
              groups_deadline(groups, groups->env.config->retention_check_interval_ms));
    groups_flush(groups);
}

/* -- calls -------------------------------------------------------------------------------------------------------- */

static struct odk_str call_group_id(const struct group_call *call)
{
    switch (call->kind) {
    case GROUP_CALL_JOIN: return ((const struct join_group_request *)call->in)->group_id;
    case GROUP_CALL_SYNC: return ((const struct sync_group_request *)call->in)->group_id;
    case GROUP_CALL_HEARTBEAT: return ((const struct heartbeat_request *)call->in)->group_id;
    case GROUP_CALL_LEAVE: return ((const struct leave_group_request *)call->in)->group_id;
    case GROUP_CALL_COMMIT: return ((const struct offset_commit_request *)call->in)->group_id;
    case GROUP_CALL_FETCH: return ((const struct offset_fetch_request_group *)call->in)->group_id;
    case GROUP_CALL_OFFSET_DELETE: return ((const struct offset_delete_request *)call->in)->group_id;
    case GROUP_CALL_CONSUMER_HEARTBEAT: return ((const struct consumer_group_heartbeat_request *)call->in)->group_id;
    case GROUP_CALL_DESCRIBE:
    case GROUP_CALL_DELETE:
    case GROUP_CALL_CONSUMER_DESCRIBE: return *(const struct odk_str *)call->in;
    case GROUP_CALL_LIST:
    case GROUP_CALL_KIND_COUNT: break;
    }
    return (struct odk_str){ 0 };
}

/* Requests of members of groups that are there; who is not known gets error. */
static void to_member(struct groups *groups, struct group_call *call, enum kafka_error unknown,
                      void (*classic)(struct group *, struct group_call *),
                      void (*modern)(struct group *, struct group_call *))
{
    struct odk_str id = call_group_id(call);
    struct group *group = groups_find(groups, id);
    if (id.len == 0)
        groups_refuse(groups, call, KAFKA_INVALID_GROUP_ID);
    else if (group && group->modern)
        modern(group, call);
    else if (group && group->classic)
        classic(group, call);
    else
        groups_refuse(groups, call, unknown);
}

static void call_join(struct groups *groups, struct group_call *call)
{
    groups_refuse(groups, call, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static void call_sync(struct groups *groups, struct group_call *call)
{
    to_member(groups, call, KAFKA_UNKNOWN_MEMBER_ID, classic_sync, modern_sync);
}

static void call_heartbeat(struct groups *groups, struct group_call *call)
{
    to_member(groups, call, KAFKA_UNKNOWN_MEMBER_ID, classic_heartbeat, modern_classic_heartbeat);
}

static void call_leave(struct groups *groups, struct group_call *call)
{
    to_member(groups, call, KAFKA_UNKNOWN_MEMBER_ID, classic_leave, modern_leave);
}

static void call_later(struct groups *groups, struct group_call *call)
{
    groups_refuse(groups, call, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static void call_consumer_heartbeat(struct groups *groups, struct group_call *call)
{
    struct odk_str id = call_group_id(call);
    if (id.len == 0 || id.len > GROUP_ID_BYTES_MAX) {
        groups_refuse(groups, call, KAFKA_INVALID_REQUEST);
        return;
    }
    struct group *group = groups_take(groups, id);
    modern_heartbeat(group, call);
    groups_tidy(group);
}

static void call_consumer_describe(struct groups *groups, struct group_call *call)
{
    struct group *group = groups_find(groups, call_group_id(call));
    if (group && group->modern)
        modern_describe(group, call);
    else
        groups_refuse(groups, call, KAFKA_GROUP_ID_NOT_FOUND);
}

void groups_call(struct groups *groups, struct group_call *call)
{
    static void (*const turn[GROUP_CALL_KIND_COUNT])(struct groups *, struct group_call *) = {
        [GROUP_CALL_JOIN] = call_join,
        [GROUP_CALL_SYNC] = call_sync,
        [GROUP_CALL_HEARTBEAT] = call_heartbeat,
        [GROUP_CALL_LEAVE] = call_leave,
        [GROUP_CALL_COMMIT] = call_later,
        [GROUP_CALL_FETCH] = call_later,
        [GROUP_CALL_OFFSET_DELETE] = call_later,
        [GROUP_CALL_DESCRIBE] = call_later,
        [GROUP_CALL_LIST] = call_later,
        [GROUP_CALL_DELETE] = call_later,
        [GROUP_CALL_CONSUMER_HEARTBEAT] = call_consumer_heartbeat,
        [GROUP_CALL_CONSUMER_DESCRIBE] = call_consumer_describe,
    };
    ASSERT(!groups->loading);
    ASSERT(!list_linked(&call->node));
    turn[call->kind](groups, call);
    groups_flush(groups);
}

void groups_cancel(struct groups *groups, struct group_call *call)
{
    struct group *group = groups_find(groups, call_group_id(call));
    if (group && group->classic)
        (void)classic_cancel(group, call);
    if (group && group->modern)
        (void)modern_cancel(group, call);
    groups_flush(groups);
}

void groups_topic_changed(struct groups *groups, const struct group_topic *topic, bool gone)
{
    struct group *group, *next;
    HASH_ITER(by_id, groups->by_id, group, next)
    {
        if (group->modern)
            modern_topic_changed(group, topic, gone);
    }
    groups_flush(groups);
}

void groups_stats(const struct groups *groups, struct groups_stats *ret)
{
    *ret = (struct groups_stats){ 0 };
    struct group *group, *next;
    HASH_ITER(by_id, groups->by_id, group, next)
    {
        ret->groups++;
        ret->classic += !group->modern;
        ret->consumer += group->modern != NULL;
        ret->members += group->classic ? classic_member_count(group) : 0;
        ret->members += group->modern ? modern_member_count(group) : 0;
        ret->offsets += group->offsets.count;
    }
}
