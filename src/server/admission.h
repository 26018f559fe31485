/*
 * Who may connect: counts of the whole server's connections against max.connections, max.connections.per.ip with its
 * overrides, and max.connection.creation.rate, as these stand at the moment.
 *
 * Connections come on one reactor and go on any, so there is a lock; it is taken when one comes or goes, never on a
 * request's path.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

struct broker_config;
struct admission_address;

struct admission {
    pthread_mutex_t lock;
    uint32_t count;
    struct admission_address *by_host;
    uint64_t paced_ns; /* when the next connection would be due at the configured rate; the accepting thread's */
};

enum admission_answer {
    ADMISSION_OK,
    ADMISSION_TOO_MANY,
    ADMISSION_TOO_MANY_OF_ADDRESS,
};

void admission_init(struct admission *admission);
/* All connections are gone, or the process is ending. */
void admission_deinit(struct admission *admission);

/* Counts a connection from host (an address as text), if it may come in; then admission_leave must follow. Cost: a
 * lookup, and one in the overrides. */
MUST_USE enum admission_answer admission_enter(struct admission *admission, const char *host,
                                               const struct broker_config *config);
/* From any thread. */
void admission_leave(struct admission *admission, const char *host);

/* Connections that are open or on their way. */
uint32_t admission_count(struct admission *admission);

/* When the next connection may be accepted, one having come now: now_ns, or later if they come faster than
 * max.connection.creation.rate (0 counts as 1) for more than a second. */
uint64_t admission_next_ns(struct admission *admission, const struct broker_config *config, uint64_t now_ns);
