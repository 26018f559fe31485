/*
 * The same load through librdkafka, as real producers make it: one producer instance, records spread over all partitions,
 * acks=all, every delivery report checked. For comparing brokers with one and the same client.
 *
 *   rdload --broker HOST:PORT --topic NAME [--records N] [--record-bytes N] [--set KEY=VALUE]... [--json]
 */
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/units.h"

struct tally {
    uint64_t delivered, failed;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct tally *tally = opaque;
    (void)producer;
    if (message->err)
        tally->failed++;
    else
        tally->delivered++;
}

static void conf_set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, key, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return;
    fprintf(stderr, "rdload: %s\n", why);
    exit(2);
}

static void conf_set_pair(rd_kafka_conf_t *conf, const char *pair)
{
    char key[128];
    const char *equals = strchr(pair, '=');
    if (!equals || (size_t)(equals - pair) >= sizeof(key)) {
        fprintf(stderr, "rdload: --set %s: expected KEY=VALUE\n", pair);
        exit(2);
    }
    (void)snprintf(key, sizeof(key), "%.*s", (int)(equals - pair), pair);
    conf_set(conf, key, equals + 1);
}

static void produce_all(rd_kafka_t *producer, const char *topic, uint64_t records, size_t record_bytes)
{
    char *value = malloc(record_bytes);
    uint64_t state = 1;
    for (size_t i = 0; i < record_bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + 1;
        value[i] = (char)('a' + (state >> 33) % 26);
    }
    for (uint64_t i = 0; i < records;) {
        rd_kafka_resp_err_t err = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_VALUE(value, record_bytes),
                                                    RD_KAFKA_V_KEY(&i, sizeof(i)),
                                                    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            (void)rd_kafka_poll(producer, 10);
            continue;
        }
        if (err) {
            fprintf(stderr, "rdload: %s\n", rd_kafka_err2str(err));
            exit(1);
        }
        if (i++ % 256 == 0)
            (void)rd_kafka_poll(producer, 0);
    }
    (void)rd_kafka_flush(producer, 120000);
    free(value);
}

static double own_cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "broker", 1, NULL, 'b' }, { "topic", 1, NULL, 't' },
                                             { "records", 1, NULL, 'n' }, { "record-bytes", 1, NULL, 'r' },
                                             { "set", 1, NULL, 's' },     { "json", 0, NULL, 'j' },
                                             { 0 } };
    const char *topic = NULL;
    uint64_t records = 1000000;
    size_t record_bytes = 1024;
    bool json = false;
    struct tally tally = { 0 };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    conf_set(conf, "acks", "all");
    conf_set(conf, "linger.ms", "5");
    conf_set(conf, "queue.buffering.max.kbytes", "262144");
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'b': conf_set(conf, "bootstrap.servers", optarg); break;
        case 't': topic = optarg; break;
        case 'n': records = strtoull(optarg, NULL, 10); break;
        case 'r': record_bytes = strtoul(optarg, NULL, 10); break;
        case 's': conf_set_pair(conf, optarg); break;
        case 'j': json = true; break;
        default: return 2;
        }
    }
    if (!topic) {
        fprintf(stderr, "rdload: --broker and --topic are needed\n");
        return 2;
    }
    rd_kafka_conf_set_opaque(conf, &tally);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    char why[256];
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!producer) {
        fprintf(stderr, "rdload: %s\n", why);
        return 1;
    }
    uint64_t start_ns = now_ns();
    produce_all(producer, topic, records, record_bytes);
    double seconds = (double)(now_ns() - start_ns) / 1e9;
    double mb = (double)tally.delivered * (double)record_bytes / 1e6;
    printf(json ? "{\"records\":%llu,\"failed\":%llu,\"seconds\":%.3f,\"mb_per_s\":%.2f,\"client_cpu_s\":%.2f}\n"
                : "%llu records delivered, %llu failed, %.3f s, %.2f MB/s, client CPU %.2f s\n",
           (unsigned long long)tally.delivered, (unsigned long long)tally.failed, seconds, mb / seconds, own_cpu_s());
    rd_kafka_destroy(producer);
    return tally.failed > 0 || tally.delivered != records;
}
