#include "desk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct odk_io *process_new(struct desk *desk)
{
    struct odk_io *io = sim_io_new(desk->world, &(struct sim_io_options){ .process = 1 });
    sim_straight(io, true);
    return io;
}

void desk_init(struct desk *desk, uint64_t seed, const struct sim_faults *faults)
{
    struct sim_faults none = sim_faults_none();
    desk->world = sim_world_new(seed, faults ? faults : &none);
    desk->io = process_new(desk);
}

void desk_deinit(struct desk *desk)
{
    sim_io_free(desk->io);
    sim_world_free(desk->world);
}

void desk_restart(struct desk *desk)
{
    assert_true(sim_dead(desk->io));
    sim_io_free(desk->io);
    desk->io = process_new(desk);
}

void desk_power_cycle(struct desk *desk)
{
    sim_crash_power(desk->world);
    desk_restart(desk);
}

int32_t desk_open(struct desk *desk, const char *path, uint32_t flags)
{
    return desk->io->ops->open(desk->io, path, flags);
}

int32_t desk_write(struct desk *desk, int32_t file, const void *src, uint32_t len, uint64_t pos)
{
    /* Direct writes want aligned memory, which this always is. */
    void *copy = desk->io->ops->mem_new(desk->io, len);
    assert_non_null(copy);
    memcpy(copy, src, len);
    struct iovec iov = { .iov_base = copy, .iov_len = len };
    struct odk_io_wait wait;
    odk_io_wait_begin(&wait);
    desk->io->ops->writev(desk->io, &wait.op, file, &iov, 1, pos);
    int32_t result = odk_io_wait(desk->io, &wait);
    desk->io->ops->mem_free(desk->io, copy, len);
    return result;
}

int32_t desk_fill(struct desk *desk, int32_t file, uint8_t byte, uint32_t len, uint64_t pos)
{
    uint8_t *src = malloc(len);
    assert_non_null(src);
    memset(src, byte, len);
    int32_t result = desk_write(desk, file, src, len, pos);
    free(src);
    return result;
}

int32_t desk_read(struct desk *desk, int32_t file, void *dst, uint32_t len, uint64_t pos)
{
    uint8_t *buf = desk->io->ops->mem_new(desk->io, len);
    assert_non_null(buf);
    struct odk_io_wait wait;
    odk_io_wait_begin(&wait);
    desk->io->ops->read(desk->io, &wait.op, file, buf, len, pos);
    int32_t result = odk_io_wait(desk->io, &wait);
    if (result > 0)
        memcpy(dst, buf, (size_t)result);
    desk->io->ops->mem_free(desk->io, buf, len);
    return result;
}

int32_t desk_sync(struct desk *desk, int32_t file)
{
    struct odk_io_wait wait;
    odk_io_wait_begin(&wait);
    desk->io->ops->sync(desk->io, &wait.op, file);
    return odk_io_wait(desk->io, &wait);
}

int32_t desk_sync_dir(struct desk *desk, const char *path)
{
    int32_t dir = desk_open(desk, path, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (dir < 0)
        return dir;
    int32_t result = desk_sync(desk, dir);
    (void)desk->io->ops->close(desk->io, dir);
    return result;
}

bool desk_holds(struct desk *desk, const char *path, uint8_t byte, uint64_t pos, uint64_t len)
{
    const uint8_t *data;
    int64_t size = sim_disk_peek(desk->world, path, &data);
    if (size < 0 || (uint64_t)size < pos + len)
        return false;
    for (uint64_t i = pos; i < pos + len; i++) {
        if (data[i] != byte)
            return false;
    }
    return true;
}

int64_t desk_size(struct desk *desk, const char *path)
{
    return sim_disk_peek(desk->world, path, NULL);
}
