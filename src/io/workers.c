#include "io/workers.h"

#include <signal.h>
#include <stdlib.h>

#include "io/task.h"

void workers_init(struct workers *workers, struct bell *bell, uint32_t threads_max)
{
    *workers = (struct workers){ .bell = bell, .threads_max = threads_max };
    workers->threads = xcalloc(threads_max, sizeof(workers->threads[0]));
    int failed = pthread_mutex_init(&workers->mutex, NULL);
    ASSERT(failed == 0);
    failed = pthread_cond_init(&workers->more, NULL);
    ASSERT(failed == 0);
}

static void workers_lock(struct workers *workers)
{
    int failed = pthread_mutex_lock(&workers->mutex);
    ASSERT(failed == 0);
}

static void workers_unlock(struct workers *workers)
{
    int failed = pthread_mutex_unlock(&workers->mutex);
    ASSERT(failed == 0);
}

void workers_deinit(struct workers *workers)
{
    workers_lock(workers);
    workers->stop = true;
    (void)pthread_cond_broadcast(&workers->more);
    workers_unlock(workers);
    for (uint32_t i = 0; i < workers->threads_count; i++)
        (void)pthread_join(workers->threads[i], NULL);
    (void)pthread_cond_destroy(&workers->more);
    (void)pthread_mutex_destroy(&workers->mutex);
    free(workers->threads);
}

/* With the mutex held. NULL: stop. */
static struct odk_io_op *worker_next(struct workers *workers)
{
    while (op_queue_empty(&workers->todo) && !workers->stop) {
        workers->idle++;
        (void)pthread_cond_wait(&workers->more, &workers->mutex);
        workers->idle--;
    }
    if (workers->stop)
        return NULL;
    workers->todo_count--;
    return op_queue_pop(&workers->todo);
}

static void *worker_main(void *context)
{
    struct workers *workers = context;
    workers_lock(workers);
    for (struct odk_io_op *op = worker_next(workers); op; op = worker_next(workers)) {
        workers_unlock(workers);
        int32_t result = task_do(op);
        workers_lock(workers);
        bool first = op_queue_empty(&workers->finished);
        op_finish(&workers->finished, op, result);
        if (first)
            bell_ring(workers->bell);
    }
    workers_unlock(workers);
    return NULL;
}

/* Starts one more thread; it leaves all signals to the others except the one that its own accesses can cause. */
static bool workers_start(struct workers *workers)
{
    sigset_t block;
    sigset_t before;
    (void)sigfillset(&block);
    (void)sigdelset(&block, SIGBUS);
    (void)pthread_sigmask(SIG_SETMASK, &block, &before);
    int failed = pthread_create(&workers->threads[workers->threads_count], NULL, worker_main, workers);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        workers->threads_count++;
    return !failed;
}

/* The last resort of a process that may not have a thread. */
static void workers_do_all_here(struct workers *workers)
{
    for (struct odk_io_op *op = op_queue_pop(&workers->todo); op; op = op_queue_pop(&workers->todo))
        op_finish(&workers->finished, op, task_do(op));
    workers->todo_count = 0;
}

void workers_give(struct workers *workers, struct op_queue tasks, uint32_t count)
{
    if (op_queue_empty(&tasks))
        return;
    workers_lock(workers);
    op_queue_append(&workers->todo, tasks);
    workers->todo_count += count;
    uint32_t wanted = workers->todo_count > workers->idle ? workers->todo_count - workers->idle : 0;
    bool started = true;
    for (; wanted > 0 && started && workers->threads_count < workers->threads_max; wanted--)
        started = workers_start(workers);
    if (workers->threads_count == 0)
        workers_do_all_here(workers);
    else if (count == 1)
        (void)pthread_cond_signal(&workers->more);
    else
        (void)pthread_cond_broadcast(&workers->more);
    workers_unlock(workers);
}

void workers_collect(struct workers *workers, struct op_queue *finished)
{
    workers_lock(workers);
    op_queue_append(finished, op_queue_take(&workers->finished));
    workers_unlock(workers);
}
