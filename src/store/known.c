#include "store/known.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/cursor.h"
#include "base/units.h"
#include "store/layout.h"

#define MARKER_MAGIC     UINT32_C(0x4f444b43)
#define MARKER_VERSION   1
#define MARKER_BYTES_MAX GIB(1)
#define ENTRY_BYTES      (2 + 2 + 16 + 5 * 8)
#define HEAD_BYTES       24
#define HASH_BYTES       8

void known_deinit(struct known *known)
{
    for (uint32_t i = 0; i < known->count; i++)
        free(known->logs[i].name);
    free(known->logs);
    *known = (struct known){ 0 };
}

void known_add(struct known *known, const struct known_log *log, struct odk_str name)
{
    if (known->count == known->capacity) {
        known->capacity = known->capacity ? known->capacity * 2 : 64;
        known->logs = xrealloc(known->logs, known->capacity * sizeof(known->logs[0]));
    }
    struct known_log *added = &known->logs[known->count++];
    *added = *log;
    added->name = xstrndup(name.data, name.len);
}

void known_add_floor(struct known *known, const struct known_log *log)
{
    struct known_log floor = *log;
    floor.flags |= KNOWN_FLOOR;
    if (log->has_state || log->has_floor)
        known_add(known, &floor, odk_str_from(log->name));
}

static int compare(const void *a, const void *b)
{
    const struct known_log *first = a, *second = b;
    return strcmp(first->name, second->name);
}

void known_sort(struct known *known)
{
    if (known->count > 1)
        qsort(known->logs, known->count, sizeof(known->logs[0]), compare);
}

struct known_log *known_find(const struct known *known, struct odk_str name)
{
    uint32_t low = 0, high = known->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        struct known_log *log = &known->logs[mid];
        int order = strncmp(log->name, name.data, name.len);
        if (order == 0)
            order = log->name[name.len] == '\0' ? 0 : 1;
        if (order == 0)
            return log;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static void entries_parse(struct known *known, struct rd *r, uint32_t count, bool floors)
{
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct known_log log = { 0 };
        uint16_t name_len = rd_u16(r);
        log.flags = rd_u16(r);
        log.has_floor = floors || (log.flags & KNOWN_FLOOR);
        log.has_state = !log.has_floor;
        const uint8_t *id = rd_take(r, sizeof(log.id.b));
        if (id)
            memcpy(log.id.b, id, sizeof(log.id.b));
        log.start_offset = rd_i64(r);
        log.end_offset = rd_i64(r);
        log.active_base = rd_i64(r);
        log.active_size = rd_u64(r);
        log.total_size = rd_u64(r);
        struct odk_bytes name = rd_bytes(r, name_len);
        if (!r->bad)
            known_add(known, &log, (struct odk_str){ .data = (const char *)name.data, .len = name.len });
    }
}

/* incarnation 0: whoever wrote it, as floors. */
static bool marker_parse(struct known *known, struct odk_bytes content, uint64_t incarnation)
{
    if (content.len < HEAD_BYTES + HASH_BYTES)
        return false;
    struct rd hash = rd_init(content.data + content.len - HASH_BYTES, HASH_BYTES);
    if (rd_u64(&hash) != XXH3_64bits(content.data, content.len - HASH_BYTES))
        return false;
    struct rd r = rd_init(content.data, content.len - HASH_BYTES);
    uint32_t magic = rd_u32(&r);
    uint16_t version = rd_u16(&r);
    (void)rd_u16(&r);
    uint64_t written_by = rd_u64(&r);
    uint32_t count = rd_u32(&r);
    (void)rd_u32(&r);
    if (magic != MARKER_MAGIC || version != MARKER_VERSION || (incarnation != 0 && written_by != incarnation))
        return false;
    entries_parse(known, &r, count, incarnation == 0);
    return !r.bad && rd_left(&r) == 0;
}

static enum odk_err file_load(struct known *known, struct odk_io *io, const char *dir, const char *name,
                              uint64_t incarnation)
{
    char path[LAYOUT_PATH_MAX];
    if (!layout_path(path, "%s/%s", dir, name))
        return ODK_ERR_INVALID;
    void *content;
    size_t len;
    enum odk_err err = odk_io_load(io, path, MARKER_BYTES_MAX, &content, &len);
    if (err != ODK_OK)
        return err;
    bool ok = marker_parse(known, (struct odk_bytes){ .data = content, .len = len }, incarnation);
    free(content);
    if (!ok)
        known_deinit(known);
    return ok ? ODK_OK : ODK_ERR_NOT_FOUND;
}

enum odk_err known_load_marker(struct known *known, struct odk_io *io, const char *dir, uint64_t incarnation)
{
    return file_load(known, io, dir, LAYOUT_MARKER_NAME, incarnation);
}

enum odk_err known_load_floors(struct known *known, struct odk_io *io, const char *dir)
{
    return file_load(known, io, dir, LAYOUT_KNOWN_NAME, 0);
}

static void entry_write(struct wr *w, const struct known_log *log)
{
    size_t name_len = strlen(log->name);
    wr_i16(w, (int16_t)name_len);
    wr_i16(w, (int16_t)log->flags);
    wr_raw(w, log->id.b, sizeof(log->id.b));
    wr_i64(w, log->start_offset);
    wr_i64(w, log->end_offset);
    wr_i64(w, log->active_base);
    wr_i64(w, (int64_t)log->active_size);
    wr_i64(w, (int64_t)log->total_size);
    wr_raw(w, log->name, name_len);
}

/* Only the floors, or everything. */
static enum odk_err file_save(const struct known *known, struct odk_io *io, const char *dir, const char *name,
                              uint64_t incarnation, bool floors_only)
{
    size_t len = HEAD_BYTES + HASH_BYTES;
    uint32_t count = 0;
    for (uint32_t i = 0; i < known->count; i++) {
        if (floors_only && !known->logs[i].has_floor)
            continue;
        len += ENTRY_BYTES + strlen(known->logs[i].name);
        count++;
    }
    uint8_t *content = xcalloc(1, len);
    struct wr w = wr_init(content, len);
    wr_i32(&w, (int32_t)MARKER_MAGIC);
    wr_i16(&w, MARKER_VERSION);
    wr_i16(&w, 0);
    wr_i64(&w, (int64_t)incarnation);
    wr_i32(&w, (int32_t)count);
    wr_i32(&w, 0);
    for (uint32_t i = 0; i < known->count; i++)
        if (!floors_only || known->logs[i].has_floor)
            entry_write(&w, &known->logs[i]);
    wr_i64(&w, (int64_t)XXH3_64bits(content, w.pos));
    ASSERT(!w.bad && w.pos == len);
    enum odk_err err = odk_io_replace(io, dir, name, content, len);
    free(content);
    return err;
}

enum odk_err known_save_marker(const struct known *known, struct odk_io *io, const char *dir, uint64_t incarnation)
{
    return file_save(known, io, dir, LAYOUT_MARKER_NAME, incarnation, false);
}

enum odk_err known_save_floors(const struct known *known, struct odk_io *io, const char *dir)
{
    return file_save(known, io, dir, LAYOUT_KNOWN_NAME, 0, true);
}
