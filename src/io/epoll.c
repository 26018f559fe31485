/*
 * The fallback where io_uring is refused: sockets by readiness, files by threads.
 *
 * A socket's operation is tried at once; if the socket is not ready it waits in the slot of its descriptor. The
 * descriptor is registered on that first wait, edge-triggered for both directions, and stays so until it is closed:
 * the kernel reports readiness that exists at registration, and every change after it, so no edge is missed between
 * a try and the sleep. At one time a slot holds any number of operations per direction; they are served in order.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/units.h"
#include "io/backend.h"
#include "io/task.h"
#include "io/workers.h"

#define EVENTS_MAX 256

/* One socket. */
struct slot {
    struct op_queue inward;
    struct op_queue outward;
    bool registered;
};

struct epoll {
    struct tasks tasks;
    struct workers workers;
    int fd;
    struct slot *slots; /* by descriptor */
    uint32_t slots_len;
    uint32_t parked; /* operations in slots */
};

static struct epoll *epoll_of(struct odk_io *io)
{
    return container_of(tasks_of(io), struct epoll, tasks);
}

static struct slot *slot_of(struct epoll *e, int fd)
{
    ASSERT(fd >= 0);
    if ((uint32_t)fd >= e->slots_len) {
        uint32_t len = MAX((uint32_t)fd + 1, e->slots_len * 2);
        e->slots = xrealloc(e->slots, len * sizeof(e->slots[0]));
        memset(e->slots + e->slots_len, 0, (len - e->slots_len) * sizeof(e->slots[0]));
        e->slots_len = len;
    }
    return &e->slots[fd];
}

static struct op_queue *slot_queue(struct slot *slot, const struct task *task)
{
    return task_is_inward(task) ? &slot->inward : &slot->outward;
}

static int32_t slot_register(struct epoll *e, struct slot *slot, int fd)
{
    if (slot->registered)
        return 0;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd };
    if (epoll_ctl(e->fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    slot->registered = true;
    return 0;
}

static void socket_finish(struct epoll *e, struct odk_io_op *op, int32_t result)
{
    const struct task *task = task_of(op);
    if (task->head.kind == TASK_CONNECT && result < 0 && task->fd >= 0)
        slot_of(e, task->fd)->registered = false; /* the try has closed it */
    op_finish(&e->tasks.finished, op, result);
}

static void socket_attempt(struct epoll *e, struct odk_io_op *op)
{
    const struct task *task = task_of(op);
    if (task->fd < 0) { /* a connect that got no socket */
        op_finish(&e->tasks.finished, op, task->fd);
        return;
    }
    struct slot *slot = slot_of(e, task->fd);
    struct op_queue *queue = slot_queue(slot, task);
    bool behind_others = !op_queue_empty(queue);
    int32_t result = behind_others ? -EAGAIN : task_try(&e->tasks, op);
    if (result == -EAGAIN) {
        result = slot_register(e, slot, task->fd);
        if (result == 0) {
            op_queue_push(queue, op);
            e->parked++;
            return;
        }
    }
    socket_finish(e, op, result);
}

static void queue_attempt(struct epoll *e, struct op_queue *queue)
{
    while (!op_queue_empty(queue)) {
        struct odk_io_op *op = queue->first;
        int32_t result = task_try(&e->tasks, op);
        if (result == -EAGAIN)
            return;
        (void)op_queue_pop(queue);
        e->parked--;
        socket_finish(e, op, result);
    }
}

/* Sockets are tried here, files go to the threads. */
static void epoll_start_fresh(struct epoll *e)
{
    struct op_queue fresh = op_queue_take(&e->tasks.fresh);
    struct op_queue files = { 0 };
    uint32_t files_count = 0;
    for (struct odk_io_op *op = op_queue_pop(&fresh); op; op = op_queue_pop(&fresh)) {
        if (task_is_socket(task_of(op))) {
            socket_attempt(e, op);
        } else {
            op_queue_push(&files, op);
            files_count++;
        }
    }
    workers_give(&e->workers, files, files_count);
}

static void event_take(struct epoll *e, const struct epoll_event *event)
{
    if (event->data.fd == e->tasks.bell.fd) {
        bell_drain(&e->tasks.bell);
        return;
    }
    struct slot *slot = slot_of(e, event->data.fd);
    if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        queue_attempt(e, &slot->inward);
    if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        queue_attempt(e, &slot->outward);
}

static void epoll_take_events(struct epoll *e, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(e->fd, events, EVENTS_MAX, timeout_ms);
    ASSERT(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++)
        event_take(e, &events[i]);
}

/* Rounded up: a deadline must be over when its sleep ends, or the caller would spin. */
static int timeout_ms(const struct epoll *e, uint64_t until_ns)
{
    if (until_ns == UINT64_MAX)
        return -1;
    uint64_t now_ns = e->tasks.io.ops->mono_ns(NULL);
    uint64_t left_ms = until_ns > now_ns ? (until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
    return (int)MIN(left_ms, (uint64_t)INT32_MAX);
}

static void epoll_run(struct odk_io *io, uint64_t until_ns)
{
    struct epoll *e = epoll_of(io);
    struct tasks *tasks = &e->tasks;
    epoll_start_fresh(e);
    workers_collect(&e->workers, &tasks->finished);
    if (until_ns > 0 && op_queue_empty(&tasks->finished) && bell_sleep(&tasks->bell))
        epoll_take_events(e, timeout_ms(e, until_ns));
    else if (e->parked > 0)
        epoll_take_events(e, 0);
    bell_awake(&tasks->bell);
    workers_collect(&e->workers, &tasks->finished);
    op_queue_run(&tasks->finished);
}

static void epoll_close_socket(struct odk_io *io, int32_t sock)
{
    struct epoll *e = epoll_of(io);
    if ((uint32_t)sock < e->slots_len) {
        ASSERT(op_queue_empty(&e->slots[sock].inward));
        ASSERT(op_queue_empty(&e->slots[sock].outward));
        e->slots[sock].registered = false;
    }
    os_close_socket(io, sock);
}

static void epoll_free(struct odk_io *io)
{
    if (!io)
        return;
    struct epoll *e = epoll_of(io);
    workers_deinit(&e->workers);
    tasks_deinit(&e->tasks);
    if (e->fd >= 0)
        (void)close(e->fd);
    free(e->slots);
    free(e);
}

static const struct odk_io_ops epoll_ops = {
    TASKS_OPS, .name = "epoll", .run = epoll_run, .free = epoll_free, .close_socket = epoll_close_socket,
};

static int32_t epoll_make(struct epoll *e)
{
    e->fd = epoll_create1(EPOLL_CLOEXEC);
    if (e->fd < 0)
        return -errno;
    struct epoll_event event = { .events = EPOLLIN, .data.fd = e->tasks.bell.fd };
    return epoll_ctl(e->fd, EPOLL_CTL_ADD, e->tasks.bell.fd, &event) < 0 ? -errno : 0;
}

enum odk_err epoll_open(const struct odk_io_options *options, struct odk_io **ret_io, char *why, size_t why_len)
{
    struct epoll *e = xcalloc(1, sizeof(*e));
    e->fd = -1;
    int32_t result = tasks_init(&e->tasks, &epoll_ops, options->recv_buffers);
    workers_init(&e->workers, &e->tasks.bell, options->workers);
    if (result == 0)
        result = epoll_make(e);
    if (result < 0) {
        (void)snprintf(why, why_len, "epoll: %s", strerror(-result));
        epoll_free(&e->tasks.io);
        return odk_err_from_errno(result);
    }
    *ret_io = &e->tasks.io;
    return ODK_OK;
}
