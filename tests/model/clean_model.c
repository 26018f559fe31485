/*
 * Compaction against a naive twin: one log of few keys over real files, random appends in all codecs, trims, passes, reads
 * while they run, kills in the middle of them. The twin remembers every record that ever was. Prints its seed;
 * CLEAN_MODEL_SEED and CLEAN_MODEL_STEPS choose others.
 *
 *   (1) what is read was appended, at that offset, with that key, value and time
 *   (2) the last record of each key is there; a mark of deletion may be missing when its horizon has passed
 *   (3) what no pass has covered is all there
 *   (4) after a pass nothing is left, of what it covered, that a later record which it covered supersedes
 *   (5) start and end stay; every offset between them leads on to the end
 */
#include <odradek/log.h>

#include "../unit/store/drive.h"

#define KEYS         120 /* of which 40 are written to at a time */
#define SEGMENT      20000
#define RETENTION_MS 1000

struct twin_record {
    int8_t key; /* -1: none */
    bool mark;
    bool seen;
    uint64_t value; /* seed */
    size_t len;
    int64_t timestamp;
    int64_t covered_ms; /* by the first pass that covered it, in the model's time; -1: by none */
};

struct model {
    struct drive d;
    struct prng prng;
    struct odk_log *log;
    struct twin_record *records; /* by offset */
    int64_t end, capacity, start;
    int64_t now_ms;
    int64_t covered; /* some pass, finished or not, was to go that far */
    int64_t last[KEYS];
    int64_t producer_sequence;
    struct odk_clean clean;
    bool cleaning;
    enum odk_err clean_err;
    uint64_t passes, cut_off, appends, reads, lost, gone_marks, limited;
};

static uint64_t below(struct model *m, uint64_t bound)
{
    return prng_below(&m->prng, bound);
}

static void value_fill(uint8_t *dst, size_t len, uint64_t seed)
{
    struct prng prng = { .state = seed };
    for (size_t i = 0; i < len; i++)
        dst[i] = (uint8_t)('a' + prng_next(&prng) % 8);
}

/* -- appends ------------------------------------------------------------------------------------------------------ */

static struct twin_record *record_new(struct model *m)
{
    if (m->end == m->capacity) {
        m->capacity = m->capacity ? m->capacity * 2 : 1024;
        m->records = xrealloc(m->records, (size_t)m->capacity * sizeof(struct twin_record));
    }
    struct twin_record *r = &m->records[m->end];
    *r = (struct twin_record){ .key = (int8_t)(below(m, 30) == 0 ? -1 : MIN(m->end / 250, 80) + (int64_t)below(m, 40)),
                               .mark = below(m, 8) == 0,
                               .value = prng_next(&m->prng),
                               .len = below(m, 40) == 0 ? below(m, 6000) : below(m, 150),
                               .timestamp = m->now_ms + (int64_t)below(m, 50),
                               .covered_ms = -1 };
    if (r->key >= 0)
        m->last[r->key] = m->end;
    m->end++;
    return r;
}

static void batch_make(struct model *m, uint8_t **ret_data, size_t *ret_len)
{
    static const char *const names[] = { "k" };
    int32_t count = 1 + (int32_t)below(m, 8);
    struct odk_record_new *records = xcalloc((size_t)count, sizeof(*records));
    char(*keys)[16] = xcalloc((size_t)count, sizeof(*keys));
    for (int32_t i = 0; i < count; i++) {
        const struct twin_record *r = record_new(m);
        uint8_t *value = xcalloc(1, r->len + 1);
        value_fill(value, r->len, r->value);
        int key_len = snprintf(keys[i], sizeof(keys[i]), "%s%d", names[0], r->key);
        records[i].timestamp = r->timestamp;
        if (r->key >= 0)
            records[i].key = (struct odk_bytes){ .data = (const uint8_t *)keys[i], .len = (size_t)key_len };
        records[i].value = (struct odk_bytes){ .data = value, .len = r->len };
        if (r->mark) {
            free(value);
            records[i].value = (struct odk_bytes){ 0 };
        }
    }
    struct odk_batch_new batch = { .producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .records = records,
                                   .record_count = count };
    if (below(m, 3) == 0) {
        batch.producer_id = 77;
        batch.producer_epoch = 0;
        batch.base_sequence = (int32_t)m->producer_sequence;
        m->producer_sequence += count;
    }
    uint8_t *plain;
    size_t plain_len;
    assert_int_equal(odk_batch_build(&batch, &plain, &plain_len), ODK_OK);
    struct odk_record_iter it;
    assert_int_equal(odk_record_iter_init(&it, (struct odk_bytes){ plain, plain_len }, 1 << 24), ODK_OK);
    enum odk_codec codec = (enum odk_codec)below(m, ODK_CODEC_COUNT);
    size_t room = odk_batch_pack_bound(codec, plain_len);
    *ret_data = xcalloc(1, room);
    assert_int_equal(odk_batch_pack(&it.batch, odk_record_iter_bytes(&it), codec, codec == ODK_CODEC_LZ4 ? 9 : 1,
                                    *ret_data, room, ret_len),
                     ODK_OK);
    assert_int_equal(odk_record_iter_end(&it), ODK_OK);
    for (int32_t i = 0; i < count; i++)
        free((void *)(uintptr_t)records[i].value.data);
    free(plain);
    free(keys);
    free(records);
}

static void model_append(struct model *m)
{
    struct drive_append a = { .append.done = drive_on_append };
    int64_t base = m->end;
    batch_make(m, &a.append.batch, &a.append.len);
    odk_log_append(m->log, &a.append);
    DRIVE_UNTIL(&m->d, a.ready);
    assert_int_equal(a.err, ODK_OK);
    assert_int_equal(a.append.base_offset, base);
    free(a.append.batch);
    m->appends++;
    m->now_ms += (int64_t)below(m, 20);
}

/* -- passes ------------------------------------------------------------------------------------------------------- */

static void on_cleaned(struct odk_clean *clean, enum odk_err err)
{
    struct model *m = container_of(clean, struct model, clean);
    m->cleaning = false;
    m->clean_err = err;
}

static void model_clean(struct model *m)
{
    struct odk_segment_info active;
    if (m->cleaning)
        return;
    assert_int_equal(odk_log_segment(m->log, m->end, &active), ODK_OK);
    m->clean = (struct odk_clean){ .up_to = active.base_offset,
                                   .now_ms = m->now_ms,
                                   .delete_retention_ms = RETENTION_MS,
                                   .map_bytes_max = below(m, 4) == 0 ? 1 : 1 << 20,
                                   .done = on_cleaned };
    m->cleaning = true;
    if (odk_log_clean(m->log, &m->clean) != ODK_OK) {
        m->cleaning = false;
        return;
    }
    m->covered = MAX(m->covered, m->clean.up_to);
    for (int64_t i = 0; i < m->clean.up_to; i++)
        if (m->records[i].covered_ms < 0)
            m->records[i].covered_ms = m->now_ms;
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

static void check_record(struct model *m, const struct odk_record *record)
{
    char key[16];
    assert_true(record->offset >= 0 && record->offset < m->end);
    struct twin_record *r = &m->records[record->offset];
    int key_len = snprintf(key, sizeof(key), "k%d", r->key);
    assert_int_equal(record->timestamp, r->timestamp);
    if (r->key < 0) {
        assert_null(record->key.data);
    } else {
        assert_int_equal(record->key.len, key_len);
        assert_memory_equal(record->key.data, key, (size_t)key_len);
    }
    if (r->mark) {
        assert_null(record->value.data);
    } else {
        uint8_t *value = xcalloc(1, r->len + 1);
        value_fill(value, r->len, r->value);
        assert_int_equal(record->value.len, r->len);
        assert_memory_equal(record->value.data, value, r->len);
        free(value);
    }
    r->seen = true;
}

/* One read: whole batches that lead on. Returns the next offset. */
static int64_t read_step(struct model *m, int64_t offset, bool check)
{
    struct drive_read r;
    assert_int_equal(drive_get(&m->d, m->log, &r, offset, 1 + (uint32_t)below(m, 60000)), ODK_OK);
    assert_true(r.read.part_count > 0);
    uint8_t *bytes = xcalloc(1, r.read.bytes);
    size_t used = 0;
    for (uint32_t i = 0; i < r.read.part_count; i++) {
        memcpy(bytes + used, r.read.parts[i].iov_base, r.read.parts[i].iov_len);
        used += r.read.parts[i].iov_len;
    }
    int64_t next = offset;
    for (size_t pos = 0; pos < used;) {
        struct odk_batch batch;
        struct odk_bytes data = { .data = bytes + pos, .len = used - pos };
        assert_int_equal(odk_batch_decode(data.data, data.len, &batch), ODK_OK);
        assert_int_equal(odk_batch_check_crc(data), ODK_OK);
        assert_true(odk_batch_last_offset(&batch) >= next);
        assert_true(pos == 0 || batch.base_offset >= next);
        next = odk_batch_next_offset(&batch);
        struct odk_record_iter it;
        struct odk_record record;
        assert_int_equal(odk_record_iter_init(&it, data, 1 << 24), ODK_OK);
        while (odk_record_next(&it, &record))
            if (check)
                check_record(m, &record);
        assert_int_equal(odk_record_iter_end(&it), ODK_OK);
        pos += odk_batch_bytes(&batch);
    }
    free(bytes);
    assert_true(r.read.next_offset > offset && r.read.next_offset >= next);
    int64_t after = r.read.next_offset;
    odk_log_read_release(m->log, &r.read);
    m->reads++;
    return after;
}

static void check_missing(struct model *m, int64_t offset)
{
    const struct twin_record *r = &m->records[offset];
    m->lost++;
    if (r->covered_ms < 0)
        fail_msg("record %lld is gone, but no pass covered it", (long long)offset); /* (3) */
    if (r->key < 0 || m->last[r->key] > offset)
        return;
    if (!r->mark || m->now_ms < r->covered_ms + RETENTION_MS) /* (2) */
        fail_msg("the last record of key %d, %lld, is gone", r->key, (long long)offset);
    m->gone_marks++;
}

/* finished_to: a pass has just finished that covered what lies below. */
static void model_check(struct model *m, int64_t finished_to)
{
    int64_t last[KEYS];
    memset(last, -1, sizeof(last));
    assert_int_equal(odk_log_start_offset(m->log), m->start);
    assert_int_equal(odk_log_end_offset(m->log), m->end);
    for (int64_t i = 0; i < m->end; i++)
        m->records[i].seen = false;
    for (int64_t offset = m->start; offset < m->end;)
        offset = read_step(m, offset, true);
    for (int64_t i = m->start; i < m->end; i++)
        if (!m->records[i].seen)
            check_missing(m, i);
    for (int64_t i = finished_to; i-- > m->start;) {
        const struct twin_record *r = &m->records[i];
        if (r->key >= 0 && last[r->key] < 0)
            last[r->key] = i;
        bool superseded = r->key < 0 || last[r->key] > i;
        if (superseded && r->seen)
            fail_msg("record %lld of key %d should be gone", (long long)i, r->key); /* (4) */
    }
}

static void model_read(struct model *m)
{
    int64_t offset = m->start + (int64_t)below(m, (uint64_t)(m->end - m->start) + 1);
    for (int i = 0; i < 4 && offset < m->end; i++)
        offset = read_step(m, offset, true);
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

static void model_find(struct model *m)
{
    struct found f = { .find = { .timestamp = (int64_t)below(m, (uint64_t)m->now_ms + 100), .done = on_found } };
    if (m->cleaning)
        return;
    f.err = odk_log_find_time(m->log, &f.find);
    if (f.err == ODK_ERR_PENDING)
        DRIVE_UNTIL(&m->d, f.ready);
    assert_int_equal(f.err, ODK_OK);
    int64_t expected = -1;
    for (int64_t i = m->start; i < m->end; i++)
        m->records[i].seen = false;
    for (int64_t offset = m->start; offset < m->end;)
        offset = read_step(m, offset, true);
    for (int64_t i = m->start; i < m->end && expected < 0; i++)
        if (m->records[i].seen && m->records[i].timestamp >= f.find.timestamp)
            expected = i;
    assert_int_equal(f.find.ret_offset, expected);
}

/* -- life --------------------------------------------------------------------------------------------------------- */

static void model_open(struct model *m)
{
    drive_start(&m->d);
    m->log = drive_log(&m->d, "clean-0", 1, SEGMENT);
    m->cleaning = false;
}

static void model_restart(struct model *m)
{
    m->cut_off += m->cleaning;
    if (below(m, 3) > 0)
        drive_crash(&m->d);
    else
        drive_stop(&m->d);
    model_open(m);
    model_check(m, 0);
}

static void model_finish(struct model *m)
{
    if (!m->cleaning)
        return;
    DRIVE_UNTIL(&m->d, !m->cleaning);
    if (m->clean_err == ODK_ERR_LIMIT) {
        m->limited++;
        return;
    }
    assert_int_equal(m->clean_err, ODK_OK);
    m->passes++;
    model_check(m, odk_log_dirty_offset(m->log));
}

static void model_trim(struct model *m)
{
    struct drive_result result = { 0 };
    m->start += (int64_t)below(m, (uint64_t)(m->end - m->start) / 4 + 1);
    odk_log_trim(m->log, m->start, drive_on_result, &result);
    DRIVE_UNTIL(&m->d, result.ready);
    assert_int_equal(result.err, ODK_OK);
}

static void model_step(struct model *m)
{
    switch (below(m, 100)) {
    case 0: model_restart(m); break;
    case 1: case 2: model_clean(m); break;
    case 3: model_finish(m); break;
    case 4: m->now_ms += (int64_t)below(m, 2 * RETENTION_MS); break;
    case 5:
        if (below(m, 10) == 0)
            model_trim(m);
        break;
    case 6:
        if (below(m, 4) == 0)
            model_find(m);
        break;
    case 7: case 8: case 9: case 10: model_read(m); break;
    case 11: case 12: case 13: case 14: case 15: case 16: case 17: case 18: case 19: drive_turn(&m->d, below(m, 3)); break;
    default: model_append(m); break;
    }
}

static void compaction_matches_its_twin(void **state)
{
    (void)state;
    struct model m = { .now_ms = 1000 };
    const char *seed = getenv("CLEAN_MODEL_SEED"), *steps = getenv("CLEAN_MODEL_STEPS");
    uint64_t wanted = steps ? strtoull(steps, NULL, 10) : 6000;
    m.prng.state = seed ? strtoull(seed, NULL, 10) : 20260101;
    (void)printf("CLEAN_MODEL_SEED=%llu CLEAN_MODEL_STEPS=%llu\n", (unsigned long long)m.prng.state,
                 (unsigned long long)wanted);
    memset(m.last, -1, sizeof(m.last));
    drive_init(&m.d);
    m.d.options.journal_file_bytes = 64u << (prng_next(&m.prng) % 4) << 10;
    m.d.options.journal_bytes_max = m.d.options.journal_file_bytes * 4;
    m.d.options.spill_bytes = 8192u << (prng_next(&m.prng) % 3);
    m.d.options.tail_bytes_max = 1 << 20;
    m.d.options.quiet_ms = 5;
    m.d.options.checkpoint_ms = 20;
    m.d.options.files_max = 8;
    model_open(&m);
    for (uint64_t i = 0; i < wanted; i++)
        model_step(&m);
    model_finish(&m);
    model_restart(&m);
    drive_stop(&m.d);
    assert_int_equal(m.d.error_count, 0);
    (void)printf("%llu appends, %lld records, %llu reads, %llu passes, %llu cut off, %llu without room, %llu missing seen, "
                 "%llu of them marks\n",
                 (unsigned long long)m.appends, (long long)m.end, (unsigned long long)m.reads,
                 (unsigned long long)m.passes, (unsigned long long)m.cut_off, (unsigned long long)m.limited,
                 (unsigned long long)m.lost, (unsigned long long)m.gone_marks);
    assert_true(wanted < 5000 || (m.passes > 10 && m.cut_off > 0 && m.gone_marks > 0));
    drive_deinit(&m.d);
    free(m.records);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(compaction_matches_its_twin) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
