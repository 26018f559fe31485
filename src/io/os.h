/*
 * The calls of the operating system that are the same in every real backend: they finish at once and need no state
 * of the backend, so each fits straight into struct odk_io_ops. What they promise is said in odradek/io.h.
 *
 * A file handle is (descriptor << 1) + 1 for a directory, (descriptor << 1) otherwise: a directory must be synced
 * with fsync, a file with the cheaper fdatasync, and the handle alone says which. A socket handle is the descriptor.
 */
#pragma once
#include <odradek/io.h>

#include "base/base.h"

static inline int os_fd(int32_t file)
{
    return file >> 1;
}

static inline bool os_is_directory(int32_t file)
{
    return (file & 1) != 0;
}

/* clock.c */
uint64_t os_mono_ns(struct odk_io *io);
int64_t os_wall_ms(struct odk_io *io);
void os_random(struct odk_io *io, void *dst, size_t len);

/* files.c */
int32_t os_open(struct odk_io *io, const char *path, uint32_t flags);
int32_t os_close(struct odk_io *io, int32_t file);
int64_t os_size(struct odk_io *io, int32_t file);
int32_t os_truncate(struct odk_io *io, int32_t file, uint64_t size);
int32_t os_lock(struct odk_io *io, int32_t file);
int32_t os_mkdir(struct odk_io *io, const char *path);
int32_t os_rename(struct odk_io *io, const char *from, const char *to);
int32_t os_unlink(struct odk_io *io, const char *path);
int32_t os_list(struct odk_io *io, const char *path, void (*entry)(void *context, const char *name, bool is_directory),
                void *context);
int32_t os_space(struct odk_io *io, const char *path, uint64_t *ret_free, uint64_t *ret_total);
int64_t os_modified_ms(struct odk_io *io, const char *path);

/* map.c */
void *os_mem_new(struct odk_io *io, size_t len);
void os_mem_free(struct odk_io *io, void *mem, size_t len);
int32_t os_map(struct odk_io *io, int32_t file, uint64_t len, struct odk_io_map *ret_map);
void os_unmap(struct odk_io *io, struct odk_io_map *map);
bool os_resident(struct odk_io *io, const void *data, size_t len);
size_t os_page_bytes(void);
/* The whole pages that hold [data, data+len), as madvise wants them. */
struct iovec os_pages(const void *data, size_t len);
/* What madvise(MADV_POPULATE_READ) said, as the result of prefault: an unreadable page is -EIO. */
int32_t os_prefault_result(int32_t result);

/* sock.c; mode is 0 or SOCK_NONBLOCK. */
int32_t os_listen_mode(const struct odk_addr *at, bool reuse_port, int mode, struct odk_addr *ret_bound);
int32_t os_socket(const struct odk_addr *to, int mode);
void os_shutdown(struct odk_io *io, int32_t sock);
void os_close_socket(struct odk_io *io, int32_t sock);
int32_t os_local_addr(struct odk_io *io, int32_t sock, struct odk_addr *ret);
int32_t os_peer_addr(struct odk_io *io, int32_t sock, struct odk_addr *ret);

/* The rows of struct odk_io_ops that all backends share. */
#define OS_OPS                                                                                                         \
    .mono_ns = os_mono_ns, .wall_ms = os_wall_ms, .random = os_random, .size = os_size, .truncate = os_truncate,       \
    .lock = os_lock, .mkdir = os_mkdir, .rename = os_rename, .unlink = os_unlink, .list = os_list, .space = os_space,  \
    .modified_ms = os_modified_ms, .map = os_map, .unmap = os_unmap, .resident = os_resident,                          \
    .shutdown = os_shutdown, .local_addr = os_local_addr, .peer_addr = os_peer_addr
