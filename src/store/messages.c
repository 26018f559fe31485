#include <odradek/messages.h>

#include <stdlib.h>
#include <zlib.h>

#include "base/base.h"
#include "base/cursor.h"
#include "store/compress.h"

#define MESSAGE_CODEC_MASK  0x07
#define MESSAGE_APPEND_TIME 0x08
#define MESSAGE_SET_BYTES   12u /* offset and size */
#define MESSAGE_CRC_BYTES   4u

/* One message as it stands: perhaps a compressed one. */
struct raw_message {
    struct odk_message message;
    int8_t attributes;
};

/* -1 is null; bad for anything else below 0. */
static struct odk_bytes read_nullable(struct rd *r)
{
    int32_t len = rd_i32(r);
    if (len == -1)
        return (struct odk_bytes){ 0 };
    if (len < 0)
        r->bad = true;
    return rd_bytes(r, (size_t)len);
}

static enum odk_err read_body(struct odk_bytes body, struct raw_message *ret)
{
    struct rd r = rd_init(body.data, body.len);
    uint32_t crc = rd_u32(&r);
    if (r.bad)
        return ODK_ERR_CORRUPT;
    if ((uint32_t)crc32_z(0, r.at, rd_left(&r)) != crc)
        return ODK_ERR_CRC;
    ret->message.format = rd_i8(&r);
    if (!r.bad && (ret->message.format < 0 || ret->message.format > 1))
        return ODK_ERR_INVALID;
    ret->attributes = rd_i8(&r);
    ret->message.timestamp = ret->message.format >= 1 ? rd_i64(&r) : -1;
    ret->message.append_time = ret->message.format >= 1 && (ret->attributes & MESSAGE_APPEND_TIME);
    ret->message.key = read_nullable(&r);
    ret->message.value = read_nullable(&r);
    return r.bad || rd_left(&r) > 0 ? ODK_ERR_CORRUPT : ODK_OK;
}

/* Takes the message at the front of set. */
static enum odk_err read_message(struct odk_bytes *set, struct raw_message *ret)
{
    struct rd r = rd_init(set->data, set->len);
    ret->message.offset = rd_i64(&r);
    int32_t size = rd_i32(&r);
    if (!r.bad && size < 0)
        return ODK_ERR_CORRUPT;
    struct odk_bytes body = rd_bytes(&r, (size_t)size);
    if (r.bad)
        return ODK_ERR_TRUNCATED;
    *set = (struct odk_bytes){ r.at, rd_left(&r) };
    return read_body(body, ret);
}

static enum odk_err wrapper_open(struct odk_message_iter *it, const struct raw_message *raw)
{
    enum odk_codec codec = (enum odk_codec)(raw->attributes & MESSAGE_CODEC_MASK);
    size_t len = 0;
    if (!raw->message.value.data)
        return ODK_ERR_INVALID;
    free(it->owned);
    it->owned = NULL;
    it->codec = codec;
    it->wrapper_format = raw->message.format;
    it->wrapper_timestamp = raw->message.timestamp;
    it->wrapper_append_time = raw->message.append_time;
    enum odk_err err =
        decompress_message(codec, raw->message.format, raw->message.value, it->opened_left, &it->owned, &len);
    if (err != ODK_OK)
        return err;
    it->opened_left -= len;
    it->inner = (struct odk_bytes){ it->owned, len };
    return len > 0 ? ODK_OK : ODK_ERR_INVALID;
}

static enum odk_err inner_step(struct odk_message_iter *it, struct odk_message *ret)
{
    struct raw_message raw = { 0 };
    enum odk_err err = read_message(&it->inner, &raw);
    if (err != ODK_OK)
        return err == ODK_ERR_TRUNCATED ? ODK_ERR_CORRUPT : err;
    if ((raw.attributes & MESSAGE_CODEC_MASK) != ODK_CODEC_NONE || raw.message.format != it->wrapper_format)
        return ODK_ERR_INVALID;
    *ret = raw.message;
    ret->append_time |= it->wrapper_append_time;
    if (it->wrapper_append_time)
        ret->timestamp = it->wrapper_timestamp;
    return ODK_OK;
}

/* One message out of the set; ODK_ERR_NOT_FOUND: it was a compressed one, and is open now. */
static enum odk_err outer_step(struct odk_message_iter *it, struct odk_message *ret)
{
    struct raw_message raw = { 0 };
    enum odk_err err = read_message(&it->outer, &raw);
    if (err != ODK_OK)
        return err;
    if ((raw.attributes & MESSAGE_CODEC_MASK) != ODK_CODEC_NONE) {
        err = wrapper_open(it, &raw);
        return err == ODK_OK ? ODK_ERR_NOT_FOUND : err;
    }
    *ret = raw.message;
    return ODK_OK;
}

void odk_message_iter_init(struct odk_message_iter *it, struct odk_bytes set, size_t opened_max)
{
    *it = (struct odk_message_iter){ .outer = set, .opened_left = opened_max };
}

bool odk_message_next(struct odk_message_iter *it, struct odk_message *ret)
{
    if (it->err != ODK_OK || (it->inner.len == 0 && it->outer.len == 0))
        return false;
    enum odk_err err = it->inner.len == 0 ? outer_step(it, ret) : ODK_ERR_NOT_FOUND;
    if (err == ODK_ERR_NOT_FOUND)
        err = inner_step(it, ret);
    it->err = err;
    return err == ODK_OK;
}

enum odk_err odk_message_iter_end(struct odk_message_iter *it)
{
    free(it->owned);
    it->owned = NULL;
    it->outer.len = it->inner.len = 0;
    return it->err;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

size_t odk_message_bytes(const struct odk_message *message)
{
    size_t fixed = MESSAGE_SET_BYTES + MESSAGE_CRC_BYTES + 2 + (message->format >= 1 ? 8 : 0) + 4 + 4;
    if (message->key.len > INT32_MAX || message->value.len > INT32_MAX ||
        message->key.len + message->value.len > INT32_MAX - fixed)
        return SIZE_MAX;
    return fixed + message->key.len + message->value.len;
}

static void write_nullable(struct wr *w, struct odk_bytes bytes)
{
    wr_i32(w, bytes.data ? (int32_t)bytes.len : -1);
    if (bytes.data)
        wr_raw(w, bytes.data, bytes.len);
}

void odk_message_write(const struct odk_message *message, uint8_t *dst)
{
    size_t len = odk_message_bytes(message);
    ASSERT(len != SIZE_MAX);
    struct wr body = wr_init(dst + MESSAGE_SET_BYTES + MESSAGE_CRC_BYTES, len - MESSAGE_SET_BYTES - MESSAGE_CRC_BYTES);
    wr_i8(&body, message->format);
    wr_i8(&body, message->format >= 1 && message->append_time ? MESSAGE_APPEND_TIME : 0);
    if (message->format >= 1)
        wr_i64(&body, message->timestamp);
    write_nullable(&body, message->key);
    write_nullable(&body, message->value);
    ASSERT(!body.bad && body.pos == body.len);
    struct wr head = wr_init(dst, MESSAGE_SET_BYTES + MESSAGE_CRC_BYTES);
    wr_i64(&head, message->offset);
    wr_i32(&head, (int32_t)(len - MESSAGE_SET_BYTES));
    wr_i32(&head, (int32_t)crc32_z(0, body.start, body.len));
}
