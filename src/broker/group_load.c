/*
 * The start of groups: the log of a partition is read from its beginning, one piece per turn of the loop, so that a long
 * one holds up nobody. Partitions come one after the other.
 */
#include "broker/group_host_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* What the key of a control record says. */
#define MARKER_ABORT  0
#define MARKER_COMMIT 1

#define LOAD_READ_BYTES_MAX    ((uint32_t)MIB(1)) /* some milliseconds: others wait meanwhile */
#define SCRATCH_BYTES_KEPT_MAX ((size_t)MIB(2))

/* A topic that went while the groups were being loaded: they hear of it afterwards. */
struct group_gone {
    struct list node;
    struct odk_uuid id;
    int32_t partition_count;
    char name[TOPIC_NAME_BYTES_MAX + 1];
};

static void load_kick(struct group_host *host);
static void load_next(struct group_host *host);

/* -- records ------------------------------------------------------------------------------------------------------ */

/* A control batch: one record that says how the producer's transaction has ended; other kinds are for others. */
static enum odk_err load_marker(struct group_load *load, struct odk_bytes bytes, const struct odk_batch *batch)
{
    struct odk_record_iter it;
    struct odk_record record = { 0 };
    enum odk_err err = odk_record_iter_init(&it, bytes, GROUP_BATCH_BYTES_MAX * 2);
    bool read = err == ODK_OK && odk_record_next(&it, &record);
    struct rd key = rd_init(record.key.data, record.key.len);
    (void)rd_i16(&key); /* its version: later ones add fields behind */
    int16_t kind = rd_i16(&key);
    bool empty = err == ODK_OK && batch->record_count == 0; /* compaction has left the frame of it */
    bool bad = !empty && (!read || key.bad);
    while (odk_record_next(&it, &record))
        ;
    err = odk_record_iter_end(&it);
    if (err != ODK_OK || bad)
        return err != ODK_OK ? err : ODK_ERR_CORRUPT;
    if (empty || (kind != MARKER_ABORT && kind != MARKER_COMMIT))
        return ODK_OK;
    return groups_replay_end(load->partition->groups, batch->producer_id, kind == MARKER_COMMIT);
}

static enum odk_err load_records(struct group_load *load, struct odk_bytes bytes, const struct odk_batch *batch)
{
    struct odk_record_iter it;
    struct odk_record record;
    int64_t producer_id = batch->attributes & ODK_BATCH_TRANSACTIONAL ? batch->producer_id : -1;
    enum odk_err err = odk_record_iter_init(&it, bytes, GROUP_BATCH_BYTES_MAX * 2);
    while (err == ODK_OK && odk_record_next(&it, &record)) {
        load->record_count++;
        load->offset = record.offset;
        err = record.key.data
                  ? groups_replay_of(load->partition->groups, producer_id, record.key, record.value)
                  : ODK_ERR_CORRUPT;
    }
    enum odk_err end = odk_record_iter_end(&it);
    return err != ODK_OK ? err : end;
}

static enum odk_err load_batch(struct group_load *load, struct odk_bytes bytes, const struct odk_batch *batch)
{
    load->offset = batch->base_offset; /* where the line points when something is wrong */
    enum odk_err err = odk_batch_check_crc(bytes);
    if (err != ODK_OK)
        return err;
    return batch->attributes & ODK_BATCH_CONTROL ? load_marker(load, bytes, batch) : load_records(load, bytes, batch);
}

static enum odk_err load_bytes(struct group_load *load, struct odk_bytes data)
{
    load->bytes += data.len;
    while (data.len > 0) {
        struct odk_batch batch;
        enum odk_err err = odk_batch_decode(data.data, data.len, &batch);
        if (err == ODK_OK && odk_batch_bytes(&batch) > data.len)
            err = ODK_ERR_TRUNCATED;
        if (err != ODK_OK)
            return err;
        size_t len = odk_batch_bytes(&batch);
        err = load_batch(load, (struct odk_bytes){ .data = data.data, .len = len }, &batch);
        if (err != ODK_OK)
            return err;
        data.data += len;
        data.len -= len;
    }
    return ODK_OK;
}

/* What was read, in one piece: batches may lie across parts. */
static struct odk_bytes load_view(struct group_load *load)
{
    const struct odk_read *read = &load->read;
    if (read->part_count == 1)
        return (struct odk_bytes){ .data = read->parts[0].iov_base, .len = read->parts[0].iov_len };
    if (load->scratch_capacity < read->bytes) {
        load->scratch_capacity = read->bytes;
        load->scratch = xrealloc(load->scratch, load->scratch_capacity);
    }
    size_t len = 0;
    for (uint32_t i = 0; i < read->part_count; i++) {
        memcpy(load->scratch + len, read->parts[i].iov_base, read->parts[i].iov_len);
        len += read->parts[i].iov_len;
    }
    ASSERT(len == read->bytes);
    return (struct odk_bytes){ .data = load->scratch, .len = len };
}

/* -- the end ------------------------------------------------------------------------------------------------------ */

static void load_forget_gone(struct group_partition *partition, bool tell)
{
    for (struct list *node; (node = list_pop_front(&partition->gone)) != NULL;) {
        struct group_gone *gone = list_entry(node, struct group_gone, node);
        struct group_topic topic = { .id = gone->id,
                                     .name = odk_str_from(gone->name),
                                     .partition_count = gone->partition_count };
        if (tell)
            groups_topic_changed(partition->groups, &topic, true);
        free(gone);
    }
}

static void load_fail(struct group_load *load, enum odk_err err)
{
    struct group_partition *partition = load->partition;
    load->partition = NULL;
    groups_free(partition->groups);
    partition->groups = NULL;
    load_forget_gone(partition, false);
    group_partition_fail(partition);
    if (err != ODK_ERR_CLOSED) /* the server stops */
        DIAG_ERROR(partition->host->broker->env.diag,
                   GROUP_TOPIC_NAME "-%d: cannot be read at offset %" PRId64 ": %s; its groups are out of service",
                   partition->index, load->offset, odk_err_text(err));
}

/* How much of the log a snapshot would write, as far as that can be said without writing one. */
static uint64_t fact_bytes_of(const struct group_load *load)
{
    uint64_t facts = groups_fact_count(load->partition->groups);
    return load->record_count > facts ? (uint64_t)((double)load->bytes * (double)facts / (double)load->record_count)
                                      : load->bytes;
}

static void load_finish(struct group_load *load)
{
    struct group_partition *partition = load->partition;
    partition->log_bytes = load->bytes;
    partition->fact_bytes = fact_bytes_of(load);
    partition->durable_offset = load->offset;
    load->partition = NULL;
    group_partition_activate(partition);
    groups_loaded(partition->groups);
    load_forget_gone(partition, true);
    group_partition_settle(partition);
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

/* True if there may be more to read. */
static bool load_take(struct group_load *load, enum odk_err err)
{
    struct odk_log *log = load->partition->log;
    int64_t next_offset = load->read.next_offset;
    bool end = err == ODK_OK && load->read.bytes == 0;
    if (err == ODK_OK && !end)
        err = load_bytes(load, load_view(load));
    odk_log_read_release(log, &load->read);
    enum odk_err state = odk_log_state(log);
    if (end && state != ODK_OK && state != ODK_ERR_FULL) /* what is readable ends before what was written */
        err = state;
    if (err != ODK_OK) {
        load_fail(load, err);
        return false;
    }
    load->offset = next_offset;
    if (end)
        load_finish(load);
    return !end;
}

static void load_on_read(struct odk_read *read, enum odk_err err)
{
    struct group_load *load = container_of(read, struct group_load, read);
    struct group_host *host = load->partition->host;
    (void)load_take(load, err);
    load_kick(host);
}

static void load_read(struct group_load *load)
{
    struct group_host *host = load->partition->host;
    if (odk_log_state(load->partition->log) == ODK_ERR_CLOSED) { /* the server stops: it need not wait for the rest */
        load_fail(load, ODK_ERR_CLOSED);
        load_kick(host);
        return;
    }
    uint32_t bytes = (uint32_t)host->broker->env.config->offsets_load_buffer_size;
    load->read = (struct odk_read){ .offset = load->offset,
                                    .bytes_max = MIN(bytes, LOAD_READ_BYTES_MAX),
                                    .at_least_one = true,
                                    .done = load_on_read };
    enum odk_err err = odk_log_read(load->partition->log, &load->read);
    if (err == ODK_ERR_PENDING)
        return;
    (void)load_take(load, err);
    load_kick(host);
}

/* -- turns -------------------------------------------------------------------------------------------------------- */

static struct group_partition *load_pick(struct group_host *host, uint64_t *ret_next_ns)
{
    uint64_t now_ns = host->broker->now_ns;
    *ret_next_ns = UINT64_MAX;
    list_each(node, &host->loading) {
        struct group_partition *partition = list_entry(node, struct group_partition, loading);
        if (partition->load_from_ns <= now_ns)
            return partition;
        *ret_next_ns = MIN(*ret_next_ns, partition->load_from_ns);
    }
    return NULL;
}

static void load_begin(struct group_load *load, struct group_partition *partition)
{
    list_remove(&partition->loading);
    load->partition = partition;
    load->offset = MAX(odk_log_start_offset(partition->log), 0); /* unreadable: the read says so */
    load->record_count = 0;
    load->bytes = 0;
    partition->groups = group_partition_groups_new(partition);
}

static void load_stop(struct group_host *host)
{
    if (host->load)
        free(host->load->scratch);
    free(host->load);
    host->load = NULL;
}

static void load_next(struct group_host *host)
{
    uint64_t next_ns;
    struct group_partition *partition = load_pick(host, &next_ns);
    if (partition) {
        if (!host->load)
            host->load = xcalloc(1, sizeof(*host->load));
        load_begin(host->load, partition);
        load_read(host->load);
        return;
    }
    load_stop(host);
    if (next_ns != UINT64_MAX)
        timer_arm(host->broker->env.timers, &host->load_timer, next_ns);
}

static void load_on_timer(struct timer *timer, uint64_t now_ns)
{
    struct group_host *host = container_of(timer, struct group_host, load_timer);
    (void)now_ns;
    if (host->load && host->load->partition)
        load_read(host->load);
    else
        load_next(host);
}

/* Goes on in the next turn of the loop. */
static void load_kick(struct group_host *host)
{
    if (host->load && host->load->scratch_capacity > SCRATCH_BYTES_KEPT_MAX) {
        free(host->load->scratch);
        host->load->scratch = NULL;
        host->load->scratch_capacity = 0;
    }
    timer_arm(host->broker->env.timers, &host->load_timer, host->broker->now_ns);
}

void group_load_queue(struct group_partition *partition, uint64_t delay_ms)
{
    struct group_host *host = partition->host;
    ASSERT(!partition->groups);
    partition->state = GROUP_PARTITION_LOADING;
    partition->load_from_ns = deadline_after_ms(host->broker->now_ns, (int64_t)delay_ms);
    list_push_back(&host->loading, &partition->loading);
    if (!host->load)
        load_kick(host);
}

void group_load_topic_gone(struct group_partition *partition, const struct topic *topic)
{
    struct group_gone *gone = xcalloc(1, sizeof(*gone));
    gone->id = topic->id;
    gone->partition_count = topic->partition_count;
    memcpy(gone->name, topic->name, topic_name(topic).len);
    list_push_back(&partition->gone, &gone->node);
}

void group_load_init(struct group_host *host)
{
    list_init(&host->loading);
    host->load_timer.fire = load_on_timer;
}

void group_load_deinit(struct group_host *host)
{
    timer_cancel(host->broker->env.timers, &host->load_timer);
    load_stop(host);
}

void group_load_forget(struct group_partition *partition)
{
    load_forget_gone(partition, false);
}
