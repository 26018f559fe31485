/*
 * How fast a segment that is in memory is checked, on one core.
 *
 *   verify [--bytes N] [--value N]     N bytes of records of so many bytes each, in batches of about 64 KiB, none compressed
 *
 * Writes one segment after the other into a directory under TMPDIR (/dev/shm is a good one), reads it twice with odk_part_verify and prints
 * GB/s of the second time, by the CPU clock of the process and by the wall's.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <odradek/verify.h>

#include "base/base.h"
#include "base/prng.h"

#define BATCH_BYTES   (64u << 10)
#define SEGMENT_BYTES (1u << 30)

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    int failed = clock_gettime(clock, &now);
    ASSERT(failed == 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static FILE *segment_open(const char *dir, int64_t base)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/b-0/%020lld.log", dir, (long long)base);
    FILE *file = fopen(path, "wb");
    ASSERT(file);
    return file;
}

/* Fills segments with copies of one batch, each at its offset. */
static void fill(const char *dir, uint64_t bytes, size_t value_len)
{
    struct odk_batch_builder builder = { 0 };
    struct prng prng = { 1 };
    uint8_t *value = xcalloc(1, value_len + 1);
    for (size_t i = 0; i < value_len; i++)
        value[i] = (uint8_t)prng_next(&prng);
    odk_batch_builder_begin(&builder);
    do {
        struct odk_record_new record = { .timestamp = 1000, .value = { value, value_len } };
        enum odk_err err = odk_batch_builder_add(&builder, &record);
        ASSERT(err == ODK_OK);
    } while (builder.len < BATCH_BYTES);
    odk_batch_builder_end(&builder);
    FILE *file = segment_open(dir, 0);
    int64_t offset = 0;
    uint64_t in_segment = 0;
    for (uint64_t done = 0; done < bytes; done += builder.len) {
        if (in_segment + builder.len > SEGMENT_BYTES) {
            ASSERT(fclose(file) == 0);
            file = segment_open(dir, offset);
            in_segment = 0;
        }
        odk_batch_patch(builder.data, offset, 0);
        ASSERT(fwrite(builder.data, 1, builder.len, file) == builder.len);
        offset += builder.record_count;
        in_segment += builder.len;
    }
    ASSERT(fclose(file) == 0);
    odk_batch_builder_deinit(&builder);
    free(value);
}

static void on_finding(void *context, const struct odk_finding *finding)
{
    (void)context;
    (void)fprintf(stderr, "%s at %lld\n", odk_finding_text(finding->kind), (long long)finding->position);
    exit(1);
}

static void measure(struct odk_dir *dir, bool told)
{
    struct odk_verify verify = { .finding = on_finding };
    double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID), wall = seconds_of(CLOCK_MONOTONIC);
    enum odk_err err = odk_part_verify(dir, "b-0", &verify);
    ASSERT(err == ODK_OK);
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds_of(CLOCK_MONOTONIC) - wall;
    if (told)
        (void)printf("%.2f GB in %llu batches: %.2f GB per CPU second, %.2f GB/s\n", (double)verify.bytes / 1e9,
                     (unsigned long long)verify.batches, (double)verify.bytes / 1e9 / cpu,
                     (double)verify.bytes / 1e9 / wall);
}

int main(int argc, char **argv)
{
    uint64_t bytes = 1u << 30, value_len = 1000;
    char place[256], folder[300], command[300];
    char why[256];
    struct odk_io_options options = { .kind = ODK_IO_POSIX };
    struct odk_io *io;
    struct odk_dir *dir;
    for (int i = 1; i + 1 < argc; i += 2) {
        bytes = strcmp(argv[i], "--bytes") == 0 ? strtoull(argv[i + 1], NULL, 10) : bytes;
        value_len = strcmp(argv[i], "--value") == 0 ? strtoull(argv[i + 1], NULL, 10) : value_len;
    }
    (void)snprintf(place, sizeof(place), "%.200s/odk-verify-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ASSERT(mkdtemp(place));
    (void)snprintf(folder, sizeof(folder), "%s/b-0", place);
    ASSERT(mkdir(folder, 0700) == 0);
    fill(place, bytes, value_len);
    ASSERT(odk_io_open(&options, &io, why, sizeof(why)) == ODK_OK);
    ASSERT(odk_dir_open(io, NULL, place, &dir) == ODK_OK);
    measure(dir, false);
    measure(dir, true);
    odk_dir_close(dir);
    io->ops->free(io);
    (void)snprintf(command, sizeof(command), "rm -r '%s'", place);
    int removed = system(command);
    return removed == 0 ? 0 : 1;
}
