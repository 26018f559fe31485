#include "store/log.h"

#include <errno.h>
#include <stdlib.h>

#include "base/diag.h"
#include "base/units.h"
#include "store/format.h"
#include "store/store.h"

#define SEGMENT_BYTES_DEFAULT  (1 << 30)
#define SEGMENT_MS_DEFAULT     (INT64_C(7) * 24 * 3600 * 1000)
#define INDEX_INTERVAL_DEFAULT 4096
#define INDEX_BYTES_DEFAULT    (10 << 20)

/* -- opening ------------------------------------------------------------------------------------------------------- */

void odk_log_configure(struct odk_log *log, const struct odk_log_config *config)
{
    log->config = *config;
    if (log->config.segment_bytes <= 0)
        log->config.segment_bytes = SEGMENT_BYTES_DEFAULT;
    if (log->config.segment_ms <= 0)
        log->config.segment_ms = SEGMENT_MS_DEFAULT;
    if (log->config.index_interval_bytes < 0)
        log->config.index_interval_bytes = 0;
    if (log->config.index_interval_bytes == 0)
        log->config.index_interval_bytes = INDEX_INTERVAL_DEFAULT;
    if (log->config.segment_index_bytes <= 0)
        log->config.segment_index_bytes = INDEX_BYTES_DEFAULT;
}

enum odk_err odk_log_open(struct odk_store *store, const struct odk_log_spec *spec, struct odk_log **ret_log)
{
    if (!layout_name_ok(spec->name) || odk_uuid_is_zero(spec->id))
        return ODK_ERR_INVALID;
    struct known_log *known = known_find(&store->boot->known, spec->name);
    if (known && known->taken)
        known = NULL; /* what start-up found under that name has been used already */
    if (known && known->has_state && !odk_uuid_is_zero(known->id) && !odk_uuid_eq(known->id, spec->id))
        return FAIL(store->diag, ODK_ERR_EXISTS, "%s/%.*s: belongs to another topic id", store->dir,
                    ODK_STR_FMT(spec->name));
    struct odk_log *log = xcalloc(1, sizeof(*log));
    log->store = store;
    log->name = xstrndup(spec->name.data, spec->name.len);
    log->name_len = (uint32_t)spec->name.len;
    log->id = spec->id;
    log->known = known;
    if (known && !known->has_state) { /* after a crash only the folder itself says whose it is */
        enum odk_err err = log_check_owner(log);
        if (err != ODK_OK) {
            log_free(log);
            return err;
        }
    }
    if (known)
        known->taken = true;
    odk_log_configure(log, &spec->config);
    log->quiet.fire = store_quiet_on_time;
    list_push_back(&store->logs, &log->link);
    store->log_count++;
    *ret_log = log;
    return ODK_OK;
}

bool log_folder(const struct odk_log *log, char dst[LAYOUT_PATH_MAX])
{
    return layout_path(dst, "%s/%s", log->store->dir, log->name);
}

bool log_segment_path(const struct odk_log *log, const struct segment *segment, const char *suffix,
                      char dst[LAYOUT_PATH_MAX])
{
    char folder[LAYOUT_PATH_MAX];
    if (!log_folder(log, folder))
        return false;
    if (segment->swap_end != 0 && strcmp(suffix, FORMAT_LOG_SUFFIX) == 0)
        return layout_swap(dst, folder, segment->base, segment->swap_end);
    return layout_segment(dst, folder, segment->base, suffix);
}

bool log_segment_unlink(const struct odk_log *log, const struct segment *segment, bool log_too)
{
    static const char *const suffixes[] = { FORMAT_INDEX_SUM_SUFFIX, FORMAT_OFFSET_INDEX_SUFFIX,
                                            FORMAT_TIME_INDEX_SUFFIX, FORMAT_LOG_SUFFIX };
    struct odk_io *io = log->store->io;
    bool gone = true;
    for (size_t i = 0; i < countof(suffixes) - !log_too; i++) {
        char path[LAYOUT_PATH_MAX];
        bool fits = log_segment_path(log, segment, suffixes[i], path);
        int32_t result = fits ? io->ops->unlink(io, path) : -ENAMETOOLONG;
        gone &= result == 0 || result == -ENOENT;
    }
    return gone;
}

struct journal_name log_journal_name(struct odk_log *log)
{
    return (struct journal_name){
        .name = { .data = log->name, .len = log->name_len },
        .id = log->id,
        .seq = &log->journal_seq,
        .number = &log->journal_number,
    };
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

bool log_use(struct odk_log *log)
{
    if (log->body)
        return true;
    if (log->err != ODK_OK)
        return false;
    enum odk_err err = log_load(log);
    if (err != ODK_OK)
        log_fail(log, err);
    return log->body != NULL;
}

void log_fail(struct odk_log *log, enum odk_err err)
{
    if (log->err == ODK_OK)
        log->err = err;
}

void log_go_offline(struct odk_log *log)
{
    struct odk_store *store = log->store;
    log->err = ODK_ERR_OFFLINE;
    if (timer_armed(&log->dirty))
        store_keep(store, &log->dirty);
    if (log->moved && !log->deleted)
        log->moved(log->moved_context);
}

void log_body_free(struct odk_log *log)
{
    struct log_body *body = log->body;
    if (!body)
        return;
    for (uint32_t i = 0; i < body->count; i++)
        segment_free(body->segments[i], &log->store->files, &log->store->pool);
    free(body->segments);
    producers_deinit(&body->producers);
    epochs_deinit(&body->epochs);
    free(body->snapshot.data);
    free(body);
    log->body = NULL;
    log->store->open_count--;
}

void log_hold(struct odk_log *log)
{
    log->holds++;
}

void log_unhold(struct odk_log *log)
{
    ASSERT(log->holds > 0);
    if (--log->holds > 0 || !log->deleted)
        return;
    list_remove(&log->link);
    log_free(log);
}

void log_free(struct odk_log *log)
{
    log_body_free(log);
    list_remove(&log->unindexed);
    free(log->name);
    free(log);
}

/* -- segments ------------------------------------------------------------------------------------------------------ */

struct segment *log_segment_add(struct log_body *body, int64_t base, uint64_t size)
{
    if (body->count == body->capacity) {
        body->capacity = body->capacity ? body->capacity * 2 : 1;
        body->segments = xrealloc(body->segments, body->capacity * sizeof(struct segment *));
    }
    struct segment *segment = segment_new(base, size);
    if (body->count > 0) {
        const struct segment *before = log_active(body);
        segment->begin = before->begin + before->tail.end;
    } else {
        segment->begin = LOG_POSITION_FIRST;
    }
    body->segments[body->count++] = segment;
    return segment;
}

uint32_t log_segment_of(const struct log_body *body, int64_t offset)
{
    uint32_t low = 0, high = body->count;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (body->segments[mid]->base <= offset)
            low = mid;
        else
            high = mid;
    }
    return low;
}

int64_t log_segment_end(const struct log_body *body, uint32_t idx)
{
    return idx + 1 < body->count ? MIN(body->segments[idx + 1]->base, body->end_offset) : body->end_offset;
}

enum odk_err log_map_data(struct odk_log *log, struct segment *segment, uint64_t len)
{
    char path[LAYOUT_PATH_MAX];
    if (segment->data && segment->data->map.len >= len && !segment->data->map.broken)
        return ODK_OK;
    if (!log_segment_path(log, segment, FORMAT_LOG_SUFFIX, path))
        return ODK_ERR_INVALID;
    enum odk_err err = files_map(&log->store->files, &segment->data, path, len);
    if (err != ODK_OK)
        return FAIL(log->store->diag, err == ODK_ERR_TRUNCATED ? ODK_ERR_CORRUPT : err,
                    "%s: cannot be mapped up to %llu: %s", path, (unsigned long long)len, odk_err_text(err));
    return ODK_OK;
}

/* -- state --------------------------------------------------------------------------------------------------------- */

/* True when start-up's knowledge is enough to answer. */
static bool log_is_proven(const struct odk_log *log)
{
    return !log->body && log->known && log->known->has_state && log->err == ODK_OK;
}

/* True when there was no folder: the log is empty and begins at 0. */
static bool log_is_fresh(const struct odk_log *log)
{
    return !log->body && !log->known;
}

int64_t odk_log_start_offset(struct odk_log *log)
{
    if (log_is_proven(log))
        return log->known->start_offset;
    if (log_is_fresh(log))
        return 0;
    return log_use(log) ? log->body->start_offset : -1;
}

int64_t odk_log_end_offset(struct odk_log *log)
{
    if (log_is_proven(log))
        return log->known->end_offset;
    if (log_is_fresh(log))
        return 0;
    return log_use(log) ? log->body->end_offset : -1;
}

bool odk_log_known_empty(struct odk_log *log)
{
    return (log_is_fresh(log) || log_is_proven(log)) && odk_log_start_offset(log) == odk_log_end_offset(log);
}

uint64_t odk_log_size(struct odk_log *log)
{
    if (log_is_proven(log))
        return log->known->total_size;
    if (log_is_fresh(log) || !log_use(log))
        return 0;
    const struct log_body *body = log->body;
    const struct segment *first = body->segments[log_segment_of(body, body->start_offset)];
    return log_active(body)->begin + log_active(body)->size - first->begin; /* what is trimmed may go at any time */
}

enum odk_err odk_log_state(struct odk_log *log)
{
    if (log->err != ODK_OK)
        return log->err;
    if (log->store->err != ODK_OK)
        return ODK_ERR_OFFLINE;
    if (log->store->closing)
        return ODK_ERR_CLOSED;
    return log->store->full_until_ns != 0 || journal_full(&log->store->journal) ? ODK_ERR_FULL : ODK_OK;
}

void odk_log_observe(struct odk_log *log, void (*moved)(void *context), void *context)
{
    log->moved = moved;
    log->moved_context = context;
}

int32_t odk_log_epoch(struct odk_log *log)
{
    int32_t epoch = log->store->boot->state.leader_epoch;
    if (log_is_proven(log) || log_is_fresh(log) || !log_use(log))
        return epoch;
    return MAX(epoch, epochs_latest(&log->body->epochs));
}

int32_t odk_log_epoch_of(struct odk_log *log, int64_t offset)
{
    if (log_is_fresh(log) || !log_use(log))
        return -1;
    return epochs_of(&log->body->epochs, offset);
}

void odk_log_epoch_end(struct odk_log *log, int32_t epoch, int32_t *ret_epoch, int64_t *ret_end_offset)
{
    if (!log_use(log)) {
        *ret_epoch = -1;
        *ret_end_offset = -1;
        return;
    }
    const struct epochs *known = &log->body->epochs;
    int32_t newest = odk_log_epoch(log), latest = epochs_latest(known);
    epochs_end_of(known, epoch, log->body->end_offset, ret_epoch, ret_end_offset);
    if (epoch <= latest || epoch < 0 || epoch > newest)
        return;
    /* The newest begins with the start that it was made for, before it has a record: at the end of the log. */
    *ret_epoch = epoch == newest || latest < 0 ? epoch : latest;
    *ret_end_offset = log->body->end_offset;
}

void odk_log_producers(struct odk_log *log, void (*visit)(void *context, const struct odk_producer_info *info),
                       void *context)
{
    if (!log_use(log))
        return;
    const struct producers *producers = &log->body->producers;
    for (uint32_t i = 0; i < producers_count(producers); i++) {
        const struct producer *producer = producers_at(producers, i);
        struct odk_producer_info info = {
            .producer_id = producer->id,
            .epoch = producer->epoch,
            .last_sequence = producer_last_sequence(producer),
            .last_timestamp = producer->last_timestamp,
        };
        visit(context, &info);
    }
}

void log_describe(struct odk_log *log, struct known_log *ret)
{
    if (!log->body) {
        *ret = log->known ? *log->known : (struct known_log){ 0 };
    } else {
        const struct segment *active = log_active(log->body);
        *ret = (struct known_log){
            .start_offset = log->body->start_offset,
            .end_offset = log->body->end_offset,
            .active_base = active->base,
            .active_size = active->size,
            .total_size = odk_log_size(log),
            .flags = producers_count(&log->body->producers) > 0 ? KNOWN_PRODUCERS : 0,
            .has_state = true,
        };
    }
    ret->id = log->id;
    ret->name = log->name;
}
