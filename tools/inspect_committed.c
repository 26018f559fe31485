#include "inspect_committed.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cursor.h"
#include "wire/messages.h"

#define KIND_OFFSET_MAX 1 /* 0 and 1: committed offsets */
#define MARKER_COMMIT   1

static struct committed *committed_new(const struct offset_commit_key *key)
{
    uint32_t group_len = (uint32_t)key->group.len, topic_len = (uint32_t)key->topic.len;
    uint32_t len = (uint32_t)sizeof(group_len) + group_len + topic_len + (uint32_t)sizeof(key->partition);
    struct committed *commit = xcalloc(1, sizeof(*commit) + len);
    char *at = commit->key;
    commit->key_len = len;
    memcpy(at, &group_len, sizeof(group_len));
    at += sizeof(group_len);
    if (group_len > 0)
        memcpy(at, key->group.data, group_len);
    commit->group = (struct odk_str){ at, group_len };
    at += group_len;
    if (topic_len > 0)
        memcpy(at, key->topic.data, topic_len);
    commit->topic = (struct odk_str){ at, topic_len };
    memcpy(at + topic_len, &key->partition, sizeof(key->partition));
    commit->partition = key->partition;
    return commit;
}

static void committed_settle(struct committed_state *state, struct committed *commit, bool forget)
{
    struct committed *old;
    HASH_FIND(hh, state->table, commit->key, commit->key_len, old);
    if (old) {
        HASH_DEL(state->table, old);
        free(old);
    }
    if (forget)
        free(commit);
    else
        HASH_ADD_KEYPTR(hh, state->table, commit->key, commit->key_len, commit);
}

static void pending_add(struct committed_state *state, struct committed *commit, bool forget, int64_t producer_id)
{
    struct committed_pending *pending = xcalloc(1, sizeof(*pending));
    *pending = (struct committed_pending){ .producer_id = producer_id, .forget = forget, .commit = commit };
    if (!state->first)
        state->last = &state->first;
    *state->last = pending;
    state->last = &pending->next;
}

/* The end of a transaction: its commits count, or never did. */
static void pending_end(struct committed_state *state, int64_t producer_id, bool committed)
{
    struct committed_pending **at = &state->first;
    while (*at) {
        struct committed_pending *pending = *at;
        if (pending->producer_id != producer_id) {
            at = &pending->next;
            continue;
        }
        *at = pending->next;
        if (committed)
            committed_settle(state, pending->commit, pending->forget);
        else
            free(pending->commit);
        free(pending);
    }
    state->last = at;
}

static void marker_apply(struct committed_state *state, const struct odk_batch *batch, const struct odk_record *record)
{
    struct rd r = rd_init(record->key.data, record->key.len);
    (void)rd_i16(&r); /* version */
    int16_t type = rd_i16(&r);
    if (!r.bad)
        pending_end(state, batch->producer_id, type == MARKER_COMMIT);
    else
        state->bad_records++;
}

/* NULL: no commit, or one that cannot be understood. */
static struct committed *commit_read(struct committed_state *state, const struct odk_record *record)
{
    struct arena arena = { 0 };
    struct offset_commit_key key;
    struct offset_commit_value value = { .leader_epoch = -1 };
    struct rd k = rd_init(record->key.data, record->key.len), v = rd_init(record->value.data, record->value.len);
    struct committed *commit = NULL;
    int16_t kind = rd_i16(&k);
    if (!k.bad && kind > KIND_OFFSET_MAX)
        return NULL;
    bool good = !k.bad && kind >= 0 && offset_commit_key_decode(&key, &k, &arena, kind);
    if (good && record->value.data) {
        int16_t version = rd_i16(&v);
        good = !v.bad && version >= 0 && version <= 4 && offset_commit_value_decode(&value, &v, &arena, version);
    }
    if (good) {
        commit = committed_new(&key);
        commit->offset = value.offset;
        commit->leader_epoch = value.leader_epoch;
        commit->committed_ms = value.commit_timestamp;
    }
    state->bad_records += !good;
    arena_deinit(&arena);
    return commit;
}

void committed_apply(struct committed_state *state, const struct odk_batch *batch, const struct odk_record *record)
{
    if (batch->attributes & ODK_BATCH_CONTROL) {
        marker_apply(state, batch, record);
        return;
    }
    struct committed *commit = commit_read(state, record);
    if (commit && (batch->attributes & ODK_BATCH_TRANSACTIONAL))
        pending_add(state, commit, !record->value.data, batch->producer_id);
    else if (commit)
        committed_settle(state, commit, !record->value.data);
}

static int committed_order(const void *left, const void *right)
{
    const struct committed *a = *(struct committed *const *)left, *b = *(struct committed *const *)right;
    int order = odk_str_order(a->group, b->group);
    if (order == 0)
        order = odk_str_order(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

struct committed **committed_sorted(const struct committed_state *state, size_t *ret_count)
{
    size_t count = 0;
    struct committed **sorted = xcalloc(HASH_COUNT(state->table) + 1, sizeof(struct committed *));
    for (struct committed *commit = state->table; commit; commit = commit->hh.next)
        sorted[count++] = commit;
    qsort(sorted, count, sizeof(struct committed *), committed_order);
    *ret_count = count;
    return sorted;
}

void committed_deinit(struct committed_state *state)
{
    struct committed *commit, *next;
    HASH_ITER(hh, state->table, commit, next)
    {
        HASH_DEL(state->table, commit);
        free(commit);
    }
    while (state->first) {
        struct committed_pending *pending = state->first;
        state->first = pending->next;
        free(pending->commit);
        free(pending);
    }
    *state = (struct committed_state){ 0 };
}
