/*
 * What a journal write costs: 4 KiB O_DIRECT|O_DSYNC overwrites of a file whose blocks are written, one at a time,
 * through each backend and through bare pwrite(2). The ways take turns, so that a change of the machine's load meets
 * all of them. Prints microseconds and the ratio of the medians to pwrite's.
 *
 *   io_direct_write_bench [directory]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <odradek/io.h>

#include "base/base.h"

#define BLOCKS  4096u /* 16 MiB */
#define ROUNDS  40u
#define WRITES  100u /* of each way in each round */
#define SAMPLES (ROUNDS * WRITES)

struct way {
    const char *name;
    enum odk_io_kind kind;
    bool bare;
    bool registered; /* the memory and the file are known to the kernel */
    struct odk_io *io;
    int32_t file;
    uint8_t *block;
    double samples_us[SAMPLES];
    uint32_t count;
};

static int32_t write_block(struct way *way, uint64_t pos)
{
    if (way->bare)
        return (int32_t)pwrite(way->file >> 1, way->block, ODK_IO_BLOCK, (off_t)pos);
    struct iovec iov = { way->block, ODK_IO_BLOCK };
    struct odk_io_wait wait;
    odk_io_wait_begin(&wait);
    way->io->ops->writev(way->io, &wait.op, way->file, &iov, 1, pos);
    return odk_io_wait(way->io, &wait);
}

static bool way_open(struct way *way, const char *path)
{
    char why[200];
    struct odk_io_options options = { .kind = way->kind };
    if (odk_io_open(&options, &way->io, why, sizeof(why)) != ODK_OK) {
        printf("%-34s %s\n", way->name, why);
        return false;
    }
    uint32_t hot = way->registered ? ODK_IO_HOT : 0;
    way->file = way->io->ops->open(way->io, path,
                                   ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE | ODK_IO_DIRECT | ODK_IO_DSYNC | hot);
    if (way->file < 0) {
        printf("%-34s open: %s\n", way->name, strerror(-way->file));
        return false;
    }
    void *block = NULL;
    if (way->registered)
        block = way->io->ops->mem_new(way->io, ODK_IO_BLOCK);
    else if (posix_memalign(&block, ODK_IO_BLOCK, ODK_IO_BLOCK) != 0)
        block = NULL;
    ASSERT(block != NULL);
    way->block = block;
    memset(way->block, 0x5a, ODK_IO_BLOCK);
    return true;
}

static void way_round(struct way *way, uint32_t round)
{
    for (uint32_t i = 0; i < WRITES; i++) {
        uint64_t begin_ns = way->io->ops->mono_ns(way->io);
        int32_t result = write_block(way, (uint64_t)((round * WRITES + i) % BLOCKS) * ODK_IO_BLOCK);
        ASSERT(result == (int32_t)ODK_IO_BLOCK);
        way->samples_us[way->count++] = (double)(way->io->ops->mono_ns(way->io) - begin_ns) / 1000.0;
    }
}

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void file_fill(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ASSERT(fd >= 0);
    static const uint8_t zeros[ODK_IO_BLOCK];
    for (uint32_t i = 0; i < BLOCKS; i++) {
        ssize_t written = pwrite(fd, zeros, sizeof(zeros), (off_t)i * ODK_IO_BLOCK);
        ASSERT(written == (ssize_t)sizeof(zeros));
    }
    int failed = fsync(fd);
    ASSERT(failed == 0);
    (void)close(fd);
}

int main(int argc, char **argv)
{
    static struct way ways[] = {
        { .name = "pwrite", .kind = ODK_IO_POSIX, .bare = true },
        { .name = "uring, registered file and memory", .kind = ODK_IO_URING, .registered = true },
        { .name = "uring, plain", .kind = ODK_IO_URING },
        { .name = "epoll (worker threads)", .kind = ODK_IO_EPOLL },
        { .name = "posix", .kind = ODK_IO_POSIX },
    };
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/direct_write_bench.%d", argc > 1 ? argv[1] : ".", (int)getpid());
    file_fill(path);
    bool open[countof(ways)];
    for (size_t i = 0; i < countof(ways); i++)
        open[i] = way_open(&ways[i], path);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < countof(ways); i++) {
            if (open[i])
                way_round(&ways[i], round);
        }
    }
    printf("%-34s %9s %9s %9s %7s\n", "4 KiB O_DIRECT|O_DSYNC", "p50 us", "p99 us", "max us", "ratio");
    for (size_t i = 0; i < countof(ways); i++) {
        const double *sorted = ways[i].samples_us;
        if (!open[i])
            continue;
        qsort(ways[i].samples_us, SAMPLES, sizeof(double), double_compare);
        printf("%-34s %9.1f %9.1f %9.1f %7.2f\n", ways[i].name, sorted[SAMPLES / 2], sorted[SAMPLES / 100 * 99],
               sorted[SAMPLES - 1], sorted[SAMPLES / 2] / ways[0].samples_us[SAMPLES / 2]);
    }
    return remove(path) == 0 ? 0 : 1;
}
