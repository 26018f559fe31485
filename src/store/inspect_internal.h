/* What the files of inspect share; the public face is <odradek/inspect.h>. */
#pragma once
#include <odradek/inspect.h>

#include "base/base.h"
#include "store/format.h"
#include "store/index_sum.h"
#include "store/layout.h"

struct odk_dir {
    struct odk_io *io;
    const struct odk_diag *diag;
    char *path;
    struct odk_dir_info info;
    uint64_t incarnation;
    struct dir_proof *proof; /* once verify has read the directory's own files */
    struct odk_part_name *parts;
    size_t count;
    size_t capacity;
};

struct odk_part {
    struct odk_dir *dir;
    char *folder; /* DIR/topic-partition */
    struct odk_part_name name; /* views into folder */
    struct odk_uuid topic_id;
    int64_t start;
    uint64_t bytes;
    struct odk_part_segment *segments;
    size_t count;
    int64_t *snapshots; /* rising */
    size_t snapshot_count;
};

/* A whole file, mapped. It must stay where it is while it is open. Zero: closed. */
struct look_file {
    struct odk_io_map map;
    bool open;
};

/* Maps at most len_max bytes of path; an empty file gives no data. ODK_ERR_NOT_FOUND and others of the system's. */
MUST_USE enum odk_err look_open(struct odk_io *io, const char *path, uint64_t len_max, struct look_file *file);
void look_close(struct odk_io *io, struct look_file *file);
static inline struct odk_bytes look_bytes(const struct look_file *file)
{
    return (struct odk_bytes){ .data = file->map.data, .len = file->open ? file->map.len : 0 };
}
/* The file's size. */
MUST_USE enum odk_err look_size(struct odk_io *io, const char *path, uint64_t *ret_size);

/* "topic-12": digits without a leading zero behind the last dash. ret views folder. */
bool look_part_name(const char *folder, struct odk_part_name *ret);

/* Both indexes of one segment. */
struct look_index {
    struct look_file offsets_file;
    struct look_file times_file;
    struct odk_bytes offsets; /* what can be searched; empty when it cannot */
    struct odk_bytes times;
    enum odk_index_state offsets_state;
    enum odk_index_state times_state;
    bool whole; /* proven to be of the whole segment */
};

/* Opens what there is of them; nothing of it is a failure. log_bytes: the segment's. */
void look_index_open(const struct odk_part *part, int64_t base, uint64_t log_bytes, struct look_index *ret);
void look_index_close(struct odk_io *io, struct look_index *index);

struct odk_reader {
    struct odk_part *part;
    size_t segment;
    uint64_t position;
    struct look_file file; /* of segment, when open */
    int64_t last_offset;   /* of the batch before in this segment; base - 1 at its begin */
    enum odk_err err;
    const char *why;
};

/* Goes to a position of a segment. */
void reader_place(struct odk_reader *reader, size_t segment, uint64_t position);
/* Walks from where it stands to the segment's end; ret_last is the last batch met, untouched when there is none.
 * ODK_ERR_NOT_FOUND: nothing was wrong. */
enum odk_err reader_run(struct odk_reader *reader, struct odk_batch_at *ret_last, int64_t *ret_max_timestamp);
/* Position of the batch that the index says holds offset, if the batch there is the one; else 0. The reader is there. */
void reader_place_by_index(struct odk_reader *reader, size_t segment, struct odk_bytes offsets, int64_t offset);
