#include "record_json.h"

static void bytes_json(struct json *json, const char *key, const char *key_base64, struct odk_bytes bytes)
{
    if (!bytes.data)
        json_null(json, key);
    else if (json_is_utf8(bytes))
        json_str(json, key, (struct odk_str){ (const char *)bytes.data, bytes.len });
    else
        json_base64(json, key_base64, bytes);
}

/* Names of headers may come twice: an array of pairs. */
void record_json(struct json *json, const struct format_record *record)
{
    json_object(json, NULL);
    json_str(json, "topic", record->topic);
    json_int(json, "partition", record->partition);
    json_int(json, "offset", record->offset);
    json_int(json, "timestamp", record->timestamp_ms);
    bytes_json(json, "key", "key_base64", record->key);
    bytes_json(json, "value", "value_base64", record->value);
    json_array(json, "headers");
    for (size_t i = 0; i < record->header_count; i++) {
        json_object(json, NULL);
        json_str(json, "name", record->headers[i].name);
        bytes_json(json, "value", "value_base64", record->headers[i].value);
        json_end(json);
    }
    json_end(json);
    json_end(json);
    json_line(json);
}
