/* One simulated world with one io in straight-line mode, for tests that read like a list of system calls. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <odradek/io.h>

#include "sim_world.h"

struct desk {
    struct sim_world *world;
    struct odk_io *io;
};

#define DESK_RW (ODK_IO_READ | ODK_IO_WRITE)
#define DESK_NEW (DESK_RW | ODK_IO_CREATE)

void desk_init(struct desk *desk, uint64_t seed, const struct sim_faults *faults);
void desk_deinit(struct desk *desk);
/* A fresh process after a crash. */
void desk_restart(struct desk *desk);
void desk_power_cycle(struct desk *desk);

int32_t desk_open(struct desk *desk, const char *path, uint32_t flags);
/* Results as io.h says: bytes or a negative errno, one attempt. */
int32_t desk_write(struct desk *desk, int32_t file, const void *src, uint32_t len, uint64_t pos);
int32_t desk_fill(struct desk *desk, int32_t file, uint8_t byte, uint32_t len, uint64_t pos);
int32_t desk_read(struct desk *desk, int32_t file, void *dst, uint32_t len, uint64_t pos);
int32_t desk_sync(struct desk *desk, int32_t file);
int32_t desk_sync_dir(struct desk *desk, const char *path);
/* True when [pos, pos+len) of the file holds nothing but byte. */
bool desk_holds(struct desk *desk, const char *path, uint8_t byte, uint64_t pos, uint64_t len);
/* -1: not there. */
int64_t desk_size(struct desk *desk, const char *path);
