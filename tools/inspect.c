/* odradek inspect: the table of its verbs and what they share. */
#include "inspect.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/diag.h"

#define DEFAULT_DATA_DIR "odradek-data"

/* -- the directory ------------------------------------------------------------------------------------------------- */

struct inspect inspect_defaults(void)
{
    const char *dir = getenv("ODRADEK_DATA_DIR");
    return (struct inspect){ .data_dir = dir && *dir ? dir : DEFAULT_DATA_DIR };
}

static void on_diag(void *context, enum odk_diag_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)fprintf(stderr, "odradek: %s\n", line);
}

static void note_print(const struct inspect *inspect)
{
    const struct odk_dir_info *info = odk_dir_info(inspect->dir);
    if (info->owner == ODK_OWNER_RUNNING)
        (void)fprintf(stderr, "note: a server is running on %s; what it got in the last second may not be in the files yet\n",
                      inspect->data_dir);
    else if (info->journal)
        (void)fprintf(stderr,
                      "note: %s was not stopped cleanly; its journal may hold more than the files until the next start\n",
                      inspect->data_dir);
}

int inspect_open(struct inspect *inspect)
{
    struct odk_io_options options = { .kind = ODK_IO_POSIX };
    char why[256];
    inspect->diag = (struct odk_diag){ .write = on_diag, .least = ODK_DIAG_WARN };
    if (odk_io_open(&options, &inspect->io, why, sizeof(why)) != ODK_OK)
        return cli_fail(EXIT_CODE_FAILURE, "%s", why);
    enum odk_err err = odk_dir_open(inspect->io, &inspect->diag, inspect->data_dir, &inspect->dir);
    if (err == ODK_ERR_NOT_FOUND)
        (void)fprintf(stderr, "name the data directory with --data-dir DIR or $ODRADEK_DATA_DIR\n");
    if (err != ODK_OK)
        return (int)inspect_code(err);
    note_print(inspect);
    return EXIT_CODE_OK;
}

void inspect_close(struct inspect *inspect)
{
    odk_dir_close(inspect->dir);
    if (inspect->io)
        inspect->io->ops->free(inspect->io);
}

enum exit_code inspect_code(enum odk_err err)
{
    switch ((int)err) {
    case ODK_OK: return EXIT_CODE_OK;
    case ODK_ERR_NOT_FOUND:
    case ODK_ERR_RANGE: return EXIT_CODE_NOT_FOUND;
    case ODK_ERR_ACCESS:
    case ODK_ERR_BUSY: return EXIT_CODE_REFUSED;
    case ODK_ERR_CORRUPT:
    case ODK_ERR_CRC:
    case ODK_ERR_TRUNCATED: return EXIT_CODE_CORRUPT;
    default: return EXIT_CODE_FAILURE;
    }
}

/* -- names --------------------------------------------------------------------------------------------------------- */

int inspect_target_parse(const struct args_spec *spec, const char *text, enum inspect_fields least,
                         enum inspect_fields most, struct inspect_target *ret)
{
    char copy[512];
    int64_t partition = -1;
    *ret = (struct inspect_target){ .partition = -1, .offset = -1 };
    size_t topic = strcspn(text, ":");
    int fields = text[topic] ? INSPECT_PARTITION : INSPECT_TOPIC;
    bool good = topic > 0 && strlen(text) < sizeof(copy);
    if (good && fields == INSPECT_PARTITION) {
        (void)snprintf(copy, sizeof(copy), "%s", text + topic + 1);
        char *offset = strchr(copy, ':');
        if (offset) {
            *offset++ = '\0';
            fields = INSPECT_OFFSET;
            good = args_int(offset, &ret->offset) && ret->offset >= 0;
        }
        good = good && args_int(copy, &partition) && partition >= 0 && partition <= INT32_MAX;
    }
    static const char *const forms[] = { "", "TOPIC", "TOPIC:PARTITION", "TOPIC:PARTITION:OFFSET" };
    if (!good || fields < (int)least || fields > (int)most)
        return args_mistake(spec, "'%s' is not %s%s%s", cli_escaped(odk_str_from(text)).text, forms[least],
                            least != most ? " or " : "", least != most ? forms[most] : "");
    ret->topic = (struct odk_str){ .data = text, .len = topic };
    ret->partition = (int32_t)partition;
    return ARGS_GO_ON;
}

int inspect_select(const struct inspect *inspect, const struct inspect_target *target, size_t *ret_first,
                   size_t *ret_count)
{
    size_t count = odk_dir_find(inspect->dir, target->topic, ret_first);
    if (count == 0)
        return cli_fail(EXIT_CODE_NOT_FOUND, "topic %s: not in %s; try: odradek inspect topics --data-dir %s",
                        cli_escaped(target->topic).text, inspect->data_dir, inspect->data_dir);
    *ret_count = count;
    if (target->partition < 0)
        return EXIT_CODE_OK;
    for (size_t i = *ret_first; i < *ret_first + count; i++) {
        if (odk_dir_at(inspect->dir, i)->partition != target->partition)
            continue;
        *ret_first = i;
        *ret_count = 1;
        return EXIT_CODE_OK;
    }
    return cli_fail(EXIT_CODE_NOT_FOUND, "topic %s: partition %d has no folder in %s", cli_escaped(target->topic).text,
                    target->partition, inspect->data_dir);
}

int inspect_part(const struct inspect *inspect, const struct inspect_target *target, struct odk_part **ret_part)
{
    size_t first, count;
    int code = inspect_select(inspect, target, &first, &count);
    if (code != EXIT_CODE_OK)
        return code;
    return (int)inspect_code(odk_part_open(inspect->dir, odk_dir_at(inspect->dir, first)->folder, ret_part));
}

void inspect_rows(const struct inspect *inspect, struct rows *rows, const struct rows_column *columns, size_t count)
{
    rows_begin(rows, columns, count, inspect->json, inspect->no_header ? ROWS_NO_HEADS : ROWS_HEADS);
}

void inspect_rows_widen(const struct inspect *inspect, struct rows *rows, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        rows_widen(rows, 0, odk_dir_at(inspect->dir, i)->topic.len);
}

int inspect_reader_fail(const struct inspect *inspect, const struct odk_part_name *name,
                        const struct odk_reader *reader, enum odk_err err)
{
    int64_t segment;
    uint64_t position;
    if (err == ODK_ERR_NOT_FOUND)
        return EXIT_CODE_OK;
    const char *why = odk_reader_why(reader, &segment, &position);
    if (err == ODK_ERR_TRUNCATED && odk_dir_info(inspect->dir)->owner == ODK_OWNER_RUNNING)
        return EXIT_CODE_OK; /* being written */
    return cli_fail(inspect_code(err), "%s: segment %020lld, position %llu: %s", name->folder, (long long)segment,
                    (unsigned long long)position, why);
}

const char *inspect_codec(int16_t attributes)
{
    static const char *const names[] = { "none", "gzip", "snappy", "lz4", "zstd" };
    unsigned codec = (unsigned)attributes & ODK_BATCH_CODEC_MASK;
    return codec < countof(names) ? names[codec] : "unknown";
}

/* -- records ------------------------------------------------------------------------------------------------------- */

static struct odk_bytes field_read(struct rd *r)
{
    int32_t len = rd_varint(r);
    if (len < 0)
        return (struct odk_bytes){ 0 };
    return rd_bytes(r, (size_t)len);
}

struct format_record inspect_record(const struct odk_part_name *name, const struct odk_batch *batch,
                                    const struct odk_record *record, struct format_header *headers)
{
    struct rd r = rd_init(record->headers.data, record->headers.len);
    int32_t announced = rd_varint(&r);
    size_t count = 0;
    while (announced-- > 0 && count < INSPECT_HEADERS_MAX && !r.bad) {
        struct odk_bytes key = field_read(&r);
        struct odk_bytes value = field_read(&r);
        if (!r.bad)
            headers[count++] = (struct format_header){ { (const char *)key.data, key.len }, value };
    }
    bool append_time = batch->attributes & ODK_BATCH_LOG_APPEND_TIME;
    return (struct format_record){
        .topic = name->topic,
        .partition = name->partition,
        .offset = record->offset,
        .timestamp_ms = append_time ? batch->max_timestamp : record->timestamp,
        .key = record->key,
        .value = record->value,
        .headers = headers,
        .header_count = count,
    };
}

int cmd_inspect(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        { "topics", "list topics with records, bytes and times", inspect_topics },
        { "partitions", "list partitions with their offsets", inspect_partitions },
        { "segments", "list segment files and what is in them", inspect_segments },
        { "cat", "print records", inspect_cat },
        { "at", "find the offset of a time", inspect_at },
        { "when", "find the time of an offset", inspect_when },
        { "batches", "list record batches", inspect_batches },
        { "hex", "show one batch byte by byte", inspect_hex },
        { "producers", "list idempotent and transactional producers", inspect_producers },
        { "groups", "list committed offsets with their lag", inspect_groups },
        { "stats", "tell sizes, compression and keys of a topic", inspect_stats },
        { "verify", "check everything, altering nothing", inspect_verify },
        { "repair", "plan a repair of what verify finds, and do it", inspect_repair },
    };
    return cli_dispatch(verbs, countof(verbs), "odradek inspect", argc, argv);
}
