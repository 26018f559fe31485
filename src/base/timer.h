/*
 * Deadlines in a binary heap of embedded nodes. "Now" is always an argument: this file reads no clock.
 * Arm, cancel and fire cost O(log n); the next deadline O(1).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct timer {
    uint64_t deadline_ns; /* monotonic */
    void (*fire)(struct timer *timer, uint64_t now_ns);
    uint32_t heap_pos; /* 1-based; 0 = not armed; see timer.c */
};

struct timers {
    struct timer **heap; /* heap[0] unused */
    uint32_t count;
    uint32_t capacity;
    struct timer **due; /* being fired */
};

void timers_deinit(struct timers *timers);
/* Arms or re-arms. fire runs from timers_fire, with the timer already disarmed. */
void timer_arm(struct timers *timers, struct timer *timer, uint64_t deadline_ns);
/* Harmless when not armed. */
void timer_cancel(struct timers *timers, struct timer *timer);
/* The earliest deadline, or UINT64_MAX. */
uint64_t timers_next_ns(const struct timers *timers);
/* Fires everything due at now_ns; timers armed meanwhile with a due deadline wait for the next call. */
void timers_fire(struct timers *timers, uint64_t now_ns);

static inline bool timer_armed(const struct timer *timer)
{
    return timer->heap_pos != 0;
}
