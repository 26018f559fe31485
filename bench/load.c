/*
 * Load generator: produces prebuilt batches over plain sockets from one thread, so that the server's figures are not the
 * client library's.
 *
 * Closed loop (default): every connection keeps --outstanding requests in flight. Open loop (--rate): requests have due
 * times that do not wait for answers, and latency counts from the due time, so a stall of the server shows in full.
 * Prints Kafka's producer-perf line, or JSON with --json. Every answer's error code is checked; any error ends the run.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/units.h"
#include "bench/histogram.h"

#define OUTSTANDING_MAX 64u
#define CONNECTIONS_MAX 1024u

struct load {
    const char *host;
    const char *topic;
    uint16_t port;
    uint32_t connections, outstanding, partitions, record_bytes, batch_records;
    int16_t acks;
    double seconds, rate; /* rate: requests per second over all connections; 0 = closed loop */
    bool json;

    uint8_t *request; /* one encoded produce request; partition and correlation id are patched */
    size_t request_len, correlation_pos, partition_pos;
    struct histogram latency;
    uint64_t sent, answered, start_ns, stop_ns;
    uint32_t next_partition;
    double due_ns; /* open loop: when the next request is due */
};

struct peer {
    int fd;
    uint8_t *out; /* requests being written */
    size_t out_len, out_pos;
    uint8_t in[64 * 1024];
    size_t in_len;
    uint64_t begun_ns[OUTSTANDING_MAX]; /* ring: oldest first */
    uint32_t oldest, in_flight;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void fatal(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static size_t record_write(struct wr *w, const struct load *load, int32_t offset_delta)
{
    uint8_t *value = calloc(1, load->record_bytes);
    uint64_t state = (uint64_t)offset_delta + 1;
    for (uint32_t i = 0; i < load->record_bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + 1;
        value[i] = (uint8_t)('a' + (state >> 33) % 26);
    }
    struct wr body = wr_init(NULL, 0);
    for (int pass = 0; pass < 2; pass++) {
        struct wr *to = pass == 0 ? &body : w;
        if (pass == 1)
            wr_varint(w, (int32_t)body.pos);
        wr_i8(to, 0);
        wr_varlong(to, 0);
        wr_varint(to, offset_delta);
        wr_varint(to, -1);
        wr_varint(to, (int32_t)load->record_bytes);
        wr_raw(to, value, load->record_bytes);
        wr_varint(to, 0);
    }
    free(value);
    return w->pos;
}

/* One record batch v2; returns its length. */
static size_t batch_write(uint8_t *dst, size_t capacity, const struct load *load)
{
    struct wr w = wr_init(dst, capacity);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t stamp = (int64_t)t.tv_sec * 1000;
    wr_i64(&w, 0);
    wr_i32(&w, 0);
    wr_i32(&w, -1);
    wr_i8(&w, 2);
    wr_i32(&w, 0);
    wr_i16(&w, 0);
    wr_i32(&w, (int32_t)load->batch_records - 1);
    wr_i64(&w, stamp);
    wr_i64(&w, stamp);
    wr_i64(&w, -1);
    wr_i16(&w, -1);
    wr_i32(&w, -1);
    wr_i32(&w, (int32_t)load->batch_records);
    for (uint32_t i = 0; i < load->batch_records; i++)
        (void)record_write(&w, load, (int32_t)i);
    struct wr patch = wr_init(dst + 8, 4);
    wr_i32(&patch, (int32_t)(w.pos - 12));
    patch = wr_init(dst + 17, 4);
    wr_i32(&patch, (int32_t)crc32c(0, dst + 21, w.pos - 21));
    return w.pos;
}

static void string_write(struct wr *w, const char *text)
{
    wr_i16(w, (int16_t)strlen(text));
    wr_raw(w, text, strlen(text));
}

/* Produce v7: the newest version without flexible fields or topic ids. */
static void request_build(struct load *load)
{
    size_t capacity = 4096 + (size_t)load->batch_records * (load->record_bytes + 32u);
    uint8_t *batch = calloc(1, capacity);
    load->request = calloc(1, capacity + 512);
    size_t batch_len = batch_write(batch, capacity, load);
    struct wr w = wr_init(load->request, capacity + 512);
    wr_i32(&w, 0);
    wr_i16(&w, 0);
    wr_i16(&w, 7);
    load->correlation_pos = w.pos;
    wr_i32(&w, 0);
    string_write(&w, "odradek-load");
    wr_i16(&w, -1);
    wr_i16(&w, load->acks);
    wr_i32(&w, 30000);
    wr_i32(&w, 1);
    string_write(&w, load->topic);
    wr_i32(&w, 1);
    load->partition_pos = w.pos;
    wr_i32(&w, 0);
    wr_i32(&w, (int32_t)batch_len);
    wr_raw(&w, batch, batch_len);
    load->request_len = w.pos;
    struct wr patch = wr_init(load->request, 4);
    wr_i32(&patch, (int32_t)(w.pos - 4));
    free(batch);
}

static void peer_open(struct load *load, struct peer *peer, int epoll)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(load->port) };
    if (inet_pton(AF_INET, load->host, &at.sin_addr) != 1)
        fatal(load->host);
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(peer->fd, (void *)&at, sizeof(at)) != 0)
        fatal("connect");
    (void)fcntl(peer->fd, F_SETFL, O_NONBLOCK);
    peer->out = calloc(load->outstanding, load->request_len);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = peer };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd, &event) != 0)
        fatal("epoll");
}

static void request_queue(struct load *load, struct peer *peer, uint64_t begun_ns)
{
    uint8_t *at = peer->out + peer->out_len;
    memcpy(at, load->request, load->request_len);
    struct wr patch = wr_init(at + load->correlation_pos, 4);
    wr_i32(&patch, (int32_t)load->sent);
    patch = wr_init(at + load->partition_pos, 4);
    wr_i32(&patch, (int32_t)(load->next_partition++ % load->partitions));
    peer->out_len += load->request_len;
    peer->begun_ns[(peer->oldest + peer->in_flight++) % OUTSTANDING_MAX] = begun_ns;
    load->sent++;
}

/* Tops up: in the closed loop whenever there is room, in the open loop when requests are due. */
static void requests_queue(struct load *load, struct peer *peer, uint64_t now)
{
    if (peer->out_pos == peer->out_len)
        peer->out_pos = peer->out_len = 0;
    while (now < load->stop_ns && peer->in_flight < load->outstanding &&
           peer->out_len + load->request_len <= load->outstanding * load->request_len) {
        uint64_t begun_ns = now;
        if (load->rate > 0) {
            if (load->due_ns > (double)now)
                break;
            begun_ns = (uint64_t)load->due_ns;
            load->due_ns += 1e9 / load->rate;
        }
        request_queue(load, peer, begun_ns);
    }
}

static void peer_write(struct peer *peer)
{
    while (peer->out_pos < peer->out_len) {
        ssize_t put = send(peer->fd, peer->out + peer->out_pos, peer->out_len - peer->out_pos, MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0)
            fatal("send");
        peer->out_pos += (size_t)put;
    }
}

/* The error code of a v7 answer with one topic and one partition. */
static int16_t answer_error(const uint8_t *data, size_t len)
{
    struct rd r = rd_init(data, len);
    (void)rd_i32(&r);
    (void)rd_i32(&r);
    int16_t name_len = rd_i16(&r);
    (void)rd_take(&r, (size_t)name_len);
    (void)rd_i32(&r);
    (void)rd_i32(&r);
    int16_t error = rd_i16(&r);
    return r.bad ? -1 : error;
}

static void answers_take(struct load *load, struct peer *peer, uint64_t now)
{
    size_t pos = 0;
    while (peer->in_len - pos >= 4) {
        struct rd r = rd_init(peer->in + pos, 4);
        size_t len = (size_t)rd_i32(&r);
        if (peer->in_len - pos - 4 < len)
            break;
        int16_t error = answer_error(peer->in + pos + 4, len);
        if (error != 0) {
            fprintf(stderr, "load: the broker answered error %d\n", error);
            exit(1);
        }
        histogram_add(&load->latency, now - peer->begun_ns[peer->oldest]);
        peer->oldest = (peer->oldest + 1) % OUTSTANDING_MAX;
        peer->in_flight--;
        load->answered++;
        pos += 4 + len;
    }
    memmove(peer->in, peer->in + pos, peer->in_len - pos);
    peer->in_len -= pos;
}

static void peer_read(struct load *load, struct peer *peer)
{
    for (;;) {
        ssize_t got = recv(peer->fd, peer->in + peer->in_len, sizeof(peer->in) - peer->in_len, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            fatal("the broker closed the connection");
        peer->in_len += (size_t)got;
        answers_take(load, peer, now_ns());
    }
}

static int wait_ms(const struct load *load)
{
    if (load->rate <= 0)
        return 100;
    double left_ms = (load->due_ns - (double)now_ns()) / 1e6;
    return left_ms <= 0 ? 0 : left_ms < 1 ? 1 : (int)left_ms;
}

static bool any_in_flight(const struct load *load, struct peer *const *peers)
{
    for (uint32_t i = 0; i < load->connections; i++)
        if (peers[i]->in_flight > 0)
            return true;
    return false;
}

static void run(struct load *load)
{
    int epoll = epoll_create1(0);
    struct peer **peers = calloc(load->connections, sizeof(*peers));
    for (uint32_t i = 0; i < load->connections; i++) {
        peers[i] = calloc(1, sizeof(struct peer));
        peer_open(load, peers[i], epoll);
    }
    load->start_ns = now_ns();
    load->stop_ns = load->start_ns + (uint64_t)(load->seconds * 1e9);
    load->due_ns = (double)load->start_ns;
    while (now_ns() < load->stop_ns || any_in_flight(load, peers)) {
        for (uint32_t i = 0; i < load->connections; i++) {
            requests_queue(load, peers[i], now_ns());
            peer_write(peers[i]);
        }
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, wait_ms(load));
        for (int i = 0; i < count; i++)
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                peer_read(load, events[i].data.ptr);
        if (now_ns() > load->stop_ns + 30 * NS_PER_S) {
            fprintf(stderr, "load: answers are missing 30 s after the end\n");
            exit(1);
        }
    }
    for (uint32_t i = 0; i < load->connections; i++) {
        close(peers[i]->fd);
        free(peers[i]->out);
        free(peers[i]);
    }
    free(peers);
    close(epoll);
}

static void report(const struct load *load)
{
    const struct histogram *h = &load->latency;
    double seconds = (double)(now_ns() - load->start_ns) / 1e9;
    double records = (double)load->answered * load->batch_records;
    double mb = records * load->record_bytes / 1e6;
    double avg = h->total ? (double)h->sum_ns / (double)h->total / 1e6 : 0;
    double p50 = (double)histogram_quantile(h, 0.5) / 1e6, p95 = (double)histogram_quantile(h, 0.95) / 1e6;
    double p99 = (double)histogram_quantile(h, 0.99) / 1e6, p999 = (double)histogram_quantile(h, 0.999) / 1e6;
    if (load->json)
        printf("{\"requests\":%llu,\"records_per_s\":%.1f,\"mb_per_s\":%.2f,\"avg_ms\":%.3f,\"max_ms\":%.3f,"
               "\"p50_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f}\n",
               (unsigned long long)load->answered, records / seconds, mb / seconds, avg, (double)h->max_ns / 1e6, p50,
               p95, p99, p999);
    else
        printf("%.0f records sent, %.1f records/sec (%.2f MB/sec), %.2f ms avg latency, %.2f ms max latency, %.2f ms 50th, "
               "%.2f ms 95th, %.2f ms 99th, %.2f ms 99.9th.\n",
               records, records / seconds, mb / seconds, avg, (double)h->max_ns / 1e6, p50, p95, p99, p999);
}

static const char usage_text[] =
    "usage: load --broker HOST:PORT --topic NAME [options]\n"
    "  --partitions N    spread requests over so many (default 1)\n"
    "  --connections N   (default 1)      --outstanding N  requests in flight on each, at most 64 (default 1)\n"
    "  --record-bytes N  (default 1024)   --batch N        records in a batch (default 1)\n"
    "  --acks -1|1|...   (default -1)     --seconds N      (default 5)\n"
    "  --rate N          open loop: requests per second over all connections\n"
    "  --json\n";

static void broker_parse(struct load *load, char *text)
{
    char *colon = strrchr(text, ':');
    if (!colon) {
        fputs(usage_text, stderr);
        exit(2);
    }
    *colon = '\0';
    load->host = text;
    load->port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

static void arguments(struct load *load, int argc, char **argv)
{
    static const struct option options[] = {
        { "broker", 1, NULL, 'b' },  { "topic", 1, NULL, 't' },        { "partitions", 1, NULL, 'p' },
        { "connections", 1, NULL, 'c' }, { "outstanding", 1, NULL, 'o' }, { "record-bytes", 1, NULL, 'r' },
        { "batch", 1, NULL, 'n' },   { "acks", 1, NULL, 'a' },         { "seconds", 1, NULL, 's' },
        { "rate", 1, NULL, 'q' },    { "json", 0, NULL, 'j' },         { "help", 0, NULL, 'h' },
        { 0 },
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'b': broker_parse(load, optarg); break;
        case 't': load->topic = optarg; break;
        case 'p': load->partitions = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'c': load->connections = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'o': load->outstanding = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'r': load->record_bytes = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'n': load->batch_records = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'a': load->acks = (int16_t)strtol(optarg, NULL, 10); break;
        case 's': load->seconds = strtod(optarg, NULL); break;
        case 'q': load->rate = strtod(optarg, NULL); break;
        case 'j': load->json = true; break;
        default: fputs(usage_text, option == 'h' ? stdout : stderr); exit(option == 'h' ? 0 : 2);
        }
    }
    bool ok = load->host && load->topic && load->partitions > 0 && load->connections > 0 &&
              load->connections <= CONNECTIONS_MAX && load->outstanding > 0 && load->outstanding <= OUTSTANDING_MAX &&
              load->batch_records > 0 && load->acks != 0;
    if (!ok) {
        fputs(usage_text, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct load *load = calloc(1, sizeof(*load));
    *load = (struct load){
        .partitions = 1, .connections = 1, .outstanding = 1, .record_bytes = 1024, .batch_records = 1, .acks = -1, .seconds = 5
    };
    arguments(load, argc, argv);
    request_build(load);
    run(load);
    report(load);
    free(load->request);
    free(load);
    return 0;
}
