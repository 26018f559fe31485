#include "broker/intake.h"

#include <odradek/messages.h>

#include "base/base.h"
#include "base/limits.h"

#define MAGIC_POS       16u
#define BAD_FIRST_ROOM  64
#define NO_KEY_MESSAGE  "a compacted topic needs a key in each record"

size_t intake_opened_max(const struct topic_config *config)
{
    size_t allowed = MAX((size_t)PRODUCE_OPENED_BYTES_MIN, (size_t)config->max_message_bytes);
    return MIN(allowed, (size_t)BATCH_OPENED_BYTES_MAX);
}

static enum kafka_error refuse(struct intake *intake, enum kafka_error error, const char *message)
{
    intake->refusal = (struct batch_refusal){ .error = error, .message = message };
    return error;
}

/* -- records at fault ---------------------------------------------------------------------------------------------- */

/* Room for one more; memory that the arena does not give is a record that is not named. */
static bool bad_room(struct intake *intake)
{
    int32_t count = intake->bad_count;
    bool full = count == 0 || (count >= BAD_FIRST_ROOM && (count & (count - 1)) == 0);
    if (count >= intake->bad_max)
        return false;
    if (!full)
        return true;
    struct intake_bad *room =
        arena_new(intake->arena, struct intake_bad, (size_t)(count == 0 ? BAD_FIRST_ROOM : 2 * count));
    if (!room)
        return false;
    for (int32_t i = 0; i < count; i++)
        room[i] = intake->bad[i];
    intake->bad = room;
    return true;
}

/* A wrong timestamp is what the batch is refused for, whatever else is wrong with it, as in Kafka. */
static void bad_note(struct intake *intake, int32_t position, struct batch_refusal found)
{
    if (intake->refusal.error != KAFKA_INVALID_TIMESTAMP)
        intake->refusal = found;
    if (bad_room(intake))
        intake->bad[intake->bad_count++] = (struct intake_bad){ .position = position, .message = found.message };
}

static void record_check(struct intake *intake, int32_t position, int64_t timestamp, struct odk_bytes key)
{
    struct batch_refusal found = partition_check_timestamp(&intake->rules, timestamp);
    if (found.error == KAFKA_NONE && !key.data && (intake->rules.config->cleanup_policy & TOPIC_CLEANUP_COMPACT))
        found = (struct batch_refusal){ .error = KAFKA_INVALID_RECORD, .message = NO_KEY_MESSAGE };
    if (found.error != KAFKA_NONE)
        bad_note(intake, position, found);
}

/* -- making anew --------------------------------------------------------------------------------------------------- */

static enum odk_codec codec_wanted(const struct topic_config *config, enum odk_codec sent)
{
    switch (config->compression_type) {
    case TOPIC_COMPRESSION_UNCOMPRESSED: return ODK_CODEC_NONE;
    case TOPIC_COMPRESSION_ZSTD: return ODK_CODEC_ZSTD;
    case TOPIC_COMPRESSION_LZ4: return ODK_CODEC_LZ4;
    case TOPIC_COMPRESSION_SNAPPY: return ODK_CODEC_SNAPPY;
    case TOPIC_COMPRESSION_GZIP: return ODK_CODEC_GZIP;
    default: return sent;
    }
}

static int level_wanted(const struct topic_config *config, enum odk_codec codec)
{
    if (codec == ODK_CODEC_GZIP)
        return config->compression_gzip_level;
    return codec == ODK_CODEC_LZ4 ? config->compression_lz4_level : config->compression_zstd_level;
}

static enum kafka_error pack(struct intake *intake, const struct odk_batch *header, struct odk_bytes records,
                             enum odk_codec codec)
{
    const struct topic_config *config = intake->rules.config;
    size_t room = MIN(odk_batch_pack_bound(codec, records.len), (size_t)config->max_message_bytes);
    uint8_t *data = arena_new(intake->arena, uint8_t, room);
    size_t len;
    enum odk_err err = data ? odk_batch_pack(header, records, codec, level_wanted(config, codec), data, room, &len)
                            : ODK_ERR_TOO_LARGE;
    if (err == ODK_ERR_TOO_LARGE)
        return refuse(intake, KAFKA_MESSAGE_TOO_LARGE, "the batch, made anew, is larger than max.message.bytes");
    if (err != ODK_OK)
        return refuse(intake, KAFKA_UNKNOWN_SERVER_ERROR, odk_err_text(err));
    intake->batch = (struct odk_bytes){ data, len };
    return KAFKA_NONE;
}

/* Why data that had to be opened could not be. */
static enum kafka_error refuse_unread(struct intake *intake, enum odk_err err)
{
    switch ((int)err) {
    case ODK_ERR_TRUNCATED: return refuse(intake, KAFKA_CORRUPT_MESSAGE, "the batch is cut off");
    case ODK_ERR_CRC: return refuse(intake, KAFKA_CORRUPT_MESSAGE, "the checksum differs");
    case ODK_ERR_TOO_LARGE: return refuse(intake, KAFKA_MESSAGE_TOO_LARGE, "the records are too large, decompressed");
    case ODK_ERR_MEMORY: return refuse(intake, KAFKA_UNKNOWN_SERVER_ERROR, odk_err_text(err));
    case ODK_ERR_UNSUPPORTED:
        return refuse(intake, KAFKA_UNSUPPORTED_COMPRESSION_TYPE, "the codec is not known in this format");
    default: return refuse(intake, KAFKA_INVALID_RECORD, "the records cannot be read");
    }
}

/* What failed has perhaps been opened up to the bound. */
static size_t opened_bytes(const struct intake *intake, enum odk_err err, size_t len)
{
    return err == ODK_OK ? len : intake_opened_max(intake->rules.config);
}

/* -- batches ------------------------------------------------------------------------------------------------------- */

static enum odk_codec codec_of(const struct odk_batch *batch)
{
    return (enum odk_codec)(batch->attributes & ODK_BATCH_CODEC_MASK);
}

static bool must_open(const struct intake *intake, const struct odk_batch *batch)
{
    const struct topic_config *config = intake->rules.config;
    return (config->cleanup_policy & TOPIC_CLEANUP_COMPACT) ||
           codec_wanted(config, codec_of(batch)) != codec_of(batch) ||
           (config->timestamp_type == TOPIC_CREATE_TIME && config->timestamp_before_max_ms != INT64_MAX);
}

static enum odk_err records_check(struct intake *intake, struct odk_record_iter *it)
{
    struct odk_record record;
    for (int32_t i = 0; odk_record_next(it, &record); i++)
        record_check(intake, i, record.timestamp, record.key);
    return it->err;
}

static enum kafka_error batch_open(struct intake *intake, struct odk_bytes data, const struct odk_batch *batch)
{
    struct odk_record_iter it;
    enum odk_err err = odk_record_iter_init(&it, data, intake_opened_max(intake->rules.config));
    struct odk_bytes records = odk_record_iter_bytes(&it);
    enum odk_codec codec = codec_wanted(intake->rules.config, codec_of(batch));
    if (err == ODK_OK)
        err = records_check(intake, &it);
    intake->opened_bytes = opened_bytes(intake, err, records.len);
    if (err == ODK_OK && intake->refusal.error == KAFKA_NONE && codec != codec_of(batch))
        (void)pack(intake, batch, records, codec);
    err = odk_record_iter_end(&it);
    if (err != ODK_OK)
        (void)refuse_unread(intake, err);
    return intake->refusal.error;
}

static enum kafka_error batch_take(struct intake *intake, struct odk_bytes data)
{
    struct odk_batch batch;
    intake->batch = data;
    intake->refusal = partition_check_batch(&intake->rules, data, &batch);
    if (intake->refusal.error != KAFKA_NONE)
        return intake->refusal.error;
    struct batch_refusal largest = partition_check_timestamp(&intake->rules, batch.max_timestamp);
    if (largest.error == KAFKA_NONE && !must_open(intake, &batch))
        return KAFKA_NONE;
    if (batch_open(intake, data, &batch) == KAFKA_NONE)
        intake->refusal = largest;
    return intake->refusal.error;
}

/* -- message sets -------------------------------------------------------------------------------------------------- */

static enum odk_err messages_gather(struct intake *intake, struct odk_message_iter *it, bool *ret_stamped)
{
    struct odk_message message;
    for (int32_t i = 0; odk_message_next(it, &message); i++) {
        struct odk_record_new record = { .timestamp = message.timestamp, .key = message.key, .value = message.value };
        record_check(intake, i, message.timestamp, message.key);
        *ret_stamped |= message.append_time;
        if (intake->builder->len > intake_opened_max(intake->rules.config))
            return ODK_ERR_TOO_LARGE;
        enum odk_err err = odk_batch_builder_add(intake->builder, &record);
        if (err != ODK_OK)
            return err;
    }
    return ODK_OK;
}

static enum kafka_error built_pack(struct intake *intake, enum odk_codec sent)
{
    struct odk_batch_builder *builder = intake->builder;
    struct odk_batch header;
    odk_batch_builder_end(builder);
    enum odk_err err = odk_batch_decode(builder->data, builder->len, &header);
    ASSERT(err == ODK_OK);
    struct odk_bytes records = { builder->data + ODK_BATCH_HEADER_BYTES, builder->len - ODK_BATCH_HEADER_BYTES };
    return pack(intake, &header, records, codec_wanted(intake->rules.config, sent));
}

static enum kafka_error set_take(struct intake *intake, struct odk_bytes data)
{
    struct odk_batch_builder *builder = intake->builder;
    struct odk_message_iter it;
    bool stamped = false;
    odk_batch_builder_begin(builder);
    odk_message_iter_init(&it, data, intake_opened_max(intake->rules.config));
    enum odk_err err = messages_gather(intake, &it, &stamped);
    enum odk_codec sent = it.codec;
    enum odk_err walk_err = odk_message_iter_end(&it);
    if (err == ODK_OK)
        err = walk_err;
    intake->opened_bytes = opened_bytes(intake, err, builder->len);
    if (err != ODK_OK)
        (void)refuse_unread(intake, err);
    else if (stamped)
        (void)refuse(intake, KAFKA_INVALID_TIMESTAMP, "a producer cannot set the log append time");
    else if (intake->refusal.error == KAFKA_NONE)
        (void)built_pack(intake, sent);
    if (builder->capacity > INTAKE_KEPT_BYTES_MAX)
        odk_batch_builder_deinit(builder);
    return intake->refusal.error;
}

enum kafka_error intake_take(struct intake *intake, struct odk_bytes data)
{
    bool old = data.len > MAGIC_POS && data.data[MAGIC_POS] < 2;
    if (old && intake->rules.version < PRODUCE_VERSION_BATCHES)
        return set_take(intake, data);
    return batch_take(intake, data);
}
