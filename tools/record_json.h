/* One record as a JSON object on a line. */
#pragma once
#include "client/format.h"
#include "client/json.h"

/* Bytes that are not UTF-8 come as base64 under another key. */
void record_json(struct json *json, const struct format_record *record);
