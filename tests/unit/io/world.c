#include "world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/prng.h"

static int world_open(void **state, enum odk_io_kind kind)
{
    struct world *world = xcalloc(1, sizeof(*world));
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(world->dir, sizeof(world->dir), "%s/odk-io-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(world->dir));
    world->kind = kind;
    world->io = world_io(world, &(struct odk_io_options){ .recv_buffers = 8 });
    *state = world;
    return 0;
}

int world_open_uring(void **state)
{
    return world_open(state, ODK_IO_URING);
}

int world_open_epoll(void **state)
{
    return world_open(state, ODK_IO_EPOLL);
}

int world_open_posix(void **state)
{
    return world_open(state, ODK_IO_POSIX);
}

struct odk_io *world_io(const struct world *world, const struct odk_io_options *options)
{
    struct odk_io_options chosen = *options;
    chosen.kind = world->kind;
    char why[256] = "";
    struct odk_io *io = NULL;
    enum odk_err err = odk_io_open(&chosen, &io, why, sizeof(why));
    if (err == ODK_ERR_UNSUPPORTED) {
        print_message("skipped: %s\n", why);
        skip();
    }
    assert_int_equal(err, ODK_OK);
    return io;
}

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

int world_close(void **state)
{
    struct world *world = *state;
    world->io->ops->free(world->io);
    assert_int_equal(nftw(world->dir, entry_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(world);
    return 0;
}

const char *world_path(struct world *world, const char *name)
{
    (void)snprintf(world->path, sizeof(world->path), "%s/%s", world->dir, name);
    return world->path;
}

static void probe_on_done(struct odk_io_op *op, int32_t result)
{
    struct probe *probe = container_of(op, struct probe, op);
    probe->result = result;
    probe->done_count++;
}

void probe_init(struct probe *probe)
{
    *probe = (struct probe){ .op.done = probe_on_done };
}

int32_t probe_wait(struct odk_io *io, struct probe *probe)
{
    uint64_t deadline_ns = io->ops->mono_ns(io) + 20 * NS_PER_S;
    while (probe->done_count == 0) {
        assert_true(io->ops->mono_ns(io) < deadline_ns);
        io->ops->run(io, deadline_ns);
    }
    assert_int_equal(probe->done_count, 1);
    return probe->result;
}

int32_t world_sync(struct odk_io *io, int32_t file)
{
    struct probe probe;
    probe_init(&probe);
    io->ops->sync(io, &probe.op, file);
    return probe_wait(io, &probe);
}

int32_t world_write(struct odk_io *io, int32_t file, const struct iovec *iov, uint32_t count, uint64_t pos)
{
    struct probe probe;
    probe_init(&probe);
    io->ops->writev(io, &probe.op, file, iov, count, pos);
    assert_int_equal(probe.done_count, 0);
    return probe_wait(io, &probe);
}

int32_t world_read(struct odk_io *io, int32_t file, void *dst, uint32_t len, uint64_t pos)
{
    struct probe probe;
    probe_init(&probe);
    io->ops->read(io, &probe.op, file, dst, len, pos);
    assert_int_equal(probe.done_count, 0);
    return probe_wait(io, &probe);
}

void pair_open(struct odk_io *io, struct pair *pair)
{
    struct odk_addr any;
    assert_int_equal(odk_addr_parse("127.0.0.1:0", &any), ODK_OK);
    pair->listener = io->ops->listen(io, &any, false, &pair->at);
    assert_true(pair->listener >= 0);
    struct probe accept;
    struct probe connect;
    probe_init(&accept);
    probe_init(&connect);
    io->ops->accept(io, &accept.op, pair->listener);
    io->ops->connect(io, &connect.op, &pair->at);
    assert_int_equal(accept.done_count + connect.done_count, 0);
    pair->server = probe_wait(io, &accept);
    pair->client = probe_wait(io, &connect);
    assert_true(pair->server >= 0);
    assert_true(pair->client >= 0);
}

void pair_close(struct odk_io *io, struct pair *pair)
{
    io->ops->close_socket(io, pair->client);
    io->ops->close_socket(io, pair->server);
    io->ops->close_socket(io, pair->listener);
}

void pattern_fill(uint8_t *dst, size_t len, uint64_t seed)
{
    struct prng p = { .state = seed };
    for (size_t i = 0; i < len; i++)
        dst[i] = (uint8_t)prng_next(&p);
}

void pattern_check(const uint8_t *data, size_t len, uint64_t seed)
{
    struct prng p = { .state = seed };
    for (size_t i = 0; i < len; i++) {
        if (data[i] != (uint8_t)prng_next(&p))
            fail_msg("byte %zu of %zu differs", i, len);
    }
}
