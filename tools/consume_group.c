/*
 * odradek consume --group: as one member among others.
 *
 * At least once: an offset is committed when what stands in front of it has been printed and flushed. That happens when
 * there is nothing to read for a moment, at the latest every COMMIT_EVERY records, when partitions are given away, and
 * at the end.
 */
#include <string.h>

#include "consume.h"

#define COMMIT_EVERY 10000u

struct member {
    struct consume *consume;
    rd_kafka_topic_partition_list_t *ends; /* assigned; offset 1: its end was reached */
    bool joined;                           /* an assignment has come, if an empty one */
    uint32_t uncommitted;                  /* records printed since the last commit */
    int code;
};

/* -- commits --------------------------------------------------------------------------------------------------------
 */

/* A member that has lost its partitions cannot commit; the next owner reads again from what was committed. */
static bool commit_failed(rd_kafka_resp_err_t err)
{
    return err != RD_KAFKA_RESP_ERR_NO_ERROR && err != RD_KAFKA_RESP_ERR__NO_OFFSET;
}

static bool is_rebalance(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || err == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
           err == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS || err == RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST;
}

static void commit_judge(struct member *member, rd_kafka_resp_err_t err)
{
    if (!commit_failed(err) || member->code != EXIT_CODE_OK)
        return;
    if (is_rebalance(err))
        (void)fprintf(stderr,
                      "group %s: other members took over before the last records were committed; they will be "
                      "read again\n",
                      member->consume->group);
    else
        member->code =
            cli_fail(rdk_exit_code(err), "group %s: committing: %s", member->consume->group, rdk_error_text(err));
}

static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    (void)rk;
    (void)offsets;
    commit_judge(opaque, err);
}

/* What was printed is out of our hands first. */
static void commit(struct member *member, bool wait)
{
    if (member->uncommitted == 0 || fflush(stdout) != 0)
        return;
    rd_kafka_resp_err_t err = rd_kafka_commit(member->consume->rk, NULL, !wait);
    member->uncommitted = 0;
    if (wait || err != RD_KAFKA_RESP_ERR_NO_ERROR)
        commit_judge(member, err);
}

/* -- the assignment -------------------------------------------------------------------------------------------------
 */

static void ends_add(struct member *member, const rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt; i++)
        rd_kafka_topic_partition_list_add(member->ends, partitions->elems[i].topic, partitions->elems[i].partition)
            ->offset = 0;
}

static void ends_remove(struct member *member, const rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt; i++)
        (void)rd_kafka_topic_partition_list_del(member->ends, partitions->elems[i].topic,
                                                partitions->elems[i].partition);
}

static bool all_at_end(const struct member *member)
{
    for (int i = 0; i < member->ends->cnt; i++)
        if (member->ends->elems[i].offset == 0)
            return false;
    return member->joined;
}

/* librdkafka knows its own partitions best; an error here is one of its states. */
static void assigned(struct member *member, rd_kafka_error_t *error)
{
    if (error)
        member->code =
            cli_fail(EXIT_CODE_FAILURE, "group %s: %s", member->consume->group, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions,
                         void *opaque)
{
    struct member *member = opaque;
    bool cooperative = strcmp(rd_kafka_rebalance_protocol(rk), "COOPERATIVE") == 0;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        member->joined = true;
        ends_add(member, partitions);
        if (cooperative)
            assigned(member, rd_kafka_incremental_assign(rk, partitions));
        else
            (void)rd_kafka_assign(rk, partitions);
        return;
    }
    if (!rd_kafka_assignment_lost(rk))
        commit(member, true);
    member->uncommitted = 0;
    ends_remove(member, partitions);
    if (cooperative)
        assigned(member, rd_kafka_incremental_unassign(rk, partitions));
    else
        (void)rd_kafka_assign(rk, NULL);
}

/* -- reading --------------------------------------------------------------------------------------------------------
 */

static void end_reached(struct member *member, const rd_kafka_message_t *message)
{
    rd_kafka_topic_partition_t *at =
        rd_kafka_topic_partition_list_find(member->ends, rd_kafka_topic_name(message->rkt), message->partition);
    if (at)
        at->offset = 1;
}

static int record_take(struct member *member, const rd_kafka_message_t *message)
{
    struct consume *consume = member->consume;
    consume_print(consume, message);
    consume->count--;
    rd_kafka_resp_err_t err = rd_kafka_offset_store(message->rkt, message->partition, message->offset);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && err != RD_KAFKA_RESP_ERR__STATE)
        return rdk_topic_fail(consume->topic, err);
    if (++member->uncommitted >= COMMIT_EVERY)
        commit(member, false);
    return EXIT_CODE_OK;
}

static int message_take(struct member *member, const rd_kafka_message_t *message)
{
    const struct consume *consume = member->consume;
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return record_take(member, message);
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: end_reached(member, message); return EXIT_CODE_OK;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN: return EXIT_CODE_OK; /* librdkafka connects again */
    default: break;
    }
    if (rdk_exit_code(message->err) == EXIT_CODE_NOT_FOUND)
        return rdk_topic_fail(consume->topic, message->err);
    return cli_fail(rdk_exit_code(message->err), "group %s, topic %s: %s", consume->group, consume->topic,
                    rd_kafka_message_errstr(message));
}

static int records_print(struct member *member)
{
    struct consume *consume = member->consume;
    int code = EXIT_CODE_OK;
    while (code == EXIT_CODE_OK && member->code == EXIT_CODE_OK && consume->count > 0 && !ferror(stdout)) {
        if (consume->exit_at_end && all_at_end(member))
            break;
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consume->rk, 0);
        if (!message) { /* nothing at once: what is printed should be seen before waiting */
            (void)fflush(stdout);
            commit(member, false);
            message = rd_kafka_consumer_poll(consume->rk, CONSUME_WAIT_MS);
        }
        if (message) {
            code = message_take(member, message);
            rd_kafka_message_destroy(message);
        }
        if (rdk_interrupted())
            code = EXIT_CODE_INTERRUPTED;
    }
    commit(member, true);
    return code == EXIT_CODE_OK ? member->code : code;
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct member *member = opaque;
    (void)rk;
    (void)reason;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        consume_lost(member->consume);
}

static int subscribe(struct consume *consume)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, consume->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(consume->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ? EXIT_CODE_OK : rdk_topic_fail(consume->topic, err);
}

int consume_group(struct consume *consume)
{
    const struct rdk_property properties[] = {
        { "group.id", consume->group },
        { "enable.partition.eof", "true" },
        { "enable.auto.commit", "false" },
        { "enable.auto.offset.store", "false" },
        { "auto.offset.reset", consume->range.from.kind == RANGE_START ? "earliest" : "latest" },
        { "check.crcs", "true" },
    };
    struct member member = { .consume = consume };
    int code = rdk_probe(&consume->common);
    if (code != EXIT_CODE_OK)
        return code;
    rd_kafka_conf_t *conf = rdk_conf(&consume->common, properties, countof(properties), &consume->extra, &code);
    if (!conf)
        return code;
    rd_kafka_conf_set_opaque(conf, &member);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    (void)rdk_signals_hold();
    consume->rk = rdk_new(RD_KAFKA_CONSUMER, conf);
    if (!consume->rk)
        return EXIT_CODE_FAILURE;
    member.ends = rd_kafka_topic_partition_list_new(8);
    json_init(&consume->json, stdout);
    (void)rd_kafka_poll_set_consumer(consume->rk);
    code = subscribe(consume);
    if (code == EXIT_CODE_OK)
        code = records_print(&member);
    (void)rd_kafka_consumer_close(consume->rk);
    rd_kafka_destroy(consume->rk);
    rd_kafka_topic_partition_list_destroy(member.ends);
    return code;
}
