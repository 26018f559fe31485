/* How a record looks on stdout. */
#include "consume.h"

#include "client/format.h"
#include "record_json.h"

#define HEADERS_MAX 64u

static size_t headers_read(const rd_kafka_message_t *message, struct format_header *ret)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t count = 0, len;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    while (count < HEADERS_MAX && rd_kafka_header_get_all(headers, count, &name, &value, &len) == 0)
        ret[count++] = (struct format_header){ .name = odk_str_from(name), .value = { .data = value, .len = len } };
    return count;
}

void consume_print(struct consume *consume, const rd_kafka_message_t *message)
{
    struct format_header headers[HEADERS_MAX];
    rd_kafka_timestamp_type_t type;
    consume->lost = false;
    struct format_record record = {
        .topic = odk_str_from(consume->topic),
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = { .data = message->key, .len = message->key_len },
        .value = { .data = message->payload, .len = message->len },
        .headers = headers,
        .header_count = headers_read(message, headers),
    };
    if (consume->common.json)
        record_json(&consume->json, &record);
    else
        format_write(stdout, consume->format, &record);
}

void consume_lost(struct consume *consume)
{
    if (!consume->lost)
        (void)fprintf(stderr, "no broker answers at %s; trying again\n", consume->common.brokers);
    consume->lost = true;
}
