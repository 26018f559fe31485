/* odradek inspect batches, hex: batches as they lie in the files. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "inspect.h"

/* -- batches ------------------------------------------------------------------------------------------------------- */

static const struct rows_column batch_columns[] = {
    { "BASE", "base_offset", ROWS_INT, 11 },     { "LAST", "last_offset", ROWS_INT, 11 },
    { "COUNT", "count", ROWS_INT, 6 },           { "BYTES", "bytes", ROWS_INT, 8 },
    { "SEGMENT", "segment", ROWS_INT, 11 },      { "POSITION", "position", ROWS_INT, 10 },
    { "CODEC", "codec", ROWS_TEXT, 6 },          { "KIND", "kind", ROWS_TEXT, 8 },
    { "EPOCH", "leader_epoch", ROWS_INT, 5 },    { "PRODUCER", "producer_id", ROWS_INT, 9 },
    { "P-EPOCH", "producer_epoch", ROWS_INT, 7 }, { "SEQUENCE", "base_sequence", ROWS_INT, 8 },
    { "FIRST", "first", ROWS_TIME, 24 },         { "MAX", "max", ROWS_TIME, 24 },
    { "CRC", "crc", ROWS_TEXT, 8 },              { "VALID", "valid", ROWS_BOOL, 5 },
};

static const char *kind_text(int16_t attributes)
{
    if (attributes & ODK_BATCH_CONTROL)
        return "marker";
    return attributes & ODK_BATCH_TRANSACTIONAL ? "txn" : "data";
}

static bool batch_row(struct rows *rows, const struct odk_batch_at *batch)
{
    const struct odk_batch *header = &batch->header;
    bool valid = odk_batch_check_crc(batch->bytes) == ODK_OK;
    char crc[16];
    (void)snprintf(crc, sizeof(crc), "%08x", header->crc);
    rows_int(rows, header->base_offset);
    rows_int(rows, odk_batch_last_offset(header));
    rows_int(rows, header->record_count);
    rows_int(rows, (int64_t)batch->bytes.len);
    rows_int(rows, batch->segment);
    rows_int(rows, (int64_t)batch->position);
    rows_text(rows, inspect_codec(header->attributes));
    rows_text(rows, kind_text(header->attributes));
    rows_int(rows, header->leader_epoch);
    rows_int(rows, header->producer_id);
    rows_int(rows, header->producer_epoch);
    rows_int(rows, header->base_sequence);
    rows_int(rows, header->base_timestamp);
    rows_int(rows, header->max_timestamp);
    rows_text(rows, crc);
    rows_int(rows, valid);
    return valid;
}

static int batches_run(struct inspect *inspect, const struct inspect_target *target, int64_t left)
{
    struct odk_part *part = NULL;
    struct odk_batch_at batch;
    struct rows rows;
    size_t first = 0, found;
    int code = inspect_open(inspect);
    if (code == EXIT_CODE_OK)
        code = inspect_select(inspect, target, &first, &found);
    if (code == EXIT_CODE_OK)
        code = inspect_part(inspect, target, &part);
    if (code != EXIT_CODE_OK)
        return code;
    inspect_rows(inspect, &rows, batch_columns, countof(batch_columns));
    struct odk_reader *reader = odk_reader_new(part);
    enum odk_err err = ODK_OK;
    if (target->offset >= 0)
        odk_reader_seek(reader, target->offset);
    while (left-- > 0 && !ferror(stdout) && (err = odk_reader_next(reader, &batch)) == ODK_OK)
        if (!batch_row(&rows, &batch))
            code = EXIT_CODE_CORRUPT;
    if (err != ODK_OK)
        code = cli_worse(code, inspect_reader_fail(inspect, odk_dir_at(inspect->dir, first), reader, err));
    odk_reader_free(reader);
    odk_part_close(part);
    return code;
}

int inspect_batches(int argc, char **argv)
{
    struct inspect inspect = inspect_defaults();
    int64_t count = INT64_MAX;
    const struct args_option options[] = {
        { "num", 'n', ARGS_INT, "N", "stop after so many batches", &count, 1, INT64_MAX },
        INSPECT_DIR_ROW(inspect),
        INSPECT_JSON_ROW(inspect),
        INSPECT_HEADER_ROW(inspect),
    };
    struct args_spec spec = { "inspect batches",
                              "Lists the record batches of a partition, and checks their checksums.",
                              "TOPIC:PARTITION[:OFFSET]",
                              options,
                              countof(options),
                              1,
                              1,
                              "With OFFSET from the batch on that holds it, or the first one behind it.\n\n"
                              "example:\n"
                              "  odradek inspect batches orders:0:100000 -n 5" };
    struct args_operands operands;
    struct inspect_target target;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON)
        code = inspect_target_parse(&spec, operands.items[0], INSPECT_PARTITION, INSPECT_OFFSET, &target);
    if (code == ARGS_GO_ON)
        code = batches_run(&inspect, &target, count);
    inspect_close(&inspect);
    return code;
}

/* -- hex ----------------------------------------------------------------------------------------------------------- */

#define HEX_ROW 8u /* bytes in one line */

struct hex {
    const uint8_t *begin;  /* position 0 of what is shown */
    uint64_t position;     /* of begin in the file */
    size_t bytes_max;      /* of one field; the rest is cut */
};

static void hex_line(const struct hex *hex, const uint8_t *at, size_t len, const char *name, const char *value)
{
    char bytes[3 * HEX_ROW + 1] = "";
    for (size_t i = 0; i < len; i++)
        (void)snprintf(bytes + 3 * i, 4, "%02x ", at[i]);
    (void)printf("%10llu  %-*s %-22s %s\n", (unsigned long long)(hex->position + (uint64_t)(at - hex->begin)),
                 (int)(3 * HEX_ROW), bytes, name, value);
}

/* Printable bytes as they are, others as dots. */
static void text_of(const uint8_t *at, size_t len, char dst[HEX_ROW + 1])
{
    for (size_t i = 0; i < len; i++)
        dst[i] = at[i] >= 0x20 && at[i] < 0x7f ? (char)at[i] : '.';
    dst[len] = '\0';
}

/* Bytes of which nothing more is known: text beside them. */
static void hex_bytes(const struct hex *hex, struct odk_bytes bytes, const char *name)
{
    size_t shown = MIN(bytes.len, hex->bytes_max);
    char text[HEX_ROW + 1], left[64];
    for (size_t i = 0; i < shown; i += HEX_ROW) {
        size_t len = MIN(HEX_ROW, shown - i);
        text_of(bytes.data + i, len, text);
        hex_line(hex, bytes.data + i, len, i ? "" : name, text);
    }
    if (shown < bytes.len) {
        (void)snprintf(left, sizeof(left), "%zu more bytes", bytes.len - shown);
        hex_line(hex, bytes.data + shown, 0, "...", left);
    }
}

struct hex_field {
    const char *name;
    uint32_t pos;
    uint32_t len;
};

static const struct hex_field header_fields[] = {
    { "base offset", 0, 8 },        { "batch length", 8, 4 },        { "leader epoch", 12, 4 },
    { "magic", 16, 1 },             { "crc", 17, 4 },                { "attributes", 21, 2 },
    { "last offset delta", 23, 4 }, { "base timestamp", 27, 8 },     { "max timestamp", 35, 8 },
    { "producer id", 43, 8 },       { "producer epoch", 51, 2 },     { "base sequence", 53, 4 },
    { "records", 57, 4 },
};

static int64_t number_of(const uint8_t *at, uint32_t len)
{
    uint64_t value = at[0] & 0x80 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < len; i++)
        value = value << 8 | at[i];
    return (int64_t)value;
}

static void attributes_text(int16_t attributes, char *dst, size_t len)
{
    (void)snprintf(dst, len, "0x%04x: %s, %s time%s%s%s", (uint16_t)attributes, inspect_codec(attributes),
                   attributes & ODK_BATCH_LOG_APPEND_TIME ? "append" : "create",
                   attributes & ODK_BATCH_TRANSACTIONAL ? ", transactional" : "",
                   attributes & ODK_BATCH_CONTROL ? ", control" : "",
                   attributes & ODK_BATCH_DELETE_HORIZON ? ", delete horizon" : "");
}

static void header_hex(const struct hex *hex, const struct odk_batch_at *batch)
{
    for (size_t i = 0; i < countof(header_fields); i++) {
        const struct hex_field *field = &header_fields[i];
        const uint8_t *at = batch->bytes.data + field->pos;
        char value[128], time[ROWS_TIME_BYTES];
        int64_t number = number_of(at, field->len);
        (void)snprintf(value, sizeof(value), "%lld", (long long)number);
        if (field->pos == 17) {
            uint32_t computed = crc32c(0, batch->bytes.data + 21, batch->bytes.len - 21);
            (void)snprintf(value, sizeof(value), "%08x stored, %08x computed%s", batch->header.crc, computed,
                           computed == batch->header.crc ? "" : ": DAMAGED");
        } else if (field->pos == 21) {
            attributes_text(batch->header.attributes, value, sizeof(value));
        } else if (field->pos == 27 || field->pos == 35) {
            rows_time_print(number, time);
            (void)snprintf(value, sizeof(value), "%lld  %s", (long long)number, time);
        }
        hex_line(hex, at, field->len, field->name, value);
    }
}

/* One number of variable length; shift is added to what is shown. */
static int64_t varint_hex(const struct hex *hex, struct rd *r, const char *name, int64_t shift)
{
    const uint8_t *at = r->at;
    int64_t value = rd_varlong(r);
    char text[64];
    if (r->bad)
        return -1;
    if (shift)
        (void)snprintf(text, sizeof(text), "%lld  (= %lld)", (long long)value, (long long)(value + shift));
    else
        (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    hex_line(hex, at, MIN((size_t)(r->at - at), HEX_ROW), name, text);
    return value;
}

/* A length, and so many bytes. */
static void sized_hex(const struct hex *hex, struct rd *r, const char *length_name, const char *name)
{
    int64_t len = varint_hex(hex, r, length_name, 0);
    if (r->bad || len < 0)
        return;
    struct odk_bytes bytes = rd_bytes(r, (size_t)len);
    if (!r->bad)
        hex_bytes(hex, bytes, name);
}

static bool record_hex(const struct hex *hex, struct rd *r, const struct odk_batch *header, int32_t number)
{
    (void)printf("record %d\n", number);
    (void)varint_hex(hex, r, "length", 0);
    const uint8_t *at = rd_take(r, 1);
    if (r->bad)
        return false;
    hex_line(hex, at, 1, "attributes", "");
    (void)varint_hex(hex, r, "timestamp delta", header->base_timestamp);
    (void)varint_hex(hex, r, "offset delta", header->base_offset);
    sized_hex(hex, r, "key length", "key");
    sized_hex(hex, r, "value length", "value");
    int64_t headers = varint_hex(hex, r, "headers", 0);
    for (int64_t i = 0; i < headers && !r->bad; i++) {
        sized_hex(hex, r, "name length", "name");
        sized_hex(hex, r, "value length", "value");
    }
    return !r->bad;
}

static int records_hex(const struct hex *hex, const struct odk_batch *header, struct odk_bytes records)
{
    struct rd r = rd_init(records.data, records.len);
    for (int32_t i = 0; i < header->record_count; i++)
        if (!record_hex(hex, &r, header, i))
            return cli_fail(EXIT_CODE_CORRUPT, "record %d cannot be read", i);
    if (rd_left(&r) > 0)
        return cli_fail(EXIT_CODE_CORRUPT, "%zu bytes behind the last record", rd_left(&r));
    return EXIT_CODE_OK;
}

/* The records part: as it is, or first compressed, then what comes out. */
static int body_hex(struct hex hex, const struct odk_batch_at *batch)
{
    struct odk_bytes body = { .data = batch->bytes.data + ODK_BATCH_HEADER_BYTES,
                              .len = batch->bytes.len - ODK_BATCH_HEADER_BYTES };
    if ((batch->header.attributes & ODK_BATCH_CODEC_MASK) == ODK_CODEC_NONE)
        return records_hex(&hex, &batch->header, body);
    struct odk_record_iter it;
    (void)printf("compressed with %s\n", inspect_codec(batch->header.attributes));
    hex_bytes(&hex, body, "records, compressed");
    enum odk_err err = odk_record_iter_init(&it, batch->bytes, ODK_INSPECT_RECORDS_BYTES_MAX);
    int code = EXIT_CODE_OK;
    if (err != ODK_OK) {
        code = cli_fail(inspect_code(err), "the records cannot be decompressed: %s", odk_err_text(err));
    } else {
        struct odk_bytes plain = { .data = it.at, .len = (size_t)(it.end - it.at) };
        (void)printf("decompressed: %zu bytes\n", plain.len);
        hex.begin = it.at;
        hex.position = 0;
        code = records_hex(&hex, &batch->header, plain);
    }
    enum odk_err ended = odk_record_iter_end(&it); /* frees; nothing was walked, so it repeats err */
    ASSERT(ended == err);
    return code;
}

static int hex_run(struct inspect *inspect, const struct inspect_target *target, int64_t bytes_max)
{
    struct odk_part *part = NULL;
    struct odk_batch_at batch;
    size_t first = 0, found;
    int code = inspect_open(inspect);
    if (code == EXIT_CODE_OK)
        code = inspect_select(inspect, target, &first, &found);
    if (code == EXIT_CODE_OK)
        code = inspect_part(inspect, target, &part);
    if (code != EXIT_CODE_OK)
        return code;
    struct odk_reader *reader = odk_reader_new(part);
    odk_reader_seek(reader, target->offset);
    enum odk_err err = odk_reader_next(reader, &batch);
    if (err == ODK_OK) {
        struct hex hex = { .begin = batch.bytes.data, .position = batch.position, .bytes_max = (size_t)bytes_max };
        (void)printf("%s/%020lld.log, %zu bytes, offsets %lld to %lld\n",
                     odk_dir_at(inspect->dir, first)->folder, (long long)batch.segment, batch.bytes.len,
                     (long long)batch.header.base_offset, (long long)odk_batch_last_offset(&batch.header));
        header_hex(&hex, &batch);
        code = body_hex(hex, &batch);
        if (odk_batch_check_crc(batch.bytes) != ODK_OK)
            code = cli_worse(code, EXIT_CODE_CORRUPT);
    } else if (err == ODK_ERR_NOT_FOUND) {
        code = cli_fail(EXIT_CODE_NOT_FOUND, "no batch holds offset %lld or a later one", (long long)target->offset);
    } else {
        code = inspect_reader_fail(inspect, odk_dir_at(inspect->dir, first), reader, err);
    }
    odk_reader_free(reader);
    odk_part_close(part);
    return code;
}

int inspect_hex(int argc, char **argv)
{
    struct inspect inspect = inspect_defaults();
    int64_t bytes_max = 64;
    const struct args_option options[] = {
        { "bytes", 'c', ARGS_INT, "N", "show so many bytes of each key and value (default 64)", &bytes_max, 0, INT32_MAX },
        INSPECT_DIR_ROW(inspect),
    };
    struct args_spec spec = { "inspect hex",
                              "Shows the batch that holds an offset, byte by byte, with what each of them means.",
                              "TOPIC:PARTITION:OFFSET",
                              options,
                              countof(options),
                              1,
                              1,
                              "Columns: position in the file, bytes, field, value. Compressed records come twice: as stored,\n"
                              "then decompressed, with positions from 0.\n\n"
                              "example:\n"
                              "  odradek inspect hex orders:0:123" };
    struct args_operands operands;
    struct inspect_target target;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON)
        code = inspect_target_parse(&spec, operands.items[0], INSPECT_OFFSET, INSPECT_OFFSET, &target);
    if (code == ARGS_GO_ON)
        code = hex_run(&inspect, &target, bytes_max);
    inspect_close(&inspect);
    return code;
}
