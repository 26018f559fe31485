/*
 * Produce 0 to 2: offered because librdkafka up to 2.x compresses only when it sees version 0, and sent by nobody who
 * sees the newer ones. Every partition is answered with UNSUPPORTED_VERSION, in the shape of the version.
 *
 *   request   client_id str | acks i16 | timeout i32 | [name str | [index i32 | records i32 + bytes]]
 *   response  [name str | [index i32 | error i16 | base offset i64 | from 2: append time i64]] | from 1: throttle i32
 */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "wire/messages.h"

static struct odk_bytes text_read(struct rd *r)
{
    int16_t len = rd_i16(r);
    return rd_bytes(r, len > 0 ? (size_t)len : 0);
}

/* A count of elements that have at least bytes_min each. */
static int32_t count_read(struct rd *r, size_t bytes_min)
{
    int32_t count = rd_i32(r);
    if (count < 0 || (size_t)count > rd_left(r) / bytes_min)
        r->bad = true;
    return r->bad ? 0 : count;
}

static void partition_answer(struct rd *r, struct out *out, int16_t version)
{
    out_i32(out, rd_i32(r));
    int32_t len = rd_i32(r);
    (void)rd_take(r, len > 0 ? (size_t)len : 0);
    out_i16(out, KAFKA_UNSUPPORTED_VERSION);
    out_i64(out, -1);
    if (version >= 2)
        out_i64(out, -1);
}

static void topic_answer(struct rd *r, struct out *out, int16_t version)
{
    struct odk_bytes name = text_read(r);
    out_i16(out, (int16_t)name.len);
    out_raw(out, name.data, name.len);
    int32_t count = count_read(r, 8);
    out_i32(out, count);
    for (int32_t i = 0; i < count && !r->bad; i++)
        partition_answer(r, out, version);
}

static bool body_answer(struct rd *r, struct out *out, int16_t version)
{
    int32_t count = count_read(r, 6);
    out_i32(out, count);
    for (int32_t i = 0; i < count && !r->bad; i++)
        topic_answer(r, out, version);
    if (version >= 1)
        out_i32(out, 0);
    return !out->bad;
}

void produce_unsupported(struct request *request)
{
    struct rd r = rd_init(request->frame, request->frame_len);
    (void)rd_take(&r, 8); /* key, version, correlation id */
    (void)text_read(&r);  /* client id */
    int16_t acks = rd_i16(&r);
    (void)rd_i32(&r);
    struct out *out = &request->out;
    out_init(out, &request->arena);
    out_begin_frame(out);
    out_i32(out, request->correlation_id);
    bool encoded = body_answer(&r, out, request->version);
    request->body = r;
    if (!request_decoded(request, !r.bad))
        return;
    if (acks == 0)
        request_close(request);
    else
        request_reply(request, encoded);
}
