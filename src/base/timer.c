#include "base/timer.h"

#include <stdlib.h>

#include "base/base.h"

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
    }
    timers->count++;
    sift_up(timers, timer, timers->count);
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    uint32_t pos = timer->heap_pos;
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
    for (uint32_t budget = timers->count; budget > 0 && timers_next_ns(timers) <= now_ns; budget--) {
        struct timer *timer = timers->heap[1];
        timer_cancel(timers, timer);
        timer->fire(timer, now_ns);
    }
}
