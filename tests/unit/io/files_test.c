/* Files and directories of every backend, on the real file system. */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int32_t file_new(struct world *world, const char *name, uint32_t flags)
{
    int32_t file = world->io->ops->open(world->io, world_path(world, name), ODK_IO_CREATE | flags);
    assert_true(file >= 0);
    return file;
}

static void written_bytes_are_read_back(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    int32_t file = file_new(world, "data", ODK_IO_READ | ODK_IO_WRITE);
    char hello[] = "hello ";
    char there[] = "there";
    struct iovec iov[2] = { { hello, 6 }, { there, 5 } };
    assert_int_equal(world_write(io, file, iov, 2, 3), 11);
    assert_int_equal(io->ops->size(io, file), 14);
    assert_int_equal(world_sync(io, file), 0);
    char back[32];
    assert_int_equal(world_read(io, file, back, sizeof(back), 0), 14);
    assert_memory_equal(back, "\0\0\0hello there", 14);
    assert_int_equal(world_read(io, file, back, sizeof(back), 14), 0);
    assert_int_equal(io->ops->truncate(io, file, 5), 0);
    assert_int_equal(io->ops->size(io, file), 5);
    assert_int_equal(io->ops->close(io, file), 0);
}

static void open_says_what_is_wrong(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    assert_int_equal(io->ops->open(io, world_path(world, "none"), ODK_IO_READ), -ENOENT);
    int32_t file = file_new(world, "some", ODK_IO_WRITE);
    assert_int_equal(io->ops->close(io, file), 0);
    const uint32_t exclusive = ODK_IO_WRITE | ODK_IO_CREATE | ODK_IO_EXCLUSIVE;
    assert_int_equal(io->ops->open(io, world_path(world, "some"), exclusive), -EEXIST);
    assert_int_equal(io->ops->open(io, world->path, ODK_IO_READ | ODK_IO_DIRECTORY), -ENOTDIR);
}

/* The journal's way: direct, synced, from registered memory, on a hot file. */
static void direct_writes_go_through_registered_memory(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    const uint32_t flags = ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE | ODK_IO_DIRECT | ODK_IO_DSYNC | ODK_IO_HOT;
    int32_t file = io->ops->open(io, world_path(world, "journal"), flags);
    if (file == -EINVAL) {
        print_message("skipped: %s refuses O_DIRECT\n", world->dir);
        skip();
    }
    assert_true(file >= 0);
    const size_t len = 64 * 1024;
    uint8_t *mem = io->ops->mem_new(io, 2 * len);
    assert_non_null(mem);
    assert_int_equal((uintptr_t)mem % ODK_IO_BLOCK, 0);
    pattern_fill(mem, len, 7);
    struct iovec part = { mem, len };
    assert_int_equal(world_write(io, file, &part, 1, ODK_IO_BLOCK), (int)len);
    struct iovec twice[2] = { { mem, ODK_IO_BLOCK }, { mem + ODK_IO_BLOCK, ODK_IO_BLOCK } };
    assert_int_equal(world_write(io, file, twice, 2, ODK_IO_BLOCK + len), (int)(2 * ODK_IO_BLOCK));
    assert_int_equal(world_read(io, file, mem + len, (uint32_t)len, ODK_IO_BLOCK), (int)len);
    pattern_check(mem + len, len, 7);
    io->ops->mem_free(io, mem, 2 * len);
    assert_int_equal(io->ops->close(io, file), 0);
}

/* More memories and hot files than any table holds; what is over is merely not registered. */
static void registrations_may_run_out(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    enum { FILES = 1100, MEMORIES = 4200 };
    static uint8_t *mems[MEMORIES];
    static int32_t files[FILES];
    for (int i = 0; i < MEMORIES; i++) {
        mems[i] = io->ops->mem_new(io, ODK_IO_BLOCK);
        assert_non_null(mems[i]);
    }
    for (int i = 0; i < FILES; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", i);
        files[i] = file_new(world, name, ODK_IO_READ | ODK_IO_WRITE | ODK_IO_HOT);
        uint8_t *mem = mems[(size_t)i * (MEMORIES - 1) / (FILES - 1)];
        mem[0] = (uint8_t)i;
        struct iovec iov = { mem, 1 };
        assert_int_equal(world_write(io, files[i], &iov, 1, 0), 1);
    }
    for (int i = 0; i < FILES; i++) {
        uint8_t byte = 0;
        assert_int_equal(world_read(io, files[i], &byte, 1, 0), 1);
        assert_int_equal(byte, (uint8_t)i);
        assert_int_equal(io->ops->close(io, files[i]), 0);
    }
    for (int i = 0; i < MEMORIES; i++)
        io->ops->mem_free(io, mems[i], ODK_IO_BLOCK);
}

/* A closed hot file's slot must not lead to the file that opens next. */
static void slots_are_reused_safely(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    for (int round = 0; round < 50; round++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", round);
        int32_t hot = file_new(world, name, ODK_IO_READ | ODK_IO_WRITE | (round % 3 ? ODK_IO_HOT : 0));
        uint8_t *mem = io->ops->mem_new(io, ODK_IO_BLOCK);
        memset(mem, round, ODK_IO_BLOCK);
        struct iovec iov = { mem, ODK_IO_BLOCK };
        assert_int_equal(world_write(io, hot, &iov, 1, 0), (int)ODK_IO_BLOCK);
        io->ops->mem_free(io, mem, ODK_IO_BLOCK);
        uint8_t back[ODK_IO_BLOCK];
        assert_int_equal(world_read(io, hot, back, sizeof(back), 0), (int)ODK_IO_BLOCK);
        assert_int_equal(back[ODK_IO_BLOCK - 1], (uint8_t)round);
        assert_int_equal(io->ops->close(io, hot), 0);
    }
}

struct many {
    struct probe probe;
    uint64_t value;
    struct iovec iov;
};

static void more_operations_than_entries_all_complete(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world_io(world, &(struct odk_io_options){ .entries = 8 });
    enum { MANY = 1000 };
    static struct many many[MANY];
    int32_t file = io->ops->open(io, world_path(world, "many"), ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE);
    assert_true(file >= 0);
    for (uint64_t i = 0; i < MANY; i++) {
        many[i].value = i;
        many[i].iov = (struct iovec){ &many[i].value, sizeof(many[i].value) };
        probe_init(&many[i].probe);
        io->ops->writev(io, &many[i].probe.op, file, &many[i].iov, 1, i * sizeof(uint64_t));
    }
    for (uint64_t i = 0; i < MANY; i++)
        assert_int_equal(many[i].probe.done_count, 0);
    for (uint64_t i = 0; i < MANY; i++)
        assert_int_equal(probe_wait(io, &many[i].probe), 8);
    for (uint64_t i = 0; i < MANY; i++) {
        many[i].value = 0;
        probe_init(&many[i].probe);
        io->ops->read(io, &many[i].probe.op, file, &many[i].value, sizeof(uint64_t), i * sizeof(uint64_t));
    }
    for (uint64_t i = 0; i < MANY; i++) {
        assert_int_equal(probe_wait(io, &many[i].probe), 8);
        assert_int_equal(many[i].value, i);
    }
    assert_int_equal(io->ops->close(io, file), 0);
    io->ops->free(io);
}

static void errors_arrive_through_done(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    int32_t file = file_new(world, "write-only", ODK_IO_WRITE);
    char byte;
    assert_int_equal(world_read(io, file, &byte, 1, 0), -EBADF);
    struct iovec none = { NULL, 0 };
    assert_int_equal(world_write(io, file, &none, 0, 0), 0);
    assert_int_equal(io->ops->close(io, file), 0);
}

static void second_lock_is_refused(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    int32_t first = file_new(world, "lock", ODK_IO_WRITE);
    int32_t second = file_new(world, "lock", ODK_IO_WRITE);
    assert_int_equal(io->ops->lock(io, first), 0);
    assert_int_equal(io->ops->lock(io, second), -EWOULDBLOCK);
    assert_int_equal(io->ops->close(io, first), 0);
    assert_int_equal(io->ops->lock(io, second), 0);
    assert_int_equal(io->ops->close(io, second), 0);
}

struct listing {
    uint32_t files;
    uint32_t directories;
};

static void listing_on_entry(void *context, const char *name, bool is_directory)
{
    struct listing *listing = context;
    assert_string_not_equal(name, ".");
    assert_string_not_equal(name, "..");
    if (is_directory)
        listing->directories++;
    else
        listing->files++;
}

static void directories_are_made_listed_and_removed(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    assert_int_equal(io->ops->mkdir(io, world_path(world, "sub")), 0);
    assert_int_equal(io->ops->mkdir(io, world->path), -EEXIST);
    assert_int_equal(io->ops->close(io, file_new(world, "sub/a", ODK_IO_WRITE)), 0);
    assert_int_equal(io->ops->close(io, file_new(world, "sub/b", ODK_IO_WRITE)), 0);
    assert_int_equal(io->ops->mkdir(io, world_path(world, "sub/c")), 0);
    struct listing listing = { 0 };
    assert_int_equal(io->ops->list(io, world_path(world, "sub"), listing_on_entry, &listing), 0);
    assert_int_equal(listing.files, 2);
    assert_int_equal(listing.directories, 1);
    assert_int_equal(io->ops->list(io, world_path(world, "none"), listing_on_entry, &listing), -ENOENT);
    assert_int_equal(io->ops->unlink(io, world_path(world, "sub")), -ENOTEMPTY);
    assert_int_equal(io->ops->unlink(io, world_path(world, "sub/a")), 0);
    assert_int_equal(io->ops->unlink(io, world_path(world, "sub/b")), 0);
    assert_int_equal(io->ops->unlink(io, world_path(world, "sub/c")), 0);
    assert_int_equal(io->ops->unlink(io, world_path(world, "sub")), 0);
    assert_int_equal(io->ops->unlink(io, world_path(world, "sub")), -ENOENT);
}

static void directory_handles_sync(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    int32_t dir = io->ops->open(io, world->dir, ODK_IO_READ | ODK_IO_DIRECTORY);
    assert_true(dir >= 0);
    assert_int_equal(world_sync(io, dir), 0);
    assert_int_equal(io->ops->close(io, dir), 0);
}

static void space_is_told(void **state)
{
    struct world *world = *state;
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    assert_int_equal(world->io->ops->space(world->io, world->dir, &free_bytes, &total_bytes), 0);
    assert_true(total_bytes > 0);
    assert_true(free_bytes <= total_bytes);
    assert_int_equal(world->io->ops->space(world->io, "/no/such/place", &free_bytes, &total_bytes), -ENOENT);
}

static void replace_swaps_the_whole_content(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    assert_int_equal(odk_io_replace(io, world->dir, "small", "first version", 13), ODK_OK);
    /* What a crash in the middle of an earlier replace leaves behind. */
    int32_t stale = file_new(world, "small.tmp", ODK_IO_WRITE);
    assert_int_equal(odk_io_write_all(io, stale, "something much longer than the next", 35, 0), ODK_OK);
    assert_int_equal(io->ops->close(io, stale), 0);
    assert_int_equal(odk_io_replace(io, world->dir, "small", "second", 6), ODK_OK);
    void *content = NULL;
    size_t len = 0;
    assert_int_equal(odk_io_load(io, world_path(world, "small"), 100, &content, &len), ODK_OK);
    assert_int_equal(len, 6);
    assert_string_equal(content, "second");
    free(content);
    struct listing listing = { 0 };
    assert_int_equal(io->ops->list(io, world->dir, listing_on_entry, &listing), 0);
    assert_int_equal(listing.files, 1);
    assert_int_equal(odk_io_load(io, world_path(world, "small"), 5, &content, &len), ODK_ERR_TOO_LARGE);
    assert_int_equal(odk_io_load(io, world_path(world, "none"), 5, &content, &len), ODK_ERR_NOT_FOUND);
    assert_int_equal(odk_io_replace(io, world_path(world, "no-dir"), "small", "x", 1), ODK_ERR_NOT_FOUND);
}

/* The directory stands where the file should go: rename fails, the old state stays, no .tmp is left. */
static void replace_that_fails_leaves_nothing(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    assert_int_equal(io->ops->mkdir(io, world_path(world, "taken")), 0);
    assert_int_not_equal(odk_io_replace(io, world->dir, "taken", "x", 1), ODK_OK);
    struct listing listing = { 0 };
    assert_int_equal(io->ops->list(io, world->dir, listing_on_entry, &listing), 0);
    assert_int_equal(listing.files, 0);
    assert_int_equal(listing.directories, 1);
}

static void read_all_reports_the_early_end(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    int32_t file = file_new(world, "short", ODK_IO_READ | ODK_IO_WRITE);
    assert_int_equal(odk_io_write_all(io, file, "abc", 3, 0), ODK_OK);
    assert_int_equal(odk_io_sync_now(io, file), ODK_OK);
    char back[4] = "";
    assert_int_equal(odk_io_read_all(io, file, back, 3, 0), ODK_OK);
    assert_string_equal(back, "abc");
    assert_int_equal(odk_io_read_all(io, file, back, 4, 0), ODK_ERR_TRUNCATED);
    assert_int_equal(io->ops->close(io, file), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(written_bytes_are_read_back),
        EACH(open_says_what_is_wrong),
        EACH(direct_writes_go_through_registered_memory),
        EACH(registrations_may_run_out),
        EACH(slots_are_reused_safely),
        EACH(more_operations_than_entries_all_complete),
        EACH(errors_arrive_through_done),
        EACH(second_lock_is_refused),
        EACH(directories_are_made_listed_and_removed),
        EACH(directory_handles_sync),
        EACH(space_is_told),
        EACH(replace_swaps_the_whole_content),
        EACH(replace_that_fails_leaves_nothing),
        EACH(read_all_reports_the_early_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
