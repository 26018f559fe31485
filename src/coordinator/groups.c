#include "coordinator/groups_internal.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/units.h"
#include "wire/messages.h"

static void record_counted(void *context, struct odk_bytes key, struct odk_bytes value)
{
    struct groups *groups = context;
    groups->unflushed += key.len + value.len;
    groups->env.record(groups->env.context, key, value);
}

struct groups *groups_new(const struct groups_env *env)
{
    struct groups *groups = xcalloc(1, sizeof(*groups));
    groups->env = *env;
    groups->loading = true;
    groups->expiry.fire = groups_expiry_fire;
    groups->forgetting.fire = groups_forgetting_fire;
    list_init(&groups->sweep);
    groups->resolving_timer.fire = groups_resolving_fire;
    list_init(&groups->patterned);
    list_init(&groups->resolving);
    list_init(&groups->news);
    name_index_init(&groups->offset_topics);
    name_index_init(&groups->subscribed_topics);
    name_index_init(&groups->pending_keys);
    group_writer_init(&groups->writer, record_counted, groups);
    return groups;
}

static void group_free(struct group *group, enum kafka_error error)
{
    group_unweigh(group);
    HASH_DELETE(by_id, group->groups->by_id, group);
    list_remove(&group->sweep);
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
    timer_cancel(groups->env.timers, &groups->forgetting);
    timer_cancel(groups->env.timers, &groups->resolving_timer);
    struct group *group, *next;
    HASH_ITER(by_id, groups->by_id, group, next)
    group_free(group, KAFKA_NOT_COORDINATOR);
    (void)groups_pending_clear(groups);
    modern_news_clear(groups);
    group_writer_deinit(&groups->writer);
    arena_deinit(&groups->scratch);
    arena_deinit(&groups->reading);
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
    HASH_FIND(by_id, groups->by_id, id.len ? id.data : "", id.len, group);
    return group;
}

struct group *groups_take(struct groups *groups, struct odk_str id)
{
    struct group *group = groups_find(groups, id);
    if (group)
        return group;
    group = xcalloc(1, sizeof(*group));
    group->groups = groups;
    group->offsets.index = &groups->offset_topics;
    group->id = xstrndup(id.len ? id.data : "", id.len);
    HASH_ADD_KEYPTR(by_id, groups->by_id, group->id, id.len, group);
    list_push_back(&groups->sweep, &group->sweep);
    return group;
}

enum kafka_error groups_room(struct groups *groups, struct odk_str id)
{
    if (id.len > GROUP_ID_BYTES_MAX)
        return KAFKA_INVALID_GROUP_ID;
    bool room = HASH_CNT(by_id, groups->by_id) < GROUPS_PER_PARTITION_MAX && !groups_full(groups);
    return room ? KAFKA_NONE : KAFKA_POLICY_VIOLATION;
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
    groups->unflushed = 0;
    groups->env.flush(groups->env.context);
    arena_reset(&groups->scratch);
}

void groups_flush_if_large(struct groups *groups)
{
    if (groups->unflushed >= GROUP_TOMBSTONE_BATCH_BYTES)
        groups_flush(groups);
}

void groups_say(const struct group *group, const char *what, struct odk_str detail)
{
    struct groups *groups = group->groups;
    uint32_t suppressed;
    if (!diag_rate_ok(&groups->rate, *groups->env.now_ns, &suppressed))
        return;
    char id[CLIENT_TEXT_BYTES_MAX], more[CLIENT_TEXT_BYTES_MAX];
    DIAG_INFO(groups->env.diag, "group \"%s\": %s; %s suppressed=%u", diag_escape(id, sizeof(id), group_id(group)),
              what, diag_escape(more, sizeof(more), detail), suppressed);
}

uint64_t groups_deadline(const struct groups *groups, int64_t ms)
{
    return deadline_after_ms(*groups->env.now_ns, ms);
}

void groups_loaded(struct groups *groups)
{
    ASSERT(groups->loading);
    groups->loading = false;
    uint64_t unended = groups_pending_clear(groups);
    if (unended > 0)
        DIAG_WARN(groups->env.diag, "%llu offsets of transactions are left out, whose end is not in the log",
                  (unsigned long long)unended);
    struct group *group, *next;
    HASH_ITER(by_id, groups->by_id, group, next)
    {
        if (group->classic)
            classic_loaded(group);
        if (group->modern)
            modern_loaded(group);
        group_lost_topics_forget(group);
        group_weigh(group);
        groups_tidy(group);
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

/* A group of the newer protocol that nobody uses any more becomes a classic one. */
static void call_join(struct groups *groups, struct group_call *call)
{
    const struct join_group_request *in = call->in;
    struct group *group = groups_find(groups, in->group_id);
    enum kafka_error error = KAFKA_NONE;
    if (!groups->env.config->classic_enabled)
        error = KAFKA_UNSUPPORTED_VERSION;
    else if (in->group_id.len == 0)
        error = KAFKA_INVALID_GROUP_ID;
    else if (in->session_timeout_ms < groups->env.config->session_timeout_ms_min ||
             in->session_timeout_ms > groups->env.config->session_timeout_ms_max)
        error = KAFKA_INVALID_SESSION_TIMEOUT;
    else if (!group && in->member_id.len > 0)
        error = KAFKA_UNKNOWN_MEMBER_ID;
    else if (!group)
        error = groups_room(groups, in->group_id);
    if (error != KAFKA_NONE) {
        groups_refuse(groups, call, error);
        return;
    }
    group = groups_take(groups, in->group_id);
    if (group->modern && modern_empty(group))
        group_end(group);
    if (group->modern)
        modern_join(group, call);
    else
        classic_join(group, call);
    groups_tidy(group);
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

static void call_consumer_heartbeat(struct groups *groups, struct group_call *call)
{
    struct odk_str id = call_group_id(call);
    enum kafka_error error = groups_find(groups, id) ? KAFKA_NONE : groups_room(groups, id);
    if (id.len == 0 || error != KAFKA_NONE) {
        struct consumer_group_heartbeat_response *out = call->out;
        group_call_refuse(call, id.len == 0 ? KAFKA_INVALID_REQUEST : error);
        out->error_message = id.len == 0 ? ODK_STR("the group id is missing")
                                         : ODK_STR("the group id is too long, or there are too many groups");
        groups_answer(groups, call);
        return;
    }
    struct group *group = groups_take(groups, id);
    modern_heartbeat(group, call);
    groups_tidy(group);
}

static void call_consumer_describe(struct groups *groups, struct group_call *call)
{
    struct group *group = groups_find(groups, call_group_id(call));
    struct consumer_group_describe_response_group *out = call->out;
    if (group && group->modern) {
        modern_describe(group, call);
        return;
    }
    group_call_refuse(call, KAFKA_GROUP_ID_NOT_FOUND);
    out->error_message = group ? ODK_STR("the group is not a consumer group") : ODK_STR("there is no such group");
    groups_answer(groups, call);
}

/* May a group take more memory, or less, after a call of this kind? */
static bool call_grows(enum group_call_kind kind)
{
    return kind == GROUP_CALL_JOIN || kind == GROUP_CALL_SYNC || kind == GROUP_CALL_LEAVE || kind == GROUP_CALL_COMMIT ||
           kind == GROUP_CALL_OFFSET_DELETE || kind == GROUP_CALL_CONSUMER_HEARTBEAT;
}

void groups_call(struct groups *groups, struct group_call *call)
{
    static void (*const turn[GROUP_CALL_KIND_COUNT])(struct groups *, struct group_call *) = {
        [GROUP_CALL_JOIN] = call_join,
        [GROUP_CALL_SYNC] = call_sync,
        [GROUP_CALL_HEARTBEAT] = call_heartbeat,
        [GROUP_CALL_LEAVE] = call_leave,
        [GROUP_CALL_COMMIT] = groups_call_commit,
        [GROUP_CALL_FETCH] = groups_call_fetch,
        [GROUP_CALL_OFFSET_DELETE] = groups_call_offset_delete,
        [GROUP_CALL_DESCRIBE] = groups_call_describe,
        [GROUP_CALL_LIST] = groups_call_list,
        [GROUP_CALL_DELETE] = groups_call_delete,
        [GROUP_CALL_CONSUMER_HEARTBEAT] = call_consumer_heartbeat,
        [GROUP_CALL_CONSUMER_DESCRIBE] = call_consumer_describe,
    };
    ASSERT(!groups->loading);
    ASSERT(!list_linked(&call->node));
    struct odk_str id = call_group_id(call);
    struct group *group = list_empty(&groups->offset_topics.retired) ? NULL : groups_find(groups, id);
    if (group) {
        group_forget_retired(group);
        groups_tidy(group);
    }
    turn[call->kind](groups, call);
    group = call_grows(call->kind) ? groups_find(groups, id) : NULL;
    if (group)
        group_weigh(group);
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
