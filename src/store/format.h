/*
 * Names, magics and entry sizes of everything a data directory holds: the only place that spells them.
 *
 * A partition's folder is "topic-partition" and holds Kafka's files in Kafka's formats:
 *
 *   %020d.log          record batches v2, back to back; the number is the offset of the first record it may hold
 *   %020d.index        offset -> position:  { i32 offset - base, i32 position }, big-endian, rising
 *   %020d.timeindex    timestamp -> offset: { i64 timestamp, i32 offset - base }, big-endian, rising
 *   %020d.txnindex     aborted transactions
 *   %020d.indexsum     not Kafka's: proves .index and .timeindex
 *   %020d.snapshot     producers as they were at that offset
 *   leader-epoch-checkpoint   text: version, count, "epoch start-offset" lines
 *   partition.metadata        text: version, topic id
 */
#pragma once

/* -- a partition's folder ----------------------------------------------------------------------------------------- */

#define FORMAT_OFFSET_DIGITS 20
#define FORMAT_SEGMENT_NAME  "%020lld" /* the offset, then one of the suffixes */

#define FORMAT_LOG_SUFFIX           ".log"
#define FORMAT_OFFSET_INDEX_SUFFIX  ".index"
#define FORMAT_TIME_INDEX_SUFFIX    ".timeindex"
#define FORMAT_TXN_INDEX_SUFFIX     ".txnindex"
#define FORMAT_SNAPSHOT_SUFFIX      ".snapshot"
#define FORMAT_INDEX_SUM_SUFFIX     ".indexsum" /* ours: proves the two indexes */
#define FORMAT_DELETED_SUFFIX       ".deleted"
#define FORMAT_CLEANED_SUFFIX       ".cleaned"
#define FORMAT_SWAP_SUFFIX          ".swap"
#define FORMAT_TMP_SUFFIX           ".tmp"
#define FORMAT_FOLDER_DELETE_SUFFIX "-delete"

#define FORMAT_EPOCHS_NAME             "leader-epoch-checkpoint"
#define FORMAT_PARTITION_METADATA_NAME "partition.metadata"

/* -- the data directory ------------------------------------------------------------------------------------------- */

#define FORMAT_LOCK_NAME            ".lock"
#define FORMAT_META_PROPERTIES_NAME "meta.properties"
#define FORMAT_CLEAN_SHUTDOWN_NAME  ".kafka_cleanshutdown"
#define FORMAT_RECOVERY_POINTS_NAME "recovery-point-offset-checkpoint"
#define FORMAT_START_OFFSETS_NAME   "log-start-offset-checkpoint"
#define FORMAT_HIGH_WATERMARKS_NAME "replication-offset-checkpoint"
#define FORMAT_CLEANER_OFFSETS_NAME "cleaner-offset-checkpoint"

/* -- sizes and versions ------------------------------------------------------------------------------------------- */

#define FORMAT_OFFSET_ENTRY_BYTES 8u
#define FORMAT_TIME_ENTRY_BYTES   12u
#define FORMAT_EPOCHS_VERSION     0
#define FORMAT_SNAPSHOT_VERSION   1
