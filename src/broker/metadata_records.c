#include "broker/metadata_records.h"

#define RECORD_VERSION 0

static void text_write(struct wr *w, struct odk_str text)
{
    ASSERT(text.len <= UINT16_MAX);
    wr_i16(w, (int16_t)text.len);
    wr_raw(w, text.data, text.len);
}

static struct odk_str text_read(struct rd *r)
{
    uint16_t len = rd_u16(r);
    struct odk_bytes bytes = rd_bytes(r, len);
    return (struct odk_str){ .data = (const char *)bytes.data, .len = bytes.len };
}

static struct odk_uuid id_read(struct rd *r)
{
    struct odk_uuid id = { 0 };
    const uint8_t *bytes = rd_take(r, sizeof(id.b));
    if (bytes)
        memcpy(id.b, bytes, sizeof(id.b));
    return id;
}

static void settings_write(struct wr *w, const struct metadata_record *record)
{
    ASSERT(record->setting_count <= UINT16_MAX);
    wr_i16(w, (int16_t)record->setting_count);
    for (uint32_t i = 0; i < record->setting_count; i++) {
        text_write(w, record->settings[i].key);
        text_write(w, record->settings[i].value);
    }
}

void metadata_record_write(struct wr *w, const struct metadata_record *record)
{
    wr_i8(w, (int8_t)record->kind);
    wr_i8(w, RECORD_VERSION);
    switch (record->kind) {
    case METADATA_TOPIC:
        wr_raw(w, record->id.b, sizeof(record->id.b));
        text_write(w, record->name);
        wr_i32(w, record->partition_count);
        settings_write(w, record);
        break;
    case METADATA_TOPIC_DELETED:
    case METADATA_TOPIC_PURGED: wr_raw(w, record->id.b, sizeof(record->id.b)); break;
    case METADATA_PRODUCER_IDS: wr_i64(w, record->producer_ids_end); break;
    case METADATA_TOPIC_CONFIG:
        wr_raw(w, record->id.b, sizeof(record->id.b));
        settings_write(w, record);
        break;
    case METADATA_BROKER_CONFIG:
    case METADATA_GROUP_CONFIG:
        text_write(w, record->name);
        settings_write(w, record);
        break;
    case METADATA_TOPIC_PARTITIONS:
        wr_raw(w, record->id.b, sizeof(record->id.b));
        wr_i32(w, record->partition_count);
        break;
    }
}

static enum odk_err settings_read(struct rd *r, struct arena *arena, struct metadata_record *ret)
{
    ret->setting_count = rd_u16(r);
    if (r->bad || ret->setting_count > rd_left(r) / 4)
        return ODK_ERR_CORRUPT;
    ret->settings = arena_new(arena, struct metadata_setting, ret->setting_count);
    if (!ret->settings)
        return ODK_ERR_MEMORY;
    for (uint32_t i = 0; i < ret->setting_count; i++) {
        ret->settings[i].key = text_read(r);
        ret->settings[i].value = text_read(r);
    }
    return ODK_OK;
}

static void partitions_read(struct rd *r, struct metadata_record *ret)
{
    ret->partition_count = rd_i32(r);
    r->bad |= ret->partition_count < 1;
}

static enum odk_err fields_read(struct rd *r, struct arena *arena, struct metadata_record *ret)
{
    switch (ret->kind) {
    case METADATA_TOPIC:
        ret->id = id_read(r);
        ret->name = text_read(r);
        partitions_read(r, ret);
        return settings_read(r, arena, ret);
    case METADATA_TOPIC_DELETED:
    case METADATA_TOPIC_PURGED: ret->id = id_read(r); return ODK_OK;
    case METADATA_PRODUCER_IDS: ret->producer_ids_end = rd_i64(r); return ODK_OK;
    case METADATA_TOPIC_CONFIG: ret->id = id_read(r); return settings_read(r, arena, ret);
    case METADATA_BROKER_CONFIG:
    case METADATA_GROUP_CONFIG: ret->name = text_read(r); return settings_read(r, arena, ret);
    case METADATA_TOPIC_PARTITIONS:
        ret->id = id_read(r);
        partitions_read(r, ret);
        return ODK_OK;
    }
    UNREACHABLE();
}

enum odk_err metadata_record_read(struct odk_bytes value, struct arena *arena, struct metadata_record *ret)
{
    struct rd r = rd_init(value.data, value.len);
    int8_t kind = rd_i8(&r);
    int8_t version = rd_i8(&r);
    if (r.bad)
        return ODK_ERR_CORRUPT;
    if (version != RECORD_VERSION || kind < METADATA_TOPIC || kind > METADATA_KIND_LAST)
        return ODK_ERR_VERSION;
    struct metadata_record record = { .kind = (enum metadata_kind)kind };
    enum odk_err err = fields_read(&r, arena, &record);
    if (err != ODK_OK)
        return err;
    if (r.bad || rd_left(&r) > 0)
        return ODK_ERR_CORRUPT;
    *ret = record;
    return ODK_OK;
}
