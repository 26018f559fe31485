#include "io/os.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/units.h"

static struct timespec clock_read(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);
    ASSERT(failed == 0);
    return now;
}

uint64_t os_mono_ns(struct odk_io *io)
{
    (void)io;
    struct timespec now = clock_read(CLOCK_MONOTONIC);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t os_wall_ms(struct odk_io *io)
{
    (void)io;
    struct timespec now = clock_read(CLOCK_REALTIME);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void os_random(struct odk_io *io, void *dst, size_t len)
{
    (void)io;
    for (size_t filled = 0; filled < len;) {
        ssize_t got = getrandom((char *)dst + filled, len - filled, 0);
        ASSERT(got > 0 || errno == EINTR); /* without chance no id is safe to give out */
        filled += got > 0 ? (size_t)got : 0;
    }
}
