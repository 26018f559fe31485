/*
 * The store against a naive twin: a few logs, random appends, reads, trims, deletions, searches by time, stops and
 * crashes, over real files. The twin keeps every batch in memory. Prints its seed; LOG_MODEL_SEED and LOG_MODEL_STEPS
 * choose others.
 *
 * A crash here is a kill while the store is at rest between two operations; the simulator cuts inside them.
 */
#include <odradek/log.h>

#include "../unit/store/drive.h"

#define LOGS 5

struct twin_batch {
    uint8_t *data;
    size_t len;
    struct odk_batch header;
};

struct twin {
    struct odk_log *log;
    char name[32];
    uint8_t id;
    struct twin_batch *batches;
    size_t count;
    size_t capacity;
    int64_t start;
    int64_t end;
    int64_t producer_id;
    int32_t next_sequence;
    uint32_t outstanding;
};

struct pending {
    struct odk_append append;
    struct twin *twin;
    bool *failed;
};

struct model {
    struct drive d;
    struct prng prng;
    struct twin twins[LOGS];
    uint8_t next_id;
    uint64_t reads, appends, crashes, stops, trims, deletions, searches, walks, emptied;
};

static uint64_t below(struct model *m, uint64_t bound)
{
    return prng_below(&m->prng, bound);
}

/* -- the twin ---------------------------------------------------------------------------------------------------- */

static void twin_clear(struct twin *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->batches[i].data);
    t->count = 0;
    t->start = 0;
    t->end = 0;
    t->producer_id = 1000 + t->id;
    t->next_sequence = 0;
}

static void twin_add(struct twin *t, const uint8_t *data, size_t len)
{
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 64;
        t->batches = xrealloc(t->batches, t->capacity * sizeof(t->batches[0]));
    }
    struct twin_batch *b = &t->batches[t->count++];
    b->data = xcalloc(1, len);
    b->len = len;
    memcpy(b->data, data, len);
    assert_int_equal(odk_batch_decode(data, len, &b->header), ODK_OK);
    assert_int_equal(b->header.base_offset, t->end);
    t->end = odk_batch_next_offset(&b->header);
}

static size_t twin_find(const struct twin *t, int64_t offset)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (odk_batch_last_offset(&t->batches[mid].header) < offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* -- operations --------------------------------------------------------------------------------------------------- */

static void on_appended(struct odk_append *append, enum odk_err err)
{
    struct pending *p = container_of(append, struct pending, append);
    assert_int_equal(err, ODK_OK);
    assert_false(append->duplicate);
    twin_add(p->twin, append->batch, append->len);
    p->twin->outstanding--;
    free(append->batch);
    free(p);
}

static void model_append(struct model *m, struct twin *t)
{
    struct pending *p = xcalloc(1, sizeof(*p));
    p->twin = t;
    p->append.done = on_appended;
    int32_t count = 1 + (int32_t)below(m, 5);
    size_t value_len = below(m, 10) == 0 ? below(m, 5500) : below(m, 700);
    struct odk_record_new *records = xcalloc((size_t)count, sizeof(*records));
    uint8_t *value = xcalloc(1, value_len + 1);
    for (size_t i = 0; i < value_len; i++)
        value[i] = (uint8_t)prng_next(&m->prng);
    for (int32_t i = 0; i < count; i++)
        records[i] = (struct odk_record_new){ .timestamp = (int64_t)(10000 + below(m, 100000)),
                                              .value = { .data = value, .len = value_len } };
    struct odk_batch_new batch = { .producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .records = records,
                                   .record_count = count };
    if (t->id % 2 == 0) {
        batch.producer_id = t->producer_id;
        batch.producer_epoch = 0;
        batch.base_sequence = t->next_sequence;
        t->next_sequence += count;
    }
    assert_int_equal(odk_batch_build(&batch, &p->append.batch, &p->append.len), ODK_OK);
    free(value);
    free(records);
    t->outstanding++;
    m->appends++;
    odk_log_append(t->log, &p->append);
}

static void model_read(struct model *m, struct twin *t)
{
    int64_t offset = t->start + (int64_t)below(m, (uint64_t)(t->end - t->start) + 1);
    struct drive_read r = { .read = { .offset = offset, .bytes_max = (uint32_t)below(m, 60000),
                                      .at_least_one = below(m, 2) == 0, .done = drive_on_read } };
    m->reads++;
    r.err = odk_log_read(t->log, &r.read);
    if (r.err == ODK_ERR_PENDING) {
        DRIVE_UNTIL(&m->d, r.ready);
    }
    assert_int_equal(r.err, ODK_OK);
    size_t i = twin_find(t, offset), used = 0;
    uint8_t *bytes = xcalloc(1, r.read.bytes + 1u);
    for (uint32_t k = 0; k < r.read.part_count; k++) {
        memcpy(bytes + used, r.read.parts[k].iov_base, r.read.parts[k].iov_len);
        used += r.read.parts[k].iov_len;
    }
    assert_int_equal(used, r.read.bytes);
    for (size_t pos = 0; pos < used; i++) {
        assert_true(i < t->count);
        assert_true(pos + t->batches[i].len <= used);
        assert_memory_equal(bytes + pos, t->batches[i].data, t->batches[i].len);
        pos += t->batches[i].len;
    }
    if (used > 0)
        assert_int_equal(r.read.next_offset, odk_batch_next_offset(&t->batches[i - 1].header));
    else
        assert_true(r.read.next_offset == offset);
    if (used == 0 && offset < t->end)
        assert_true(!r.read.at_least_one && t->batches[i].len > r.read.bytes_max);
    free(bytes);
    odk_log_read_release(t->log, &r.read);
}

static void model_read_outside(struct model *m, struct twin *t)
{
    struct drive_read r;
    if (t->start > 0)
        assert_int_equal(drive_get(&m->d, t->log, &r, t->start - 1, 100), ODK_ERR_RANGE);
    if (t->outstanding == 0)
        assert_int_equal(drive_get(&m->d, t->log, &r, t->end + 1, 100), ODK_ERR_RANGE);
}

static void naive_find(const struct twin *t, int64_t timestamp, int64_t *ret_offset, int64_t *ret_timestamp)
{
    *ret_offset = -1;
    *ret_timestamp = -1;
    for (size_t i = 0; i < t->count; i++) {
        struct odk_record_iter it;
        struct odk_record record;
        assert_int_equal(odk_record_iter_init(
                             &it, (struct odk_bytes){ .data = t->batches[i].data, .len = t->batches[i].len }, 1 << 24),
                         ODK_OK);
        while (*ret_offset < 0 && odk_record_next(&it, &record)) {
            if (record.timestamp >= timestamp && record.offset >= t->start) {
                *ret_offset = record.offset;
                *ret_timestamp = record.timestamp;
            }
        }
        assert_int_equal(odk_record_iter_end(&it), ODK_OK);
        if (*ret_offset >= 0)
            return;
    }
}

struct found {
    struct odk_find_time find;
    bool ready;
    enum odk_err err;
};

static void on_found(struct odk_find_time *find, enum odk_err err)
{
    struct found *f = container_of(find, struct found, find);
    f->ready = true;
    f->err = err;
}

static void model_find(struct model *m, struct twin *t)
{
    struct found f = { .find = { .timestamp = (int64_t)(below(m, 115000)), .done = on_found } };
    int64_t offset, timestamp;
    if (t->outstanding > 0)
        return;
    m->searches++;
    f.err = odk_log_find_time(t->log, &f.find);
    if (f.err == ODK_ERR_PENDING) {
        DRIVE_UNTIL(&m->d, f.ready);
    }
    assert_int_equal(f.err, ODK_OK);
    naive_find(t, f.find.timestamp, &offset, &timestamp);
    assert_int_equal(f.find.ret_offset, offset);
    assert_int_equal(f.find.ret_timestamp, timestamp);
}

static void all_settled(struct model *m)
{
    for (size_t i = 0; i < LOGS; i++)
        DRIVE_UNTIL(&m->d, m->twins[i].outstanding == 0);
}

static void model_trim(struct model *m, struct twin *t)
{
    struct drive_result result = { 0 };
    int64_t offset = t->start + (int64_t)below(m, (uint64_t)(t->end - t->start) + 1);
    m->trims++;
    odk_log_trim(t->log, offset, drive_on_result, &result);
    assert_int_equal(odk_log_start_offset(t->log), offset);
    t->start = offset;
    DRIVE_UNTIL(&m->d, result.ready);
    assert_int_equal(result.err, ODK_OK);
}

/* What the store says of each segment is what the batches in it say. */
static void model_segments(struct model *m, struct twin *t)
{
    if (t->outstanding > 0)
        return;
    struct odk_segment_info s = { .end_offset = t->start };
    uint64_t behind = odk_log_size(t->log);
    m->walks++;
    for (bool first = true; !s.active; first = false) {
        int64_t begin = s.end_offset;
        assert_int_equal(odk_log_segment(t->log, begin, &s), ODK_OK);
        assert_true(first ? s.base_offset <= t->start : s.base_offset == begin);
        assert_int_equal(s.bytes + s.bytes_behind, behind);
        behind = s.bytes_behind;
        uint64_t bytes = 0;
        int64_t youngest = -1;
        size_t i = twin_find(t, s.base_offset);
        for (; i < t->count && t->batches[i].header.base_offset < s.end_offset; i++) {
            bytes += t->batches[i].len;
            youngest = MAX(youngest, t->batches[i].header.max_timestamp);
        }
        assert_int_equal(s.bytes, bytes);
        assert_int_equal(s.max_timestamp, youngest);
        assert_true(odk_log_segment_written_ms(t->log, begin) > 0);
    }
    assert_int_equal(s.end_offset, t->end);
    assert_int_equal(odk_log_segment(t->log, t->end + 1, &s), ODK_ERR_RANGE);
}

/* All of it is let go, the segment that is written to as well. */
static void model_empty(struct model *m, struct twin *t)
{
    struct drive_result result = { 0 };
    struct odk_segment_info s;
    if (t->outstanding > 0 || t->start == t->end)
        return;
    m->emptied++;
    assert_int_equal(odk_log_segment(t->log, t->end, &s), ODK_OK);
    enum odk_err err = odk_log_roll(t->log);
    assert_int_equal(err, s.active && s.bytes > 0 ? ODK_OK : ODK_ERR_BUSY);
    assert_int_equal(odk_log_roll(t->log), ODK_ERR_BUSY); /* it is empty */
    odk_log_trim(t->log, t->end, drive_on_result, &result);
    t->start = t->end;
    assert_int_equal(odk_log_size(t->log), 0);
    if (below(m, 2) == 0)
        DRIVE_UNTIL(&m->d, result.ready);
    if (below(m, 2) == 0)
        model_append(m, t);
    DRIVE_UNTIL(&m->d, result.ready);
    assert_int_equal(result.err, ODK_OK);
}

static void twin_open(struct model *m, struct twin *t)
{
    t->log = drive_log(&m->d, t->name, t->id, 30000);
}

static void model_delete(struct model *m, struct twin *t)
{
    struct drive_result result = { 0 };
    DRIVE_UNTIL(&m->d, t->outstanding == 0);
    m->deletions++;
    odk_log_delete(t->log, drive_on_result, &result);
    if (below(m, 2) == 0)
        DRIVE_UNTIL(&m->d, result.ready);
    t->id = m->next_id++;
    twin_clear(t);
    twin_open(m, t);
    model_append(m, t);
    DRIVE_UNTIL(&m->d, result.ready);
    assert_int_equal(result.err, ODK_OK);
}

static void model_reopen(struct model *m)
{
    drive_start(&m->d);
    for (size_t i = 0; i < LOGS; i++) {
        struct twin *t = &m->twins[i];
        twin_open(m, t);
        assert_int_equal(odk_log_start_offset(t->log), t->start);
        assert_int_equal(odk_log_end_offset(t->log), t->end);
        assert_int_equal(odk_log_state(t->log), ODK_OK);
    }
}

static void model_restart(struct model *m, bool crash)
{
    all_settled(m);
    if (crash) {
        m->crashes++;
        drive_crash(&m->d);
    } else {
        m->stops++;
        drive_stop(&m->d);
    }
    model_reopen(m);
}

static void model_step(struct model *m)
{
    struct twin *t = &m->twins[below(m, LOGS)];
    switch (below(m, 40)) {
    case 0: model_trim(m, t); break;
    case 1: model_read_outside(m, t); break;
    case 2: model_find(m, t); break;
    case 3:
        if (below(m, 10) == 0)
            model_restart(m, below(m, 3) > 0);
        break;
    case 4:
        if (below(m, 20) == 0)
            model_delete(m, t);
        break;
    case 5:
        if (below(m, 10) == 0)
            model_empty(m, t);
        else
            model_segments(m, t);
        break;
    case 6: case 7: case 8: case 9: model_read(m, t); break;
    case 10: case 11: case 12: case 13: case 14: case 15: drive_turn(&m->d, below(m, 3)); break;
    default: model_append(m, t); break;
    }
}

static void store_matches_its_twin(void **state)
{
    (void)state;
    struct model m = { .next_id = 1 };
    const char *seed = getenv("LOG_MODEL_SEED"), *steps = getenv("LOG_MODEL_STEPS");
    uint64_t wanted = steps ? strtoull(steps, NULL, 10) : 20000;
    m.prng.state = seed ? strtoull(seed, NULL, 10) : 20260101;
    (void)printf("LOG_MODEL_SEED=%llu LOG_MODEL_STEPS=%llu\n", (unsigned long long)m.prng.state,
                 (unsigned long long)wanted);
    drive_init(&m.d);
    m.d.options.journal_file_bytes = 64u << (prng_next(&m.prng) % 4) << 10;
    m.d.options.journal_bytes_max = m.d.options.journal_file_bytes * 4;
    m.d.options.spill_bytes = 8192u << (prng_next(&m.prng) % 4);
    m.d.options.tail_bytes_max = 1 << 20;
    m.d.options.quiet_ms = 5;
    m.d.options.checkpoint_ms = 50;
    m.d.options.files_max = 8;
    for (size_t i = 0; i < LOGS; i++) {
        (void)snprintf(m.twins[i].name, sizeof(m.twins[i].name), "model-%zu", i);
        m.twins[i].id = m.next_id++;
        twin_clear(&m.twins[i]);
    }
    model_reopen(&m);
    for (uint64_t i = 0; i < wanted; i++)
        model_step(&m);
    model_restart(&m, true);
    for (size_t i = 0; i < LOGS; i++) {
        twin_clear(&m.twins[i]);
        free(m.twins[i].batches);
    }
    drive_stop(&m.d);
    assert_int_equal(m.d.error_count, 0);
    (void)printf("%llu appends, %llu reads, %llu trims, %llu deletions, %llu searches, %llu walks, %llu emptied, %llu crashes, %llu stops\n",
                 (unsigned long long)m.appends, (unsigned long long)m.reads, (unsigned long long)m.trims,
                 (unsigned long long)m.deletions, (unsigned long long)m.searches, (unsigned long long)m.walks, (unsigned long long)m.emptied,
                 (unsigned long long)m.crashes,
                 (unsigned long long)m.stops);
    drive_deinit(&m.d);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(store_matches_its_twin) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
