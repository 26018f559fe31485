/* Topic and cluster ids in Kafka's text form: 22 characters of URL-safe base64 without padding. */
#pragma once
#include <stdbool.h>

#include <odradek/bytes.h>

#define UUID_TEXT_LEN 22u

/* Writes 22 characters and a NUL. */
void uuid_print(struct odk_uuid id, char dst[UUID_TEXT_LEN + 1]);
/* False unless text is exactly such an id. */
bool uuid_parse(struct odk_str text, struct odk_uuid *ret);
