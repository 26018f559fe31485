#include "io/task.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

_Static_assert(sizeof(struct task) <= sizeof(((struct odk_io_op *)0)->priv), "grow odk_io_op.priv");

/* -- receive buffers ---------------------------------------------------------------------------------------------- */

static void recv_buffer_give(struct recv_buffers *buffers, void *buf)
{
    memcpy(buf, &buffers->first_free, sizeof(buffers->first_free));
    buffers->first_free = buf;
}

/* On first use, so that who never asks has none. */
static void recv_buffers_make(struct recv_buffers *buffers)
{
    buffers->memory = os_mem_new(NULL, (size_t)buffers->count * ODK_IO_RECV_BYTES);
    for (uint32_t i = buffers->memory ? buffers->count : 0; i > 0; i--)
        recv_buffer_give(buffers, buffers->memory + (size_t)(i - 1) * ODK_IO_RECV_BYTES);
}

static void *recv_buffer_take(struct recv_buffers *buffers)
{
    if (!buffers->memory)
        recv_buffers_make(buffers);
    void *buf = buffers->first_free;
    if (buf)
        memcpy(&buffers->first_free, buf, sizeof(buffers->first_free));
    return buf;
}

/* -- doing and trying --------------------------------------------------------------------------------------------- */

static int32_t result_of(ssize_t returned)
{
    return returned < 0 ? -errno : (int32_t)returned;
}

static int32_t sync_do(int32_t file)
{
    int fd = os_fd(file);
    return result_of(os_is_directory(file) ? fsync(fd) : fdatasync(fd));
}

int32_t task_do(struct odk_io_op *op)
{
    struct task *task = task_of(op);
    int32_t result;
    switch ((enum task_kind)task->head.kind) {
    case TASK_READ: return result_of(pread(task->fd, task->file.dst, task->len, (off_t)task->file.pos));
    case TASK_WRITE: return result_of(pwritev(task->fd, task->file.iov, (int)task->len, (off_t)task->file.pos));
    case TASK_SYNC: return sync_do(task->fd);
    case TASK_PREFAULT:
        result = result_of(madvise(task->pages.iov_base, task->pages.iov_len, MADV_POPULATE_READ));
        return os_prefault_result(result);
    case TASK_ACCEPT:
    case TASK_CONNECT:
    case TASK_RECV:
    case TASK_SEND: break;
    }
    UNREACHABLE();
}

static int32_t connect_try(struct task *task)
{
    if (task->fd < 0)
        return task->fd;
    int32_t result;
    if (!task->connect.begun) {
        task->connect.begun = true;
        result = result_of(connect(task->fd, (const struct sockaddr *)&task->connect.to, task->len));
    } else {
        int error = 0;
        socklen_t len = sizeof(error);
        struct odk_addr peer;
        result = result_of(getsockopt(task->fd, SOL_SOCKET, SO_ERROR, &error, &len));
        result = result == 0 ? -error : result;
        if (result == 0 && os_peer_addr(NULL, task->fd, &peer) == -ENOTCONN)
            result = -EAGAIN; /* woken, but still on the way */
    }
    if (result == -EINPROGRESS || result == -EAGAIN || result == -EINTR)
        return -EAGAIN;
    if (result < 0)
        os_close_socket(NULL, task->fd);
    return result < 0 ? result : task->fd;
}

static int32_t recv_try(struct tasks *tasks, struct odk_io_op *op)
{
    struct task *task = task_of(op);
    void *own = task->dst ? NULL : recv_buffer_take(&tasks->buffers);
    if (!task->dst && !own)
        return -ENOBUFS;
    int32_t result = result_of(recv(task->fd, own ? own : task->dst, task->len, MSG_DONTWAIT));
    if (own && result > 0)
        op->buf = own;
    else if (own)
        recv_buffer_give(&tasks->buffers, own);
    return result;
}

static int32_t send_try(struct task *task)
{
    int32_t result;
    do {
        struct msghdr msg;
        outgoing_next(&task->out, &msg);
        result = result_of(sendmsg(task->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL));
        if (result == -EAGAIN || result == -EINTR)
            return result;
    } while (!outgoing_advance(&task->out, result, &result));
    return result;
}

static int32_t task_attempt(struct tasks *tasks, struct odk_io_op *op)
{
    struct task *task = task_of(op);
    switch ((enum task_kind)task->head.kind) {
    case TASK_ACCEPT: return result_of(accept4(task->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
    case TASK_CONNECT: return connect_try(task);
    case TASK_RECV: return recv_try(tasks, op);
    case TASK_SEND: return send_try(task);
    case TASK_READ:
    case TASK_WRITE:
    case TASK_SYNC:
    case TASK_PREFAULT: break;
    }
    UNREACHABLE();
}

int32_t task_try(struct tasks *tasks, struct odk_io_op *op)
{
    int32_t result;
    do
        result = task_attempt(tasks, op);
    while (result == -EINTR);
    return result;
}

/* -- starting ------------------------------------------------------------------------------------------------------ */

static struct task *task_start(struct odk_io *io, struct odk_io_op *op, enum task_kind kind, int32_t fd)
{
    struct task *task = task_of(op);
    task->head.kind = kind;
    task->fd = fd;
    op_queue_push(&tasks_of(io)->fresh, op);
    return task;
}

void tasks_read(struct odk_io *io, struct odk_io_op *op, int32_t file, void *dst, uint32_t len, uint64_t pos)
{
    struct task *task = task_start(io, op, TASK_READ, os_fd(file));
    task->len = len;
    task->file.dst = dst;
    task->file.pos = pos;
}

void tasks_writev(struct odk_io *io, struct odk_io_op *op, int32_t file, const struct iovec *iov, uint32_t count,
                  uint64_t pos)
{
    struct task *task = task_start(io, op, TASK_WRITE, os_fd(file));
    task->len = MIN(count, (uint32_t)IOV_MAX);
    task->file.iov = iov;
    task->file.pos = pos;
}

void tasks_sync(struct odk_io *io, struct odk_io_op *op, int32_t file)
{
    (void)task_start(io, op, TASK_SYNC, file);
}

void tasks_prefault(struct odk_io *io, struct odk_io_op *op, const void *data, size_t len)
{
    task_start(io, op, TASK_PREFAULT, -1)->pages = os_pages(data, len);
}

int32_t tasks_listen(struct odk_io *io, const struct odk_addr *at, bool reuse_port, struct odk_addr *ret_bound)
{
    (void)io;
    return os_listen_mode(at, reuse_port, SOCK_NONBLOCK, ret_bound);
}

void tasks_accept(struct odk_io *io, struct odk_io_op *op, int32_t listener)
{
    (void)task_start(io, op, TASK_ACCEPT, listener);
}

void tasks_connect(struct odk_io *io, struct odk_io_op *op, const struct odk_addr *to)
{
    struct task *task = task_of(op);
    bool fits = to->len <= sizeof(task->connect.to);
    (void)task_start(io, op, TASK_CONNECT, fits ? os_socket(to, SOCK_NONBLOCK) : -EAFNOSUPPORT);
    task->connect.begun = false;
    task->len = to->len;
    if (fits)
        memcpy(&task->connect.to, &to->storage, to->len);
}

void tasks_recv(struct odk_io *io, struct odk_io_op *op, int32_t sock, void *dst, uint32_t len)
{
    struct task *task = task_start(io, op, TASK_RECV, sock);
    task->dst = dst;
    task->len = dst ? len : MIN(len ? len : ODK_IO_RECV_BYTES, ODK_IO_RECV_BYTES);
}

void tasks_recv_release(struct odk_io *io, void *buf)
{
    recv_buffer_give(&tasks_of(io)->buffers, buf);
}

void tasks_sendv(struct odk_io *io, struct odk_io_op *op, int32_t sock, const struct iovec *iov, uint32_t count)
{
    task_start(io, op, TASK_SEND, sock)->out = (struct outgoing){ .iov = iov, .count = count };
}

void tasks_wake(struct odk_io *io)
{
    bell_ring(&tasks_of(io)->bell);
}

/* -- life -----------------------------------------------------------------------------------------------------------
 */

int32_t tasks_init(struct tasks *tasks, const struct odk_io_ops *ops, uint32_t recv_buffers)
{
    *tasks = (struct tasks){ .io.ops = ops, .buffers.count = recv_buffers };
    return bell_init(&tasks->bell, EFD_NONBLOCK);
}

void tasks_deinit(struct tasks *tasks)
{
    os_mem_free(&tasks->io, tasks->buffers.memory, (size_t)tasks->buffers.count * ODK_IO_RECV_BYTES);
    bell_deinit(&tasks->bell);
}
