#include "store/epochs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/format.h"

#define LINE_BYTES_MAX 40u /* two numbers of at most 11 and 20 characters, a space, a newline, a NUL */

void epochs_deinit(struct epochs *epochs)
{
    free(epochs->entries);
    *epochs = (struct epochs){ 0 };
}

static const struct epoch_entry *last_entry(const struct epochs *epochs)
{
    return epochs->count > 0 ? &epochs->entries[epochs->count - 1] : NULL;
}

static void push(struct epochs *epochs, int32_t epoch, int64_t start_offset)
{
    if (epochs->count == epochs->capacity) {
        epochs->capacity = MAX(epochs->capacity * 2, 1u); /* most logs only ever see one */
        epochs->entries = xrealloc(epochs->entries, epochs->capacity * sizeof(*epochs->entries));
    }
    epochs->entries[epochs->count++] = (struct epoch_entry){ .epoch = epoch, .start_offset = start_offset };
}

bool epochs_assign(struct epochs *epochs, int32_t epoch, int64_t start_offset)
{
    ASSERT(epoch >= 0);
    ASSERT(start_offset >= 0);
    const struct epoch_entry *last = last_entry(epochs);
    if (last && last->epoch == epoch && last->start_offset <= start_offset)
        return false;
    while (last && (last->epoch >= epoch || last->start_offset >= start_offset)) {
        epochs->count--;
        last = last_entry(epochs);
    }
    push(epochs, epoch, start_offset);
    return true;
}

int32_t epochs_latest(const struct epochs *epochs)
{
    const struct epoch_entry *last = last_entry(epochs);
    return last ? last->epoch : -1;
}

/* How many entries start at or before offset. */
static uint32_t count_upto_offset(const struct epochs *epochs, int64_t offset)
{
    uint32_t lo = 0;
    uint32_t hi = epochs->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (epochs->entries[mid].start_offset <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* How many entries have an epoch at or below the given one. */
static uint32_t count_upto_epoch(const struct epochs *epochs, int32_t epoch)
{
    uint32_t lo = 0;
    uint32_t hi = epochs->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (epochs->entries[mid].epoch <= epoch)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int32_t epochs_of(const struct epochs *epochs, int64_t offset)
{
    uint32_t count = count_upto_offset(epochs, offset);
    return count > 0 ? epochs->entries[count - 1].epoch : -1;
}

void epochs_end_of(const struct epochs *epochs, int32_t epoch, int64_t log_end, int32_t *ret_epoch,
                   int64_t *ret_end_offset)
{
    *ret_epoch = -1;
    *ret_end_offset = -1;
    if (epoch < 0 || epoch > epochs_latest(epochs))
        return;
    uint32_t count = count_upto_epoch(epochs, epoch);
    *ret_epoch = count > 0 ? epochs->entries[count - 1].epoch : epoch;
    *ret_end_offset = count < epochs->count ? epochs->entries[count].start_offset : log_end;
}

bool epochs_truncate_end(struct epochs *epochs, int64_t end_offset)
{
    uint32_t kept = end_offset > 0 ? count_upto_offset(epochs, end_offset - 1) : 0;
    bool changed = kept < epochs->count;
    epochs->count = kept;
    return changed;
}

bool epochs_truncate_start(struct epochs *epochs, int64_t start_offset)
{
    uint32_t covered = count_upto_offset(epochs, start_offset);
    if (covered == 0 || (covered == 1 && epochs->entries[0].start_offset == start_offset))
        return false;
    epochs->count -= covered - 1;
    memmove(epochs->entries, epochs->entries + covered - 1, epochs->count * sizeof(*epochs->entries));
    epochs->entries[0].start_offset = start_offset;
    return true;
}

/* -- file --------------------------------------------------------------------------------------------------------- */

void epochs_print(const struct epochs *epochs, char **ret_data, size_t *ret_len)
{
    size_t capacity = ((size_t)epochs->count + 2) * LINE_BYTES_MAX;
    char *data = xcalloc(capacity, 1);
    size_t len = (size_t)snprintf(data, capacity, "%d\n%" PRIu32 "\n", FORMAT_EPOCHS_VERSION, epochs->count);
    for (uint32_t i = 0; i < epochs->count; i++) {
        const struct epoch_entry *entry = &epochs->entries[i];
        len += (size_t)snprintf(data + len, capacity - len, "%" PRId32 " %" PRId64 "\n", entry->epoch,
                                entry->start_offset);
    }
    ASSERT(len < capacity);
    *ret_data = data;
    *ret_len = len;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* The next number up to max; false when there is none or it does not fit. */
static bool take_number(struct odk_bytes *text, int64_t max, int64_t *ret)
{
    size_t at = 0;
    while (at < text->len && is_space(text->data[at]))
        at++;
    size_t first = at;
    int64_t value = 0;
    for (; at < text->len && text->data[at] >= '0' && text->data[at] <= '9'; at++) {
        int64_t digit = text->data[at] - '0';
        if (__builtin_mul_overflow(value, (int64_t)10, &value) || __builtin_add_overflow(value, digit, &value))
            return false;
    }
    bool ends = at == text->len || is_space(text->data[at]);
    if (at == first || !ends || value > max)
        return false;
    *text = (struct odk_bytes){ text->data + at, text->len - at };
    *ret = value;
    return true;
}

static enum odk_err parse_entry(struct epochs *epochs, struct odk_bytes *text)
{
    int64_t epoch, start_offset;
    if (!take_number(text, INT32_MAX, &epoch) || !take_number(text, INT64_MAX, &start_offset))
        return ODK_ERR_CORRUPT;
    const struct epoch_entry *last = last_entry(epochs);
    if (last && (epoch <= last->epoch || start_offset <= last->start_offset)) /* I1 */
        return ODK_ERR_CORRUPT;
    push(epochs, (int32_t)epoch, start_offset);
    return ODK_OK;
}

static enum odk_err parse_all(struct epochs *epochs, struct odk_bytes text)
{
    int64_t version, count;
    if (!take_number(&text, INT32_MAX, &version))
        return ODK_ERR_CORRUPT;
    if (version != FORMAT_EPOCHS_VERSION)
        return ODK_ERR_VERSION;
    if (!take_number(&text, INT32_MAX, &count))
        return ODK_ERR_CORRUPT;
    enum odk_err err = ODK_OK;
    for (int64_t i = 0; i < count && err == ODK_OK; i++)
        err = parse_entry(epochs, &text);
    for (size_t i = 0; i < text.len && err == ODK_OK; i++)
        if (!is_space(text.data[i]))
            err = ODK_ERR_CORRUPT;
    return err;
}

enum odk_err epochs_parse(struct epochs *epochs, struct odk_bytes text)
{
    struct epochs parsed = { 0 };
    enum odk_err err = parse_all(&parsed, text);
    if (err != ODK_OK) {
        epochs_deinit(&parsed);
        return err;
    }
    epochs_deinit(epochs);
    *epochs = parsed;
    return ODK_OK;
}
