/*
 * odradek consume: records of a topic, from a range of offsets or times, or as a member of a group (consume_group.c).
 *
 * Without a group every partition is read on its own, with its range worked out beforehand from what the broker
 * says of start, end and times. A partition is over when its next offset reaches the end of the range; the command is
 * over when all partitions are, or -n records were printed.
 */
#include <stdlib.h>
#include <string.h>

#include "client/format.h"
#include "client/range.h"
#include "consume.h"

struct span {
    int32_t partition;
    int64_t next; /* the first offset wanted */
    int64_t stop; /* exclusive; INT64_MAX: none */
    bool over;
    bool there; /* all that is wanted was there at the beginning */
};

/* -- ranges ---------------------------------------------------------------------------------------------------------
 */

static bool partition_wanted(const struct consume *consume, int32_t partition)
{
    int64_t number;
    for (size_t i = 0; i < consume->partitions.count; i++)
        if (args_int(consume->partitions.items[i], &number) && number == partition)
            return true;
    return consume->partitions.count == 0;
}

static int partitions_find(struct consume *consume)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t err =
        rd_kafka_metadata(consume->rk, 0, consume->rkt, &metadata, (int)MIN(consume->common.timeout_ms, INT32_MAX));
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        err = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    else
        return rdk_topic_fail(consume->topic, err);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
        consume->spans = xcalloc((size_t)topic->partition_cnt, sizeof(*consume->spans));
        for (int i = 0; i < topic->partition_cnt; i++)
            if (partition_wanted(consume, topic->partitions[i].id))
                consume->spans[consume->span_count++].partition = topic->partitions[i].id;
    }
    rd_kafka_metadata_destroy(metadata);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rdk_topic_fail(consume->topic, err);
    size_t asked = consume->partitions.count;
    if (consume->span_count == 0 || (asked > 0 && consume->span_count < asked))
        return cli_fail(EXIT_CODE_NOT_FOUND, "topic %s: no such partition; try: odradek topic describe %s",
                        consume->topic, consume->topic);
    return EXIT_CODE_OK;
}

/* Offsets for a time, in the order of spans; negative where no record is that young. */
static int times_find(struct consume *consume, int64_t time_ms, int64_t *ret)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consume->span_count);
    for (size_t i = 0; i < consume->span_count; i++)
        rd_kafka_topic_partition_list_add(list, consume->topic, consume->spans[i].partition)->offset = time_ms;
    rd_kafka_resp_err_t err =
        rd_kafka_offsets_for_times(consume->rk, list, (int)MIN(consume->common.timeout_ms, INT32_MAX));
    for (int i = 0; i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        err = list->elems[i].err;
        ret[i] = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ? EXIT_CODE_OK : rdk_fail("looking for the time", err);
}

static int span_resolve(struct consume *consume, struct span *span, int64_t from_time, int64_t to_time)
{
    int64_t start, end;
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(consume->rk, consume->topic, span->partition, &start,
                                                               &end, (int)MIN(consume->common.timeout_ms, INT32_MAX));
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rdk_topic_fail(consume->topic, err);
    span->next = range_resolve(&consume->range.from, start, end, from_time);
    span->stop = INT64_MAX;
    if (consume->exit_at_end)
        span->stop = end;
    if (consume->range.bounded && consume->range.to.kind == RANGE_OFFSET)
        span->stop = consume->exit_at_end ? MIN(consume->range.to.value, end) : consume->range.to.value;
    else if (consume->range.bounded)
        span->stop = range_resolve(&consume->range.to, start, end, to_time);
    span->over = span->next >= span->stop;
    span->there = span->stop <= end;
    consume->open_count += !span->over;
    return EXIT_CODE_OK;
}

static int spans_resolve(struct consume *consume)
{
    const struct range *range = &consume->range;
    int64_t *from = xcalloc(consume->span_count, sizeof(*from));
    int64_t *to = xcalloc(consume->span_count, sizeof(*to));
    int code = EXIT_CODE_OK;
    if (range->from.kind == RANGE_TIME)
        code = times_find(consume, range->from.value, from);
    if (code == EXIT_CODE_OK && range->bounded && range->to.kind == RANGE_TIME)
        code = times_find(consume, range->to.value, to);
    for (size_t i = 0; i < consume->span_count && code == EXIT_CODE_OK; i++)
        code = span_resolve(consume, &consume->spans[i], from[i], to[i]);
    free(from);
    free(to);
    return code;
}

/* -- reading --------------------------------------------------------------------------------------------------------
 */

static struct span *span_find(struct consume *consume, int32_t partition)
{
    for (size_t i = 0; i < consume->span_count; i++)
        if (consume->spans[i].partition == partition)
            return &consume->spans[i];
    return NULL;
}

static void span_end(struct consume *consume, struct span *span)
{
    span->over = true;
    consume->open_count--;
    (void)rd_kafka_consume_stop(consume->rkt, span->partition);
}

static int message_take(struct consume *consume, const rd_kafka_message_t *message)
{
    struct span *span = span_find(consume, message->partition);
    bool at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (message->err == RD_KAFKA_RESP_ERR__TRANSPORT || message->err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        return EXIT_CODE_OK; /* librdkafka connects again */
    if (message->err == RD_KAFKA_RESP_ERR__BAD_MSG)
        return cli_fail(EXIT_CODE_CORRUPT, "topic %s, partition %d: a batch is damaged at offset %lld", consume->topic,
                        message->partition, (long long)message->offset);
    if (message->err && !at_end)
        return rdk_topic_fail(consume->topic, message->err);
    if (!span || span->over)
        return EXIT_CODE_OK;
    if (!at_end && message->offset < span->stop) {
        consume_print(consume, message);
        consume->count--;
    }
    int64_t next = message->offset + !at_end;
    if (next >= span->stop)
        span_end(consume, span);
    return EXIT_CODE_OK;
}

static int spans_start(struct consume *consume, rd_kafka_queue_t *queue)
{
    for (size_t i = 0; i < consume->span_count; i++) {
        const struct span *span = &consume->spans[i];
        if (!span->over && rd_kafka_consume_start_queue(consume->rkt, span->partition, span->next, queue) != 0)
            return rdk_topic_fail(consume->topic, rd_kafka_last_error());
    }
    return EXIT_CODE_OK;
}

/* Silence is right while waiting for records to come; where all were there, something keeps them back. */
static int silence_judge(const struct consume *consume, int64_t silent_ms)
{
    const struct span *open = NULL;
    if (silent_ms < consume->common.timeout_ms)
        return EXIT_CODE_OK;
    for (size_t i = 0; i < consume->span_count; i++) {
        if (!consume->spans[i].over && !consume->spans[i].there)
            return EXIT_CODE_OK;
        if (!consume->spans[i].over)
            open = &consume->spans[i];
    }
    if (!open)
        return EXIT_CODE_OK;
    return cli_fail(EXIT_CODE_TIMEOUT,
                    "topic %s, partition %d: no records for %lld ms although there are more; the "
                    "broker's own log may say why",
                    consume->topic, open->partition, (long long)silent_ms);
}

static int messages_print(struct consume *consume)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consume->rk);
    int code = spans_start(consume, queue);
    int64_t silent_ms = 0;
    while (code == EXIT_CODE_OK && consume->open_count > 0 && consume->count > 0 && !ferror(stdout)) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 0);
        if (!message) { /* nothing at once: what is printed should be seen before waiting */
            (void)fflush(stdout);
            (void)rd_kafka_poll(consume->rk, 0); /* on_error */
            message = rd_kafka_consume_queue(queue, CONSUME_WAIT_MS);
        }
        silent_ms = message ? 0 : silent_ms + CONSUME_WAIT_MS;
        code = message ? message_take(consume, message) : silence_judge(consume, silent_ms);
        if (message)
            rd_kafka_message_destroy(message);
        if (rdk_interrupted())
            code = EXIT_CODE_INTERRUPTED;
    }
    for (size_t i = 0; i < consume->span_count; i++)
        if (!consume->spans[i].over)
            (void)rd_kafka_consume_stop(consume->rkt, consume->spans[i].partition);
    rd_kafka_queue_destroy(queue);
    return code;
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    (void)rk;
    (void)reason;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        consume_lost(opaque);
}

static int consume_run(struct consume *consume)
{
    const struct rdk_property properties[] = {
        { "enable.partition.eof", "true" },
        { "enable.auto.offset.store", "false" },
        { "auto.offset.reset", "earliest" },
        { "check.crcs", "true" }, /* a damaged batch is an error, not silence */
    };
    int code = rdk_probe(&consume->common);
    if (code != EXIT_CODE_OK)
        return code;
    rd_kafka_conf_t *conf = rdk_conf(&consume->common, properties, countof(properties), &consume->extra, &code);
    if (!conf)
        return code;
    rd_kafka_conf_set_opaque(conf, consume);
    rd_kafka_conf_set_error_cb(conf, on_error);
    (void)rdk_signals_hold();
    consume->rk = rdk_new(RD_KAFKA_CONSUMER, conf);
    if (!consume->rk)
        return EXIT_CODE_FAILURE;
    consume->rkt = rd_kafka_topic_new(consume->rk, consume->topic, NULL);
    json_init(&consume->json, stdout);
    if (!consume->rkt)
        code = rdk_topic_fail(consume->topic, rd_kafka_last_error());
    if (code == EXIT_CODE_OK)
        code = partitions_find(consume);
    if (code == EXIT_CODE_OK)
        code = spans_resolve(consume);
    if (code == EXIT_CODE_OK)
        code = messages_print(consume);
    if (consume->rkt)
        rd_kafka_topic_destroy(consume->rkt);
    rd_kafka_destroy(consume->rk);
    free(consume->spans);
    return code;
}

/* -- the command line -----------------------------------------------------------------------------------------------
 */

static int options_check(struct consume *consume, const struct args_spec *spec)
{
    int64_t number;
    const char *why = format_check(consume->format);
    if (why)
        return args_mistake(spec, "--format: %s", why);
    if (consume->group && consume->partitions.count > 0)
        return args_mistake(spec, "--group and --partition exclude each other: the group shares the partitions out");
    if (!range_parse(consume->offset, client_wall_ms(), &consume->range, &why))
        return args_mistake(spec, "--offset %s: %s", consume->offset, why);
    bool edge = consume->range.from.kind == RANGE_START || consume->range.from.kind == RANGE_END;
    if (consume->group && (!edge || consume->range.bounded))
        return args_mistake(spec,
                            "with --group, --offset is start or end, for partitions the group has committed nothing "
                            "in; to move a group: odradek group reset");
    for (size_t i = 0; i < consume->partitions.count; i++)
        if (!args_int(consume->partitions.items[i], &number) || number < 0 || number > INT32_MAX)
            return args_mistake(spec, "--partition: '%s' is not a partition", consume->partitions.items[i]);
    return ARGS_GO_ON;
}

int cmd_consume(int argc, char **argv)
{
    struct consume consume = { .common = cli_common(), .offset = "start", .format = "%s\\n", .count = INT64_MAX };
    const struct args_option options[] = {
        { "offset", 'o', ARGS_TEXT, "RANGE", "where to start and stop (default: start)", &consume.offset },
        { "group", 'g', ARGS_TEXT, "GROUP", "as a member of this group", &consume.group },
        { "partition", 'p', ARGS_LIST, "N", "only this partition; may be repeated", &consume.partitions },
        { "num", 'n', ARGS_INT, "N", "stop after so many records", &consume.count, 1, INT64_MAX },
        { "exit", 'e', ARGS_FLAG, NULL, "stop at the end instead of waiting for more", &consume.exit_at_end },
        { "format", 'f', ARGS_TEXT, "FORMAT", "how to print a record (default: %s\\n)", &consume.format },
        { "property", 'X', ARGS_LIST, "NAME=VALUE", "a property of librdkafka; may be repeated", &consume.extra },
        { "json", 0, ARGS_FLAG, NULL, "one JSON object per record", &consume.common.json },
        CLI_BROKERS_ROW(consume.common),
        CLI_TIMEOUT_ROW(consume.common),
    };
    struct args_spec spec = {
        "consume",
        "Prints records and waits for more.",
        "TOPIC",
        options,
        countof(options),
        1,
        1,
        "group:  partitions are shared with the other members; offsets are committed behind what was printed; where\n"
        "        nothing is committed yet, -o start or -o end says where to begin; -e ends at the end of all "
        "partitions\n"
        "        that this member got\n"
        "ranges: start  end  N  +N (behind the start)  -N (before the end)  A:B  :B  :end\n"
        "        @TIME  @TIME:TIME  @-48h:-24h  @2026-11-22T10:00:00Z:30m    the end is exclusive\n"
        "format: %t topic  %p partition  %o offset  %T timestamp  %k key  %K its length  %s value\n"
        "        %S its length  %R its length as 4 bytes  %h headers  %% \\n \\r \\t \\e \\0 \\\\ \\xNN\n\n"
        "examples:\n"
        "  odradek consume paid -o -10 -e\n"
        "  odradek consume paid -g billing --json | jq .value",
    };
    struct args_operands operands;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON)
        code = options_check(&consume, &spec);
    if (code == ARGS_GO_ON) {
        consume.topic = operands.items[0];
        code = consume.group ? consume_group(&consume) : consume_run(&consume);
    }
    args_list_deinit(&consume.partitions);
    args_list_deinit(&consume.extra);
    return code;
}
