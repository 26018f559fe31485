#include "store/put.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/format.h"

static void put_free(struct put *put)
{
    free(put->path);
    free(put->tmp);
    free(put->content);
    put->path = NULL;
    put->tmp = NULL;
    put->content = NULL;
    put->busy = false;
}

void put_abandon(struct put *put)
{
    if (!put->busy)
        return;
    if (put->file >= 0)
        (void)put->io->ops->close(put->io, put->file);
    put_free(put);
}

static void put_end(struct put *put, int32_t result)
{
    if (put->file >= 0)
        (void)put->io->ops->close(put->io, put->file); /* durability was decided by the sync */
    put->file = -1;
    if (put->kind != PUT_WRITE && result >= 0)
        result = put->io->ops->rename(put->io, put->tmp, put->path);
    if (put->kind != PUT_WRITE && result < 0)
        (void)put->io->ops->unlink(put->io, put->tmp); /* the error that is reported came first */
    put_free(put);
    put->done(put, result < 0 ? odk_err_from_errno(result) : ODK_OK);
}

static void put_on_synced(struct odk_io_op *op, int32_t result)
{
    put_end(container_of(op, struct put, sync), result);
}

static void put_on_written(struct odk_io_write *write, int64_t result)
{
    struct put *put = container_of(write, struct put, write);
    if (result < 0 || put->kind != PUT_REPLACE) {
        put_end(put, result < 0 ? (int32_t)result : 0);
        return;
    }
    put->sync.done = put_on_synced;
    put->io->ops->sync(put->io, &put->sync, put->file);
}

static char *join(const char *folder, const char *name, const char *suffix)
{
    size_t len = strlen(folder) + strlen(name) + strlen(suffix) + 2;
    char *path = xcalloc(1, len);
    (void)snprintf(path, len, "%s/%s%s", folder, name, suffix);
    return path;
}

enum odk_err put_start(struct put *put, struct odk_io *io, enum put_kind kind, const char *folder, const char *name,
                       const void *content, size_t len, uint64_t pos)
{
    ASSERT(!put->busy);
    put->io = io;
    put->kind = kind;
    put->path = join(folder, name, "");
    put->tmp = join(folder, name, kind != PUT_WRITE ? FORMAT_TMP_SUFFIX : "");
    put->content = xcalloc(1, len + 1);
    memcpy(put->content, content, len);
    put->len = len;
    put->busy = true;
    put->file = io->ops->open(io, put->tmp, ODK_IO_WRITE | ODK_IO_CREATE);
    int32_t result = put->file;
    if (result >= 0 && kind != PUT_WRITE)
        result = io->ops->truncate(io, put->file, 0); /* a crash may have left an older one */
    if (result < 0) {
        if (put->file >= 0)
            (void)io->ops->close(io, put->file);
        put_free(put);
        return odk_err_from_errno(result);
    }
    put->iov = (struct iovec){ .iov_base = put->content, .iov_len = len };
    put->write.done = put_on_written;
    odk_io_write(io, &put->write, put->file, &put->iov, 1, pos);
    return ODK_OK;
}
