/* What the simulation does to logs: appends, reads, trims, deletes; and what it makes of the answers. */
#include "store_sim_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void say(const struct run *run, const struct sim_log *log, const char *what, int64_t a, int64_t b)
{
    if (run->verbose)
        (void)fprintf(stderr, "%12.6f ms  %s %s %" PRId64 " %" PRId64 "\n", (double)sim_now_ns(run->world) / 1e6,
                      log->name, what, a, b);
}

/* -- errors that the drawn faults may cause ----------------------------------------------------------------------- */

bool may_fail(const struct run *run)
{
    const struct sim_faults *f = &run->faults;
    return run->faulty && (f->write_eio || f->read_eio || f->sync_fail || f->meta_eio || f->map_eio);
}

static bool error_allowed(const struct run *run, enum odk_err err)
{
    if (err == ODK_ERR_FULL)
        return run->faulty && (run->faults.space_bytes != 0 || run->faults.sync_fail != 0);
    if (err == ODK_ERR_IO || err == ODK_ERR_OFFLINE)
        return may_fail(run) || (run->faulty && run->faults.space_bytes != 0);
    return false;
}

void check_error(struct run *run, enum odk_err err, const char *what, const struct sim_log *log)
{
    if (err == ODK_OK || sim_dead(run->boot_io) || error_allowed(run, err))
        return;
    verdict_fail(run->verdict, "%s of %s: %s, which no fault explains", what, log ? log->name : "the store",
                 odk_err_name(err));
}

/* -- appends ------------------------------------------------------------------------------------------------------ */

void flight_free(struct flight *flight)
{
    list_remove(&flight->in_run);
    free(flight->bytes);
    free(flight);
}

struct flight *flight_new(struct run *run, struct sim_log *log, bool reading)
{
    struct flight *flight = xcalloc(1, sizeof(*flight));
    flight->log = log;
    flight->shard = log->shard;
    flight->reading = reading;
    list_push_back(&run->flights, &flight->in_run);
    return flight;
}

static uint8_t *batch_new(struct run *run, struct prng *rng, size_t *ret_len)
{
    static const uint8_t keys[MODEL_KEYS] = { '0', '1', '2', '3', '4', '5' };
    struct odk_record_new records[RECORDS_MAX];
    int32_t count = (int32_t)prng_between(rng, 1, RECORDS_MAX);
    size_t most = prng_chance(rng, 30000) ? 16000 : prng_chance(rng, 300000) ? 1500 : 200;
    uint8_t *value = xcalloc(1, most);
    for (size_t i = 0; i < most; i++)
        value[i] = (uint8_t)prng_next(rng);
    for (int32_t i = 0; i < count; i++) {
        size_t len = prng_below(rng, most);
        records[i] = (struct odk_record_new){ .timestamp = run->next_id,
                                              .key = { .data = &keys[prng_below(rng, MODEL_KEYS)], .len = 1 },
                                              .value = { .data = value, .len = len } };
    }
    struct odk_batch_new batch = { .producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .records = records,
                                   .record_count = count };
    run->next_id++;
    uint8_t *bytes = NULL;
    enum odk_err err = odk_batch_build(&batch, &bytes, ret_len);
    ASSERT(err == ODK_OK);
    free(value);
    return bytes;
}

static void append_on_done(struct odk_append *append, enum odk_err err)
{
    struct flight *flight = container_of(append, struct flight, append);
    struct sim_log *log = flight->log;
    struct run *run = log->run;
    flight->shard->flying--;
    say(run, log, err == ODK_OK ? "appended" : odk_err_name(err), append->base_offset, log->model.count);
    if (err == ODK_OK && !sim_dead(run->boot_io)) {
        run->tally->acked++;
        model_ack(&log->model, run->verdict, append->batch, append->len, append->base_offset);
        if (log->log != NULL && odk_log_end_offset(log->log) <= append->base_offset)
            verdict_fail(run->verdict, "%s: acknowledged at %" PRId64 " but not visible", log->name,
                         append->base_offset);
    } else if (err != ODK_OK) {
        run->tally->refused++;
        if (err != ODK_ERR_CLOSED || (log->state == LOG_LIVE && !flight->shard->closing))
            check_error(run, err, "append", log);
    }
    flight_free(flight);
}

static void act_append(struct run *run, struct sim_log *log)
{
    struct shard *shard = log->shard;
    uint64_t burst = prng_chance(&shard->rng, 100000) ? 12 : prng_between(&shard->rng, 1, 3);
    for (uint64_t i = 0; i < burst && shard->flying < FLYING_MAX && !over(run); i++) {
        struct flight *flight = flight_new(run, log, false);
        size_t len = 0;
        flight->bytes = batch_new(run, &shard->rng, &len);
        model_append(&log->model, flight->bytes, len);
        flight->append = (struct odk_append){ .batch = flight->bytes, .len = len, .done = append_on_done };
        shard->flying++;
        run->tally->appends++;
        odk_log_append(log->log, &flight->append);
    }
}

bool log_range(struct run *run, struct sim_log *log, int64_t *ret_start, int64_t *ret_end)
{
    int64_t start = odk_log_start_offset(log->log);
    int64_t end = odk_log_end_offset(log->log);
    if (over(run))
        return false;
    enum odk_err state = odk_log_state(log->log);
    if (end < 0 && state != ODK_OK && state != ODK_ERR_FULL && state != ODK_ERR_CLOSED) {
        check_error(run, state, "loading", log);
        return false;
    }
    model_show_end(&log->model, run->verdict, end);
    *ret_start = start;
    *ret_end = end;
    return true;
}

/* -- reads -------------------------------------------------------------------------------------------------------- */

/* What a finished read delivered, against the model. Returns the offset behind it, or -1. */
int64_t take_read(struct run *run, struct sim_log *log, struct odk_read *read)
{
    uint8_t *bytes = xcalloc(1, MAX(1u, read->bytes));
    size_t len = 0;
    for (uint32_t i = 0; i < read->part_count; i++) {
        ASSERT(len + read->parts[i].iov_len <= read->bytes);
        memcpy(bytes + len, read->parts[i].iov_base, read->parts[i].iov_len);
        len += read->parts[i].iov_len;
    }
    int64_t next = model_read(&log->model, run->verdict, read->offset, bytes, len);
    free(bytes);
    bool gap = next < log->model.clean_max && next < read->next_offset; /* of what compaction took */
    if (gap && read->next_offset <= log->model.clean_max)
        next = read->next_offset;
    if (!run->verdict->failed && next != read->next_offset)
        verdict_fail(run->verdict, "%s: read from %" PRId64 " says next is %" PRId64 ", its batches say %" PRId64,
                     log->name, read->offset, read->next_offset, next);
    run->tally->reads++;
    return run->verdict->failed ? -1 : next;
}

void check_read_error(struct run *run, const struct flight *flight, enum odk_err err)
{
    const struct sim_log *log = flight->log;
    if (err == ODK_ERR_CLOSED && log->state != LOG_LIVE)
        return;
    if (err == ODK_ERR_RANGE && flight->read.offset < log->model.start_max)
        return;
    check_error(run, err, "read", log);
}

static void finish_read(struct run *run, struct flight *flight, enum odk_err err)
{
    struct sim_log *log = flight->log;
    flight->shard->reading--;
    if (err == ODK_OK && !sim_dead(run->boot_io))
        (void)take_read(run, log, &flight->read);
    else if (err != ODK_OK)
        check_read_error(run, flight, err);
    if (err == ODK_OK && log->log != NULL)
        odk_log_read_release(log->log, &flight->read);
    flight_free(flight);
}

void read_on_done(struct odk_read *read, enum odk_err err)
{
    struct flight *flight = container_of(read, struct flight, read);
    flight->err = err;
    flight->ready = true;
    if (!flight->waits)
        finish_read(flight->log->run, flight, err);
}

static void act_read(struct run *run, struct sim_log *log)
{
    struct shard *shard = log->shard;
    int64_t start, end;
    if (!log_range(run, log, &start, &end) || end <= start || shard->reading >= 4)
        return;
    struct flight *flight = flight_new(run, log, true);
    bool recent = prng_chance(&shard->rng, 500000);
    uint64_t span = (uint64_t)(end - start);
    int64_t offset = start + (int64_t)prng_below(&shard->rng, span);
    flight->read.offset = recent ? end - 1 - (int64_t)prng_below(&shard->rng, MIN(span, UINT64_C(10))) : offset;
    flight->read.bytes_max = (uint32_t)prng_between(&shard->rng, 1, 60000);
    flight->read.at_least_one = true;
    flight->read.done = read_on_done;
    shard->reading++;
    enum odk_err err = odk_log_read(log->log, &flight->read);
    if (err != ODK_ERR_PENDING)
        finish_read(run, flight, err);
}

/* -- trims and deletes -------------------------------------------------------------------------------------------- */

static void trim_on_done(void *context, enum odk_err err)
{
    struct sim_log *log = context;
    log->trimming = false;
    say(log->run, log, "trimmed", log->trim_to, err);
    if (err == ODK_OK && !sim_dead(log->run->boot_io))
        log->model.start_min = MAX(log->model.start_min, log->trim_to);
    else if (err != ODK_ERR_CLOSED)
        check_error(log->run, err, "trim", log);
}

static void act_trim(struct run *run, struct sim_log *log)
{
    int64_t start, end;
    if (log->trimming || !log_range(run, log, &start, &end) || end <= start)
        return;
    log->trimming = true;
    log->trim_to = start + (int64_t)prng_below(&log->shard->rng, (uint64_t)(end - start) + 1);
    if (prng_chance(&log->shard->rng, 400000) && odk_log_roll(log->log) == ODK_OK) {
        log->trim_to = end; /* nothing is left, not even the segment that was written to */
        run->tally->emptied++;
    }
    log->model.start_max = MAX(log->model.start_max, log->trim_to);
    run->tally->trims++;
    say(run, log, "trim to", log->trim_to, 0);
    odk_log_trim(log->log, log->trim_to, trim_on_done, log);
}

/* -- compaction ---------------------------------------------------------------------------------------------------- */

static void clean_on_done(struct odk_clean *clean, enum odk_err err)
{
    struct sim_log *log = container_of(clean, struct sim_log, clean);
    log->cleaning = false;
    say(log->run, log, "compacted", clean->up_to, err);
    log->run->tally->cleans += err == ODK_OK;
    log->run->tally->cleaned_bytes += err == ODK_OK ? clean->bytes_read - MIN(clean->bytes_read, clean->bytes_written) : 0;
    if (err == ODK_ERR_CORRUPT)
        check_error(log->run, err, "compaction", log);
}

static void act_clean(struct run *run, struct sim_log *log)
{
    int64_t start, end;
    struct odk_segment_info active;
    if (!log->compacted || log->cleaning || !log_range(run, log, &start, &end) || end <= start)
        return;
    if (prng_chance(&log->shard->rng, 300000)) {
        enum odk_err rolled = odk_log_roll(log->log);
        (void)rolled; /* BUSY while appends are on their way */
    }
    if (odk_log_segment(log->log, end, &active) != ODK_OK || over(run))
        return;
    log->clean = (struct odk_clean){ .up_to = active.base_offset, .map_bytes_max = KIB(64), .done = clean_on_done };
    int64_t before = log->model.clean_max;
    log->model.clean_max = MAX(before, active.base_offset);
    log->cleaning = odk_log_clean(log->log, &log->clean) == ODK_OK;
    if (!log->cleaning)
        log->model.clean_max = before;
    else
        say(run, log, "compact up to", log->clean.up_to, 0);
}

void uuid_draw(struct run *run, struct odk_uuid *ret)
{
    run->next_uuid++;
    *ret = (struct odk_uuid){ .b = { 0xfe } };
    memcpy(ret->b + 8, &run->next_uuid, sizeof(run->next_uuid));
}

void log_reborn(struct run *run, struct sim_log *log)
{
    log->id = log->spare;
    uuid_draw(run, &log->spare);
    model_deinit(&log->model);
    log->state = LOG_LIVE;
}

static void delete_on_done(void *context, enum odk_err err)
{
    struct sim_log *log = context;
    say(log->run, log, "deleted", err, 0);
    if (err == ODK_OK && !sim_dead(log->run->boot_io))
        log->state = LOG_GONE;
    else
        check_error(log->run, err, "delete", log);
}

static bool log_busy(const struct run *run, const struct sim_log *log)
{
    list_each(at, &run->flights) {
        if (list_entry(at, struct flight, in_run)->log == log)
            return true;
    }
    return log->trimming;
}

void act_delete(struct run *run, struct sim_log *log)
{
    if (log_busy(run, log))
        return;
    struct odk_log *doomed = log->log;
    log->state = LOG_DELETING;
    log->log = NULL;
    run->tally->deletes++;
    say(run, log, "delete", 0, 0);
    odk_log_delete(doomed, delete_on_done, log);
}

/* A deleted topic made anew: same name, another id. */
static void act_recreate(struct run *run, struct sim_log *log)
{
    if (log->state != LOG_GONE || log_busy(run, log))
        return;
    struct odk_log_spec spec = { .name = odk_str_from(log->name), .id = log->spare, .config = log->config };
    enum odk_err err = odk_log_open(log->shard->store, &spec, &log->log);
    if (err == ODK_OK) {
        log_reborn(run, log);
        say(run, log, "made anew", 0, 0);
        return;
    }
    log->log = NULL;
    check_error(run, err, "recreation", log);
}

/* -- one turn of a shard ------------------------------------------------------------------------------------------ */

void act(struct run *run, struct shard *shard)
{
    struct sim_log *log = &run->logs[prng_below(&shard->rng, run->log_count)];
    if (log->shard != shard)
        return;
    run->actions_left--;
    if (log->state == LOG_GONE)
        act_recreate(run, log);
    if (log->log == NULL || log->state != LOG_LIVE)
        return;
    if (log->compacted && prng_chance(&shard->rng, 80000)) {
        act_clean(run, log);
        return;
    }
    uint64_t dice = prng_below(&shard->rng, 1000);
    if (dice < 750)
        act_append(run, log);
    else if (dice < 980)
        act_read(run, log);
    else if (dice < 993)
        act_trim(run, log);
    else
        act_delete(run, log);
}
