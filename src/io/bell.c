#include "io/bell.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/base.h"

enum { BELL_AWAKE, BELL_ASLEEP, BELL_RUNG };

int32_t bell_init(struct bell *bell, int flags)
{
    atomic_init(&bell->state, BELL_AWAKE);
    bell->fd = eventfd(0, flags | EFD_CLOEXEC);
    return bell->fd < 0 ? -errno : 0;
}

void bell_deinit(struct bell *bell)
{
    if (bell->fd >= 0)
        (void)close(bell->fd);
    bell->fd = -1;
}

void bell_ring(struct bell *bell)
{
    if (atomic_exchange(&bell->state, BELL_RUNG) != BELL_ASLEEP)
        return;
    const uint64_t one = 1;
    ssize_t written;
    do
        written = write(bell->fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
    /* EAGAIN: the counter is at its top, so fd is readable anyway. */
    ASSERT(written == (ssize_t)sizeof(one) || errno == EAGAIN);
}

bool bell_sleep(struct bell *bell)
{
    uint32_t expected = BELL_AWAKE;
    return atomic_compare_exchange_strong(&bell->state, &expected, BELL_ASLEEP);
}

void bell_awake(struct bell *bell)
{
    atomic_store(&bell->state, BELL_AWAKE);
}

void bell_drain(struct bell *bell)
{
    uint64_t count;
    ssize_t got = read(bell->fd, &count, sizeof(count));
    ASSERT(got == (ssize_t)sizeof(count) || errno == EAGAIN || errno == EINTR);
}
