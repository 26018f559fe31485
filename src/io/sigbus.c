#include "io/sigbus.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "io/os.h"

#define SLOT_FREE     0u
#define SLOT_RESERVED 1u /* no mapping starts at address 1 */

struct slot {
    _Atomic uintptr_t start; /* SLOT_FREE, SLOT_RESERVED, or the mapping's first byte */
    _Atomic size_t len;
    struct odk_io_map *_Atomic map;
};

static struct {
    struct slot slots[SIGBUS_MAPS_MAX];
    _Atomic uint32_t end;  /* every slot in use is below */
    _Atomic uint32_t hint; /* where to look for a free one first */
} watched;

/* The map whose range holds address, or NULL. */
static struct odk_io_map *watched_find(uintptr_t address)
{
    uint32_t end = atomic_load(&watched.end);
    for (uint32_t i = 0; i < end; i++) {
        struct slot *slot = &watched.slots[i];
        uintptr_t start = atomic_load(&slot->start);
        if (start <= SLOT_RESERVED || address < start || address - start >= atomic_load(&slot->len))
            continue;
        struct odk_io_map *map = atomic_load(&slot->map);
        /* Another thread may have given the slot away meanwhile; then len and map are not start's. */
        if (atomic_load(&slot->start) == start)
            return map;
    }
    return NULL;
}

/* Runs in the signal handler: only atomics, sysconf and mmap, which is a bare system call. */
static bool page_replace(void *address)
{
    struct odk_io_map *map = watched_find((uintptr_t)address);
    if (!map)
        return false;
    const size_t len = os_page_bytes();
    void *page = (void *)align_down((uintptr_t)address, len);
    void *zeros = mmap(page, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (zeros == MAP_FAILED)
        return false;
    map->broken = true;
    return true;
}

static void sigbus_handle(int number, siginfo_t *info, void *context)
{
    (void)context;
    int saved = errno;
    bool from_memory = info->si_code > 0; /* else somebody called kill(2) */
    if (!from_memory || !page_replace(info->si_addr)) {
        (void)signal(number, SIG_DFL);
        if (!from_memory)
            (void)raise(number);
        /* A real fault repeats on return and meets the default action, with the true address in the core. */
    }
    errno = saved;
}

static void handler_install(void)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
    action.sa_sigaction = sigbus_handle;
    (void)sigemptyset(&action.sa_mask);
    int failed = sigaction(SIGBUS, &action, NULL);
    ASSERT(failed == 0);
}

static void end_raise(uint32_t end)
{
    uint32_t seen = atomic_load(&watched.end);
    while (seen < end && !atomic_compare_exchange_weak(&watched.end, &seen, end))
        continue;
}

int32_t sigbus_watch(struct odk_io_map *map)
{
    handler_install();
    uint32_t first = atomic_load(&watched.hint);
    for (uint32_t n = 0; n < SIGBUS_MAPS_MAX; n++) {
        uint32_t i = (first + n) % SIGBUS_MAPS_MAX;
        struct slot *slot = &watched.slots[i];
        uintptr_t expected = SLOT_FREE;
        if (!atomic_compare_exchange_strong(&slot->start, &expected, SLOT_RESERVED))
            continue;
        atomic_store(&slot->len, map->len);
        atomic_store(&slot->map, map);
        end_raise(i + 1);
        atomic_store(&slot->start, (uintptr_t)map->data);
        atomic_store(&watched.hint, (i + 1) % SIGBUS_MAPS_MAX);
        return (int32_t)i;
    }
    return -ENFILE;
}

void sigbus_forget(int32_t slot)
{
    ASSERT(slot >= 0);
    ASSERT((uint32_t)slot < SIGBUS_MAPS_MAX);
    ASSERT(atomic_load(&watched.slots[slot].start) > SLOT_RESERVED);
    atomic_store(&watched.slots[slot].start, SLOT_FREE);
    /* Low slots first: the table's memory stays as small as the number of mappings. */
    uint32_t hint = atomic_load(&watched.hint);
    if ((uint32_t)slot < hint)
        (void)atomic_compare_exchange_strong(&watched.hint, &hint, (uint32_t)slot);
}
