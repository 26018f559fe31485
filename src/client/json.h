/*
 * JSON, written as it comes: no tree, no allocation. Commas, quotes and nesting are kept here.
 *
 *   json_init(&j, stdout); json_object(&j, NULL); json_int(&j, "offset", 7); json_end(&j); json_line(&j);
 *
 * The key is NULL inside an array and at the top. Text is UTF-8; bytes that are not are written as U+FFFD, so the
 * output is always valid: who must not lose bytes asks json_is_utf8 first and writes base64.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <odradek/bytes.h>

#define JSON_DEPTH_MAX 32u

struct json {
    FILE *to;
    uint32_t depth;
    uint32_t filled; /* bit per depth: something stands there already */
    uint32_t arrays; /* bit per depth: it is an array */
};

void json_init(struct json *json, FILE *to);
void json_object(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
/* Ends the innermost object or array. */
void json_end(struct json *json);
void json_str(struct json *json, const char *key, struct odk_str value); /* data NULL: null */
void json_text(struct json *json, const char *key, const char *value);   /* NULL: null */
void json_base64(struct json *json, const char *key, struct odk_bytes value);
void json_int(struct json *json, const char *key, int64_t value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);
/* Ends the top-level value with a newline; the next one may follow. */
void json_line(struct json *json);

bool json_is_utf8(struct odk_bytes text);
