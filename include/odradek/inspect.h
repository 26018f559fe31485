/*
 * Looking into a data directory: read only, without the owner's lock, beside a running server, after a stop or a crash.
 * Odradek's directories and Kafka's.
 *
 *   odk_dir_open  ->  the directory and the names of its partitions
 *   odk_part_open ->  one partition: its segments, their sizes at that moment
 *   odk_reader    ->  batch after batch, in place; records of one: odk_record_iter of <odradek/batch.h>
 *
 * What a running server has acknowledged but not yet written to its segments (the last second or so) is in its journal and
 * not seen here; so is, until its next start, what a killed one has. odk_dir_info says which of them applies.
 *
 * All of it belongs to one thread, that of the struct odk_io; ODK_IO_POSIX is the backend meant for it. Nothing is kept of
 * files but what the caller has open: one mapping per reader. Nothing is ever written. Sentences about failures go to diag.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <odradek/batch.h>
#include <odradek/bytes.h>
#include <odradek/diag.h>
#include <odradek/err.h>
#include <odradek/io.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A batch that decompresses to more than this is refused (ODK_ERR_TOO_LARGE). Brokers take batches of 1 MiB by default. */
#define ODK_INSPECT_RECORDS_BYTES_MAX (256u << 20)

/* -- the directory ---------------------------------------------------------------------------------------------------- */

enum odk_dir_kind {
    ODK_DIR_ODRADEK, /* has odradek.state */
    ODK_DIR_KAFKA,   /* has meta.properties */
    ODK_DIR_PLAIN,   /* has folders that look like partitions, nothing else is known */
};

enum odk_dir_owner {
    ODK_OWNER_NONE,
    ODK_OWNER_RUNNING, /* another process holds the directory's lock */
    ODK_OWNER_UNKNOWN, /* the lock cannot be looked at; or Kafka's, which does not say that it was stopped cleanly */
};

struct odk_dir_info {
    enum odk_dir_kind kind;
    enum odk_dir_owner owner;
    bool clean;    /* it says that it was stopped cleanly: then the files hold everything */
    bool journal;  /* it is Odradek's and was not stopped cleanly: the journal may hold more than the files */
    int32_t leader_epoch;        /* Odradek's; else -1 */
    struct odk_uuid cluster_id;  /* Odradek's; else zero */
};

struct odk_dir;

struct odk_part_name {
    const char *folder; /* "topic-partition" */
    struct odk_str topic;
    int32_t partition;
};

/*
 * Opens a directory and lists its folders; partitions are not looked into.
 *
 * io and diag (may be NULL) are borrowed until close.
 *
 * ODK_ERR_NOT_FOUND  no such directory, or nothing in it looks like a data directory
 * ODK_ERR_VERSION    written by a newer version
 * ODK_ERR_CORRUPT    odradek.state is damaged
 * ODK_ERR_ACCESS, ODK_ERR_IO
 *
 * Cost: one listing; 100,000 folders take some 50 ms.
 */
ODK_MUST_USE enum odk_err odk_dir_open(struct odk_io *io, const struct odk_diag *diag, const char *path,
                                       struct odk_dir **ret_dir);
void odk_dir_close(struct odk_dir *dir);
const struct odk_dir_info *odk_dir_info(const struct odk_dir *dir);

/* Partitions in order of topic, then number; idx < count. */
size_t odk_dir_count(const struct odk_dir *dir);
const struct odk_part_name *odk_dir_at(const struct odk_dir *dir, size_t idx);
/* Index of the topic's first partition, and how many follow each other; 0 when there is none. */
size_t odk_dir_find(const struct odk_dir *dir, struct odk_str topic, size_t *ret_first);

/* -- a partition ------------------------------------------------------------------------------------------------------ */

struct odk_part;

struct odk_part_segment {
    int64_t base;
    uint64_t bytes; /* of the .log file, when the partition was opened */
};

/* The end of a partition's files. */
struct odk_part_end {
    int64_t offset;        /* behind the last whole batch */
    int64_t max_timestamp; /* of the newest segment that has batches; -1: none */
    uint64_t left_bytes;   /* behind the last whole batch: one that is being written, torn or damaged */
    enum odk_err err;      /* ODK_OK; ODK_ERR_TRUNCATED: the last batch is not whole; ODK_ERR_CORRUPT, ODK_ERR_IO */
};

enum odk_index_state {
    ODK_INDEX_NONE,     /* no such file */
    ODK_INDEX_BROKEN,   /* its entries cannot be */
    ODK_INDEX_UNPROVEN, /* looks right; nothing proves that it is whole: Kafka's, or written since the last checkpoint */
    ODK_INDEX_PROVEN,   /* .indexsum fits */
};

struct odk_part_segment_info {
    int64_t base;
    int64_t next; /* offset behind its last batch; of the last segment: as odk_part_end */
    uint64_t bytes;
    int64_t first_timestamp; /* of the first batch; -1: none, or an empty segment */
    int64_t max_timestamp;
    int16_t attributes;      /* of the first batch: codec and the rest */
    bool active;
    enum odk_index_state offset_index;
    enum odk_index_state time_index;
    enum odk_err err; /* as of odk_part_end, when its first or last batch cannot be read */
};

/*
 * Opens a partition by its folder's name: lists its segments with their sizes.
 *
 * ODK_ERR_NOT_FOUND  no such folder
 * ODK_ERR_CORRUPT    a small file of it cannot be understood
 */
ODK_MUST_USE enum odk_err odk_part_open(struct odk_dir *dir, const char *folder, struct odk_part **ret_part);
void odk_part_close(struct odk_part *part);

struct odk_uuid odk_part_topic_id(const struct odk_part *part); /* zero: not known */
/* First offset that may be read: the first segment's base, or behind it after records were deleted. */
int64_t odk_part_start(const struct odk_part *part);
uint64_t odk_part_bytes(const struct odk_part *part);
/* In order of offsets. None: an empty partition. */
size_t odk_part_segments(const struct odk_part *part, const struct odk_part_segment **ret_segments);

/* Walks over the headers behind the last index entry: usually 4 KiB, all of the last segment when it has no index. */
void odk_part_find_end(struct odk_part *part, struct odk_part_end *ret);
/* What can be said of a segment without reading through it; idx < odk_part_segments. Cost: as odk_part_find_end, and a
 * look at its indexes. */
void odk_part_look(struct odk_part *part, size_t idx, struct odk_part_segment_info *ret);

/*
 * The first record at or behind a time, as ListOffsets answers.
 *
 * ODK_ERR_NOT_FOUND  no record is that young
 * ODK_ERR_CORRUPT, ODK_ERR_TRUNCATED (the last batch is not whole), ODK_ERR_TOO_LARGE, ODK_ERR_IO
 *
 * Cost: a look at each segment's time index; then at most one index interval of headers and one batch's records. Segments
 * whose index proves nothing are walked.
 */
ODK_MUST_USE enum odk_err odk_part_find_time(struct odk_part *part, int64_t time_ms, int64_t *ret_offset,
                                             int64_t *ret_timestamp);

struct odk_part_producer {
    int64_t id;
    int16_t epoch;
    int32_t last_sequence;    /* -1: none */
    int64_t last_offset;      /* of its last batch that is remembered; -1 */
    int64_t last_timestamp;
    int64_t txn_first_offset; /* -1: no open transaction */
    int32_t coordinator_epoch;
};

/* Calls each for every producer in order of ids: the newest snapshot that can be believed, and the batches behind it. */
ODK_MUST_USE enum odk_err odk_part_producers(struct odk_part *part,
                                             void (*each)(void *context, const struct odk_part_producer *producer),
                                             void *context);

/* -- batches ---------------------------------------------------------------------------------------------------------- */

struct odk_reader;

struct odk_batch_at {
    struct odk_batch header;
    struct odk_bytes bytes; /* the whole batch in the mapping, good until the reader moves to another segment */
    int64_t segment;        /* base */
    uint64_t position;
};

/* part must outlive it. Stands at the first batch. */
struct odk_reader *odk_reader_new(struct odk_part *part);
void odk_reader_free(struct odk_reader *reader);

/*
 * Goes to the batch that holds offset, or the first one behind it. What fails is told by the next call of next.
 * Cost: O(log n) and one index interval of headers; a segment without an index is walked from its begin.
 */
void odk_reader_seek(struct odk_reader *reader, int64_t offset);

/*
 * The next batch: its header and length have been checked, not its checksum (odk_batch_check_crc).
 *
 * ODK_ERR_NOT_FOUND  no more
 * ODK_ERR_TRUNCATED  the last segment ends within a batch: one that is being written, or a torn one
 * ODK_ERR_CORRUPT    no batch can stand here: what comes behind in this segment is not looked for
 * ODK_ERR_UNSUPPORTED  messages of before Kafka 0.11
 * ODK_ERR_IO         the device could not read it
 *
 * After an error every call repeats it, until a seek or skip.
 */
ODK_MUST_USE enum odk_err odk_reader_next(struct odk_reader *reader, struct odk_batch_at *ret);
/* What is wrong, a static sentence; and where. */
const char *odk_reader_why(const struct odk_reader *reader, int64_t *ret_segment, uint64_t *ret_position);
/* Goes to the begin of the next segment; false when there is none. */
bool odk_reader_skip(struct odk_reader *reader);

#ifdef __cplusplus
}
#endif
