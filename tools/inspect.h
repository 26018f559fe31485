/*
 * odradek inspect: looking into a data directory without a server. What its verbs share: the directory, how partitions are
 * named on the command line, how errors of the library become exit codes.
 */
#pragma once
#include <odradek/inspect.h>

#include "cli.h"
#include "client/format.h"
#include "rows.h"

struct inspect {
    const char *data_dir;
    bool json;
    bool no_header;
    struct odk_io *io;
    struct odk_dir *dir;
    struct odk_diag diag;
};

/* Rows of the option table. */
#define INSPECT_DIR_ROW(i)                                                                                             \
    {                                                                                                                  \
        "data-dir", 'd', ARGS_TEXT, "DIR", "the directory (default $ODRADEK_DATA_DIR, or ./odradek-data)",             \
            &(i).data_dir                                                                                              \
    }
#define INSPECT_JSON_ROW(i)                                                                                            \
    {                                                                                                                  \
        "json", 0, ARGS_FLAG, NULL, "one JSON object a line", &(i).json                                                \
    }
#define INSPECT_HEADER_ROW(i)                                                                                          \
    {                                                                                                                  \
        "no-header", 0, ARGS_FLAG, NULL, "leave the titles out", &(i).no_header                                        \
    }

struct inspect inspect_defaults(void);
/* Opens the directory; says on stderr when the files may lack something. EXIT_CODE_OK, or explained and the code. To be
 * closed in any case. */
int inspect_open(struct inspect *inspect);
void inspect_close(struct inspect *inspect);
/* The exit code of an error that the library has explained. */
enum exit_code inspect_code(enum odk_err err);

/* TOPIC, TOPIC:PARTITION, TOPIC:PARTITION:OFFSET */
struct inspect_target {
    struct odk_str topic;
    int32_t partition; /* -1: all */
    int64_t offset;    /* -1: not named */
};
enum inspect_fields { INSPECT_TOPIC = 1, INSPECT_PARTITION, INSPECT_OFFSET };
/* ARGS_GO_ON, or explained and EXIT_CODE_USAGE. Fields up to least must be there, none behind most. */
int inspect_target_parse(const struct args_spec *spec, const char *text, enum inspect_fields least,
                         enum inspect_fields most, struct inspect_target *ret);
/* The partitions it names: count of them from first on. EXIT_CODE_OK, or explained and EXIT_CODE_NOT_FOUND. */
int inspect_select(const struct inspect *inspect, const struct inspect_target *target, size_t *ret_first,
                   size_t *ret_count);
/* Opens the one partition that it names. */
int inspect_part(const struct inspect *inspect, const struct inspect_target *target, struct odk_part **ret_part);
/* Begins rows with topic names in the first column, wide enough for count partitions from first on. */
void inspect_rows(const struct inspect *inspect, struct rows *rows, const struct rows_column *columns, size_t count);
void inspect_rows_widen(const struct inspect *inspect, struct rows *rows, size_t first, size_t count);
/* Explains where a reader stopped; ODK_ERR_NOT_FOUND, the end, is EXIT_CODE_OK. */
int inspect_reader_fail(const struct inspect *inspect, const struct odk_part_name *name,
                        const struct odk_reader *reader, enum odk_err err);
/* "none", "gzip" ... of a batch's attributes. */
const char *inspect_codec(int16_t attributes);

/* One record as format.h wants it; headers is room for FORMAT_HEADERS_MAX, further ones are left out. */
#define INSPECT_HEADERS_MAX 64u
struct format_record inspect_record(const struct odk_part_name *name, const struct odk_batch *batch,
                                    const struct odk_record *record, struct format_header *headers);

/* The verbs. */
int inspect_topics(int argc, char **argv);
int inspect_partitions(int argc, char **argv);
int inspect_segments(int argc, char **argv);
int inspect_cat(int argc, char **argv);
int inspect_at(int argc, char **argv);
int inspect_when(int argc, char **argv);
int inspect_batches(int argc, char **argv);
int inspect_hex(int argc, char **argv);
int inspect_producers(int argc, char **argv);
int inspect_verify(int argc, char **argv);
int inspect_groups(int argc, char **argv);
int inspect_stats(int argc, char **argv);
int inspect_repair(int argc, char **argv);
