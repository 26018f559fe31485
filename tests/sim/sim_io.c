/* The table of operations of a simulated io, and the life of one operation. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim_internal.h"

/* -- operations ------------------------------------------------------------------------------------------------- */

static bool list_has_op(const struct list *head, const struct odk_io_op *op)
{
    list_each(at, head) {
        if (list_entry(at, struct sim_op, in_io)->op == op)
            return true;
    }
    return false;
}

struct sim_op *sim_op_new(struct sim_io *io, struct odk_io_op *op, enum sim_kind kind)
{
    ASSERT(op->done != NULL);
    ASSERT(!list_has_op(&io->flying, op)); /* started twice */
    ASSERT(!list_has_op(&io->due, op));
    struct sim_op *sim = xcalloc(1, sizeof(*sim));
    sim->io = io;
    sim->op = op;
    sim->kind = kind;
    sim->handle = -1;
    if (!sim_begin(io)) {
        sim->result = -EIO;
        list_push_back(&io->due, &sim->in_io);
        return sim;
    }
    list_push_back(&io->flying, &sim->in_io);
    return sim;
}

void sim_op_complete(struct sim_op *op, int32_t result)
{
    struct sim_io *io = op->io;
    ASSERT(!io->dead);
    sim_trace(io->world, "complete", (uint64_t)op->kind << 32 | io->id, op->inode ? op->inode->id : 0, result);
    op->result = result;
    list_remove(&op->in_io);
    list_push_back(&io->due, &op->in_io);
}

void sim_op_schedule(struct sim_op *op, void (*fire)(struct sim_world *, struct sim_event *), uint64_t delay_ns)
{
    op->event.fire = fire;
    sim_schedule(op->io->world, &op->event, delay_ns);
}

/* -- clock and chance ------------------------------------------------------------------------------------------- */

static uint64_t io_mono_ns(struct odk_io *io)
{
    return sim_io_of(io)->world->now_ns;
}

static int64_t io_wall_ms(struct odk_io *io)
{
    struct sim_world *world = sim_io_of(io)->world;
    if (world->faults.wall_jump != 0 && prng_chance(&world->rng, world->faults.wall_jump)) {
        int64_t jump_ms = (int64_t)prng_below(&world->rng, 2 * 86400000) - 86400000;
        world->wall_offset_ms += jump_ms;
        sim_trace(world, "wall.jump", 0, 0, jump_ms);
    }
    return world->wall_offset_ms + (int64_t)(world->now_ns / NS_PER_MS);
}

static void io_random(struct odk_io *io, void *dst, size_t len)
{
    struct prng *rng = &sim_io_of(io)->world->data_rng;
    uint8_t *at = dst;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(prng_next(rng) >> 24);
}

/* -- the loop --------------------------------------------------------------------------------------------------- */

/* True when there was anything. */
static bool run_due(struct sim_io *io)
{
    struct list batch;
    list_init(&batch);
    list_splice(&batch, &io->due); /* what callbacks start or complete waits for the next turn */
    bool any = !list_empty(&batch);
    while (!list_empty(&batch)) {
        struct sim_op *sim = list_entry(list_pop_front(&batch), struct sim_op, in_io);
        struct odk_io_op *op = sim->op;
        int32_t result = io->dead ? -EIO : sim->result; /* died in an earlier callback */
        free(sim);
        op->done(op, result);
    }
    return any;
}

/* Straight-line code owns the thread: virtual time moves here until this io has something. */
static void run_straight(struct sim_io *io, uint64_t until_ns)
{
    struct sim_world *world = io->world;
    while (list_empty(&io->due) && !io->woken && !io->dead && world->now_ns < until_ns) {
        bool moved = sim_step_until(world, until_ns);
        ASSERT(moved); /* else this code waits for something that can never happen */
    }
}

static void io_run(struct odk_io *base, uint64_t until_ns)
{
    struct sim_io *io = sim_io_of(base);
    ASSERT(!io->running);
    io->running = true;
    if (io->straight && !io->dead)
        run_straight(io, until_ns);
    bool woken = io->woken;
    io->woken = false;
    if (!io->dead)
        io->world->now_ns += 1000; /* a turn of the loop costs time, so that nobody polls time to a standstill */
    bool any = run_due(io);
    io->running = false;
    /* A run() that had something to do has returned: the loop's next turn is due. Else it still sleeps. */
    io->wanted_ns = any || woken ? io->world->now_ns : until_ns;
    if (io->straight)
        io->wanted_ns = UINT64_MAX;
}

static void io_wake(struct odk_io *io)
{
    sim_io_of(io)->woken = true;
}

void sim_straight(struct odk_io *base, bool on)
{
    struct sim_io *io = sim_io_of(base);
    io->straight = on;
    io->wanted_ns = on ? UINT64_MAX : 0; /* a loop that begins wants its first turn */
}

bool sim_dead(const struct odk_io *base)
{
    const struct sim_io *io = (const struct sim_io *)(const void *)base;
    return io->dead;
}

/* -- memory ----------------------------------------------------------------------------------------------------- */

static void *io_mem_new(struct odk_io *base, size_t len)
{
    struct sim_io *io = sim_io_of(base);
    size_t whole = align_up(MAX(len, (size_t)1), SIM_PAGE);
    void *mem = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mem == MAP_FAILED)
        return NULL;
    io->memories = xrealloc(io->memories, (io->memory_count + 1) * sizeof(struct sim_memory));
    io->memories[io->memory_count++] = (struct sim_memory){ .mem = mem, .len = whole };
    return mem;
}

static void io_mem_free(struct odk_io *base, void *mem, size_t len)
{
    struct sim_io *io = sim_io_of(base);
    if (mem == NULL)
        return;
    for (uint32_t i = 0; i < io->memory_count; i++) {
        if (io->memories[i].mem != mem)
            continue;
        ASSERT(io->memories[i].len == align_up(MAX(len, (size_t)1), SIM_PAGE));
        (void)munmap(mem, io->memories[i].len);
        io->memories[i] = io->memories[--io->memory_count];
        return;
    }
    UNREACHABLE(); /* not from mem_new of this io */
}

/* -- life ------------------------------------------------------------------------------------------------------- */

static void io_free(struct odk_io *base)
{
    struct sim_io *io = sim_io_of(base);
    if (!io->dead) {
        list_each(at, &io->flying)
            ASSERT(list_entry(at, struct sim_op, in_io)->socket != NULL);
    }
    sim_io_free(base);
}

static const struct odk_io_ops sim_ops = {
    .name = "sim",
    .mono_ns = io_mono_ns,
    .wall_ms = io_wall_ms,
    .random = io_random,
    .run = io_run,
    .wake = io_wake,
    .free = io_free,
    .mem_new = io_mem_new,
    .mem_free = io_mem_free,
    .open = sim_file_open,
    .close = sim_file_close,
    .size = sim_file_size,
    .truncate = sim_file_truncate,
    .lock = sim_file_lock,
    .mkdir = sim_file_mkdir,
    .rename = sim_file_rename,
    .unlink = sim_file_unlink,
    .list = sim_file_list,
    .space = sim_file_space,
    .modified_ms = sim_file_modified_ms,
    .read = sim_file_read,
    .writev = sim_file_writev,
    .sync = sim_file_sync,
    .map = sim_file_map,
    .unmap = sim_file_unmap,
    .resident = sim_file_resident,
    .prefault = sim_file_prefault,
    .listen = sim_net_listen,
    .accept = sim_net_accept,
    .connect = sim_net_connect,
    .recv = sim_net_recv,
    .recv_release = sim_net_recv_release,
    .sendv = sim_net_sendv,
    .shutdown = sim_net_shutdown,
    .close_socket = sim_net_close,
    .local_addr = sim_net_local,
    .peer_addr = sim_net_peer,
};

struct odk_io *sim_io_new(struct sim_world *world, const struct sim_io_options *options)
{
    struct sim_io *io = xcalloc(1, sizeof(*io));
    io->base.ops = &sim_ops;
    io->world = world;
    io->id = ++world->io_count;
    io->options = *options;
    if (io->options.recv_buffers == 0)
        io->options.recv_buffers = 64;
    list_init(&io->flying);
    list_init(&io->due);
    list_push_back(&world->ios, &io->in_world);
    return &io->base;
}

static void drop_ops(struct sim_io *io, struct list *ops)
{
    while (!list_empty(ops)) {
        struct sim_op *op = list_entry(list_pop_front(ops), struct sim_op, in_io);
        sim_cancel(io->world, &op->event);
        free(op);
    }
}

void sim_io_free(struct odk_io *base)
{
    if (base == NULL)
        return;
    struct sim_io *io = sim_io_of(base);
    ASSERT(!io->running);
    sim_net_forget(io);
    drop_ops(io, &io->flying);
    drop_ops(io, &io->due);
    sim_file_forget(io);
    for (uint32_t i = 0; i < io->memory_count; i++)
        (void)munmap(io->memories[i].mem, io->memories[i].len);
    list_remove(&io->in_world);
    free(io->memories);
    free(io->handles);
    free(io->sockets);
    free(io);
}
