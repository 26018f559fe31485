#include "store/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/units.h"

#define BLOCK_BYTES_MAX  (1u << 20)
#define BLOCK_BYTES_MIN  (16u << 10)
#define STALL_MS         100

static void write_on_done(struct odk_io_write *write, int64_t result);
static void journal_on_ready(void *context);
static void journal_on_files_failed(void *context, enum odk_err err);

enum odk_err journal_open(struct journal *journal, const struct journal_options *options)
{
    uint64_t quarter = align_down(options->file_bytes / 4, JOURNAL_BLOCK_ALIGN);
    *journal = (struct journal){
        .io = options->io,
        .diag = options->diag,
        .incarnation = options->incarnation,
        .shard = options->shard,
        .block_bytes_max = (uint32_t)MIN(MAX(quarter, (uint64_t)BLOCK_BYTES_MIN), (uint64_t)BLOCK_BYTES_MAX),
        .next_seq = 1,
        .write.done = write_on_done,
        .committed = options->committed,
        .failed = options->failed,
        .context = options->context,
    };
    struct journal_files_options files = {
        .io = options->io,
        .diag = options->diag,
        .dir = options->dir,
        .shard = options->shard,
        .file_bytes = options->file_bytes,
        .bytes_max = options->bytes_max,
        .direct = options->direct,
        .ready = journal_on_ready,
        .failed = journal_on_files_failed,
        .context = journal,
    };
    return journal_files_open(&journal->files, &files);
}

static void buffer_release(struct journal *journal, struct journal_buffer *buffer)
{
    if (buffer->mem && buffer->large)
        free(buffer->mem);
    else if (buffer->mem)
        journal->io->ops->mem_free(journal->io, buffer->mem, buffer->capacity);
    *buffer = (struct journal_buffer){ 0 };
}

void journal_close(struct journal *journal)
{
    if (!journal->io)
        return;
    for (size_t i = 0; i < countof(journal->buffers); i++)
        buffer_release(journal, &journal->buffers[i]);
    if (journal->note)
        journal->io->ops->mem_free(journal->io, journal->note, JOURNAL_BLOCK_ALIGN);
    journal_files_close(&journal->files);
    journal->io = NULL;
}

/* -- staging ------------------------------------------------------------------------------------------------------- */

static bool buffer_make(struct journal *journal, struct journal_buffer *buffer, uint64_t need)
{
    bool large = need > journal->block_bytes_max;
    if (buffer->mem && buffer->capacity >= need)
        return true;
    if (!large) {
        ASSERT(!buffer->mem);
        buffer->mem = journal->io->ops->mem_new(journal->io, journal->block_bytes_max);
        buffer->capacity = journal->block_bytes_max;
    } else {
        void *mem = NULL;
        if (posix_memalign(&mem, JOURNAL_BLOCK_ALIGN, align_up(need, JOURNAL_BLOCK_ALIGN)) != 0)
            return false;
        buffer_release(journal, buffer);
        *buffer = (struct journal_buffer){ .mem = mem, .capacity = align_up(need, JOURNAL_BLOCK_ALIGN), .large = true };
    }
    return buffer->mem != NULL;
}

bool journal_room(struct journal *journal, size_t name_len, size_t len)
{
    struct journal_buffer *buffer = &journal->buffers[journal->filling];
    uint64_t need = journal_entry_bytes(sizeof(struct odk_uuid) + name_len) + journal_entry_bytes(len);
    if (buffer->used > 0)
        return !buffer->large && JOURNAL_HEADER_BYTES + buffer->used + need <= buffer->capacity;
    if (JOURNAL_HEADER_BYTES + need > JOURNAL_PAYLOAD_MAX)
        return false;
    return buffer_make(journal, buffer, align_up(JOURNAL_HEADER_BYTES + need, JOURNAL_BLOCK_ALIGN));
}

static void buffer_add(struct journal_buffer *buffer, const struct journal_entry *entry)
{
    uint64_t len = journal_entry_bytes(entry->bytes.len);
    ASSERT(JOURNAL_HEADER_BYTES + buffer->used + len <= buffer->capacity);
    journal_entry_encode(buffer->mem + JOURNAL_HEADER_BYTES + buffer->used, entry);
    buffer->used += (uint32_t)len;
    buffer->entries++;
}

static void name_add(struct journal *journal, struct journal_buffer *buffer, const struct journal_name *name)
{
    uint8_t text[sizeof(struct odk_uuid) + 512];
    ASSERT(name->name.len <= sizeof(text) - sizeof(struct odk_uuid));
    memcpy(text, name->id.b, sizeof(name->id.b));
    memcpy(text + sizeof(name->id.b), name->name.data, name->name.len);
    *name->seq = journal->next_seq;
    *name->number = buffer->names++;
    struct journal_entry entry = {
        .type = JOURNAL_NAME,
        .log = *name->number,
        .bytes = { .data = text, .len = sizeof(name->id.b) + name->name.len },
    };
    buffer_add(buffer, &entry);
}

uint64_t journal_add(struct journal *journal, const struct journal_name *name, const struct journal_entry *entry)
{
    struct journal_buffer *buffer = &journal->buffers[journal->filling];
    ASSERT(journal->err == ODK_OK);
    if (*name->seq != journal->next_seq)
        name_add(journal, buffer, name);
    struct journal_entry numbered = *entry;
    numbered.log = *name->number;
    buffer_add(buffer, &numbered);
    return journal->next_seq;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static void block_submit(struct journal *journal, uint8_t *mem, const struct journal_block *block)
{
    uint64_t len = journal_block_bytes(block->payload_len);
    uint64_t used = (uint64_t)JOURNAL_HEADER_BYTES + block->payload_len;
    memset(mem + used, 0, len - used);
    journal_block_encode(mem, block);
    journal->in_flight = true;
    journal->flying_note = block->entry_count == 0;
    journal->flying_checkpoint_seq = block->checkpoint_seq;
    journal->flying_bytes = len;
    journal->iov = (struct iovec){ .iov_base = mem, .iov_len = len };
    odk_io_write(journal->io, &journal->write, journal->files.active->handle, &journal->iov, 1, journal->files.pos);
}

static struct journal_block block_of(const struct journal *journal, uint64_t seq)
{
    return (struct journal_block){
        .seq = seq,
        .incarnation = journal->incarnation,
        .checkpoint_seq = journal->checkpoint_seq,
        .shard = journal->shard,
    };
}

static void note_submit(struct journal *journal)
{
    if (!journal->note)
        journal->note = journal->io->ops->mem_new(journal->io, JOURNAL_BLOCK_ALIGN);
    if (!journal->note)
        return; /* tried again at the next kick */
    struct journal_block block = block_of(journal, journal->committed_seq);
    block_submit(journal, journal->note, &block);
}

static void next_submit(struct journal *journal)
{
    struct journal_buffer *buffer = &journal->buffers[journal->filling];
    struct journal_block block = block_of(journal, journal->next_seq);
    block.payload_len = buffer->used;
    block.entry_count = buffer->entries;
    journal->filling ^= 1;
    journal->next_seq++;
    block_submit(journal, buffer->mem, &block);
}

static void stalled_retry(struct journal *journal, uint64_t now_ns)
{
    if (now_ns < journal->stalled_until_ns)
        return;
    journal->stalled_until_ns = 0;
    uint8_t *mem = journal->flying_note ? journal->note : journal->buffers[journal->filling ^ 1].mem;
    journal->iov = (struct iovec){ .iov_base = mem, .iov_len = journal->flying_bytes };
    odk_io_write(journal->io, &journal->write, journal->files.active->handle, &journal->iov, 1, journal->files.pos);
}

void journal_kick(struct journal *journal)
{
    if (journal->err != ODK_OK)
        return;
    uint64_t now_ns = journal->io->ops->mono_ns(journal->io);
    if (journal->stalled_until_ns != 0)
        stalled_retry(journal, now_ns);
    const struct journal_buffer *buffer = &journal->buffers[journal->filling];
    if (journal->in_flight || buffer->used == 0)
        return;
    enum journal_place place = journal_files_place(&journal->files, journal_block_bytes(buffer->used),
                                                   journal->noted_seq, journal->checkpoint_seq, now_ns);
    journal->waits = place == JOURNAL_WAITS;
    switch (place) {
    case JOURNAL_PLACED: next_submit(journal); break;
    case JOURNAL_NEEDS_NOTE: note_submit(journal); break;
    case JOURNAL_WAITS: return;
    }
    if (journal->files.pos + journal->flying_bytes <= journal->files.active->size) /* F4 */
        journal_files_fill(&journal->files, journal->noted_seq, now_ns);
}

static void journal_fail(struct journal *journal, enum odk_err err)
{
    if (journal->err != ODK_OK)
        return;
    journal->err = err;
    journal->failed(journal->context, err);
}

static void write_on_done(struct odk_io_write *write, int64_t result)
{
    struct journal *journal = container_of(write, struct journal, write);
    if (result == -ENOSPC || result == -EDQUOT) {
        uint64_t now_ns = journal->io->ops->mono_ns(journal->io);
        journal->stalled_until_ns = deadline_after_ms(now_ns, STALL_MS); /* J2 */
        return;
    }
    journal->in_flight = false;
    if (result < 0) {
        journal_fail(journal, FAIL(journal->diag, odk_err_from_errno((int32_t)result),
                                   "%s/%u-%08u.wal: write of %llu bytes at %llu failed: %s", journal->files.dir,
                                   journal->shard, journal->files.active->index,
                                   (unsigned long long)journal->flying_bytes, (unsigned long long)journal->files.pos,
                                   strerror((int)-result)));
        return;
    }
    journal->noted_seq = journal->flying_checkpoint_seq; /* J3 */
    journal->write_count++;
    journal->written_bytes += journal->flying_bytes;
    if (journal->flying_note) {
        journal_files_wrote(&journal->files, journal->flying_bytes, journal->committed_seq);
        journal_kick(journal);
        return;
    }
    journal->committed_seq++;
    journal_files_wrote(&journal->files, journal->flying_bytes, journal->committed_seq);
    struct journal_buffer *flown = &journal->buffers[journal->filling ^ 1];
    if (flown->large)
        buffer_release(journal, flown);
    flown->used = 0;
    flown->entries = 0;
    flown->names = 0;
    uint64_t seq = journal->committed_seq;
    journal_kick(journal);
    journal->committed(journal->context, seq);
}

static void journal_on_ready(void *context)
{
    journal_kick(context);
}

static void journal_on_files_failed(void *context, enum odk_err err)
{
    journal_fail(context, err);
}

void journal_stop(struct journal *journal, enum odk_err err)
{
    if (journal->err == ODK_OK)
        journal->err = err;
}

void journal_set_checkpoint(struct journal *journal, uint64_t seq)
{
    ASSERT(seq <= journal->committed_seq);
    journal->checkpoint_seq = MAX(journal->checkpoint_seq, seq);
}

bool journal_idle(const struct journal *journal)
{
    return !journal->in_flight && !journal->files.busy && journal->buffers[journal->filling].used == 0;
}

bool journal_full(const struct journal *journal)
{
    return journal->stalled_until_ns != 0 || (journal->waits && journal->files.full);
}

uint64_t journal_next_ns(const struct journal *journal)
{
    if (journal->err != ODK_OK)
        return UINT64_MAX;
    if (journal->stalled_until_ns != 0)
        return journal->stalled_until_ns;
    return journal->waits && journal->files.full ? journal->files.retry_ns : UINT64_MAX;
}
