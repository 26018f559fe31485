#include "base/timer.h"

#include <stdlib.h>

#include "base/base.h"

#define DUE (UINT32_C(1) << 31) /* in heap_pos: not in the heap but in due, at that index */

static void place(struct timers *timers, struct timer *timer, uint32_t pos)
{
    timers->heap[pos] = timer;
    timer->heap_pos = pos;
}

static void sift_up(struct timers *timers, struct timer *timer, uint32_t pos)
{
    while (pos > 1 && timers->heap[pos / 2]->deadline_ns > timer->deadline_ns) {
        place(timers, timers->heap[pos / 2], pos);
        pos /= 2;
    }
    place(timers, timer, pos);
}

static void sift_down(struct timers *timers, struct timer *timer, uint32_t pos)
{
    for (;;) {
        uint32_t child = pos * 2;
        if (child > timers->count)
            break;
        if (child < timers->count && timers->heap[child + 1]->deadline_ns < timers->heap[child]->deadline_ns)
            child++;
        if (timers->heap[child]->deadline_ns >= timer->deadline_ns)
            break;
        place(timers, timers->heap[child], pos);
        pos = child;
    }
    place(timers, timer, pos);
}

void timers_deinit(struct timers *timers)
{
    free(timers->heap);
    free(timers->due);
    *timers = (struct timers){ 0 };
}

void timer_arm(struct timers *timers, struct timer *timer, uint64_t deadline_ns)
{
    ASSERT(timer->fire != NULL);
    timer_cancel(timers, timer);
    timer->deadline_ns = deadline_ns;
    if (timers->count + 1 >= timers->capacity) {
        timers->capacity = timers->capacity ? timers->capacity * 2 : 64;
        timers->heap = xrealloc(timers->heap, timers->capacity * sizeof(struct timer *));
        timers->due = xrealloc(timers->due, timers->capacity * sizeof(struct timer *));
    }
    timers->count++;
    sift_up(timers, timer, timers->count);
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    uint32_t pos = timer->heap_pos;
    if (pos & DUE) {
        timers->due[pos & ~DUE] = NULL;
        timer->heap_pos = 0;
        return;
    }
    if (pos == 0)
        return;
    ASSERT(pos <= timers->count);
    ASSERT(timers->heap[pos] == timer);
    struct timer *last = timers->heap[timers->count--];
    timer->heap_pos = 0;
    if (last == timer)
        return;
    if (pos > 1 && timers->heap[pos / 2]->deadline_ns > last->deadline_ns)
        sift_up(timers, last, pos);
    else
        sift_down(timers, last, pos);
}

uint64_t timers_next_ns(const struct timers *timers)
{
    return timers->count ? timers->heap[1]->deadline_ns : UINT64_MAX;
}

void timers_fire(struct timers *timers, uint64_t now_ns)
{
    uint32_t count = 0;
    for (; timers->count > 0 && timers->heap[1]->deadline_ns <= now_ns; count++) {
        struct timer *timer = timers->heap[1];
        timer_cancel(timers, timer);
        timer->heap_pos = DUE | count;
        timers->due[count] = timer;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct timer *timer = timers->due[i];
        if (!timer) /* cancelled meanwhile */
            continue;
        timer->heap_pos = 0;
        timer->fire(timer, now_ns);
    }
}
