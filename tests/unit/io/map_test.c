/* Mapped files of every backend, and what happens when their pages cannot be read. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 16u

/* A file of PAGES pages, each filled with its number + 1, mapped whole. */
static int32_t file_mapped(struct world *world, struct odk_io_map *map)
{
    struct odk_io *io = world->io;
    int32_t file = io->ops->open(io, world_path(world, "mapped"), ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE);
    assert_true(file >= 0);
    for (uint32_t i = 0; i < PAGES; i++) {
        uint8_t page[ODK_IO_BLOCK];
        memset(page, (int)i + 1, sizeof(page));
        assert_int_equal(odk_io_write_all(io, file, page, sizeof(page), i * ODK_IO_BLOCK), ODK_OK);
    }
    assert_int_equal(io->ops->map(io, file, PAGES * ODK_IO_BLOCK, map), 0);
    return file;
}

static uint8_t page_byte(const struct odk_io_map *map, uint32_t page)
{
    return ((const volatile uint8_t *)map->data)[page * ODK_IO_BLOCK + 100];
}

static void mapped_bytes_are_the_files(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    struct odk_io_map map;
    int32_t file = file_mapped(world, &map);
    assert_int_equal(io->ops->close(io, file), 0);
    for (uint32_t i = 0; i < PAGES; i++)
        assert_int_equal(page_byte(&map, i), i + 1);
    assert_true(io->ops->resident(io, map.data + 5, map.len - 5));
    assert_false(map.broken);
    io->ops->unmap(io, &map);
    assert_null(map.data);
    io->ops->unmap(io, &map); /* again is harmless */
}

static void empty_maps_are_empty(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    int32_t file = io->ops->open(io, world_path(world, "empty"), ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE);
    struct odk_io_map map;
    assert_int_equal(io->ops->map(io, file, 0, &map), 0);
    assert_int_equal(map.len, 0);
    io->ops->unmap(io, &map);
    assert_int_equal(io->ops->close(io, file), 0);
}

static void a_cut_file_reads_as_zeros_and_is_reported(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    struct odk_io_map whole;
    struct odk_io_map other;
    int32_t file = file_mapped(world, &whole);
    assert_int_equal(io->ops->map(io, file, ODK_IO_BLOCK, &other), 0);
    assert_int_equal(io->ops->truncate(io, file, 2 * ODK_IO_BLOCK), 0);
    assert_int_equal(page_byte(&whole, 1), 2);
    assert_false(whole.broken);
    assert_int_equal(page_byte(&whole, 2), 0);
    assert_true(whole.broken);
    assert_int_equal(page_byte(&whole, PAGES - 1), 0);
    assert_int_equal(page_byte(&whole, 0), 1);
    assert_int_equal(page_byte(&other, 0), 1);
    assert_false(other.broken);
    io->ops->unmap(io, &whole);
    assert_true(whole.broken);
    io->ops->unmap(io, &other);
    assert_int_equal(io->ops->close(io, file), 0);
}

static int32_t prefault(struct odk_io *io, const void *data, size_t len)
{
    struct probe probe;
    probe_init(&probe);
    io->ops->prefault(io, &probe.op, data, len);
    assert_int_equal(probe.done_count, 0);
    return probe_wait(io, &probe);
}

static void prefault_brings_pages_in_or_says_they_are_gone(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    struct odk_io_map map;
    int32_t file = file_mapped(world, &map);
    assert_int_equal(world_sync(io, file), 0);
    /* Out of the page cache, where the file system obeys. */
    assert_int_equal(posix_fadvise(file >> 1, 0, 0, POSIX_FADV_DONTNEED), 0);
    if (io->ops->resident(io, map.data, map.len))
        print_message("the file system keeps its pages: the cold case is not covered\n");
    assert_int_equal(prefault(io, map.data + 10, map.len - 20), 0);
    assert_true(io->ops->resident(io, map.data, map.len));
    assert_int_equal(io->ops->truncate(io, file, ODK_IO_BLOCK), 0);
    assert_int_equal(prefault(io, map.data, ODK_IO_BLOCK), 0);
    assert_int_equal(prefault(io, map.data, map.len), -EIO);
    assert_int_equal(prefault(io, map.data + ODK_IO_BLOCK, 1), -EIO);
    assert_false(io->ops->resident(io, map.data, map.len));
    io->ops->unmap(io, &map);
    assert_int_equal(io->ops->close(io, file), 0);
}

static void sending_a_broken_map_fails(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    struct odk_io_map map;
    int32_t file = file_mapped(world, &map);
    assert_int_equal(io->ops->truncate(io, file, ODK_IO_BLOCK), 0);
    struct pair pair;
    pair_open(io, &pair);
    union {
        const uint8_t *given;
        void *wanted;
    } data = { .given = map.data };
    struct iovec iov[2] = { { data.wanted, ODK_IO_BLOCK }, { (char *)data.wanted + ODK_IO_BLOCK, ODK_IO_BLOCK } };
    struct probe send;
    probe_init(&send);
    io->ops->sendv(io, &send.op, pair.client, iov, 2);
    assert_int_equal(probe_wait(io, &send), -EFAULT);
    pair_close(io, &pair);
    io->ops->unmap(io, &map);
    assert_int_equal(io->ops->close(io, file), 0);
}

static void slots_come_back(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    struct odk_io_map maps[64];
    int32_t file = file_mapped(world, &maps[0]);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 1; i < countof(maps); i++) {
            assert_int_equal(io->ops->map(io, file, ODK_IO_BLOCK, &maps[i]), 0);
            assert_in_range(maps[i].slot, 0, 2 * countof(maps));
        }
        for (uint32_t i = 1; i < countof(maps); i++)
            io->ops->unmap(io, &maps[i]);
    }
    io->ops->unmap(io, &maps[0]);
    assert_int_equal(io->ops->close(io, file), 0);
}

/* A child breaks a rule and dies of it, or not. Returns its wait status. */
static int child_status(void (*crime)(void *context), void *context)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        crime(context);
        _exit(EXIT_FAILURE);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* A page behind the end of a file that no backend mapped. */
static void crime_unknown_page(void *context)
{
    const char *path = context;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const volatile uint8_t *page = mmap(NULL, ODK_IO_BLOCK, PROT_READ, MAP_SHARED, fd, 0);
    _exit(page == MAP_FAILED ? 3 : page[0]);
}

static void crime_signal(void *context)
{
    (void)context;
    (void)kill(getpid(), SIGBUS);
    (void)pause();
}

static void other_bus_errors_still_kill(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    struct odk_io_map map; /* without one there is no handler to test */
    int32_t file = file_mapped(world, &map);
    union {
        const char *given;
        void *wanted;
    } path = { .given = world_path(world, "unknown") };
    int status = child_status(crime_unknown_page, path.wanted);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
    status = child_status(crime_signal, NULL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
    io->ops->unmap(io, &map);
    assert_int_equal(io->ops->close(io, file), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(mapped_bytes_are_the_files),
        EACH(empty_maps_are_empty),
        EACH(a_cut_file_reads_as_zeros_and_is_reported),
        EACH(prefault_brings_pages_in_or_says_they_are_gone),
        EACH(sending_a_broken_map_fails),
        EACH(slots_come_back),
        EACH(other_bus_errors_still_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
