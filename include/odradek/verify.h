/*
 * Checking a data directory without altering it: every batch's checksum and offsets, indexes against batches, small files,
 * the journal.
 *
 * Beside a running server: what it is just writing is no finding. A partition in which something is wrong is read again
 * after a moment, and only what is wrong each time is told.
 *
 * After a crash: what the journal holds, and the next start writes again, is told as a notice and not as damage.
 */
#pragma once
#include <odradek/inspect.h>

#ifdef __cplusplus
extern "C" {
#endif

/* name, damage (else a notice), text */
#define ODK_FINDING_TABLE(X)                                                                        \
    X(BATCH_HEADER, true, "no batch can stand here")                                                \
    X(BATCH_CUT, true, "the segment ends within a batch")                                           \
    X(BATCH_CRC, true, "the batch's checksum does not match")                                       \
    X(BATCH_RECORDS, true, "the batch's records cannot be read")                                    \
    X(OFFSET_GAP, true, "offsets are missing")                                                      \
    X(OFFSET_GAP_FOREIGN, false, "offsets are missing, as compaction leaves them")                  \
    X(EPOCH_FALLS, true, "the leader epoch falls from one batch to the next")                       \
    X(SEGMENT_EMPTY, true, "an empty segment stands before others")                                 \
    X(SEGMENT_UNREADABLE, true, "the segment cannot be read")                                       \
    X(OLD_FORMAT, false, "messages of format 0 or 1 are not checked")                               \
    X(TO_BE_REDONE, false, "the journal holds it; the next start writes it again")                  \
    X(UNFINISHED, false, "a batch is being written")                                                \
    X(INDEX_BROKEN, true, "the index file's entries cannot be")                                     \
    X(INDEX_ENTRY, true, "an index entry does not point to the batch it names")                     \
    X(TIME_ENTRY, true, "a time index entry is not what the batches say")                           \
    X(TIME_INDEX_SHORT, true, "the time index lacks the segment's largest timestamp")               \
    X(INDEX_UNPROVEN, false, "nothing proves the indexes; they are made again when used")           \
    X(EPOCHS_BROKEN, true, "leader-epoch-checkpoint cannot be read")                                \
    X(EPOCHS_DIFFER, true, "leader-epoch-checkpoint does not say what the batches say")             \
    X(SNAPSHOT_BROKEN, true, "the producers' snapshot cannot be read")                              \
    X(SNAPSHOT_AHEAD, false, "the producers' snapshot stands behind the end")                       \
    X(METADATA_BROKEN, true, "partition.metadata cannot be read")                                   \
    X(START_BROKEN, true, "log-start-offset-checkpoint or cleaner-offset-checkpoint cannot be read")                             \
    X(START_AHEAD, true, "the log's start lies behind its end")                                     \
    X(LESS_THAN_KNOWN, true, "the log holds less than at a clean stop")                             \
    X(MARKER_BROKEN, true, "the marker of a clean stop cannot be read")                             \
    X(LEFTOVER, false, "a leftover that means nothing")                                             \
    X(JOURNAL_GAP, true, "a block of the journal is missing although a later one is there")         \
    X(JOURNAL_ENTRY, true, "a block of the journal holds an entry that cannot be")                  \
    X(JOURNAL_UNREADABLE, true, "a file of the journal cannot be read")                             \
    X(SEGMENT_SHORT, true, "the segment ends before the journal's first entry for it")

enum odk_finding_kind {
#define X(name, damage, text) ODK_FINDING_##name,
    ODK_FINDING_TABLE(X)
#undef X
        ODK_FINDING_COUNT,
};

struct odk_finding {
    enum odk_finding_kind kind;
    const char *folder; /* "topic-partition"; "" for the directory's own files */
    const char *file;   /* name in it */
    int64_t segment;    /* base; -1: none */
    int64_t position;   /* in the file; -1: none */
    int64_t offset;     /* -1: none */
};

/* "BATCH_CRC", and the sentence; static. */
const char *odk_finding_name(enum odk_finding_kind kind);
const char *odk_finding_text(enum odk_finding_kind kind);
bool odk_finding_is_damage(enum odk_finding_kind kind);

struct odk_verify {
    void (*finding)(void *context, const struct odk_finding *finding); /* what it points to lasts for the call */
    void (*progress)(void *context, uint64_t bytes); /* so many more were read; about every 8 MiB. May be NULL */
    void *context;
    bool records; /* also decompress and read every record */
    /* totals */
    uint64_t bytes;
    uint64_t batches;
    uint64_t damage_count;
    uint64_t notice_count;
};

/*
 * The directory's own files: marker and journal. To be called before its partitions, which then know what the journal will
 * repair. Findings are no failure.
 *
 * Cost: reads the journal, when the directory was not stopped cleanly and nobody owns it.
 */
ODK_MUST_USE enum odk_err odk_dir_verify(struct odk_dir *dir, struct odk_verify *verify);

/*
 * One partition, by its folder's name. Of one kind in one segment the first finding is told.
 *
 * ODK_ERR_NOT_FOUND  the folder is gone
 * Cost: reads everything once, one checksum pass.
 */
ODK_MUST_USE enum odk_err odk_part_verify(struct odk_dir *dir, const char *folder, struct odk_verify *verify);

#ifdef __cplusplus
}
#endif
