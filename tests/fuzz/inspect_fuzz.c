/*
 * A data directory of hostile files: looked into and checked by every call of inspect and verify. The files are memory, so
 * that a sanitizer sees one byte too many; the input takes the place of each of them in turn.
 */
#include "mutate.h"

#include <errno.h>
#include <stdio.h>

#include <odradek/verify.h>

#include "base/xxh3.h"
#include "store/journal_format.h"
#include "unit/store/golden_kafka.h"
#include "unit/store/views.h"

#define INCARNATION 7u
#define FILES_MAX   12u

struct fake_file {
    const char *path;
    struct odk_bytes bytes;
};

struct fake {
    struct odk_io io;
    struct fake_file files[FILES_MAX];
    size_t count;
    uint64_t now_ns;
};

/* -- a file system of memory, for reading --------------------------------------------------------------------------- */

static int32_t fake_open(struct odk_io *io, const char *path, uint32_t flags)
{
    const struct fake *fake = (const struct fake *)io;
    ASSERT(flags == ODK_IO_READ);
    for (size_t i = 0; i < fake->count; i++)
        if (strcmp(fake->files[i].path, path) == 0)
            return (int32_t)i;
    return -ENOENT;
}

static int32_t fake_close(struct odk_io *io, int32_t file)
{
    (void)io;
    (void)file;
    return 0;
}

static int64_t fake_size(struct odk_io *io, int32_t file)
{
    return (int64_t)((const struct fake *)io)->files[file].bytes.len;
}

static int32_t fake_lock(struct odk_io *io, int32_t file)
{
    (void)io;
    (void)file;
    return 0;
}

/* A copy for each mapping: what is used behind unmap is seen. */
static int32_t fake_map(struct odk_io *io, int32_t file, uint64_t len, struct odk_io_map *ret_map)
{
    const struct fake *fake = (const struct fake *)io;
    ASSERT(len > 0 && len <= fake->files[file].bytes.len);
    *ret_map = (struct odk_io_map){ .data = copy_of((struct odk_bytes){ fake->files[file].bytes.data, len }), .len = len };
    return 0;
}

static void fake_unmap(struct odk_io *io, struct odk_io_map *map)
{
    (void)io;
    free((void *)(uintptr_t)map->data);
    *map = (struct odk_io_map){ .slot = -1 };
}

static void fake_read(struct odk_io *io, struct odk_io_op *op, int32_t file, void *dst, uint32_t len, uint64_t pos)
{
    struct odk_bytes bytes = ((const struct fake *)io)->files[file].bytes;
    size_t taken = pos < bytes.len ? MIN(len, bytes.len - pos) : 0;
    if (taken > 0)
        memcpy(dst, bytes.data + pos, taken);
    op->done(op, (int32_t)taken);
}

static uint64_t fake_mono_ns(struct odk_io *io)
{
    return ((struct fake *)io)->now_ns;
}

static void fake_run(struct odk_io *io, uint64_t until_ns)
{
    ((struct fake *)io)->now_ns = until_ns;
}

static int32_t fake_list(struct odk_io *io, const char *path, void (*entry)(void *context, const char *name, bool is_directory),
                         void *context)
{
    const struct fake *fake = (const struct fake *)io;
    size_t len = strlen(path);
    if (strcmp(path, "d") == 0)
        entry(context, "t-0", true);
    for (size_t i = 0; i < fake->count; i++) {
        const char *name = fake->files[i].path;
        if (strncmp(name, path, len) == 0 && name[len] == '/' && !strchr(name + len + 1, '/'))
            entry(context, name + len + 1, false);
    }
    return 0;
}

static const struct odk_io_ops fake_ops = {
    .name = "fuzz",
    .mono_ns = fake_mono_ns,
    .run = fake_run,
    .open = fake_open,
    .close = fake_close,
    .size = fake_size,
    .lock = fake_lock,
    .map = fake_map,
    .unmap = fake_unmap,
    .read = fake_read,
    .list = fake_list,
};

/* -- the directory -------------------------------------------------------------------------------------------------- */

#define BASE "d/t-0/00000000000000001000"

static size_t state_print(char *dst, size_t len)
{
    int head = snprintf(dst, len,
                        "odradek-state 1\ncluster-id AAAAAAAAAAAAAAAAAAAAAQ\ndirectory-id AAAAAAAAAAAAAAAAAAAAAQ\n"
                        "node-id 0\nleader-epoch 3\nincarnation %016x\n",
                        INCARNATION);
    int tail = snprintf(dst + head, len - (size_t)head, "checksum %016llx\n",
                        (unsigned long long)xxh3(dst, (size_t)head, 0));
    return (size_t)(head + tail);
}

/* One block: a log's name and a batch of it. */
static void journal_make(uint8_t dst[4096])
{
    static const uint8_t name[16 + 3] = { [16] = 't', '-', '0' };
    struct journal_entry entries[] = {
        { .type = JOURNAL_NAME, .bytes = VIEW(name) },
        { .type = JOURNAL_DATA, .position = 770, .segment_base = 1000, .offset = 1020, .bytes = VIEW(golden_plain) },
    };
    size_t len = 0;
    memset(dst, 0, 4096);
    for (size_t i = 0; i < countof(entries); i++) {
        journal_entry_encode(dst + JOURNAL_HEADER_BYTES + len, &entries[i]);
        len += journal_entry_bytes(entries[i].bytes.len);
    }
    struct journal_block block = { .seq = 1, .incarnation = INCARNATION, .payload_len = (uint32_t)len, .entry_count = 2 };
    journal_block_encode(dst, &block);
}

static void file_add(struct fake *fake, const char *path, struct odk_bytes bytes)
{
    ASSERT(fake->count < FILES_MAX);
    fake->files[fake->count++] = (struct fake_file){ path, bytes };
}

static const char metadata[] = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n";
static const char starts[] = "0\n1\nt 0 1002\n";
static const char old_epochs[] = "0\n1\n0 1000\n";

/* -- looking -------------------------------------------------------------------------------------------------------- */

static void on_producer(void *context, const struct odk_part_producer *producer)
{
    *(uint64_t *)context += (uint64_t)producer->id;
}

static void on_finding(void *context, const struct odk_finding *finding)
{
    *(uint64_t *)context += strlen(finding->file) + strlen(odk_finding_text(finding->kind));
}

static void part_look(struct odk_part *part)
{
    const struct odk_part_segment *segments;
    struct odk_part_segment_info info;
    struct odk_part_end end;
    struct odk_batch_at batch;
    int64_t offset, timestamp, segment;
    uint64_t sum = 0, position;
    odk_part_find_end(part, &end);
    ASSERT(end.offset >= odk_part_start(part));
    for (size_t i = 0; i < odk_part_segments(part, &segments); i++)
        odk_part_look(part, i, &info);
    for (int64_t ms = 1699999999990; ms < 1700000000080; ms += 9)
        if (odk_part_find_time(part, ms, &offset, &timestamp) == ODK_OK)
            ASSERT(timestamp >= ms && offset >= odk_part_start(part));
    struct odk_reader *reader = odk_reader_new(part);
    for (int64_t at = 998; at < 1024; at += 5) {
        odk_reader_seek(reader, at);
        while (odk_reader_next(reader, &batch) == ODK_OK)
            sum += batch.bytes.data[batch.bytes.len - 1];
        ASSERT(odk_reader_why(reader, &segment, &position));
    }
    odk_reader_free(reader);
    enum odk_err err = odk_part_producers(part, on_producer, &sum);
    ASSERT(err < ODK_ERR_COUNT);
}

/* True when directory and partition could be opened. */
static bool dir_look(struct fake *fake)
{
    struct odk_dir *dir;
    struct odk_part *part;
    uint64_t sum = 0;
    struct odk_verify verify = { .finding = on_finding, .context = &sum, .records = true };
    if (odk_dir_open(&fake->io, NULL, "d", &dir) != ODK_OK)
        return false;
    bool opened = odk_part_open(dir, "t-0", &part) == ODK_OK;
    if (opened) {
        part_look(part);
        odk_part_close(part);
    }
    enum odk_err err = odk_dir_verify(dir, &verify);
    err = err == ODK_OK ? odk_part_verify(dir, "t-0", &verify) : err;
    ASSERT(err == ODK_OK);
    odk_dir_close(dir);
    return opened;
}

static void each_replaced(struct fake *fake, size_t count, struct odk_bytes input)
{
    ASSERT(dir_look(fake)); /* what is not replaced is good */
    for (size_t i = 0; i < count; i++) {
        struct odk_bytes kept = fake->files[i].bytes;
        fake->files[i].bytes = input;
        (void)dir_look(fake);
        fake->files[i].bytes = kept;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char state[512];
    uint8_t journal[4096];
    journal_make(journal);
    struct fake fake = { .io = { .ops = &fake_ops } };
    file_add(&fake, BASE ".log", VIEW(golden_segment_log));
    file_add(&fake, BASE ".index", VIEW(golden_segment_index));
    file_add(&fake, BASE ".timeindex", VIEW(golden_segment_timeindex));
    file_add(&fake, "d/t-0/00000000000000001003.snapshot", VIEW(golden_snapshot));
    file_add(&fake, "d/t-0/leader-epoch-checkpoint",
             (struct odk_bytes){ (const uint8_t *)old_epochs, sizeof(old_epochs) - 1 });
    file_add(&fake, "d/t-0/partition.metadata", (struct odk_bytes){ (const uint8_t *)metadata, sizeof(metadata) - 1 });
    file_add(&fake, "d/t-0/log-start-offset-checkpoint",
             (struct odk_bytes){ (const uint8_t *)starts, sizeof(starts) - 1 });
    file_add(&fake, "d/journal/0-00000000.wal", VIEW(journal));
    file_add(&fake, "d/odradek.state", (struct odk_bytes){ (const uint8_t *)state, state_print(state, sizeof(state)) });
    file_add(&fake, "d/.odradek_known", (struct odk_bytes){ 0 });
    each_replaced(&fake, fake.count, (struct odk_bytes){ data, len });
    fake.files[8].path = "d/meta.properties"; /* the same as a directory of Kafka's */
    each_replaced(&fake, 7, (struct odk_bytes){ data, len });
    return 0;
}

#ifndef ODK_LIBFUZZER
/* Makes the checksums of batches and of a journal block true again. */
static void fix(uint8_t *data, size_t len)
{
    struct journal_block block;
    if (len >= 4096 && journal_block_peek(data, &block) && block.payload_len <= 4096 - JOURNAL_HEADER_BYTES) {
        journal_block_encode(data, &block);
        return;
    }
    for (size_t pos = 0; len - pos > ODK_BATCH_HEADER_BYTES;) {
        struct odk_batch batch;
        if (odk_batch_decode(data + pos, len - pos, &batch) != ODK_OK || odk_batch_bytes(&batch) > len - pos)
            return;
        seal_batch(data + pos, odk_batch_bytes(&batch));
        pos += odk_batch_bytes(&batch);
    }
}

int main(int argc, char **argv)
{
    static uint8_t journal[4096];
    journal_make(journal);
    const struct odk_bytes corpus[] = { VIEW(golden_segment_log), VIEW(golden_segment_log), VIEW(golden_segment_index),
                                        VIEW(golden_segment_timeindex), VIEW(golden_snapshot), VIEW(golden_epochs),
                                        VIEW(journal) };
    return fuzz_main(argc, argv, corpus, countof(corpus), fix);
}
#endif
