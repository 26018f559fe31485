/* Clocks, chance, waiting and waking of every backend. */
#include "world.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void clocks_and_chance_move(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    uint64_t first_ns = io->ops->mono_ns(io);
    assert_true(io->ops->mono_ns(io) >= first_ns);
    assert_true(io->ops->wall_ms(io) / 1000 <= time(NULL));
    assert_true(io->ops->wall_ms(io) / 1000 >= time(NULL) - 5);
    uint8_t a[64] = { 0 };
    uint8_t b[64] = { 0 };
    io->ops->random(io, a, sizeof(a));
    io->ops->random(io, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

static void run_returns_at_its_deadline(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    uint64_t begin_ns = io->ops->mono_ns(io);
    io->ops->run(io, 0);
    io->ops->run(io, begin_ns);
    assert_true(io->ops->mono_ns(io) - begin_ns < NS_PER_S);
    uint64_t until_ns = io->ops->mono_ns(io) + 30 * NS_PER_MS;
    uint32_t rounds = 0;
    for (; io->ops->mono_ns(io) < until_ns; rounds++)
        io->ops->run(io, until_ns);
    assert_true(io->ops->mono_ns(io) < until_ns + NS_PER_S);
    assert_true(rounds <= 4); /* it sleeps, it does not come round and round */
}

struct waker {
    struct odk_io *io;
    _Atomic bool stop;
    _Atomic uint32_t rung;
};

/* Rings, and goes on only when the owner has noticed: so no ring may ever be lost. */
static void *waker_main(void *context)
{
    struct waker *waker = context;
    for (uint32_t i = 0; i < 20000; i++) {
        atomic_fetch_add(&waker->rung, 1);
        waker->io->ops->wake(waker->io);
        while (atomic_load(&waker->rung) != 0)
            (void)sched_yield();
    }
    atomic_store(&waker->stop, true);
    waker->io->ops->wake(waker->io);
    return NULL;
}

static void no_wake_is_lost(void **state)
{
    struct waker waker = { .io = ((struct world *)*state)->io };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, waker_main, &waker), 0);
    while (!atomic_load(&waker.stop)) {
        uint64_t begin_ns = waker.io->ops->mono_ns(waker.io);
        waker.io->ops->run(waker.io, begin_ns + 10 * NS_PER_S);
        assert_true(waker.io->ops->mono_ns(waker.io) - begin_ns < 9 * NS_PER_S);
        atomic_store(&waker.rung, 0);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void wake_before_run_ends_the_next_sleep(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    io->ops->run(io, 0);
    io->ops->wake(io);
    io->ops->wake(io);
    uint64_t begin_ns = io->ops->mono_ns(io);
    io->ops->run(io, begin_ns + 10 * NS_PER_S);
    assert_true(io->ops->mono_ns(io) - begin_ns < 5 * NS_PER_S);
}

static uint64_t cpu_ns(void)
{
    struct timespec used;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

/* Wakes the backend after a while, which it spends in one of its own. */
static void *wake_later_main(void *context)
{
    struct odk_io *sleeper = context;
    struct odk_io *own = NULL;
    char why[64];
    assert_int_equal(odk_io_open(&(struct odk_io_options){ .kind = ODK_IO_POSIX }, &own, why, sizeof(why)), ODK_OK);
    uint64_t until_ns = own->ops->mono_ns(own) + 300 * NS_PER_MS;
    while (own->ops->mono_ns(own) < until_ns)
        own->ops->run(own, until_ns);
    own->ops->free(own);
    sleeper->ops->wake(sleeper);
    return NULL;
}

/* With receives and an accept armed, and after files were used (so that threads exist where there are threads). */
static void idling_costs_no_cpu(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world->io;
    int32_t file = io->ops->open(io, world_path(world, "f"), ODK_IO_WRITE | ODK_IO_CREATE);
    assert_int_equal(world_sync(io, file), 0);
    assert_int_equal(io->ops->close(io, file), 0);
    struct pair pair;
    pair_open(io, &pair);
    struct probe recv;
    struct probe accept;
    char byte;
    probe_init(&recv);
    probe_init(&accept);
    io->ops->recv(io, &recv.op, pair.server, &byte, 1);
    io->ops->accept(io, &accept.op, pair.listener);
    io->ops->run(io, 0);
    pthread_t thread;
    uint64_t cpu_before_ns = cpu_ns();
    uint64_t begin_ns = io->ops->mono_ns(io);
    assert_int_equal(pthread_create(&thread, NULL, wake_later_main, io), 0);
    uint32_t rounds = 0;
    for (; io->ops->mono_ns(io) - begin_ns < 250 * NS_PER_MS; rounds++)
        io->ops->run(io, UINT64_MAX);
    assert_true(rounds <= 2);
    assert_true(cpu_ns() - cpu_before_ns < 50 * NS_PER_MS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    io->ops->shutdown(io, pair.server);
    io->ops->shutdown(io, pair.listener);
    (void)probe_wait(io, &recv);
    (void)probe_wait(io, &accept);
    pair_close(io, &pair);
}

/* A callback that starts an operation never sees it end inside, and the loop gets to it without being asked twice. */
struct chain {
    struct odk_io_op op;
    struct odk_io *io;
    int32_t file;
    uint32_t left;
    bool inside;
    char byte;
};

static void chain_on_read(struct odk_io_op *op, int32_t result)
{
    struct chain *chain = container_of(op, struct chain, op);
    assert_int_equal(result, 0);
    assert_false(chain->inside);
    if (--chain->left == 0)
        return;
    chain->inside = true;
    chain->io->ops->read(chain->io, &chain->op, chain->file, &chain->byte, 1, 0);
    chain->inside = false;
}

static void callbacks_never_nest(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world_io(world, &(struct odk_io_options){ .entries = 1 });
    int32_t file = io->ops->open(io, world_path(world, "f"), ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE);
    struct chain chains[8];
    for (size_t i = 0; i < countof(chains); i++) {
        chains[i] = (struct chain){ .op.done = chain_on_read, .io = io, .file = file, .left = 100, .inside = true };
        io->ops->read(io, &chains[i].op, file, &chains[i].byte, 1, 0);
        chains[i].inside = false;
    }
    for (size_t i = 0; i < countof(chains); i++) {
        while (chains[i].left > 0)
            io->ops->run(io, UINT64_MAX);
    }
    assert_int_equal(io->ops->close(io, file), 0);
    io->ops->free(io);
}

/* Opened here, used there: the thread of the first run owns it. */
static void *other_thread_main(void *context)
{
    struct odk_io *io = context;
    struct pair pair;
    pair_open(io, &pair);
    pair_close(io, &pair);
    io->ops->free(io);
    return NULL;
}

static void owner_is_who_runs_it_first(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world_io(world, &(struct odk_io_options){ 0 });
    uint8_t *mem = io->ops->mem_new(io, ODK_IO_BLOCK);
    int32_t file = io->ops->open(io, world_path(world, "f"), ODK_IO_WRITE | ODK_IO_CREATE | ODK_IO_HOT);
    assert_int_equal(io->ops->close(io, file), 0);
    io->ops->mem_free(io, mem, ODK_IO_BLOCK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other_thread_main, io), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* What is in flight on a socket that has ended may be dropped with the backend. */
static void free_drops_what_waits(void **state)
{
    struct world *world = *state;
    for (int round = 0; round < 20; round++) {
        struct odk_io *io = world_io(world, &(struct odk_io_options){ .recv_buffers = 4 });
        struct pair pair;
        pair_open(io, &pair);
        struct probe recv;
        probe_init(&recv);
        io->ops->recv(io, &recv.op, pair.server, NULL, 0);
        io->ops->run(io, 0);
        io->ops->free(io);
        assert_int_equal(recv.done_count, 0);
        pair_close(world->io, &pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(clocks_and_chance_move),
        EACH(run_returns_at_its_deadline),
        EACH(no_wake_is_lost),
        EACH(wake_before_run_ends_the_next_sleep),
        EACH(idling_costs_no_cpu),
        EACH(callbacks_never_nest),
        EACH(owner_is_who_runs_it_first),
        EACH(free_drops_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
