#include "base/uuid.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void uuid_print(struct odk_uuid id, char dst[UUID_TEXT_LEN + 1])
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t out = 0;
    for (size_t i = 0; i < sizeof(id.b); i++) {
        bits = (bits << 8) | id.b[i];
        for (held += 8; held >= 6; held -= 6)
            dst[out++] = alphabet[(bits >> (held - 6)) & 63];
    }
    dst[out++] = alphabet[(bits << (6 - held)) & 63];
    dst[out] = '\0';
}

bool uuid_parse(struct odk_str text, struct odk_uuid *ret)
{
    if (text.len != UUID_TEXT_LEN)
        return false;
    struct odk_uuid id = { 0 };
    uint32_t bits = 0;
    unsigned held = 0;
    size_t out = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *found = text.data[i] ? strchr(alphabet, text.data[i]) : NULL;
        if (!found)
            return false;
        bits = (bits << 6) | (uint32_t)(found - alphabet);
        held += 6;
        if (held >= 8 && out < sizeof(id.b)) {
            held -= 8;
            id.b[out++] = (uint8_t)(bits >> held);
        }
    }
    if (bits & 15)
        return false;
    *ret = id;
    return true;
}
