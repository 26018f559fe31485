/* Choosing a backend, and the conveniences that block: for start-up and tools. */
#include <odradek/io.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "io/backend.h"

#define ENTRIES_DEFAULT      4096u
#define RECV_BUFFERS_DEFAULT 256u
#define WORKERS_DEFAULT      4u
#define TRANSFER_BYTES_MAX   (1u << 30) /* in one operation: results are int32_t */

enum odk_err odk_io_open(const struct odk_io_options *options, struct odk_io **ret_io, char *why, size_t why_len)
{
    struct odk_io_options chosen = *options;
    chosen.entries = chosen.entries ? chosen.entries : ENTRIES_DEFAULT;
    chosen.recv_buffers = chosen.recv_buffers ? chosen.recv_buffers : RECV_BUFFERS_DEFAULT;
    chosen.workers = chosen.workers ? chosen.workers : WORKERS_DEFAULT;
    char unread[1];
    char *reason = why_len > 0 ? why : unread;
    size_t reason_len = why_len > 0 ? why_len : sizeof(unread);
    switch (chosen.kind) {
    case ODK_IO_URING: return uring_open(&chosen, ret_io, reason, reason_len);
    case ODK_IO_EPOLL: return epoll_open(&chosen, ret_io, reason, reason_len);
    case ODK_IO_POSIX: return posix_open(&chosen, ret_io, reason, reason_len);
    case ODK_IO_AUTO: break;
    }
    enum odk_err err = uring_open(&chosen, ret_io, reason, reason_len);
    if (err != ODK_ERR_UNSUPPORTED)
        return err;
    char second[256];
    return epoll_open(&chosen, ret_io, second, sizeof(second)) == ODK_OK ? ODK_OK : ODK_ERR_LIMIT;
}

enum odk_err odk_err_from_errno(int32_t error)
{
    switch (error < 0 ? -error : error) {
    case 0: return ODK_OK;
    case ENOSPC:
    case EDQUOT: return ODK_ERR_FULL;
    case ENOENT: return ODK_ERR_NOT_FOUND;
    case EEXIST: return ODK_ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS: return ODK_ERR_ACCESS;
    case EWOULDBLOCK: return ODK_ERR_BUSY;
    case ENOMEM: return ODK_ERR_MEMORY;
    case EMFILE:
    case ENFILE: return ODK_ERR_LIMIT;
    default: return ODK_ERR_IO;
    }
}

/* -- waiting ----------------------------------------------------------------------------------------------------- */

static void wait_on_done(struct odk_io_op *op, int32_t result)
{
    struct odk_io_wait *wait = container_of(op, struct odk_io_wait, op);
    wait->result = result;
    wait->ready = true;
}

void odk_io_wait_begin(struct odk_io_wait *wait)
{
    *wait = (struct odk_io_wait){ .op.done = wait_on_done };
}

int32_t odk_io_wait(struct odk_io *io, struct odk_io_wait *wait)
{
    while (!wait->ready)
        io->ops->run(io, UINT64_MAX);
    return wait->result;
}

enum odk_err odk_io_read_all(struct odk_io *io, int32_t file, void *dst, size_t len, uint64_t pos)
{
    for (size_t done = 0; done < len;) {
        struct odk_io_wait wait;
        odk_io_wait_begin(&wait);
        io->ops->read(io, &wait.op, file, (char *)dst + done, (uint32_t)MIN(len - done, (size_t)TRANSFER_BYTES_MAX),
                      pos + done);
        int32_t got = odk_io_wait(io, &wait);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? ODK_ERR_TRUNCATED : odk_err_from_errno(got);
        done += (size_t)got;
    }
    return ODK_OK;
}

struct write_wait {
    struct odk_io_write write;
    int64_t result;
    bool ready;
};

static void write_all_on_done(struct odk_io_write *write, int64_t result)
{
    struct write_wait *wait = container_of(write, struct write_wait, write);
    wait->result = result;
    wait->ready = true;
}

enum odk_err odk_io_write_all(struct odk_io *io, int32_t file, const void *src, size_t len, uint64_t pos)
{
    union {
        const void *given;
        void *wanted;
    } data = { .given = src }; /* struct iovec serves reading too; a write does not modify */
    struct iovec iov = { .iov_base = data.wanted, .iov_len = len };
    struct write_wait wait = { .write.done = write_all_on_done };
    odk_io_write(io, &wait.write, file, &iov, 1, pos);
    while (!wait.ready)
        io->ops->run(io, UINT64_MAX);
    return wait.result < 0 ? odk_err_from_errno((int32_t)wait.result) : ODK_OK;
}

enum odk_err odk_io_sync_now(struct odk_io *io, int32_t file)
{
    struct odk_io_wait wait;
    odk_io_wait_begin(&wait);
    io->ops->sync(io, &wait.op, file);
    return odk_err_from_errno(odk_io_wait(io, &wait));
}

/* -- small files -------------------------------------------------------------------------------------------------- */

/* Makes an entry of dir durable. */
static enum odk_err directory_sync(struct odk_io *io, const char *dir)
{
    int32_t handle = io->ops->open(io, dir, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (handle < 0)
        return odk_err_from_errno(handle);
    enum odk_err err = odk_io_sync_now(io, handle);
    (void)io->ops->close(io, handle); /* durability was decided by the sync */
    return err;
}

static enum odk_err file_fill(struct odk_io *io, int32_t file, const void *content, size_t len)
{
    int32_t result = io->ops->truncate(io, file, 0); /* a crash may have left an older one */
    if (result < 0)
        return odk_err_from_errno(result);
    enum odk_err err = odk_io_write_all(io, file, content, len, 0);
    return err == ODK_OK ? odk_io_sync_now(io, file) : err;
}

static enum odk_err file_write_synced(struct odk_io *io, const char *path, const void *content, size_t len)
{
    int32_t file = io->ops->open(io, path, ODK_IO_WRITE | ODK_IO_CREATE);
    if (file < 0)
        return odk_err_from_errno(file);
    enum odk_err err = file_fill(io, file, content, len);
    int32_t closed = io->ops->close(io, file);
    if (err == ODK_OK && closed < 0)
        err = odk_err_from_errno(closed);
    return err;
}

enum odk_err odk_io_replace(struct odk_io *io, const char *dir, const char *name, const void *content, size_t len)
{
    char path[PATH_MAX];
    char tmp[PATH_MAX];
    int path_len = snprintf(path, sizeof(path), "%s/%s", dir, name);
    int tmp_len = snprintf(tmp, sizeof(tmp), "%s/%s.tmp", dir, name);
    if (path_len < 0 || tmp_len < 0 || (size_t)tmp_len >= sizeof(tmp))
        return ODK_ERR_INVALID;
    enum odk_err err = file_write_synced(io, tmp, content, len);
    if (err == ODK_OK) {
        int32_t result = io->ops->rename(io, tmp, path);
        err = odk_err_from_errno(result);
    }
    if (err != ODK_OK) {
        (void)io->ops->unlink(io, tmp); /* the error that is reported came first */
        return err;
    }
    return directory_sync(io, dir);
}

static enum odk_err content_read(struct odk_io *io, int32_t file, size_t len_max, void **ret_content, size_t *ret_len)
{
    int64_t size = io->ops->size(io, file);
    if (size < 0)
        return odk_err_from_errno((int32_t)size);
    if ((uint64_t)size > len_max)
        return ODK_ERR_TOO_LARGE;
    size_t len = (size_t)size;
    char *content = malloc(len + 1);
    if (!content)
        return ODK_ERR_MEMORY;
    enum odk_err err = odk_io_read_all(io, file, content, len, 0);
    if (err != ODK_OK) {
        free(content);
        return err;
    }
    content[len] = 0;
    *ret_content = content;
    *ret_len = len;
    return ODK_OK;
}

enum odk_err odk_io_load(struct odk_io *io, const char *path, size_t len_max, void **ret_content, size_t *ret_len)
{
    int32_t file = io->ops->open(io, path, ODK_IO_READ);
    if (file < 0)
        return odk_err_from_errno(file);
    enum odk_err err = content_read(io, file, len_max, ret_content, ret_len);
    (void)io->ops->close(io, file); /* only read */
    return err;
}
