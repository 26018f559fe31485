/*
 * Output formats for records: %t topic, %p partition, %o offset, %T timestamp in ms, %k key, %K its length,
 * %s value, %S its length, %R its length as 4 bytes (big-endian), %h headers as name=value,..., %% a percent sign;
 * \n \r \t \e \0 \\ and \xNN. A missing key or value prints as nothing and has length -1.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <odradek/bytes.h>

struct format_header {
    struct odk_str name;
    struct odk_bytes value; /* data NULL: none */
};

struct format_record {
    struct odk_str topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* -1: none */
    struct odk_bytes key;
    struct odk_bytes value;
    const struct format_header *headers;
    size_t header_count;
};

/* NULL when format is good, else a static sentence. */
const char *format_check(const char *format);
/* Writes one record; format must be good. */
void format_write(FILE *to, const char *format, const struct format_record *record);
