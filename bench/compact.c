/*
 * Compaction of one log: bytes per second of one core, and memory.
 *
 *   build/bench/compact DIR [MEGABYTES [KEYS [CODEC]]]     DIR is made and must be empty; 256, 100000, 0..4 (0 = none)
 *
 * Appends batches of 100 records of about 1 KiB with keys drawn evenly, lets them settle, runs one pass and prints what it
 * took: processor time of this process, all of it, and the growth of its largest resident set. One line of JSON.
 */
#include <odradek/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/base.h"
#include "base/prng.h"
#include "base/units.h"

#define RECORDS     100
#define VALUE_BYTES 1000
#define SEGMENT     MIB(64)

struct bench {
    struct odk_io *io;
    struct odk_boot *boot;
    struct odk_store *store;
    struct odk_log *log;
    struct prng prng;
    bool ready;
    enum odk_err err;
};

static void must(enum odk_err err, const char *what)
{
    if (err == ODK_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, odk_err_text(err));
    exit(1);
}

static void turn(struct bench *b)
{
    uint64_t now_ns = b->io->ops->mono_ns(b->io);
    uint64_t until_ns = odk_store_tick(b->store, now_ns);
    b->io->ops->run(b->io, MIN(until_ns, now_ns + 10 * NS_PER_MS));
    (void)odk_store_tick(b->store, b->io->ops->mono_ns(b->io));
}

static void on_appended(struct odk_append *append, enum odk_err err)
{
    (void)append;
    must(err, "append");
}

static size_t append(struct bench *b, uint64_t keys, enum odk_codec codec)
{
    static uint8_t values[RECORDS][VALUE_BYTES];
    static char names[RECORDS][24];
    struct odk_record_new records[RECORDS];
    for (int i = 0; i < RECORDS; i++) {
        int len = snprintf(names[i], sizeof(names[i]), "key-%llu", (unsigned long long)prng_below(&b->prng, keys));
        for (int j = 0; j < VALUE_BYTES; j++)
            values[i][j] = (uint8_t)("0123456789abcdef"[prng_next(&b->prng) % 16]);
        records[i] = (struct odk_record_new){ .timestamp = 1000, .key = { (const uint8_t *)names[i], (size_t)len },
                                              .value = { values[i], VALUE_BYTES } };
    }
    struct odk_batch_new batch = { .producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .records = records,
                                   .record_count = RECORDS };
    uint8_t *plain;
    size_t len;
    struct odk_record_iter it;
    must(odk_batch_build(&batch, &plain, &len), "batch");
    must(odk_record_iter_init(&it, (struct odk_bytes){ plain, len }, MIB(64)), "batch");
    size_t room = odk_batch_pack_bound(codec, len);
    uint8_t *packed = xcalloc(1, room);
    must(odk_batch_pack(&it.batch, odk_record_iter_bytes(&it), codec, codec == ODK_CODEC_LZ4 ? 9 : codec == ODK_CODEC_GZIP ? 6 : 3,
                        packed, room, &len),
         "pack");
    must(odk_record_iter_end(&it), "batch");
    struct odk_append one = { .batch = packed, .len = len, .done = on_appended };
    int64_t end = odk_log_end_offset(b->log);
    odk_log_append(b->log, &one);
    while (odk_log_end_offset(b->log) == end)
        turn(b);
    free(packed);
    free(plain);
    return len;
}

static void bench_open(struct bench *b, const char *dir)
{
    char why[256] = "";
    must(odk_io_open(&(struct odk_io_options){ .kind = ODK_IO_AUTO }, &b->io, why, sizeof(why)), "io");
    must(odk_boot_open(&(struct odk_boot_options){ .dir = dir, .io = b->io, .node_id = 1 }, &b->boot), dir);
    must(odk_store_open(&(struct odk_store_options){ .boot = b->boot, .io = b->io, .shard_count = 1, .checkpoint_ms = 1000 },
                        &b->store),
         dir);
    struct odk_log_spec spec = { .name = ODK_STR("bench-0"), .id = { .b = { 1 } }, .config = { .segment_bytes = SEGMENT } };
    must(odk_log_open(b->store, &spec, &b->log), "log");
}

static void on_cleaned(struct odk_clean *clean, enum odk_err err)
{
    (void)clean;
    must(err, "compaction");
}

static double cpu_s(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

/* Until what was appended is in synced files. */
static void settle(struct bench *b)
{
    uint64_t until_ns = b->io->ops->mono_ns(b->io) + 5 * NS_PER_S;
    while (b->io->ops->mono_ns(b->io) < until_ns)
        turn(b);
}

/* One pass over all that is sealed. */
static void pass(struct bench *b, struct odk_clean *clean)
{
    int64_t end = odk_log_end_offset(b->log);
    struct odk_segment_info active;
    must(odk_log_segment(b->log, end, &active), "segment");
    *clean = (struct odk_clean){ .up_to = active.base_offset, .map_bytes_max = MIB(128), .done = on_cleaned };
    must(odk_log_clean(b->log, clean), "compaction");
    while (odk_log_dirty_offset(b->log) < active.base_offset)
        turn(b);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: compact DIR [MEGABYTES [KEYS [CODEC]]]\n");
        return 2;
    }
    uint64_t bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 256) << 20;
    uint64_t keys = argc > 3 ? strtoull(argv[3], NULL, 10) : 100000;
    enum odk_codec codec = (enum odk_codec)(argc > 4 ? strtoul(argv[4], NULL, 10) : 0);
    struct bench b = { .prng.state = 7 };
    struct odk_clean clean;
    struct rusage before, after;
    bench_open(&b, argv[1]);
    for (uint64_t done = 0; done < bytes;)
        done += append(&b, MAX(keys, UINT64_C(1)), codec);
    settle(&b);
    (void)getrusage(RUSAGE_SELF, &before);
    uint64_t begin_ns = b.io->ops->mono_ns(b.io);
    pass(&b, &clean);
    double wall_s = (double)(b.io->ops->mono_ns(b.io) - begin_ns) / 1e9;
    (void)getrusage(RUSAGE_SELF, &after);
    double used_s = cpu_s(&after) - cpu_s(&before);
    (void)printf("{\"read_mb\": %.1f, \"written_mb\": %.1f, \"wall_s\": %.2f, \"cpu_s\": %.2f, \"log_mb_per_cpu_s\": %.0f, "
                 "\"rss_growth_mb\": %.1f}\n",
                 (double)clean.bytes_read / 1e6, (double)clean.bytes_written / 1e6, wall_s, used_s,
                 (double)clean.bytes_read / 2e6 / used_s, (double)(after.ru_maxrss - before.ru_maxrss) / 1024);
    return 0; /* the process ends here, as after a kill */
}
