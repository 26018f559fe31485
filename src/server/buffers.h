/*
 * Memory for request bodies: size classes with a small cache, and the budget that all bodies of a reactor share.
 *
 * A body's memory is taken whole, but untouched pages cost nothing, and the budget counts only bytes that have arrived
 * or are about to. A connection that would exceed it stops reading until others have finished; exactly one may go
 * beyond (the privileged one), so bodies that are all half read cannot block each other for ever.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUFFER_CLASS_COUNT 9u  /* 4 KiB .. 1 MiB, powers of two */
#define BUFFER_CACHE_BYTES (4u * 1024u * 1024u)
#define BUFFER_CHARGE_STEP (256u * 1024u)

struct buffer_free;

struct buffers {
    struct buffer_free *free[BUFFER_CLASS_COUNT];
    size_t cached;  /* bytes in the free lists */
    size_t charged; /* bytes counted against the budget */
    size_t budget;
};

struct buffer {
    uint8_t *data;
    uint32_t capacity;
    uint32_t charged;
};

void buffers_init(struct buffers *buffers, size_t budget);
void buffers_deinit(struct buffers *buffers);

/* Takes a buffer of at least len bytes; false when memory is out. Nothing is charged yet. */
bool buffer_take(struct buffers *buffers, uint32_t len, struct buffer *ret);
/* Gives it back and its charge with it; harmless on a zeroed one. */
void buffer_give(struct buffers *buffers, struct buffer *buffer);

/* Charges so that the first need bytes are paid for, in steps of BUFFER_CHARGE_STEP; false when the budget does not
 * allow it (force: charge all the same). */
bool buffer_charge(struct buffers *buffers, struct buffer *buffer, uint32_t need, bool force);
