/* A backend and an empty directory for one test; EACH runs a test once for every backend that this machine has. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <odradek/io.h>

#include "base/base.h"
#include "base/units.h"

struct world {
    struct odk_io *io;
    enum odk_io_kind kind;
    char dir[64];
    char path[128]; /* of world_path */
};

int world_open_uring(void **state);
int world_open_epoll(void **state);
int world_open_posix(void **state);
int world_close(void **state);

#define EACH(test)                                                                                                     \
    { #test " on uring", test, world_open_uring, world_close, NULL },                                                  \
        { #test " on epoll", test, world_open_epoll, world_close, NULL },                                              \
        { #test " on posix", test, world_open_posix, world_close, NULL }

/* A path below the directory; valid until the next call. */
const char *world_path(struct world *world, const char *name);
/* Opens a second backend of the same kind. */
struct odk_io *world_io(const struct world *world, const struct odk_io_options *options);

/* An operation whose end the test looks at. */
struct probe {
    struct odk_io_op op;
    int32_t result;
    uint32_t done_count;
};

void probe_init(struct probe *probe);
/* Runs the loop until the operation has ended; fails the test after 20 seconds. Returns its result. */
int32_t probe_wait(struct odk_io *io, struct probe *probe);

/* Waiting forms of the asynchronous calls. */
int32_t world_sync(struct odk_io *io, int32_t file);
int32_t world_write(struct odk_io *io, int32_t file, const struct iovec *iov, uint32_t count, uint64_t pos);
int32_t world_read(struct odk_io *io, int32_t file, void *dst, uint32_t len, uint64_t pos);

/* A listener on a free port of the loopback, and a connected pair of sockets through it. */
struct pair {
    int32_t listener;
    struct odk_addr at;
    int32_t client;
    int32_t server;
};

void pair_open(struct odk_io *io, struct pair *pair);
void pair_close(struct odk_io *io, struct pair *pair);

/* Bytes that say where they belong. */
void pattern_fill(uint8_t *dst, size_t len, uint64_t seed);
void pattern_check(const uint8_t *data, size_t len, uint64_t seed);
