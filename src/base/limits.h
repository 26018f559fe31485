/*
 * Bounds of the whole program, each with its reason. Bounds of one layer's formats stand in that layer; what an
 * operator may want to move is a configuration key (src/broker/broker_config.def), and only its outer limit is here.
 */
#pragma once
#include "base/units.h"

/* Memory that one request may take for its decoded form and its reply. A frame of 100 MiB decodes into less, and
 * Metadata of 100,000 partitions needs about 20 MiB. */
#define REQUEST_ARENA_BYTES_MAX MIB(64)

/* Kafka's: a folder name of topic, dash and partition must fit a file name of 255. */
#define TOPIC_NAME_BYTES_MAX 249u

/* One topic. More than any known use, and a typing error must not make a million folders. */
#define PARTITIONS_PER_TOPIC_MAX 100000

/* Values of topic settings: lists of choices and numbers; longer ones are mistakes. */
#define CONFIG_VALUE_BYTES_MAX 4096u

/* A configuration file. Kafka's own sample has 7 KiB. */
#define CONFIG_FILE_BYTES_MAX MIB(1)

/* Listeners in one configuration. */
#define LISTENERS_MAX 16u

/* Client ids in diagnostic lines, escaped. */
#define CLIENT_TEXT_BYTES_MAX 256u

/* One record batch of the metadata log: a CreateTopics request writes one. */
#define METADATA_BATCH_BYTES_MAX MIB(16)

/* Records that one Produce answer names as bad. A batch is refused as a whole; what is not named is sent again, and then
 * named. */
#define RECORD_ERRORS_MAX 10000

/* Decompressed records of one batch, where it has to be opened: for a search by time, for Fetch 0-3, and for Produce at
 * most. A quarter of a second of gzip at the worst. Kafka has no bound. */
#define BATCH_OPENED_BYTES_MAX MIB(64)

/* What a produced batch may have, decompressed, where the topic makes it be opened; more when max.message.bytes is more.
 * 16 times the default of max.message.bytes. */
#define PRODUCE_OPENED_BYTES_MIN MIB(16)

/* Messages of formats 0 and 1 that one Fetch 0-3 is answered with, and what is opened for them: then the answer leaves and
 * the client asks again. One batch more may be opened than that. */
#define FETCH_CONVERT_BYTES_MAX MIB(16)
#define FETCH_CONVERT_OPENED_MAX MIB(32)

/* Bytes of records after which searches by time wait for the next turn of the loop: one ListOffsets may search thousands of
 * partitions. */
#define SEARCH_TURN_BYTES MIB(16)

/* Decompressed bytes after which a Produce goes on in the next turn of the loop, so that a request of a thousand batches
 * that have to be opened stalls nobody for longer than one of them takes. */
#define PRODUCE_STEP_BYTES MIB(1)

/* Memory for making batches of old message sets that a shard keeps for the next one. */
#define INTAKE_KEPT_BYTES_MAX MIB(2)

/* Producer ids come in durable blocks, so that a crash costs ids and not uniqueness. Kafka's number. */
#define PRODUCER_ID_BLOCK 1000

/* Topics in one CreateTopics, DeleteTopics or CreatePartitions, resources in one AlterConfigs; each is compared with all
 * others of the request. */
#define TOPICS_PER_CHANGE_MAX 4096

/* Groups with settings of their own. They need not exist, so nothing else bounds them. */
#define GROUP_CONFIGS_MAX 100000u

/* Group ids. Kafka has no limit but its strings' 32,767; ids are kept for each group and stand in every record. */
#define GROUP_ID_BYTES_MAX 1024u

/* Records of one change of a group that come back from a crash whole or not at all: above it they are split (any beginning of
 * a change can be read, and its members come again), and a single record above it is refused. Members of 1000 with 16 KiB of
 * subscription each stay below; the memory tail of a log, which
 * must hold it, is larger by default. */
#define GROUP_BATCH_BYTES_MAX MIB(16)

/* Other texts that a group keeps for each member: client id and host (cut to this), ids of members of the newer protocol,
 * group.instance.id, racks, names of protocols (refused beyond it). */
#define GROUP_TEXT_BYTES_MAX 1024u

/* Groups of one partition of __consumer_offsets: anybody can name a new one, and each takes half a KiB. */
#define GROUPS_PER_PARTITION_MAX 100000u

/* Words in a filter of ListGroups, each compared once for every partition of __consumer_offsets. There are six states. */
#define GROUP_LIST_FILTERS_MAX 100

/* Members of one group, and ids given out that have not joined yet. group.max.size and group.consumer.max.size can only be
 * smaller. */
#define GROUP_MEMBERS_MAX 10000u

/* Protocols that one classic member offers; clients offer one for each assignor that they know. */
#define GROUP_PROTOCOLS_MAX 64

/* Different names of protocols in one classic group. */
#define GROUP_PROTOCOL_NAMES_MAX 1024u

/* Texts, protocols and metadata of all members of a classic group; and, separately, their assignments: both stand in the
 * group's record and in the leader's answers. Kafka's record may have 1 MiB for all of it. */
#define GROUP_BYTES_MAX MIB(4)

/* What one OffsetCommit writes: about 100,000 partitions. Kafka's batch may have 1 MiB. */
#define GROUP_COMMIT_BYTES_MAX MIB(8)

/* The texts that clients commit along with their offsets, of one group. */
#define GROUP_OFFSET_METADATA_BYTES_MAX MIB(64)

/* Tombstones of one event are written in batches of this size: a topic may have offsets in every group. */
#define GROUP_TOMBSTONE_BATCH_BYTES KIB(512)

/* Offsets of topics that are gone which one turn forgets for a partition of __consumer_offsets, and the pause before the
 * next: a tenth of a millisecond, since a shard may have 50 such partitions. A million take four seconds. */
#define GROUP_FORGET_STEP     256u
#define GROUP_FORGET_PAUSE_MS 1

/* Groups and offsets that one event looks at for expiry, and the pause before the next: a million take two seconds. */
#define GROUP_EXPIRY_STEP     5000u
#define GROUP_EXPIRY_PAUSE_MS 10

/* What one member of a newer group says of itself, and all members of one: kept in memory, and one record each. Enough for
 * the names of 30,000 topics. */
#define GROUP_TOLD_BYTES_MAX     MIB(1)
#define GROUP_TOLD_ALL_BYTES_MAX MIB(64)

/* Different regular expressions of one group: each is matched against every topic that comes. Members of a group mostly
 * share one. */
#define GROUP_PATTERNS_MAX 64u

/* A regular expression of a subscription. */
#define GROUP_REGEX_BYTES_MAX 4096u

/* Steps of one name through a regular expression: at most 5 ms. 300 alternatives need 2,300, usual patterns 2 to 50. */
#define GROUP_REGEX_STEPS_MAX 8192u

/* Steps of all names for one pattern: beyond it, it is too costly. Enough for a usual pattern and 10,000 topics that begin as
 * it does, or a million that do not. */
#define GROUP_REGEX_RESOLVE_STEPS_MAX 500000u

/* Steps that patterns of all groups of a reactor take in one turn of the loop, about 2 ms (one name may go beyond it, see
 * above), and the pause before the next ones. */
#define GROUP_REGEX_TURN_STEPS 4096u
#define GROUP_REGEX_PAUSE_MS   5
