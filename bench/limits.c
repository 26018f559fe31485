/*
 * What this machine can do at most, so that every other figure can be read as a ratio: loopback TCP, appends through the
 * page cache, O_DIRECT|O_DSYNC overwrites of 4 KiB and 1 MiB, CRC-32C and XXH3.
 *
 *   limits [--dir DIR] [--seconds N] [--json]
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/units.h"
#include "base/xxh3.h"
#include "bench/histogram.h"

struct run {
    const char *dir;
    uint64_t ns;
    bool json;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void fatal(const char *what)
{
    fprintf(stderr, "limits: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void print_rate(const struct run *run, const char *name, uint64_t bytes, uint64_t ns, double cpu)
{
    double mb_s = (double)bytes / 1e6 / ((double)ns / 1e9);
    double cpu_gb = cpu / ((double)bytes / 1e9);
    if (run->json)
        printf("{\"name\":\"%s\",\"mb_per_s\":%.1f,\"cpu_s_per_gb\":%.3f}\n", name, mb_s, cpu_gb);
    else
        printf("%-34s %9.1f MB/s   %6.3f CPU s/GB\n", name, mb_s, cpu_gb);
}

static void print_latency(const struct run *run, const char *name, const struct histogram *h)
{
    double p50 = (double)histogram_quantile(h, 0.5) / 1e3, p99 = (double)histogram_quantile(h, 0.99) / 1e3;
    double p999 = (double)histogram_quantile(h, 0.999) / 1e3, mean = (double)h->sum_ns / (double)h->total / 1e3;
    if (run->json)
        printf("{\"name\":\"%s\",\"count\":%llu,\"mean_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f}\n", name,
               (unsigned long long)h->total, mean, p50, p99, p999);
    else
        printf("%-34s mean %7.1f  p50 %7.1f  p99 %7.1f  p99.9 %7.1f us\n", name, mean, p50, p99, p999);
}

static void hash_limit(const struct run *run, const char *name, bool xxh)
{
    size_t len = 64 * 1024;
    uint8_t *data = calloc(1, len);
    uint64_t start = now_ns(), bytes = 0, sum = 0;
    double cpu = cpu_s();
    while (now_ns() - start < run->ns) {
        sum += xxh ? xxh3(data, len, 0) : crc32c(0, data, len);
        data[sum % len]++;
        bytes += len;
    }
    print_rate(run, name, bytes, now_ns() - start, cpu_s() - cpu);
    free(data);
}

static int file_open(const struct run *run, int flags)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/limits.%d.tmp", run->dir, (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | flags, 0600);
    if (fd < 0)
        fatal(path);
    (void)unlink(path);
    return fd;
}

/* Overwrites blocks that are already written, as the journal does. */
static void direct_limit(const struct run *run, const char *name, size_t len)
{
    size_t file_len = 64u << 20;
    int fd = file_open(run, O_DIRECT);
    void *data;
    if (posix_memalign(&data, 4096, 1u << 20) != 0)
        fatal("memory");
    memset(data, 'x', 1u << 20);
    for (size_t pos = 0; pos < file_len; pos += 1u << 20)
        if (pwrite(fd, data, 1u << 20, (off_t)pos) != 1 << 20)
            fatal("write");
    if (fsync(fd) != 0 || fcntl(fd, F_SETFL, O_DIRECT) != 0)
        fatal("fsync");
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int dsync = open(path, O_RDWR | O_DIRECT | O_DSYNC);
    if (dsync < 0)
        fatal("reopen with O_DSYNC");
    struct histogram *h = calloc(1, sizeof(*h));
    uint64_t start = now_ns(), bytes = 0;
    double cpu = cpu_s();
    for (size_t pos = 0; now_ns() - start < run->ns; pos = (pos + len) % file_len) {
        uint64_t before = now_ns();
        if (pwrite(dsync, data, len, (off_t)pos) != (ssize_t)len)
            fatal("write");
        histogram_add(h, now_ns() - before);
        bytes += len;
    }
    print_latency(run, name, h);
    print_rate(run, name, bytes, now_ns() - start, cpu_s() - cpu);
    free(h);
    free(data);
    close(dsync);
    close(fd);
}

static void append_limit(const struct run *run)
{
    int fd = file_open(run, 0);
    size_t len = 256 * 1024;
    void *data = calloc(1, len);
    uint64_t start = now_ns(), bytes = 0;
    double cpu = cpu_s();
    while (now_ns() - start < run->ns && bytes < GIB(4)) {
        if (write(fd, data, len) != (ssize_t)len)
            fatal("write");
        bytes += len;
    }
    print_rate(run, "page cache append, 256 KiB", bytes, now_ns() - start, cpu_s() - cpu);
    free(data);
    close(fd);
}

struct sink {
    int fd;
    uint64_t bytes;
};

static void *sink_main(void *argument)
{
    struct sink *sink = argument;
    size_t len = 1u << 20;
    char *data = malloc(len);
    ssize_t got;
    while ((got = read(sink->fd, data, len)) > 0)
        sink->bytes += (uint64_t)got;
    free(data);
    return NULL;
}

static void socket_pair_tcp(int fds[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&at, len) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (void *)&at, &len) != 0)
        fatal("listen");
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fds[0], (void *)&at, len) != 0)
        fatal("connect");
    fds[1] = accept(listener, NULL, NULL);
    if (fds[1] < 0)
        fatal("accept");
    close(listener);
}

static void loopback_limit(const struct run *run)
{
    int fds[2];
    socket_pair_tcp(fds);
    struct sink sink = { .fd = fds[1] };
    pthread_t thread;
    if (pthread_create(&thread, NULL, sink_main, &sink) != 0)
        fatal("thread");
    size_t len = 256 * 1024;
    char *data = calloc(1, len);
    uint64_t start = now_ns();
    double cpu = cpu_s();
    while (now_ns() - start < run->ns)
        if (write(fds[0], data, len) < 0)
            fatal("send");
    (void)shutdown(fds[0], SHUT_WR);
    (void)pthread_join(thread, NULL);
    print_rate(run, "loopback TCP, one stream", sink.bytes, now_ns() - start, cpu_s() - cpu);
    free(data);
    close(fds[0]);
    close(fds[1]);
}

static void usage(FILE *to)
{
    fprintf(to, "usage: limits [--dir DIR] [--seconds N] [--json]\n"
                "Prints what this machine can do at most; DIR is where the file tests run (default: .).\n");
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "dir", required_argument, NULL, 'd' },
                                             { "seconds", required_argument, NULL, 's' },
                                             { "json", no_argument, NULL, 'j' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    struct run run = { .dir = ".", .ns = 2 * NS_PER_S };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd')
            run.dir = optarg;
        else if (option == 's')
            run.ns = (uint64_t)(strtod(optarg, NULL) * 1e9);
        else if (option == 'j')
            run.json = true;
        else {
            usage(option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    hash_limit(&run, "CRC-32C, 64 KiB", false);
    hash_limit(&run, "XXH3, 64 KiB", true);
    loopback_limit(&run);
    append_limit(&run);
    direct_limit(&run, "O_DIRECT|O_DSYNC 4 KiB overwrite", 4096);
    direct_limit(&run, "O_DIRECT|O_DSYNC 1 MiB overwrite", 1u << 20);
    return 0;
}
