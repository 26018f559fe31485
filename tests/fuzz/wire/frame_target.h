/* What one input does: shared by the plain program and the libFuzzer one. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "wire/table.h"

enum target_result {
    TARGET_REFUSED_FRAME,
    TARGET_REFUSED_HEADER,
    TARGET_REFUSED_BODY,
    TARGET_TAKEN,
};

/*
 * Takes the bytes as one frame from a client: length, header, body by the generated decoder.
 *
 * Stops the process when a decoder does what it must not: takes more memory than its bound, or takes a message that
 * does not survive encoding and decoding again.
 */
enum target_result target_frame(struct arena *arena, const uint8_t *data, size_t len);
/* The same for the body of any message, responses included. */
enum target_result target_body(struct arena *arena, const struct wire_message *message, int16_t version,
                               const uint8_t *data, size_t len);

/* Bound on the memory of one request; small, so that reaching it is part of what is tried. */
#define TARGET_ARENA_BYTES ((size_t)4 * 1024 * 1024)
