/*
 * Goal: schema and generator together say what the protocol says.
 *
 * Method: vectors.txt holds one message of every api and version, made by an independent encoder. Each is decoded,
 * printed (which checks the names) and encoded again (which checks the bytes). argv[1] is the file.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/messages.h"
#include "wire/print.h"

#define LINE_BYTES_MAX 65536

static const struct wire_message *message_find(const char *name)
{
    for (uint32_t i = 0; i < wire_message_count; i++) {
        if (strcmp(wire_messages[i].name, name) == 0)
            return &wire_messages[i];
    }
    return NULL;
}

/* "-" stands for no bytes at all. */
static size_t unhex(const char *hex, uint8_t *dst)
{
    size_t len = 0;
    unsigned byte;
    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        dst[len++] = (uint8_t)byte;
    return len;
}

static bool encodes_to(const struct wire_message *message, int16_t version, const void *body, struct arena *arena,
                       const uint8_t *bytes, size_t len)
{
    struct out out;
    const struct iovec *parts;
    uint32_t count;
    size_t at = 0;
    out_init(&out, arena);
    if (!message->encode(body, &out, version) || !out_iov(&out, &parts, &count) || out_bytes(&out) != len)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(bytes + at, parts[i].iov_base, parts[i].iov_len) != 0)
            return false;
        at += parts[i].iov_len;
    }
    return true;
}

/* Returns what is wrong, or NULL. */
static const char *check(const char *name, int16_t version, const char *hex, const char *text, struct arena *arena)
{
    static uint8_t bytes[LINE_BYTES_MAX];
    static char printed[LINE_BYTES_MAX];
    const struct wire_message *message = message_find(name);
    if (!message || !wire_range_has(message->versions, version))
        return "no such message or version";
    size_t len = unhex(hex, bytes);
    void *body = arena_alloc(arena, 1, message->body->size);
    struct rd r = rd_init(bytes, len);
    if (!message->decode(body, &r, arena, version) || rd_left(&r) > 0)
        return "refused, or not read to the end";
    if (!encodes_to(message, version, body, arena, bytes, len))
        return "other bytes";
    (void)wire_print(printed, sizeof(printed), message, body, version);
    if (text[0] && strcmp(printed, text) != 0)
        return "other text";
    return NULL;
}

int main(int argc, char **argv)
{
    static char line[LINE_BYTES_MAX];
    struct arena arena = { 0 };
    unsigned checked = 0, failed = 0;
    FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
    if (!file)
        return perror("vectors"), 2;
    while (fgets(line, sizeof(line), file)) {
        char *rest = line;
        char *name = strsep(&rest, "\t"), *version = strsep(&rest, "\t"), *hex = strsep(&rest, "\t");
        char *text = strsep(&rest, "\n");
        if (name[0] == '#')
            continue;
        const char *wrong = text ? check(name, (int16_t)atoi(version), hex, text, &arena) : "not a vector";
        if (wrong)
            printf("%s %s: %s\n", name, version ? version : "", wrong);
        checked++;
        failed += wrong != NULL;
        arena_reset(&arena);
    }
    (void)fclose(file);
    arena_deinit(&arena);
    printf("%u vectors, %u failed\n", checked, failed);
    return failed > 0 || checked < 600;
}
