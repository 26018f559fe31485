#include "broker/partition.h"

#include "base/base.h"

#define MAGIC_POS    16u
#define NO_TIMESTAMP INT64_C(-1)

static struct batch_refusal refusal(enum kafka_error error, const char *message)
{
    return (struct batch_refusal){ .error = error, .message = message };
}

static struct batch_refusal accepted(void)
{
    return refusal(KAFKA_NONE, NULL);
}

/* Size and format, before any byte is trusted. */
static struct batch_refusal shape_check(const struct batch_rules *rules, struct odk_bytes data,
                                        struct odk_batch *ret_batch)
{
    if (data.len == 0)
        return refusal(KAFKA_INVALID_RECORD, "there is no batch");
    if (data.len > MAGIC_POS && data.data[MAGIC_POS] != 2)
        return refusal(KAFKA_INVALID_RECORD, "only batches of format 2 are accepted");
    enum odk_err err = odk_batch_decode(data.data, data.len, ret_batch);
    if (err == ODK_ERR_TRUNCATED)
        return refusal(KAFKA_CORRUPT_MESSAGE, "the batch is cut off");
    if (err != ODK_OK)
        return refusal(KAFKA_INVALID_RECORD, "the header of the batch makes no sense");
    if (odk_batch_bytes(ret_batch) > (size_t)rules->config->max_message_bytes)
        return refusal(KAFKA_MESSAGE_TOO_LARGE, "the batch is larger than max.message.bytes");
    return accepted();
}

struct batch_refusal partition_check_timestamp(const struct batch_rules *rules, int64_t timestamp)
{
    const struct topic_config *config = rules->config;
    if (config->timestamp_type == TOPIC_LOG_APPEND_TIME || timestamp == NO_TIMESTAMP)
        return accepted();
    int64_t oldest, newest;
    if (__builtin_sub_overflow(rules->wall_ms, config->timestamp_before_max_ms, &oldest))
        oldest = INT64_MIN;
    if (__builtin_add_overflow(rules->wall_ms, config->timestamp_after_max_ms, &newest))
        newest = INT64_MAX;
    if (timestamp > newest)
        return refusal(KAFKA_INVALID_TIMESTAMP, "a timestamp is further ahead than message.timestamp.after.max.ms");
    if (timestamp < oldest)
        return refusal(KAFKA_INVALID_TIMESTAMP, "a timestamp is further back than message.timestamp.before.max.ms");
    return accepted();
}

static struct batch_refusal attributes_check(const struct batch_rules *rules, const struct odk_batch *batch)
{
    if ((batch->attributes & ODK_BATCH_CODEC_MASK) == ODK_CODEC_ZSTD && rules->version < PRODUCE_VERSION_ZSTD)
        return refusal(KAFKA_UNSUPPORTED_COMPRESSION_TYPE, "zstd needs version 7 of Produce");
    if (batch->attributes & ODK_BATCH_TRANSACTIONAL)
        return refusal(KAFKA_INVALID_TXN_STATE, "the producer has no transaction");
    if (batch->attributes & ODK_BATCH_LOG_APPEND_TIME)
        return refusal(KAFKA_INVALID_TIMESTAMP, "a producer cannot set the log append time");
    return accepted();
}

struct batch_refusal partition_check_batch(const struct batch_rules *rules, struct odk_bytes data,
                                           struct odk_batch *ret_batch)
{
    struct batch_refusal found = shape_check(rules, data, ret_batch);
    if (found.error != KAFKA_NONE)
        return found;
    const char *why = "the batch is not allowed";
    enum odk_err err = odk_batch_verify(data, ret_batch, &why);
    if (err == ODK_ERR_CRC || err == ODK_ERR_TRUNCATED)
        return refusal(KAFKA_CORRUPT_MESSAGE, err == ODK_ERR_CRC ? "the checksum differs" : "the batch is cut off");
    if (err != ODK_OK)
        return refusal(KAFKA_INVALID_RECORD, why);
    return attributes_check(rules, ret_batch);
}
