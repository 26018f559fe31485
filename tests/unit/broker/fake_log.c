#include "fake_log.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/list.h"
#include "base/uuid.h"

struct fake_batch {
    uint8_t *data;
    size_t len;
    int64_t base;
    int64_t next;
    int64_t max_timestamp;
};

struct odk_log {
    struct list node;
    struct odk_store *store;
    struct odk_log_spec spec;
    char *name;
    struct fake_batch *batches;
    size_t batch_count;
    size_t visible;
    int64_t start;
    void (*moved)(void *context);
    void *context;
    bool deleted;
};

struct held {
    struct list node;
    struct odk_log *log;
    struct odk_read *read; /* or */
    struct odk_find_time *find;
};

struct done_delete {
    struct list node;
    void (*done)(void *context, enum odk_err err);
    void *context;
};

struct odk_store {
    struct list logs;
    struct list held;
    struct list deletes;
    struct odk_append *first;
    struct odk_append **last;
    uint32_t held_count;
    uint32_t pins;
    uint32_t reads;
    uint32_t parts_max;
    enum odk_err read_err;
    bool hold;
    bool go;
    void (*closed)(void *context, enum odk_err err);
    void *closed_context;
};

struct odk_boot {
    struct odk_boot_info info;
};

/* -- boot and store -------------------------------------------------------------------------------------------------
 */

enum odk_err odk_boot_open(const struct odk_boot_options *options, struct odk_boot **ret_boot)
{
    (void)options;
    *ret_boot = xcalloc(1, sizeof(**ret_boot));
    (*ret_boot)->info.cluster_id.b[0] = 7;
    (*ret_boot)->info.leader_epoch = 5;
    (*ret_boot)->info.clean = true;
    return ODK_OK;
}

void odk_boot_info(const struct odk_boot *boot, struct odk_boot_info *ret)
{
    *ret = boot->info;
}

enum odk_err odk_boot_close(struct odk_boot *boot, bool clean)
{
    (void)clean;
    free(boot);
    return ODK_OK;
}

enum odk_err odk_store_open(const struct odk_store_options *options, struct odk_store **ret_store)
{
    (void)options;
    struct odk_store *store = xcalloc(1, sizeof(*store));
    list_init(&store->logs);
    list_init(&store->held);
    list_init(&store->deletes);
    store->last = &store->first;
    *ret_store = store;
    return ODK_OK;
}

static void log_free(struct odk_log *log)
{
    list_remove(&log->node);
    for (size_t i = 0; i < log->batch_count; i++)
        free(log->batches[i].data);
    free(log->batches);
    free(log->name);
    free(log);
}

void odk_store_free(struct odk_store *store)
{
    if (!store)
        return;
    ASSERT(store->pins == 0);
    ASSERT(list_empty(&store->held));
    list_each(node, &store->logs) log_free(list_entry(node, struct odk_log, node));
    free(store);
}

void odk_store_close(struct odk_store *store, void (*done)(void *context, enum odk_err err), void *context)
{
    store->closed = done;
    store->closed_context = context;
}

static void appends_complete(struct odk_store *store)
{
    struct odk_append *append = store->first;
    store->first = NULL;
    store->last = &store->first;
    while (append) {
        struct odk_append *next = append->next;
        struct odk_log *log = append->log;
        log->visible++;
        if (log->moved)
            log->moved(log->context);
        append->done(append, ODK_OK);
        append = next;
    }
}

static enum odk_err read_now(struct odk_log *log, struct odk_read *read);
static void find_now(struct odk_log *log, struct odk_find_time *find);

static void held_complete(struct odk_store *store)
{
    for (struct list *node; store->go && (node = list_pop_front(&store->held)) != NULL;) {
        struct held *held = list_entry(node, struct held, node);
        struct held taken = *held;
        free(held);
        store->held_count--;
        if (taken.read) {
            taken.read->done(taken.read, read_now(taken.log, taken.read));
        } else {
            find_now(taken.log, taken.find);
            taken.find->done(taken.find, taken.log->deleted ? ODK_ERR_CLOSED : ODK_OK);
        }
    }
    store->go = false;
}

uint64_t odk_store_tick(struct odk_store *store, uint64_t now_ns)
{
    (void)now_ns;
    appends_complete(store);
    held_complete(store);
    for (struct list *node; (node = list_pop_front(&store->deletes)) != NULL;) {
        struct done_delete *deleted = list_entry(node, struct done_delete, node);
        deleted->done(deleted->context, ODK_OK);
        free(deleted);
    }
    if (store->closed) {
        store->closed(store->closed_context, ODK_OK);
        store->closed = NULL;
    }
    return UINT64_MAX;
}

void odk_store_stats(const struct odk_store *store, struct odk_store_stats *ret)
{
    (void)store;
    *ret = (struct odk_store_stats){ 0 };
}

const char *odk_store_dir(const struct odk_store *store)
{
    (void)store;
    return "/fake";
}

enum odk_err odk_store_space(const struct odk_store *store, uint64_t *ret_free, uint64_t *ret_total)
{
    (void)store;
    *ret_free = 1000;
    *ret_total = 3000;
    return ODK_OK;
}

/* -- logs -----------------------------------------------------------------------------------------------------------
 */

enum odk_err odk_log_open(struct odk_store *store, const struct odk_log_spec *spec, struct odk_log **ret_log)
{
    struct odk_log *log = xcalloc(1, sizeof(*log));
    log->store = store;
    log->spec = *spec;
    log->name = xstrndup(spec->name.data, spec->name.len);
    list_push_back(&store->logs, &log->node);
    *ret_log = log;
    return ODK_OK;
}

void odk_log_delete(struct odk_log *log, void (*done)(void *context, enum odk_err err), void *context)
{
    log->deleted = true;
    if (log->moved)
        log->moved(log->context);
    log->moved = NULL;
    if (!done)
        return;
    struct done_delete *deleted = xcalloc(1, sizeof(*deleted));
    deleted->done = done;
    deleted->context = context;
    list_push_back(&log->store->deletes, &deleted->node);
}

void odk_log_append(struct odk_log *log, struct odk_append *append)
{
    struct odk_batch batch;
    if (log->deleted || odk_batch_decode(append->batch, append->len, &batch) != ODK_OK) {
        append->done(append, log->deleted ? ODK_ERR_CLOSED : ODK_ERR_INVALID);
        return;
    }
    int64_t base = log->batch_count ? log->batches[log->batch_count - 1].next : 0;
    odk_batch_patch(append->batch, base, odk_log_epoch(log));
    struct fake_batch *batches = xrealloc(log->batches, (log->batch_count + 1) * sizeof(*batches));
    struct fake_batch *added = &batches[log->batch_count++];
    log->batches = batches;
    *added = (struct fake_batch){ .data = xcalloc(1, append->len),
                                  .len = append->len,
                                  .base = base,
                                  .next = base + batch.last_offset_delta + 1,
                                  .max_timestamp = batch.max_timestamp };
    memcpy(added->data, append->batch, append->len);
    append->base_offset = base;
    append->append_time_ms = -1;
    append->log_start_offset = log->start;
    append->duplicate = false;
    append->log = log;
    append->next = NULL;
    *log->store->last = append;
    log->store->last = &append->next;
}

int64_t odk_log_start_offset(struct odk_log *log)
{
    return log->start;
}

int64_t odk_log_end_offset(struct odk_log *log)
{
    return log->visible ? log->batches[log->visible - 1].next : 0;
}

bool odk_log_known_empty(struct odk_log *log)
{
    return odk_log_start_offset(log) == odk_log_end_offset(log);
}

uint64_t odk_log_size(struct odk_log *log)
{
    uint64_t size = 0;
    for (size_t i = 0; i < log->batch_count; i++)
        size += log->batches[i].len;
    return size;
}

enum odk_err odk_log_state(struct odk_log *log)
{
    return log->deleted ? ODK_ERR_CLOSED : ODK_OK;
}

void odk_log_configure(struct odk_log *log, const struct odk_log_config *config)
{
    log->spec.config = *config;
}

int32_t odk_log_epoch_of(struct odk_log *log, int64_t offset)
{
    return offset >= log->start && offset < odk_log_end_offset(log) ? 5 : -1;
}

void odk_log_epoch_end(struct odk_log *log, int32_t epoch, int32_t *ret_epoch, int64_t *ret_end_offset)
{
    bool above = epoch > 5;
    *ret_epoch = above ? 5 : epoch;
    *ret_end_offset = epoch >= 5 ? odk_log_end_offset(log) : 0;
}

int32_t odk_log_epoch(struct odk_log *log)
{
    (void)log;
    return 5;
}

void odk_log_observe(struct odk_log *log, void (*moved)(void *context), void *context)
{
    log->moved = moved;
    log->context = context;
}

void odk_log_trim(struct odk_log *log, int64_t offset, void (*done)(void *context, enum odk_err err), void *context)
{
    log->start = offset;
    if (done)
        done(context, ODK_OK);
}

void odk_log_producers(struct odk_log *log, void (*visit)(void *context, const struct odk_producer_info *info),
                       void *context)
{
    (void)log;
    (void)visit;
    (void)context;
}

/* -- reading --------------------------------------------------------------------------------------------------------
 */

static bool read_takes(const struct odk_read *read, const struct fake_batch *batch, uint32_t parts_max)
{
    if (read->part_count == (parts_max ? parts_max : ODK_READ_PARTS_MAX))
        return false;
    return read->bytes + batch->len <= read->bytes_max || (read->at_least_one && read->part_count == 0);
}

static enum odk_err read_now(struct odk_log *log, struct odk_read *read)
{
    struct odk_store *store = log->store;
    enum odk_err err = store->read_err;
    store->read_err = ODK_OK;
    read->part_count = 0;
    read->bytes = 0;
    read->next_offset = read->offset;
    if (log->deleted)
        return ODK_ERR_CLOSED;
    if (err != ODK_OK)
        return err;
    if (read->offset < log->start || read->offset > odk_log_end_offset(log))
        return ODK_ERR_RANGE;
    for (size_t i = 0; i < log->visible; i++) {
        const struct fake_batch *batch = &log->batches[i];
        if (batch->next <= read->offset)
            continue;
        if (!read_takes(read, batch, store->parts_max))
            break;
        read->parts[read->part_count++] = (struct iovec){ batch->data, batch->len };
        read->bytes += (uint32_t)batch->len;
        read->next_offset = batch->next;
    }
    read->priv[0] = read->bytes > 0;
    store->pins += read->bytes > 0;
    return ODK_OK;
}

static enum odk_err hold(struct odk_log *log, struct odk_read *read, struct odk_find_time *find)
{
    struct held *held = xcalloc(1, sizeof(*held));
    *held = (struct held){ .log = log, .read = read, .find = find };
    list_push_back(&log->store->held, &held->node);
    log->store->held_count++;
    return ODK_ERR_PENDING;
}

enum odk_err odk_log_read(struct odk_log *log, struct odk_read *read)
{
    log->store->reads++;
    read->priv[0] = 0;
    return log->store->hold ? hold(log, read, NULL) : read_now(log, read);
}

void odk_log_read_release(struct odk_log *log, struct odk_read *read)
{
    if (!read->priv[0])
        return;
    ASSERT(log->store->pins > 0);
    log->store->pins--;
    read->priv[0] = 0;
}

static void find_now(struct odk_log *log, struct odk_find_time *find)
{
    find->ret_offset = -1;
    find->ret_timestamp = -1;
    for (size_t i = 0; i < log->visible; i++) {
        const struct fake_batch *batch = &log->batches[i];
        bool better = find->max ? batch->max_timestamp > find->ret_timestamp
                                : find->ret_offset < 0 && batch->max_timestamp >= find->timestamp;
        if (batch->next <= log->start || !better)
            continue;
        find->ret_offset = batch->base;
        find->ret_timestamp = batch->max_timestamp;
    }
}

enum odk_err odk_log_find_time(struct odk_log *log, struct odk_find_time *find)
{
    if (log->store->hold)
        return hold(log, NULL, find);
    find_now(log, find);
    return ODK_OK;
}

/* -- the test's hand ------------------------------------------------------------------------------------------------
 */

void fake_hold(struct odk_store *store)
{
    store->hold = true;
}

void fake_go(struct odk_store *store)
{
    store->hold = false;
    store->go = true;
}

uint32_t fake_held(const struct odk_store *store)
{
    return store->held_count;
}

void fake_fail_next_read(struct odk_store *store, enum odk_err err)
{
    store->read_err = err;
}

uint32_t fake_pins(const struct odk_store *store)
{
    return store->pins;
}

uint32_t fake_reads(const struct odk_store *store)
{
    return store->reads;
}

void fake_parts_max(struct odk_store *store, uint32_t parts)
{
    store->parts_max = parts;
}

void fake_set_start(struct odk_log *log, int64_t offset)
{
    log->start = offset;
}

/* -- segments: there is one, which always stays -------------------------------------------------------------------- */

enum odk_err odk_log_segment(struct odk_log *log, int64_t offset, struct odk_segment_info *ret)
{
    *ret = (struct odk_segment_info){ .base_offset = log->start, .end_offset = offset, .max_timestamp = -1,
                                      .active = true };
    return ODK_OK;
}

int64_t odk_log_segment_written_ms(struct odk_log *log, int64_t offset)
{
    (void)log;
    (void)offset;
    return -1;
}

enum odk_err odk_log_roll(struct odk_log *log)
{
    (void)log;
    return ODK_ERR_BUSY;
}

bool odk_log_is_loaded(const struct odk_log *log)
{
    (void)log;
    return true;
}

enum odk_err odk_log_clean(struct odk_log *log, struct odk_clean *clean)
{
    (void)log;
    (void)clean;
    return ODK_ERR_BUSY;
}

int64_t odk_log_dirty_offset(struct odk_log *log)
{
    (void)log;
    return -1;
}
