/*
 * Threads that do the blocking tasks of the epoll backend. They start when there is more to do than threads that idle,
 * up to the limit, and sleep on a condition otherwise. Results wait here until the owner collects them; the bell
 * tells it to.
 */
#pragma once
#include <pthread.h>

#include "io/bell.h"
#include "io/queue.h"

struct workers {
    pthread_mutex_t mutex;
    pthread_cond_t more; /* todo or stop has changed */
    struct op_queue todo;
    struct op_queue finished;
    uint32_t todo_count;
    uint32_t idle; /* threads waiting for more */
    bool stop;
    /* The owner's alone: */
    struct bell *bell;
    pthread_t *threads;
    uint32_t threads_count;
    uint32_t threads_max;
};

void workers_init(struct workers *workers, struct bell *bell, uint32_t threads_max);
/* Waits for the tasks that are being done; the ones not begun are forgotten. */
void workers_deinit(struct workers *workers);
/* Takes over tasks that task_do can do. */
void workers_give(struct workers *workers, struct op_queue tasks, uint32_t count);
/* Moves what is done to the back of finished. */
void workers_collect(struct workers *workers, struct op_queue *finished);
