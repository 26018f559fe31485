#include "server/buffers.h"

#include <stdlib.h>

#include "base/base.h"

struct buffer_free {
    struct buffer_free *next;
};

#define CLASS_MIN_BYTES 4096u

static uint32_t class_bytes(uint32_t class_idx)
{
    return CLASS_MIN_BYTES << class_idx;
}

static uint32_t class_of(uint32_t len)
{
    uint32_t class_idx = 0;
    while (class_idx < BUFFER_CLASS_COUNT && class_bytes(class_idx) < len)
        class_idx++;
    return class_idx;
}

void buffers_init(struct buffers *buffers, size_t budget)
{
    *buffers = (struct buffers){ .budget = budget };
}

void buffers_deinit(struct buffers *buffers)
{
    for (uint32_t i = 0; i < BUFFER_CLASS_COUNT; i++) {
        while (buffers->free[i]) {
            struct buffer_free *node = buffers->free[i];
            buffers->free[i] = node->next;
            free(node);
        }
    }
    ASSERT(buffers->charged == 0);
}

bool buffer_take(struct buffers *buffers, uint32_t len, struct buffer *ret)
{
    uint32_t class_idx = class_of(len);
    if (class_idx < BUFFER_CLASS_COUNT && buffers->free[class_idx]) {
        struct buffer_free *node = buffers->free[class_idx];
        buffers->free[class_idx] = node->next;
        buffers->cached -= class_bytes(class_idx);
        *ret = (struct buffer){ .data = (uint8_t *)node, .capacity = class_bytes(class_idx) };
        return true;
    }
    uint32_t capacity = class_idx < BUFFER_CLASS_COUNT ? class_bytes(class_idx) : len;
    uint8_t *data = malloc(capacity);
    if (!data)
        return false;
    *ret = (struct buffer){ .data = data, .capacity = capacity };
    return true;
}

void buffer_give(struct buffers *buffers, struct buffer *buffer)
{
    if (!buffer->data)
        return;
    ASSERT(buffers->charged >= buffer->charged);
    buffers->charged -= buffer->charged;
    uint32_t class_idx = class_of(buffer->capacity);
    if (class_idx < BUFFER_CLASS_COUNT && buffers->cached + buffer->capacity <= BUFFER_CACHE_BYTES) {
        struct buffer_free *node = (void *)buffer->data;
        node->next = buffers->free[class_idx];
        buffers->free[class_idx] = node;
        buffers->cached += buffer->capacity;
    } else {
        free(buffer->data);
    }
    *buffer = (struct buffer){ 0 };
}

bool buffer_charge(struct buffers *buffers, struct buffer *buffer, uint32_t need, bool force)
{
    ASSERT(need <= buffer->capacity);
    if (need <= buffer->charged)
        return true;
    uint64_t target = MIN(align_up(need, BUFFER_CHARGE_STEP), (uint64_t)buffer->capacity);
    size_t more = (size_t)target - buffer->charged;
    if (!force && buffers->charged + more > buffers->budget)
        return false;
    buffers->charged += more;
    buffer->charged = (uint32_t)target;
    return true;
}
