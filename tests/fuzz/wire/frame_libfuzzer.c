/*
 * Entry for libFuzzer. The first byte chooses: even = the rest is a frame from a client; odd = two bytes choose a
 * message and its version, the rest is its body.
 */
#include "fuzz/wire/frame_target.h"

#include "wire/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct arena arena = { .limit = TARGET_ARENA_BYTES };
    if (len > 3 && data[0] % 2 == 1) {
        const struct wire_message *message = &wire_messages[data[1] % wire_message_count];
        int versions = message->versions.last - message->versions.first + 1;
        int16_t version = (int16_t)(message->versions.first + data[2] % versions);
        (void)target_body(&arena, message, version, data + 3, len - 3);
    } else if (len > 1) {
        (void)target_frame(&arena, data + 1, len - 1);
    }
    arena_deinit(&arena);
    return 0;
}
