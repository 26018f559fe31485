/*
 * What the epoll and the posix backend share: asynchronous operations as tasks that are first only noted, and tried
 * when run() is called. A task for a file is done by one blocking call (task_do, on whatever thread). A task for a
 * socket is tried without blocking (task_try) and says -EAGAIN until the socket is ready.
 */
#pragma once
#include <netinet/in.h>

#include "io/bell.h"
#include "io/os.h"
#include "io/outgoing.h"
#include "io/queue.h"

enum task_kind {
    TASK_READ,
    TASK_WRITE,
    TASK_SYNC,
    TASK_PREFAULT,
    TASK_ACCEPT, /* from here on: sockets */
    TASK_CONNECT,
    TASK_RECV,
    TASK_SEND,
};

/* In the private words of an operation. */
struct task {
    struct op_head head;
    int32_t fd; /* TASK_SYNC: the file handle; else a descriptor, TASK_CONNECT: or a negative errno */
    uint32_t len;
    union {
        struct {
            void *dst;
            const struct iovec *iov;
            uint64_t pos;
        } file;
        struct iovec pages; /* TASK_PREFAULT */
        void *dst;          /* TASK_RECV */
        struct {
            struct sockaddr_in6 to; /* room for an IPv4 one too; len bytes of it are valid */
            bool begun;
        } connect;
        struct outgoing out; /* TASK_SEND */
    };
};

/* Receive buffers for recv with dst == NULL: a stack, so that the ones touched last are used first and an idle
 * program has touched few. A free buffer begins with the pointer to the next. */
struct recv_buffers {
    void *first_free;
    uint8_t *memory;
    uint32_t count;
};

/* Backends over tasks embed this first. */
struct tasks {
    struct odk_io io;
    struct op_queue fresh;    /* started, not yet tried */
    struct op_queue finished; /* done has not run yet */
    struct bell bell;
    struct recv_buffers buffers;
};

static inline struct task *task_of(struct odk_io_op *op)
{
    return (struct task *)(void *)op->priv;
}

static inline struct tasks *tasks_of(struct odk_io *io)
{
    return container_of(io, struct tasks, io);
}

static inline bool task_is_socket(const struct task *task)
{
    return task->head.kind >= TASK_ACCEPT;
}

/* True for what waits until its socket can be read, false for what waits until it can be written. */
static inline bool task_is_inward(const struct task *task)
{
    return task->head.kind == TASK_ACCEPT || task->head.kind == TASK_RECV;
}

/* Returns 0 or a negative errno. */
int32_t tasks_init(struct tasks *tasks, const struct odk_io_ops *ops, uint32_t recv_buffers);
void tasks_deinit(struct tasks *tasks);

/* Does a file's task. Blocks; may run on any thread. */
int32_t task_do(struct odk_io_op *op);
/* Tries a socket's task once: its result, or -EAGAIN when the socket is not ready. */
int32_t task_try(struct tasks *tasks, struct odk_io_op *op);

/* Rows of struct odk_io_ops. */
void tasks_wake(struct odk_io *io);
void tasks_read(struct odk_io *io, struct odk_io_op *op, int32_t file, void *dst, uint32_t len, uint64_t pos);
void tasks_writev(struct odk_io *io, struct odk_io_op *op, int32_t file, const struct iovec *iov, uint32_t count,
                  uint64_t pos);
void tasks_sync(struct odk_io *io, struct odk_io_op *op, int32_t file);
void tasks_prefault(struct odk_io *io, struct odk_io_op *op, const void *data, size_t len);
int32_t tasks_listen(struct odk_io *io, const struct odk_addr *at, bool reuse_port, struct odk_addr *ret_bound);
void tasks_accept(struct odk_io *io, struct odk_io_op *op, int32_t listener);
void tasks_connect(struct odk_io *io, struct odk_io_op *op, const struct odk_addr *to);
void tasks_recv(struct odk_io *io, struct odk_io_op *op, int32_t sock, void *dst, uint32_t len);
void tasks_recv_release(struct odk_io *io, void *buf);
void tasks_sendv(struct odk_io *io, struct odk_io_op *op, int32_t sock, const struct iovec *iov, uint32_t count);

#define TASKS_OPS                                                                                                      \
    OS_OPS, .wake = tasks_wake, .mem_new = os_mem_new, .mem_free = os_mem_free, .open = os_open, .close = os_close,    \
            .read = tasks_read, .writev = tasks_writev, .sync = tasks_sync, .prefault = tasks_prefault,                \
            .listen = tasks_listen, .accept = tasks_accept, .connect = tasks_connect, .recv = tasks_recv,              \
            .recv_release = tasks_recv_release, .sendv = tasks_sendv
