/*
 * The plain backend, for tools: no threads, nothing set up before it is needed. File operations block inside run();
 * sockets that are not ready wait in one list, and run() sleeps in poll(2) over all of it. Right for a few sockets,
 * not for thousands.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "io/backend.h"
#include "io/task.h"

struct posix {
    struct tasks tasks;
    struct op_queue parked; /* operations whose socket was not ready */
    struct pollfd *polled;  /* grown as needed */
    uint32_t polled_len;
};

static struct posix *posix_of(struct odk_io *io)
{
    return container_of(tasks_of(io), struct posix, tasks);
}

static void posix_attempt(struct posix *p, struct op_queue from)
{
    for (struct odk_io_op *op = op_queue_pop(&from); op; op = op_queue_pop(&from)) {
        int32_t result = task_is_socket(task_of(op)) ? task_try(&p->tasks, op) : task_do(op);
        if (result == -EAGAIN && task_is_socket(task_of(op)))
            op_queue_push(&p->parked, op);
        else
            op_finish(&p->tasks.finished, op, result);
    }
}

/* The bell first, then every parked socket. Returns the number of entries. */
static uint32_t posix_polled_fill(struct posix *p)
{
    uint32_t count = 0;
    for (struct odk_io_op *op = p->parked.first; op; op = op_head(op)->next)
        count++;
    if (count + 1 > p->polled_len) {
        p->polled_len = (count + 1) * 2;
        p->polled = xrealloc(p->polled, p->polled_len * sizeof(p->polled[0]));
    }
    p->polled[0] = (struct pollfd){ .fd = p->tasks.bell.fd, .events = POLLIN };
    uint32_t i = 1;
    for (struct odk_io_op *op = p->parked.first; op; op = op_head(op)->next) {
        const struct task *task = task_of(op);
        p->polled[i++] = (struct pollfd){ .fd = task->fd, .events = task_is_inward(task) ? POLLIN : POLLOUT };
    }
    return count + 1;
}

static void posix_sleep(struct posix *p, uint64_t until_ns)
{
    uint32_t count = posix_polled_fill(p);
    uint64_t now_ns = until_ns == UINT64_MAX ? 0 : os_mono_ns(&p->tasks.io);
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec left = { .tv_sec = (time_t)(left_ns / NS_PER_S), .tv_nsec = (long)(left_ns % NS_PER_S) };
    int ready = ppoll(p->polled, count, until_ns == UINT64_MAX ? NULL : &left, NULL);
    if (ready < 0)
        ASSERT(errno == EINTR || errno == EAGAIN || errno == ENOMEM);
    else if (p->polled[0].revents)
        bell_drain(&p->tasks.bell);
}

static void posix_run(struct odk_io *io, uint64_t until_ns)
{
    struct posix *p = posix_of(io);
    struct tasks *tasks = &p->tasks;
    posix_attempt(p, op_queue_take(&tasks->fresh));
    posix_attempt(p, op_queue_take(&p->parked));
    if (until_ns > 0 && op_queue_empty(&tasks->finished) && bell_sleep(&tasks->bell)) {
        posix_sleep(p, until_ns);
        posix_attempt(p, op_queue_take(&p->parked));
    }
    bell_awake(&tasks->bell);
    op_queue_run(&tasks->finished);
}

static void posix_free(struct odk_io *io)
{
    if (!io)
        return;
    struct posix *p = posix_of(io);
    tasks_deinit(&p->tasks);
    free(p->polled);
    free(p);
}

static const struct odk_io_ops posix_ops = {
    TASKS_OPS, .name = "posix", .run = posix_run, .free = posix_free, .close_socket = os_close_socket,
};

enum odk_err posix_open(const struct odk_io_options *options, struct odk_io **ret_io, char *why, size_t why_len)
{
    struct posix *p = xcalloc(1, sizeof(*p));
    int32_t result = tasks_init(&p->tasks, &posix_ops, options->recv_buffers);
    if (result < 0) {
        (void)snprintf(why, why_len, "posix: eventfd: %s", strerror(-result));
        free(p);
        return odk_err_from_errno(result);
    }
    *ret_io = &p->tasks.io;
    return ODK_OK;
}
