/*
 * Drives a store in a test: one io, one directory, a loop that runs until something is true. Crashes are made by freeing
 * the store without closing it, after the io has come to rest.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <odradek/log.h>

#include "base/base.h"
#include "base/prng.h"
#include "store/clean.h"
#include "store/store.h"

struct drive {
    char dir[256];
    struct odk_io *io;
    struct odk_boot *boot;
    struct odk_store *store;
    struct odk_store_options options; /* boot and io are filled in */
    uint64_t redo_bytes_max;
    uint32_t redo_files_max;
    struct odk_diag diag;
    uint32_t error_count; /* lines at level ERROR */
};

static inline void drive_on_line(void *context, enum odk_diag_level level, const char *line)
{
    struct drive *d = context;
    if (level >= ODK_DIAG_ERROR)
        d->error_count++;
    if (level >= ODK_DIAG_INFO && getenv("DRIVE_VERBOSE"))
        (void)fprintf(stderr, "%s\n", line);
}

static inline void drive_init(struct drive *d)
{
    *d = (struct drive){ .options = { .shard_count = 1, .journal_file_bytes = 1 << 20, .journal_bytes_max = 8 << 20 } };
    (void)snprintf(d->dir, sizeof(d->dir), "%s/odk-store-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(d->dir));
    char why[256] = "";
    struct odk_io_options io = { .kind = getenv("DRIVE_URING") ? ODK_IO_URING : ODK_IO_POSIX };
    assert_int_equal(odk_io_open(&io, &d->io, why, sizeof(why)), ODK_OK);
    d->diag = (struct odk_diag){ .write = drive_on_line, .context = d, .least = ODK_DIAG_INFO };
}

static inline enum odk_err drive_boot(struct drive *d)
{
    struct odk_boot_options options = {
        .dir = d->dir,
        .io = d->io,
        .diag = &d->diag,
        .node_id = 1,
        .redo_bytes_max = d->redo_bytes_max,
        .redo_files_max = d->redo_files_max,
    };
    return odk_boot_open(&options, &d->boot);
}

static inline void drive_start(struct drive *d)
{
    assert_int_equal(drive_boot(d), ODK_OK);
    d->options.boot = d->boot;
    d->options.io = d->io;
    d->options.diag = &d->diag;
    assert_int_equal(odk_store_open(&d->options, &d->store), ODK_OK);
}

/* One turn; waits at most ms. Returns false when nothing was due within that time. */
static inline void drive_turn(struct drive *d, uint64_t ms)
{
    uint64_t now_ns = d->io->ops->mono_ns(d->io);
    uint64_t until_ns = odk_store_tick(d->store, now_ns);
    d->io->ops->run(d->io, MIN(until_ns, now_ns + ms * 1000000));
    (void)odk_store_tick(d->store, d->io->ops->mono_ns(d->io));
}

#define DRIVE_UNTIL(d, condition)                     \
    do {                                              \
        uint32_t turns = 0;                           \
        while (!(condition)) {                        \
            drive_turn((d), 20);                      \
            assert_true(++turns < 20000);             \
        }                                             \
    } while (0)

static inline bool drive_is_busy(const struct drive *d)
{
    const struct odk_store *store = d->store;
    if (!store)
        return false;
    bool syncing = store->checkpoint_count > 0 || !list_empty(&store->waits) || !list_empty(&store->removals);
    syncing &= list_empty(&store->spill_wait); /* else it may wait for a turn */
    return syncing || clean_in_flight(store) || store->spill_count > 0 || store->journal.in_flight || store->journal.files.busy;
}

/* Lets operations in flight end, as after a kill, without the store acting on it any more. */
static inline void drive_settle(struct drive *d)
{
    const int enough = getenv("DRIVE_URING") ? 200 : 20; /* a sync may take long there */
    for (int quiet = 0, turns = 0; quiet < enough && turns < 400; turns++) { /* what waits for a turn stays busy */
        d->io->ops->run(d->io, d->io->ops->mono_ns(d->io) + 3000000);
        quiet = drive_is_busy(d) ? 0 : quiet + 1;
    }
}

static inline void drive_crash(struct drive *d)
{
    drive_settle(d);
    odk_store_free(d->store);
    d->store = NULL;
    assert_int_equal(odk_boot_close(d->boot, false), ODK_OK);
    d->boot = NULL;
}

struct drive_result {
    bool ready;
    enum odk_err err;
};

static inline void drive_on_result(void *context, enum odk_err err)
{
    struct drive_result *result = context;
    result->ready = true;
    result->err = err;
}

static inline void drive_stop(struct drive *d)
{
    struct drive_result closed = { 0 };
    odk_store_close(d->store, drive_on_result, &closed);
    DRIVE_UNTIL(d, closed.ready);
    assert_int_equal(closed.err, ODK_OK);
    odk_store_free(d->store);
    d->store = NULL;
    assert_int_equal(odk_boot_close(d->boot, true), ODK_OK);
    d->boot = NULL;
}

static inline void drive_deinit(struct drive *d)
{
    d->io->ops->free(d->io);
    char command[512];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", d->dir);
    assert_int_equal(system(command), 0);
}

/* -- logs -------------------------------------------------------------------------------------------------------- */

static inline struct odk_uuid drive_id(uint8_t no)
{
    struct odk_uuid id = { .b = { [0] = 0x5a, [15] = no } };
    return id;
}

static inline struct odk_log *drive_log(struct drive *d, const char *name, uint8_t id, int32_t segment_bytes)
{
    struct odk_log_spec spec = {
        .name = odk_str_from(name),
        .id = drive_id(id),
        .config = { .segment_bytes = segment_bytes, .index_interval_bytes = 4096 },
    };
    struct odk_log *log;
    assert_int_equal(odk_log_open(d->store, &spec, &log), ODK_OK);
    return log;
}

struct drive_append {
    struct odk_append append;
    bool ready;
    enum odk_err err;
};

static inline void drive_on_append(struct odk_append *append, enum odk_err err)
{
    struct drive_append *a = container_of(append, struct drive_append, append);
    a->ready = true;
    a->err = err;
}

/* A batch of count records whose values are of value_len bytes made from seed. */
static inline void drive_batch(uint8_t **ret_data, size_t *ret_len, int32_t count, size_t value_len, uint64_t seed,
                               int64_t timestamp)
{
    struct prng prng = { .state = seed };
    struct odk_record_new *records = xcalloc((size_t)count, sizeof(*records));
    uint8_t *values = xcalloc((size_t)count, value_len + 1);
    for (int32_t i = 0; i < count; i++) {
        uint8_t *value = values + (size_t)i * value_len;
        for (size_t j = 0; j < value_len; j++)
            value[j] = (uint8_t)prng_next(&prng);
        records[i] = (struct odk_record_new){ .timestamp = timestamp + i, .value = { .data = value, .len = value_len } };
    }
    struct odk_batch_new batch = { .producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .records = records,
                                   .record_count = count };
    assert_int_equal(odk_batch_build(&batch, ret_data, ret_len), ODK_OK);
    free(values);
    free(records);
}

/* Appends and waits. Returns the base offset. */
static inline int64_t drive_put(struct drive *d, struct odk_log *log, int32_t count, size_t value_len, uint64_t seed)
{
    struct drive_append a = { .append.done = drive_on_append };
    uint8_t *data;
    drive_batch(&data, &a.append.len, count, value_len, seed, 1000 + (int64_t)seed);
    a.append.batch = data;
    odk_log_append(log, &a.append);
    DRIVE_UNTIL(d, a.ready);
    assert_int_equal(a.err, ODK_OK);
    free(data);
    return a.append.base_offset;
}

struct drive_read {
    struct odk_read read;
    bool ready;
    enum odk_err err;
};

static inline void drive_on_read(struct odk_read *read, enum odk_err err)
{
    struct drive_read *r = container_of(read, struct drive_read, read);
    r->ready = true;
    r->err = err;
}

static inline enum odk_err drive_get(struct drive *d, struct odk_log *log, struct drive_read *r, int64_t offset,
                                     uint32_t bytes_max)
{
    *r = (struct drive_read){ .read = { .offset = offset, .bytes_max = bytes_max, .at_least_one = true,
                                        .done = drive_on_read } };
    r->err = odk_log_read(log, &r->read);
    if (r->err == ODK_ERR_PENDING)
        DRIVE_UNTIL(d, r->ready);
    return r->err;
}

/* Reads [from, end) in steps and gives the bytes as one piece (free). */
static inline uint8_t *drive_read_all(struct drive *d, struct odk_log *log, int64_t from, uint32_t step,
                                      size_t *ret_len)
{
    uint8_t *all = NULL;
    size_t len = 0;
    int64_t end = odk_log_end_offset(log);
    for (int64_t offset = from; offset < end;) {
        struct drive_read r;
        assert_int_equal(drive_get(d, log, &r, offset, step), ODK_OK);
        assert_true(r.read.part_count > 0);
        assert_true(r.read.next_offset > offset);
        all = xrealloc(all, len + r.read.bytes + 1);
        for (uint32_t i = 0; i < r.read.part_count; i++) {
            memcpy(all + len, r.read.parts[i].iov_base, r.read.parts[i].iov_len);
            len += r.read.parts[i].iov_len;
        }
        offset = r.read.next_offset;
        odk_log_read_release(log, &r.read);
    }
    *ret_len = len;
    return all;
}

/* Walks batches: offsets without a gap from base on, valid CRCs. Returns the offset behind the last one. */
static inline int64_t drive_check(const uint8_t *data, size_t len, int64_t base)
{
    for (size_t pos = 0; pos < len;) {
        struct odk_batch batch;
        assert_int_equal(odk_batch_decode(data + pos, len - pos, &batch), ODK_OK);
        assert_int_equal(batch.base_offset, base);
        assert_int_equal(odk_batch_check_crc((struct odk_bytes){ .data = data + pos, .len = odk_batch_bytes(&batch) }),
                         ODK_OK);
        base = odk_batch_next_offset(&batch);
        pos += odk_batch_bytes(&batch);
    }
    return base;
}
