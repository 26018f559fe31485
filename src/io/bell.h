/*
 * Ends another thread's sleep. The owner announces that it is about to sleep; who rings looks at that word first, so
 * ringing an owner that is awake costs one atomic exchange and no system call.
 *
 *   AWAKE --bell_sleep--> ASLEEP --bell_awake--> AWAKE
 *   AWAKE --bell_ring--> RUNG (no system call): the next bell_sleep refuses and goes back to AWAKE
 *   ASLEEP --bell_ring--> RUNG, and fd becomes readable
 *
 * The owner's sleep must end when fd is readable. A reading that arrives after the sleep has ended by itself only
 * makes one later sleep short.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bell {
    _Atomic uint32_t state;
    int fd; /* an eventfd */
};

/* flags: of eventfd(2), EFD_CLOEXEC is added. Returns 0 or a negative errno. */
int32_t bell_init(struct bell *bell, int flags);
void bell_deinit(struct bell *bell);
void bell_ring(struct bell *bell); /* any thread */
/* False: somebody has rung since the last sleep; do not sleep. */
bool bell_sleep(struct bell *bell);
/* After the sleep, or in place of one: what was rung before this call counts as heard. */
void bell_awake(struct bell *bell);
/* Empties fd, for owners that wait for it to be readable (needs EFD_NONBLOCK). */
void bell_drain(struct bell *bell);
