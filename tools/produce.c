/* odradek produce: one record per line of the input. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "client/json.h"
#include "client/lines.h"
#include "rdk.h"

#define DRAIN_MS        100
#define ASK_MS          2000
#define RECORD_OVERHEAD 1024u /* more than librdkafka counts on top of key and value */

struct produce {
    struct cli_common common;
    const char *key;
    const char *delimiter;
    const char *codec;
    const char *acks;
    int64_t partition;
    struct args_list headers;
    struct args_list extra;
    bool null_values;
    bool quiet;
    /* the run */
    rd_kafka_t *rk;
    const char *topic;
    int stop_fd;
    struct json json;
    uint64_t sent;
    uint64_t failures;
    rd_kafka_resp_err_t first_error;
};

static void produce_on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *context)
{
    struct produce *produce = context;
    (void)rk;
    if (message->err) {
        if (produce->failures++ == 0)
            produce->first_error = message->err;
        return;
    }
    produce->sent++;
    if (!produce->common.json)
        return;
    rd_kafka_timestamp_type_t type;
    json_object(&produce->json, NULL);
    json_text(&produce->json, "topic", produce->topic);
    json_int(&produce->json, "partition", message->partition);
    json_int(&produce->json, "offset", message->offset);
    json_int(&produce->json, "timestamp", rd_kafka_message_timestamp(message, &type));
    json_end(&produce->json);
    json_line(&produce->json);
}

/* A header is NAME=VALUE; without "=" it has no value. */
static rd_kafka_headers_t *headers_new(const struct args_list *list)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(list->count);
    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        size_t len = equals ? (size_t)(equals - list->items[i]) : strlen(list->items[i]);
        (void)rd_kafka_header_add(headers, list->items[i], (ssize_t)len, equals ? equals + 1 : NULL, -1);
    }
    return headers;
}

struct record {
    const char *key;
    size_t key_len;
    const char *value;
    size_t value_len;
};

static struct record line_split(const struct produce *produce, const char *line, size_t len)
{
    struct record record = { .key = produce->key, .value = line, .value_len = len };
    record.key_len = record.key ? strlen(record.key) : 0;
    size_t gap = produce->delimiter ? strlen(produce->delimiter) : 0;
    const char *at = gap ? memmem(line, len, produce->delimiter, gap) : NULL;
    if (at) {
        record.key = line;
        record.key_len = (size_t)(at - line);
        record.value = at + gap;
        record.value_len = len - record.key_len - gap;
    }
    if (produce->null_values && record.value_len == 0)
        record.value = NULL;
    return record;
}

/* Hands one record over; waits while the queue is full. */
static rd_kafka_resp_err_t record_send(struct produce *produce, const struct record *record)
{
    for (;;) {
        rd_kafka_headers_t *headers = headers_new(&produce->headers);
        rd_kafka_vu_t fields[] = {
            { RD_KAFKA_VTYPE_TOPIC, { .cstr = produce->topic } },
            { RD_KAFKA_VTYPE_PARTITION, { .i32 = (int32_t)produce->partition } },
            { RD_KAFKA_VTYPE_MSGFLAGS, { .i = RD_KAFKA_MSG_F_COPY } },
            { RD_KAFKA_VTYPE_VALUE, { .mem = { (void *)(uintptr_t)record->value, record->value_len } } },
            { RD_KAFKA_VTYPE_KEY, { .mem = { (void *)(uintptr_t)record->key, record->key_len } } },
            { RD_KAFKA_VTYPE_HEADERS, { .headers = headers } },
        };
        rd_kafka_error_t *error = rd_kafka_produceva(produce->rk, fields, countof(fields));
        if (!error)
            return RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_resp_err_t err = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        rd_kafka_headers_destroy(headers);
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL || rdk_interrupted())
            return err;
        (void)rd_kafka_poll(produce->rk, DRAIN_MS);
    }
}

static int file_send(struct produce *produce, int fd, const char *name)
{
    struct lines lines;
    const char *line;
    size_t len;
    enum lines_result result;
    int code = EXIT_CODE_OK;
    lines_init(&lines, fd, produce->stop_fd);
    while (code == EXIT_CODE_OK && (result = lines_next(&lines, &line, &len)) == LINES_LINE) {
        struct record record = line_split(produce, line, len);
        rd_kafka_resp_err_t err = record_send(produce, &record);
        if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            code = cli_fail(EXIT_CODE_FAILURE, "a record of %zu bytes is too large; try: -X message.max.bytes=%zu",
                            record.key_len + record.value_len, record.key_len + record.value_len + RECORD_OVERHEAD);
        else if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
            code = rdk_fail(produce->topic, err);
        (void)rd_kafka_poll(produce->rk, 0);
    }
    if (code == EXIT_CODE_OK && result == LINES_FAILED)
        code = cli_fail(EXIT_CODE_FAILURE, "cannot read %s: %s", name, strerror(errno));
    lines_deinit(&lines);
    return code;
}

static int inputs_send(struct produce *produce, const struct args_operands *operands)
{
    int code = EXIT_CODE_OK;
    if (operands->count == 1)
        return file_send(produce, STDIN_FILENO, "the standard input");
    for (size_t i = 1; i < operands->count && code == EXIT_CODE_OK; i++) {
        int fd = open(operands->items[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return cli_fail(EXIT_CODE_NOT_FOUND, "cannot open %s: %s", operands->items[i], strerror(errno));
        code = file_send(produce, fd, operands->items[i]);
        (void)close(fd);
    }
    return code;
}

/* Waits for every answer; the deadline of each record is librdkafka's. */
static void drain(struct produce *produce)
{
    while (rd_kafka_outq_len(produce->rk) > 0 && !rdk_interrupted())
        (void)rd_kafka_poll(produce->rk, DRAIN_MS);
    if (rdk_interrupted())
        (void)rd_kafka_purge(produce->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_poll(produce->rk, 0);
}

/* Time ran out: because nobody has ever heard of the topic? */
static rd_kafka_resp_err_t timeout_reason(const struct produce *produce)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(produce->rk, produce->topic, NULL);
    rd_kafka_resp_err_t reason = RD_KAFKA_RESP_ERR__MSG_TIMED_OUT;
    if (topic && rd_kafka_metadata(produce->rk, 0, topic, &metadata, ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (metadata->topic_cnt == 1 && metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            reason = metadata->topics[0].err;
        rd_kafka_metadata_destroy(metadata);
    }
    if (topic)
        rd_kafka_topic_destroy(topic);
    return reason;
}

static int failures_tell(const struct produce *produce)
{
    rd_kafka_resp_err_t reason = produce->first_error;
    if (reason == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        reason = timeout_reason(produce);
    const char *advice = reason == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? "; try: odradek topic create" : "";
    return cli_fail(rdk_exit_code(reason), "topic %s: %llu record%s failed: %s%s", produce->topic,
                    (unsigned long long)produce->failures, produce->failures == 1 ? "" : "s", rd_kafka_err2str(reason),
                    advice);
}

static int outcome(const struct produce *produce, int code)
{
    if (!produce->quiet && !produce->common.json)
        (void)fprintf(stderr, "produced %llu record%s to %s\n", (unsigned long long)produce->sent,
                      produce->sent == 1 ? "" : "s", produce->topic);
    if (rdk_interrupted())
        return cli_fail(EXIT_CODE_INTERRUPTED, "interrupted; %llu records were acknowledged",
                        (unsigned long long)produce->sent);
    if (produce->failures > 0)
        return failures_tell(produce);
    return code;
}

static int produce_run(struct produce *produce, const struct args_operands *operands)
{
    char timeout_ms[24];
    (void)snprintf(timeout_ms, sizeof(timeout_ms), "%lld", (long long)produce->common.timeout_ms);
    const struct rdk_property properties[] = {
        { "message.timeout.ms", timeout_ms }, { "compression.codec", produce->codec },     { "acks", produce->acks },
        { "partitioner", "murmur2_random" },  { "topic.metadata.refresh.sparse", "true" },
    };
    int code = rdk_probe(&produce->common);
    if (code != EXIT_CODE_OK)
        return code;
    rd_kafka_conf_t *conf = rdk_conf(&produce->common, properties, countof(properties), &produce->extra, &code);
    if (!conf)
        return code;
    produce->topic = operands->items[0];
    produce->stop_fd = rdk_signals_hold();
    rd_kafka_conf_set_opaque(conf, produce);
    rd_kafka_conf_set_dr_msg_cb(conf, produce_on_report);
    produce->rk = rdk_new(RD_KAFKA_PRODUCER, conf);
    if (!produce->rk)
        return EXIT_CODE_FAILURE;
    json_init(&produce->json, stdout);
    code = inputs_send(produce, operands);
    drain(produce);
    code = outcome(produce, code);
    rd_kafka_destroy(produce->rk);
    return code;
}

static bool acks_ok(const char *text)
{
    static const char *const known[] = { "all", "-1", "1", "0" };
    for (size_t i = 0; text && i < countof(known); i++)
        if (strcmp(text, known[i]) == 0)
            return true;
    return !text;
}

int cmd_produce(int argc, char **argv)
{
    struct produce produce = { .common = cli_common(), .partition = RD_KAFKA_PARTITION_UA };
    const struct args_option options[] = {
        { "key", 'k', ARGS_TEXT, "KEY", "key of all records", &produce.key },
        { "key-delimiter", 'K', ARGS_TEXT, "TEXT", "what separates key and value in a line", &produce.delimiter },
        { "header", 'H', ARGS_LIST, "NAME=VALUE", "a header of all records; may be repeated", &produce.headers },
        { "partition", 'p', ARGS_INT, "N", "partition (default: by key)", &produce.partition, 0, INT32_MAX },
        { "compression", 'z', ARGS_TEXT, "CODEC", "none, gzip, snappy, lz4 or zstd", &produce.codec },
        { "acks", 0, ARGS_TEXT, "N", "all (default), 1 or 0", &produce.acks },
        { "null", 'Z', ARGS_FLAG, NULL, "an empty value is no value (a tombstone)", &produce.null_values },
        { "property", 'X', ARGS_LIST, "NAME=VALUE", "a property of librdkafka; may be repeated", &produce.extra },
        { "quiet", 'q', ARGS_FLAG, NULL, "no summary", &produce.quiet },
        { "json", 0, ARGS_FLAG, NULL, "print where each record went", &produce.common.json },
        CLI_BROKERS_ROW(produce.common),
        CLI_TIMEOUT_ROW(produce.common),
    };
    struct args_spec spec = {
        "produce",
        "Sends lines as records.",
        "TOPIC [FILE...]",
        options,
        countof(options),
        1,
        SIZE_MAX,
        "examples:\n"
        "  echo hello | odradek produce demo\n"
        "  odradek produce demo -K: < pairs.txt",
    };
    struct args_operands operands;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON && !acks_ok(produce.acks))
        code = args_mistake(&spec, "--acks: '%s' is not all, 1 or 0", produce.acks);
    if (code == ARGS_GO_ON)
        code = produce_run(&produce, &operands);
    args_list_deinit(&produce.headers);
    args_list_deinit(&produce.extra);
    return code;
}
