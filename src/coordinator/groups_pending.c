/*
 * Offsets of transactions in a log that is read: they count when the log says that their transaction was committed.
 *
 * A commit does not take back what came behind it: an offset that was recorded later, by nobody's transaction or by one that
 * was committed earlier, stays. So whatever is applied takes all pending offsets of its key out that are older. Kafka
 * does the same by comparing offsets of the log.
 *
 * Source: KIP-98; Kafka's OffsetMetadataManager (replay, replayEndTransactionMarker).
 */
#include <stdlib.h>

#include "coordinator/groups_internal.h"

struct pending_offset {
    struct pending_txn *txn;
    struct name_entry *key; /* without its kind: both kinds of keys say the same */
    struct list same_key;   /* in key->users */
    struct list of_txn;
    uint64_t number;        /* in the order of the log */
    int16_t kind;
    size_t value_len;
    uint8_t value[];
};

struct pending_txn {
    int64_t producer_id;
    struct list offsets; /* in the order of the log */
    UT_hash_handle by_id;
};

static struct pending_txn *txn_find(const struct groups *groups, int64_t producer_id)
{
    struct pending_txn *txn = NULL;
    HASH_FIND(by_id, groups->pending, &producer_id, sizeof(producer_id), txn);
    return txn;
}

static struct pending_txn *txn_take(struct groups *groups, int64_t producer_id)
{
    struct pending_txn *txn = txn_find(groups, producer_id);
    if (txn)
        return txn;
    txn = xcalloc(1, sizeof(*txn));
    txn->producer_id = producer_id;
    list_init(&txn->offsets);
    HASH_ADD(by_id, groups->pending, producer_id, sizeof(txn->producer_id), txn);
    return txn;
}

static void txn_free(struct groups *groups, struct pending_txn *txn)
{
    HASH_DELETE(by_id, groups->pending, txn);
    free(txn);
}

static void offset_free(struct groups *groups, struct pending_offset *offset)
{
    name_index_remove(&groups->pending_keys, offset->key, &offset->same_key);
    list_remove(&offset->of_txn);
    free(offset);
}

static struct odk_str as_text(struct odk_bytes bytes)
{
    return (struct odk_str){ .data = (const char *)bytes.data, .len = bytes.len };
}

void groups_pending_overtake(struct groups *groups, struct odk_bytes key_rest, uint64_t number)
{
    struct name_entry *entry = groups->pending ? name_index_find(&groups->pending_keys, as_text(key_rest)) : NULL;
    if (!entry)
        return;
    bool last = false;
    for (struct list *node = entry->users.next, *next; !last; node = next) {
        struct pending_offset *offset = list_entry(node, struct pending_offset, same_key);
        next = node->next;
        last = next == &entry->users; /* the entry goes with its last user */
        if (offset->number < number)
            offset_free(groups, offset);
    }
}

void groups_pending_add(struct groups *groups, int64_t producer_id, int16_t kind, struct odk_bytes key_rest,
                        struct odk_bytes value)
{
    struct pending_offset *offset = xcalloc(1, sizeof(*offset) + value.len);
    offset->txn = txn_take(groups, producer_id);
    offset->number = ++groups->pending_number;
    offset->kind = kind;
    offset->value_len = value.len;
    memcpy(offset->value, value.data, value.len);
    offset->key = name_index_add(&groups->pending_keys, as_text(key_rest), &offset->same_key);
    list_push_back(&offset->txn->offsets, &offset->of_txn);
}

static enum odk_err offset_apply(struct groups *groups, struct pending_offset *offset)
{
    struct odk_str text = name_entry_text(offset->key);
    struct odk_bytes key = { .data = (const uint8_t *)text.data, .len = text.len };
    struct odk_bytes value = { .data = offset->value, .len = offset->value_len };
    enum odk_err err = groups_offset_replay(groups, offset->kind, key, value);
    groups_pending_overtake(groups, key, offset->number);
    offset_free(groups, offset);
    return err;
}

enum odk_err groups_replay_end(struct groups *groups, int64_t producer_id, bool committed)
{
    ASSERT(groups->loading);
    struct pending_txn *txn = txn_find(groups, producer_id);
    enum odk_err err = ODK_OK;
    if (!txn)
        return ODK_OK;
    while (!list_empty(&txn->offsets)) {
        struct pending_offset *offset = list_entry(txn->offsets.next, struct pending_offset, of_txn);
        if (committed && err == ODK_OK)
            err = offset_apply(groups, offset);
        else
            offset_free(groups, offset);
    }
    txn_free(groups, txn);
    return err;
}

uint64_t groups_pending_clear(struct groups *groups)
{
    uint64_t count = 0;
    struct pending_txn *txn, *next;
    HASH_ITER(by_id, groups->pending, txn, next)
    {
        for (; !list_empty(&txn->offsets); count++)
            offset_free(groups, list_entry(txn->offsets.next, struct pending_offset, of_txn));
        txn_free(groups, txn);
    }
    return count;
}
