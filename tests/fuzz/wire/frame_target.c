#include "fuzz/wire/frame_target.h"

#include "wire/frame.h"
#include "wire/in.h"
#include "wire/messages.h"
#include "wire/print.h"

/* The chain in one piece, for reading it back. */
static uint8_t *flatten(struct arena *arena, struct out *out, size_t *ret_len)
{
    const struct iovec *parts;
    uint32_t count;
    if (!out_iov(out, &parts, &count))
        return NULL;
    size_t len = out_bytes(out), at = 0;
    uint8_t *flat = arena_alloc(arena, len + 1, 1);
    for (uint32_t i = 0; flat && i < count; i++) {
        memcpy(flat + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    *ret_len = len;
    return flat;
}

/* A message that was taken: what we would send for it must be taken too, and must come out as the same bytes. */
static void check_stable(struct arena *arena, const struct wire_message *message, int16_t version, const void *body)
{
    char text[512];
    struct out first, second;
    size_t first_len, second_len;
    ASSERT(wire_print(text, sizeof(text), message, body, version) < sizeof(text));
    out_init(&first, arena);
    bool encoded = message->encode(body, &first, version);
    uint8_t *flat = encoded ? flatten(arena, &first, &first_len) : NULL;
    void *again = arena_alloc(arena, 1, message->body->size);
    if (!flat || !again)
        return; /* out of arena */
    struct rd r = rd_init(flat, first_len);
    if (!message->decode(again, &r, arena, version)) {
        ASSERT(arena->total > TARGET_ARENA_BYTES / 4); /* the only good reason */
        return;
    }
    ASSERT(rd_left(&r) == 0);
    out_init(&second, arena);
    uint8_t *flat_again = message->encode(again, &second, version) ? flatten(arena, &second, &second_len) : NULL;
    if (!flat_again)
        return;
    ASSERT(first_len == second_len);
    ASSERT(memcmp(flat, flat_again, first_len) == 0);
}

enum target_result target_body(struct arena *arena, const struct wire_message *message, int16_t version,
                               const uint8_t *data, size_t len)
{
    struct rd r = rd_init(data, len);
    void *body = arena_alloc(arena, 1, message->body->size);
    ASSERT(body != NULL);
    bool taken = message->decode(body, &r, arena, version);
    ASSERT(arena->total <= TARGET_ARENA_BYTES);
    if (!taken || rd_left(&r) > 0)
        return TARGET_REFUSED_BODY;
    check_stable(arena, message, version, body);
    return TARGET_TAKEN;
}

enum target_result target_frame(struct arena *arena, const uint8_t *data, size_t len)
{
    struct odk_bytes body;
    size_t frame_len;
    struct odk_bytes received = { .data = data, .len = len };
    if (frame_next(received, WIRE_FRAME_BYTES_MAX, &body, &frame_len) != FRAME_WHOLE)
        return TARGET_REFUSED_FRAME;
    struct rd r = rd_init(body.data, body.len);
    struct request_header header;
    if (request_header_decode(&header, &r) != HEADER_OK)
        return TARGET_REFUSED_HEADER;
    return target_body(arena, wire_api_find(header.key)->request, header.version, r.at, rd_left(&r));
}
