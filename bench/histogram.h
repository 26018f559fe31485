/*
 * Log-linear histogram of nanoseconds (the layout of HdrHistogram): 64 linear steps per power of two, so a quantile is
 * off by at most 1.6 %. Fixed size, no allocation.
 */
#pragma once
#include <stdint.h>

#define HISTOGRAM_STEPS 64u
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 48u)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    uint64_t sum_ns;
    uint64_t max_ns;
};

void histogram_add(struct histogram *histogram, uint64_t value_ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The smallest value that at least share (0..1) of all values do not exceed; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);
