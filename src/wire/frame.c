#include "wire/frame.h"

#include "wire/in.h"
#include "wire/messages.h"
#include "wire/put.h"

enum frame_result frame_next(struct odk_bytes received, uint32_t body_bytes_max, struct odk_bytes *ret_body,
                             size_t *ret_len)
{
    if (received.len < FRAME_LENGTH_BYTES) {
        *ret_len = 0;
        return FRAME_PARTIAL;
    }
    struct rd r = rd_init(received.data, received.len);
    int32_t len = rd_i32(&r);
    if (len <= 0 || (uint32_t)len > body_bytes_max)
        return FRAME_REFUSED;
    *ret_len = FRAME_LENGTH_BYTES + (size_t)len;
    if (rd_left(&r) < (size_t)len)
        return FRAME_PARTIAL;
    *ret_body = rd_bytes(&r, (size_t)len);
    return FRAME_WHOLE;
}

static bool request_is_flexible(int16_t key, int16_t version)
{
    const struct wire_api *api = wire_api_find(key);
    return api && version >= api->request->flexible_from;
}

static bool response_header_is_flexible(int16_t key, int16_t version)
{
    return key != WIRE_KEY_API_VERSIONS && request_is_flexible(key, version);
}

/* The header names no tags of its own; whatever comes is skipped within the usual bounds. */
static void header_tags_skip(struct rd *r)
{
    struct in in = in_init(r, NULL);
    in_tags_skip(&in);
    *r = in.r;
}

enum header_result request_header_decode(struct request_header *ret, struct rd *r)
{
    *ret = (struct request_header){ 0 };
    ret->key = rd_i16(r);
    ret->version = rd_i16(r);
    ret->correlation_id = rd_i32(r);
    if (r->bad)
        return HEADER_MALFORMED;
    const struct wire_api *api = wire_api_find(ret->key);
    if (!api)
        return HEADER_UNKNOWN_KEY;
    if (!wire_range_has(api->request->versions, ret->version))
        return HEADER_UNKNOWN_VERSION;
    struct in in = in_init(r, NULL);
    ret->client_id = in_str(&in, false, true);
    *r = in.r;
    if (request_is_flexible(ret->key, ret->version))
        header_tags_skip(r);
    return r->bad ? HEADER_MALFORMED : HEADER_OK;
}

void response_begin(struct out *out, int16_t key, int16_t version, int32_t correlation_id)
{
    out_begin_frame(out);
    out_i32(out, correlation_id);
    if (response_header_is_flexible(key, version))
        out_uvarint(out, 0);
}

bool response_end(struct out *out)
{
    return out_end_frame(out);
}

void request_begin(struct out *out, const struct request_header *header)
{
    out_begin_frame(out);
    out_i16(out, header->key);
    out_i16(out, header->version);
    out_i32(out, header->correlation_id);
    put_str(out, header->client_id, false, true);
    if (request_is_flexible(header->key, header->version))
        out_uvarint(out, 0);
}

bool request_end(struct out *out)
{
    return out_end_frame(out);
}

bool response_header_decode(struct rd *r, int16_t key, int16_t version, int32_t *ret_correlation_id)
{
    int32_t correlation_id = rd_i32(r);
    if (response_header_is_flexible(key, version))
        header_tags_skip(r);
    if (r->bad)
        return false;
    *ret_correlation_id = correlation_id;
    return true;
}
