/* Writing all of a vector list: what is left after a short write goes out again. */
#include <odradek/io.h>

#include <errno.h>

#include "base/base.h"

#define RETRIES_MAX 16u /* in a row, without a byte written */

static void write_on_done(struct odk_io_op *op, int32_t result);

static void write_submit(struct odk_io_write *write)
{
    write->op.done = write_on_done;
    write->io->ops->writev(write->io, &write->op, write->file, write->iov, write->count, write->pos + write->written);
}

void odk_io_write(struct odk_io *io, struct odk_io_write *write, int32_t file, struct iovec *iov, uint32_t count,
                  uint64_t pos)
{
    write->io = io;
    write->iov = iov;
    write->count = count;
    write->file = file;
    write->pos = pos;
    write->written = 0;
    write->retries = 0;
    write_submit(write);
}

/* Drops the bytes that are written from the front of the vectors, and empty vectors with them. */
static void write_consume(struct odk_io_write *write, size_t bytes)
{
    write->written += bytes;
    while (write->count > 0 && bytes >= write->iov->iov_len) {
        bytes -= write->iov->iov_len;
        write->iov++;
        write->count--;
    }
    if (bytes == 0)
        return;
    ASSERT(write->count > 0); /* else more was written than asked */
    write->iov->iov_base = (char *)write->iov->iov_base + bytes;
    write->iov->iov_len -= bytes;
}

static void write_on_done(struct odk_io_op *op, int32_t result)
{
    struct odk_io_write *write = container_of(op, struct odk_io_write, op);
    bool again = result == -EINTR || result == -EAGAIN;
    if (result >= 0) {
        write_consume(write, (size_t)result);
        if (write->count == 0) {
            write->done(write, (int64_t)write->written);
            return;
        }
        again = true;
    }
    write->retries = result > 0 ? 0 : write->retries + 1;
    if (again && write->retries <= RETRIES_MAX)
        write_submit(write);
    else
        write->done(write, result < 0 ? result : -EIO);
}
