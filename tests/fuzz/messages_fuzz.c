/* Message sets of formats 0 and 1: whatever the bytes, walking ends, stays inside them and inside its bound, and what came
 * out can be written and read again. */
#include <odradek/messages.h>
#include <zlib.h>

#include "mutate.h"
#include "unit/store/golden_messages.h"
#include "unit/store/views.h"

#define BYTES_MAX ((size_t)1 << 16)

static void touch(struct odk_bytes bytes)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < bytes.len; i++)
        sum = (uint8_t)(sum + bytes.data[i]);
}

static void again(const struct odk_message *message)
{
    struct odk_message_iter it;
    struct odk_message back;
    size_t len = odk_message_bytes(message);
    ASSERT(len != SIZE_MAX);
    uint8_t *data = xcalloc(len, 1);
    odk_message_write(message, data);
    odk_message_iter_init(&it, (struct odk_bytes){ data, len }, 0);
    bool there = odk_message_next(&it, &back);
    ASSERT(there && back.offset == message->offset && back.timestamp == message->timestamp);
    ASSERT(back.key.len == message->key.len && back.value.len == message->value.len);
    ASSERT(odk_message_iter_end(&it) == ODK_OK);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct odk_message_iter it;
    struct odk_message message;
    odk_message_iter_init(&it, (struct odk_bytes){ data, len }, BYTES_MAX);
    size_t out = 0;
    while (odk_message_next(&it, &message)) {
        touch(message.key);
        touch(message.value);
        again(&message);
        out += odk_message_bytes(&message);
        ASSERT(out <= len + BYTES_MAX);
    }
    enum odk_err err = odk_message_iter_end(&it);
    ASSERT(err != ODK_ERR_NOT_FOUND && err != ODK_ERR_MEMORY);
    return 0;
}

#ifndef ODK_LIBFUZZER
/* The checksum of the first message as it should be: now the damage is inside. */
static void fix(uint8_t *data, size_t len)
{
    if (len < 26)
        return;
    uint32_t size = __builtin_bswap32((uint32_t)(len - 12));
    memcpy(data + 8, &size, sizeof(size));
    uint32_t crc = __builtin_bswap32((uint32_t)crc32_z(0, data + 16, len - 16));
    memcpy(data + 12, &crc, sizeof(crc));
}

int main(int argc, char **argv)
{
    static const struct odk_bytes corpus[] = {
        VIEW(golden_plain_0), VIEW(golden_gzip_0), VIEW(golden_snappy_0), VIEW(golden_lz4_0),
        VIEW(golden_plain_1), VIEW(golden_gzip_1), VIEW(golden_snappy_1), VIEW(golden_lz4_1),
    };
    return fuzz_main(argc, argv, corpus, countof(corpus), fix);
}
#endif
