#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "wire/table.h"

/* -- environment -------------------------------------------------------------------------------------------------- */

void rig_log_add(struct rig_log *log, struct odk_bytes key, struct odk_bytes value)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 64;
        log->records = xrealloc(log->records, log->capacity * sizeof(*log->records));
    }
    struct rig_record *record = &log->records[log->count++];
    *record = (struct rig_record){ .key_len = key.len, .value_len = value.len };
    record->key = xcalloc(key.len + 1, 1);
    memcpy(record->key, key.data, key.len);
    if (!value.data)
        return;
    record->value = xcalloc(value.len + 1, 1);
    memcpy(record->value, value.data, value.len);
}

void rig_log_clear(struct rig_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->records[i].key);
        free(log->records[i].value);
    }
    free(log->records);
    *log = (struct rig_log){ 0 };
}

static void env_record(void *context, struct odk_bytes key, struct odk_bytes value)
{
    struct rig *rig = context;
    rig->unflushed++;
    rig_log_add(&rig->log, key, value);
}

static void env_flush(void *context)
{
    struct rig *rig = context;
    rig->unflushed = 0;
    rig->flush_count++;
}

static bool env_topic_by_name(void *context, struct odk_str name, struct group_topic *ret)
{
    struct rig *rig = context;
    for (uint32_t i = 0; i < RIG_TOPICS; i++) {
        if (!rig->topics[i].there || !odk_str_eq(rig->topics[i].topic.name, name))
            continue;
        *ret = rig->topics[i].topic;
        return true;
    }
    return false;
}

static bool env_topic_by_id(void *context, struct odk_uuid id, struct group_topic *ret)
{
    struct rig *rig = context;
    for (uint32_t i = 0; i < RIG_TOPICS; i++) {
        if (!rig->topics[i].there || !odk_uuid_eq(rig->topics[i].topic.id, id))
            continue;
        *ret = rig->topics[i].topic;
        return true;
    }
    return false;
}

/* The first topic that came after this number. */
static const struct rig_topic *topic_behind(const struct rig *rig, uint32_t number)
{
    const struct rig_topic *found = NULL;
    for (uint32_t i = 0; i < RIG_TOPICS; i++) {
        const struct rig_topic *topic = &rig->topics[i];
        if (topic->there && topic->number > number && (!found || topic->number < found->number))
            found = topic;
    }
    return found;
}

static bool env_topics_from(void *context, struct odk_str after,
                            bool (*visit)(void *visitor, const struct group_topic *topic), void *visitor,
                            bool *ret_ended)
{
    const struct rig *rig = context;
    uint32_t number = 0;
    for (uint32_t i = 0; after.data && i < RIG_TOPICS; i++)
        if (rig->topics[i].there && odk_str_eq(rig->topics[i].topic.name, after))
            number = rig->topics[i].number;
    if (after.data && number == 0)
        return false;
    bool on = true;
    for (const struct rig_topic *topic; on && (topic = topic_behind(rig, number)) != NULL; number = topic->number)
        on = visit(visitor, &topic->topic);
    *ret_ended = on;
    return true;
}

static void env_settings(void *context, struct odk_str group_id, struct group_settings *ret)
{
    (void)group_id;
    *ret = ((struct rig *)context)->settings;
}

static void env_random(void *context, void *dst, size_t len)
{
    uint8_t *bytes = dst;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)prng_next(&((struct rig *)context)->prng);
}

static void env_line(void *context, enum odk_diag_level level, const char *line)
{
    (void)level;
    snprintf(((struct rig *)context)->line, RIG_LINE, "%s", line);
}

static void env_answer(void *context, struct group_call *call);

static struct groups *groups_make(struct rig *rig, void (*record)(void *, struct odk_bytes, struct odk_bytes))
{
    struct groups_env env = {
        .context = rig,
        .record = record,
        .flush = env_flush,
        .answer = env_answer,
        .topic_by_name = env_topic_by_name,
        .topic_by_id = env_topic_by_id,
        .topics_from = env_topics_from,
        .settings = env_settings,
        .random = env_random,
        .now_ns = &rig->now_ns,
        .wall_ms = &rig->wall_ms,
        .timers = &rig->timers,
        .config = &rig->config,
        .memory = &rig->memory,
        .turn = &rig->turn,
        .diag = &rig->diag,
    };
    return groups_new(&env);
}

struct groups *rig_groups(struct rig *rig)
{
    return groups_make(rig, env_record);
}

static void replay(struct groups *groups, const struct rig_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        const struct rig_record *record = &log->records[i];
        enum odk_err err = groups_replay(groups, (struct odk_bytes){ record->key, record->key_len },
                                         (struct odk_bytes){ record->value, record->value_len });
        assert_int_equal(err, ODK_OK);
    }
}

void rig_init(struct rig *rig)
{
    *rig = (struct rig){ .now_ns = NS_PER_S, .wall_ms = 1700000000000, .prng = { 1 } };
    rig->config = (struct groups_config){
        .session_timeout_ms_min = 6000,
        .session_timeout_ms_max = 1800000,
        .initial_rebalance_delay_ms = 0,
        .size_max = INT32_MAX,
        .modern_size_max = INT32_MAX,
        .assignors = { true, true },
        .assignor_default = GROUP_ASSIGNOR_UNIFORM,
        .offset_metadata_bytes_max = 4096,
        .offsets_retention_ms = INT64_C(7) * 24 * 3600 * 1000,
        .retention_check_interval_ms = 600000,
        .classic_enabled = true,
        .consumer_enabled = true,
        .upgrade = true,
        .downgrade = true,
    };
    rig->memory.max = UINT64_MAX;
    rig->settings = (struct group_settings){ .session_timeout_ms = 45000, .heartbeat_interval_ms = 5000 };
    rig->diag = (struct odk_diag){ .write = env_line, .context = rig };
    rig->groups = rig_groups(rig);
    groups_loaded(rig->groups);
}

void rig_deinit(struct rig *rig)
{
    groups_free(rig->groups);
    assert_int_equal(rig->memory.used, 0);
    assert_int_equal(rig->timers.count, 0);
    timers_deinit(&rig->timers);
    rig_log_clear(&rig->log);
}

void rig_restart(struct rig *rig)
{
    groups_free(rig->groups);
    assert_int_equal(rig->timers.count, 0);
    rig->groups = rig_groups(rig);
    replay(rig->groups, &rig->log);
    groups_loaded(rig->groups);
}

static void time_set(struct rig *rig, uint64_t now_ns)
{
    rig->wall_ms += (int64_t)((now_ns - rig->now_ns) / NS_PER_MS);
    rig->now_ns = now_ns;
}

void rig_advance(struct rig *rig, int64_t ms)
{
    uint64_t end = rig->now_ns + (uint64_t)ms * NS_PER_MS;
    while (timers_next_ns(&rig->timers) <= end) {
        time_set(rig, MAX(rig->now_ns, timers_next_ns(&rig->timers)));
        timers_fire(&rig->timers, rig->now_ns);
        assert_int_equal(rig->unflushed, 0); /* G5 */
    }
    time_set(rig, end);
}

/* -- topics ------------------------------------------------------------------------------------------------------- */

static struct rig_topic *topic_slot(struct rig *rig, const char *name)
{
    struct rig_topic *unused = NULL;
    for (uint32_t i = 0; i < RIG_TOPICS; i++) {
        if (rig->topics[i].there && strcmp(rig->topics[i].name, name) == 0)
            return &rig->topics[i];
        if (!rig->topics[i].there && !unused)
            unused = &rig->topics[i];
    }
    assert_non_null(unused);
    return unused;
}

const struct group_topic *rig_topic(struct rig *rig, const char *name, int32_t partition_count)
{
    struct rig_topic *slot = topic_slot(rig, name);
    if (!slot->there) {
        snprintf(slot->name, sizeof(slot->name), "%s", name);
        slot->topic.name = odk_str_from(slot->name);
        env_random(rig, slot->topic.id.b, sizeof(slot->topic.id.b));
        slot->there = true;
        slot->number = ++rig->topic_count;
    }
    slot->topic.partition_count = partition_count;
    groups_topic_changed(rig->groups, &slot->topic, false);
    assert_int_equal(rig->unflushed, 0); /* G5 */
    return &slot->topic;
}

void rig_topic_delete(struct rig *rig, const char *name)
{
    struct rig_topic *slot = topic_slot(rig, name);
    assert_true(slot->there);
    slot->there = false;
    groups_topic_changed(rig->groups, &slot->topic, true);
    assert_int_equal(rig->unflushed, 0); /* G5 */
}

/* -- calls -------------------------------------------------------------------------------------------------------- */

/* Keys of the requests that travel alone; the other calls are parts of a request. */
static const int16_t keys[GROUP_CALL_KIND_COUNT] = {
    [GROUP_CALL_JOIN] = WIRE_KEY_JOIN_GROUP,
    [GROUP_CALL_SYNC] = WIRE_KEY_SYNC_GROUP,
    [GROUP_CALL_HEARTBEAT] = WIRE_KEY_HEARTBEAT,
    [GROUP_CALL_LEAVE] = WIRE_KEY_LEAVE_GROUP,
    [GROUP_CALL_COMMIT] = WIRE_KEY_OFFSET_COMMIT,
    [GROUP_CALL_FETCH] = -1,
    [GROUP_CALL_OFFSET_DELETE] = WIRE_KEY_OFFSET_DELETE,
    [GROUP_CALL_DESCRIBE] = -1,
    [GROUP_CALL_LIST] = WIRE_KEY_LIST_GROUPS,
    [GROUP_CALL_DELETE] = -1,
    [GROUP_CALL_CONSUMER_HEARTBEAT] = WIRE_KEY_CONSUMER_GROUP_HEARTBEAT,
    [GROUP_CALL_CONSUMER_DESCRIBE] = -1,
};

static struct rd encoded(struct arena *arena, const struct wire_message *message, const void *body, int16_t version)
{
    struct out out;
    const struct iovec *parts;
    uint32_t count;
    out_init(&out, arena);
    assert_true(message->encode(body, &out, version));
    assert_true(out_iov(&out, &parts, &count));
    uint8_t *bytes = arena_alloc(arena, out_bytes(&out), 1);
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes + len, parts[i].iov_base, parts[i].iov_len);
        len += parts[i].iov_len;
    }
    return rd_init(bytes, len);
}

static const void *request_copy(struct arena *arena, int16_t key, const void *in, int16_t version)
{
    const struct wire_message *message = wire_api_find(key)->request;
    struct rd r = encoded(arena, message, in, version);
    void *copy = arena_alloc(arena, 1, message->body->size);
    assert_true(message->decode(copy, &r, arena, version));
    assert_int_equal(rd_left(&r), 0);
    return copy;
}

static const void *in_copy(struct arena *arena, enum group_call_kind kind, const void *in, int16_t version)
{
    if (keys[kind] >= 0)
        return request_copy(arena, keys[kind], in, version);
    if (kind == GROUP_CALL_FETCH) {
        struct offset_fetch_request_group group = *(const struct offset_fetch_request_group *)in;
        struct offset_fetch_request request = { .groups = &group, .groups_count = 1 };
        const struct offset_fetch_request *copy =
            request_copy(arena, WIRE_KEY_OFFSET_FETCH, &request, MAX(version, (int16_t)8));
        return copy->groups;
    }
    const struct odk_str *text = in;
    struct odk_str *copy = arena_new(arena, struct odk_str, 1);
    char *bytes = arena_alloc(arena, text->len, 1);
    memcpy(bytes, text->data, text->len);
    *copy = (struct odk_str){ bytes, text->len };
    return copy;
}

static void out_init_of(struct rig_call *call)
{
    switch (call->call.kind) {
    case GROUP_CALL_JOIN: join_group_response_init(&call->out.join); break;
    case GROUP_CALL_SYNC: sync_group_response_init(&call->out.sync); break;
    case GROUP_CALL_HEARTBEAT: heartbeat_response_init(&call->out.heartbeat); break;
    case GROUP_CALL_LEAVE: leave_group_response_init(&call->out.leave); break;
    case GROUP_CALL_COMMIT: offset_commit_response_init(&call->out.commit); break;
    case GROUP_CALL_FETCH: offset_fetch_response_group_init(&call->out.fetch); break;
    case GROUP_CALL_OFFSET_DELETE: offset_delete_response_init(&call->out.offset_delete); break;
    case GROUP_CALL_DESCRIBE: describe_groups_response_group_init(&call->out.describe); break;
    case GROUP_CALL_LIST: list_groups_response_init(&call->out.list); break;
    case GROUP_CALL_DELETE: delete_groups_response_group_init(&call->out.delete_group); break;
    case GROUP_CALL_CONSUMER_HEARTBEAT: consumer_group_heartbeat_response_init(&call->out.consumer_heartbeat); break;
    case GROUP_CALL_CONSUMER_DESCRIBE: consumer_group_describe_response_group_init(&call->out.consumer_describe); break;
    case GROUP_CALL_KIND_COUNT: fail();
    }
}

static void encodable(int16_t key, const void *body, int16_t version)
{
    struct arena arena = { 0 };
    (void)encoded(&arena, wire_api_find(key)->response, body, version);
    arena_deinit(&arena);
}

static void answer_check(struct rig_call *call)
{
    int16_t version = call->call.version;
    enum group_call_kind kind = call->call.kind;
    if (kind == GROUP_CALL_FETCH) {
        struct offset_fetch_response response = { .groups = &call->out.fetch, .groups_count = 1 };
        encodable(WIRE_KEY_OFFSET_FETCH, &response, MAX(version, (int16_t)8));
    } else if (kind == GROUP_CALL_DESCRIBE) {
        struct describe_groups_response response = { .groups = &call->out.describe, .groups_count = 1 };
        encodable(WIRE_KEY_DESCRIBE_GROUPS, &response, version);
    } else if (kind == GROUP_CALL_DELETE) {
        struct delete_groups_response response = { .results = &call->out.delete_group, .results_count = 1 };
        encodable(WIRE_KEY_DELETE_GROUPS, &response, version);
    } else if (kind == GROUP_CALL_CONSUMER_DESCRIBE) {
        struct consumer_group_describe_response response = { .groups = &call->out.consumer_describe,
                                                             .groups_count = 1 };
        encodable(WIRE_KEY_CONSUMER_GROUP_DESCRIBE, &response, version);
    } else {
        encodable(keys[kind], &call->out, version);
    }
}

static void env_answer(void *context, struct group_call *group_call)
{
    struct rig *rig = context;
    struct rig_call *call = container_of(group_call, struct rig_call, call);
    assert_ptr_equal(call->rig, rig);
    assert_false(call->answered); /* G4 */
    assert_false(list_linked(&group_call->node));
    call->answered = true;
    rig->waiting--;
    if (group_call->kind != GROUP_CALL_COMMIT || call->out.commit.topics_count >= 0)
        answer_check(call);
}

struct rig_call *rig_call_from(struct rig *rig, enum group_call_kind kind, int16_t version, const void *in,
                               const char *client_id)
{
    struct rig_call *call = xcalloc(1, sizeof(*call));
    call->rig = rig;
    call->call.kind = kind;
    call->call.version = version;
    call->call.client_id = odk_str_from(client_id);
    call->call.client_host = ODK_STR("/127.0.0.1");
    call->call.arena = &call->arena;
    call->call.in = in_copy(&call->arena, kind, in, version);
    call->call.out = &call->out;
    out_init_of(call);
    call->arena.limit = rig->arena_limit ? call->arena.total + rig->arena_limit : 0;
    rig->waiting++;
    groups_call(rig->groups, &call->call);
    assert_int_equal(rig->unflushed, 0); /* G5 */
    return call;
}

struct rig_call *rig_call(struct rig *rig, enum group_call_kind kind, int16_t version, const void *in)
{
    return rig_call_from(rig, kind, version, in, "client");
}

void rig_call_free(struct rig_call *call)
{
    if (!call->answered)
        groups_cancel(call->rig->groups, &call->call);
    assert_true(call->answered);
    arena_deinit(&call->arena);
    free(call);
}

/* -- the log ------------------------------------------------------------------------------------------------------ */

static int16_t kind_of(const struct rig_record *record)
{
    return (int16_t)(record->key[0] << 8 | record->key[1]);
}

const struct rig_record *rig_last(const struct rig *rig, int16_t kind)
{
    for (size_t i = rig->log.count; i > 0; i--)
        if (kind_of(&rig->log.records[i - 1]) == kind)
            return &rig->log.records[i - 1];
    return NULL;
}

size_t rig_count(const struct rig *rig, int16_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < rig->log.count; i++)
        count += kind_of(&rig->log.records[i]) == kind;
    return count;
}

static void snapshot_record(void *context, struct odk_bytes key, struct odk_bytes value)
{
    rig_log_add(context, key, value);
}

static int bytes_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    int order = memcmp(a, b, MIN(a_len, b_len));
    return order != 0 ? order : a_len < b_len ? -1 : a_len > b_len;
}

static int record_compare(const void *left, const void *right)
{
    const struct rig_record *a = left, *b = right;
    int order = bytes_compare(a->key, a->key_len, b->key, b->key_len);
    if (order != 0 || !a->value || !b->value)
        return order;
    return bytes_compare(a->value, a->value_len, b->value, b->value_len);
}

static struct rig_log snapshot(const struct groups *groups)
{
    struct rig_log log = { 0 };
    groups_snapshot(groups, snapshot_record, &log);
    assert_int_equal(groups_fact_count(groups), log.count);
    if (log.count > 0)
        qsort(log.records, log.count, sizeof(*log.records), record_compare);
    return log;
}

static void record_never(void *context, struct odk_bytes key, struct odk_bytes value)
{
    (void)context;
    (void)key;
    (void)value;
    fail_msg("a start wrote a record");
}

static void print_bytes(const char *what, const uint8_t *bytes, size_t len)
{
    printf("  %s ", what);
    for (size_t i = 0; i < len; i++)
        printf(bytes[i] >= ' ' && bytes[i] < 127 ? "%c" : "\\%03o", bytes[i]);
    printf("\n");
}

static void print_side(const char *side, const struct rig_log *log, size_t at)
{
    printf("%s:%s\n", side, at < log->count ? "" : " nothing more");
    if (at >= log->count)
        return;
    print_bytes("key", log->records[at].key, log->records[at].key_len);
    print_bytes("value", log->records[at].value, log->records[at].value_len);
}

/* Where two snapshots part; SIZE_MAX: nowhere. */
static size_t difference(const struct rig_log *a, const struct rig_log *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (record_compare(&a->records[i], &b->records[i]) != 0)
            return i;
    return a->count == b->count ? SIZE_MAX : MIN(a->count, b->count);
}

bool rig_replays(struct rig *rig)
{
    struct groups *other = groups_make(rig, record_never);
    replay(other, &rig->log);
    struct rig_log ours = snapshot(rig->groups), theirs = snapshot(other);
    size_t at = difference(&ours, &theirs);
    if (at != SIZE_MAX) {
        print_side("the groups hold", &ours, at);
        print_side("read from the log", &theirs, at);
        fflush(stdout);
    }
    rig_log_clear(&ours);
    rig_log_clear(&theirs);
    groups_free(other);
    return at == SIZE_MAX;
}

void rig_compact(struct rig *rig)
{
    struct rig_log log = snapshot(rig->groups);
    rig_log_clear(&rig->log);
    rig->log = log;
}
