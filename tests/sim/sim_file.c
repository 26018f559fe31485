/*
 * File operations of a simulated io: handles, the moment at which an operation takes effect, and its faults.
 *
 * Reads and writes take effect when they complete, so buffers are looked at as late as a kernel might. A sync takes
 * effect at its start or at its completion, by draw: a caller that takes either for granted is found out. What it
 * covers is fixed at its start in both cases.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "sim_internal.h"

/* -- handles ------------------------------------------------------------------------------------------------------ */

static struct sim_handle *handle_at(struct sim_io *io, int32_t file)
{
    if (file < 0 || (uint32_t)file >= io->handle_count || !io->handles[file].used)
        return NULL;
    return &io->handles[file];
}

static int32_t handle_take(struct sim_io *io)
{
    uint32_t open_count = 0;
    uint32_t free_at = io->handle_count;
    for (uint32_t i = io->handle_count; i-- > 0;) {
        if (io->handles[i].used)
            open_count++;
        else
            free_at = i;
    }
    if (io->world->faults.files_max != 0 && open_count >= io->world->faults.files_max)
        return -EMFILE;
    if (free_at == io->handle_count) {
        io->handle_count = MAX(16u, io->handle_count * 2);
        io->handles = xrealloc(io->handles, io->handle_count * sizeof(struct sim_handle));
        memset(io->handles + free_at, 0, (io->handle_count - free_at) * sizeof(struct sim_handle));
    }
    return (int32_t)free_at;
}

static int32_t meta_fault(struct sim_world *world, const char *path)
{
    int32_t planned = sim_planned(world, SIM_FAIL_META, path);
    if (planned != 0)
        return planned;
    return prng_chance(&world->rng, world->faults.meta_eio) ? -EIO : 0;
}

int32_t sim_file_open(struct odk_io *base, const char *path, uint32_t flags)
{
    struct sim_io *io = sim_io_of(base);
    struct sim_world *world = io->world;
    if (!sim_begin(io))
        return -EIO;
    int32_t error = meta_fault(world, path);
    int32_t file = error != 0 ? error : handle_take(io);
    struct sim_inode *inode = NULL;
    if (file >= 0 && (flags & ODK_IO_DIRECT) != 0 && world->faults.no_direct)
        file = -EINVAL;
    if (file >= 0) {
        error = sim_fs_open(world, path, flags, &inode);
        file = error != 0 ? error : file;
    }
    sim_trace(world, "open", flags, inode ? inode->id : 0, file);
    if (file < 0)
        return file;
    struct sim_handle *handle = &io->handles[file];
    *handle = (struct sim_handle){
        .used = true, .use = handle->use + 1, .flags = flags, .err_seen = inode->err_seq, .inode = inode
    };
    /* An error that nobody was told yet is told to who comes later, too. */
    if (!inode->err_told && inode->err_seq > 0)
        handle->err_seen--;
    inode->opens++;
    return file;
}

static void handle_drop(struct sim_io *io, int32_t file)
{
    struct sim_handle *handle = &io->handles[file];
    struct sim_inode *inode = handle->inode;
    if (inode->lock_io == io && inode->lock_handle == file)
        inode->lock_io = NULL;
    handle->used = false;
    inode->opens--;
    sim_fs_collect(io->world, inode);
}

int32_t sim_file_close(struct odk_io *base, int32_t file)
{
    struct sim_io *io = sim_io_of(base);
    if (io->dead)
        return 0;
    struct sim_handle *handle = handle_at(io, file);
    ASSERT(handle != NULL); /* closed twice, or never opened */
    sim_trace(io->world, "close", (uint64_t)file, handle->inode->id, 0);
    handle_drop(io, file);
    return 0;
}

void sim_file_forget(struct sim_io *io)
{
    struct sim_world *world = io->world;
    for (uint32_t slot = 0; slot < world->map_count; slot++) {
        if (world->map_ios[slot] != io || world->maps[slot] == NULL)
            continue;
        world->maps[slot] = NULL;
        if (world->map_inodes[slot]->maps > 0)
            world->map_inodes[slot]->maps--;
    }
    for (uint32_t i = 0; i < io->handle_count; i++) {
        if (io->handles[i].used)
            handle_drop(io, (int32_t)i);
    }
}

int64_t sim_file_size(struct odk_io *base, int32_t file)
{
    struct sim_io *io = sim_io_of(base);
    if (!sim_begin(io))
        return -EIO;
    struct sim_handle *handle = handle_at(io, file);
    return handle == NULL ? -EBADF : (int64_t)handle->inode->size;
}

int32_t sim_file_truncate(struct odk_io *base, int32_t file, uint64_t size)
{
    struct sim_io *io = sim_io_of(base);
    if (!sim_begin(io))
        return -EIO;
    struct sim_handle *handle = handle_at(io, file);
    if (handle == NULL || (handle->flags & ODK_IO_WRITE) == 0)
        return -EBADF;
    int32_t error = meta_fault(io->world, handle->inode->trace_name);
    if (error == 0 && size > SIM_FILE_BYTES_MAX)
        error = -EFBIG;
    if (error == 0)
        sim_inode_truncate(handle->inode, size);
    sim_trace(io->world, "truncate", handle->inode->id, size, error);
    return error;
}

int32_t sim_file_lock(struct odk_io *base, int32_t file)
{
    struct sim_io *io = sim_io_of(base);
    if (!sim_begin(io))
        return -EIO;
    struct sim_handle *handle = handle_at(io, file);
    if (handle == NULL)
        return -EBADF;
    struct sim_inode *inode = handle->inode;
    if (inode->lock_io != NULL && (inode->lock_io != io || inode->lock_handle != file))
        return -EWOULDBLOCK;
    inode->lock_io = io;
    inode->lock_handle = file;
    return 0;
}

/* -- names -------------------------------------------------------------------------------------------------------- */

int32_t sim_file_mkdir(struct odk_io *base, const char *path)
{
    struct sim_io *io = sim_io_of(base);
    if (!sim_begin(io))
        return -EIO;
    int32_t error = meta_fault(io->world, path);
    if (error == 0)
        error = sim_fs_mkdir(io->world, path);
    sim_trace(io->world, "mkdir", crc32c(0, path, strlen(path)), 0, error);
    return error;
}

int32_t sim_file_rename(struct odk_io *base, const char *from, const char *to)
{
    struct sim_io *io = sim_io_of(base);
    if (!sim_begin(io))
        return -EIO;
    struct sim_inode *over = sim_fs_find(io->world, to);
    int32_t error = meta_fault(io->world, from);
    if (error == 0)
        error = sim_fs_rename(io->world, from, to);
    sim_trace(io->world, "rename", crc32c(0, from, strlen(from)), crc32c(0, to, strlen(to)), error);
    if (over != NULL)
        sim_fs_collect(io->world, over);
    return error;
}

int32_t sim_file_unlink(struct odk_io *base, const char *path)
{
    struct sim_io *io = sim_io_of(base);
    if (!sim_begin(io))
        return -EIO;
    struct sim_inode *inode = sim_fs_find(io->world, path);
    int32_t error = meta_fault(io->world, path);
    if (error == 0)
        error = sim_fs_unlink(io->world, path);
    sim_trace(io->world, "unlink", crc32c(0, path, strlen(path)), inode ? inode->id : 0, error);
    if (inode != NULL)
        sim_fs_collect(io->world, inode);
    return error;
}

int32_t sim_file_list(struct odk_io *base, const char *path,
                      void (*entry)(void *context, const char *name, bool is_directory), void *context)
{
    struct sim_io *io = sim_io_of(base);
    if (!sim_begin(io))
        return -EIO;
    int32_t error = meta_fault(io->world, path);
    return error != 0 ? error : sim_fs_list(io->world, path, entry, context);
}

int32_t sim_file_space(struct odk_io *base, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
    struct sim_io *io = sim_io_of(base);
    if (!sim_begin(io))
        return -EIO;
    if (sim_fs_find(io->world, path) == NULL)
        return -ENOENT;
    uint64_t used = io->world->pages_used * SIM_PAGE;
    uint64_t total = io->world->faults.space_bytes ? io->world->faults.space_bytes : UINT64_C(1) << 40;
    *ret_total = total;
    *ret_free = total > used ? total - used : 0;
    return 0;
}

int64_t sim_file_modified_ms(struct odk_io *base, const char *path)
{
    struct sim_io *io = sim_io_of(base);
    if (!sim_begin(io))
        return -EIO;
    int32_t error = meta_fault(io->world, path);
    const struct sim_inode *inode = sim_fs_find(io->world, path);
    if (error != 0 || !inode)
        return error != 0 ? error : -ENOENT;
    return inode->modified_ms;
}

/* -- start and end of an operation -------------------------------------------------------------------------------- */

static uint64_t disk_latency(struct sim_world *world, uint64_t typical_ns)
{
    uint64_t drawn = sim_latency(world, typical_ns);
    if (world->faults.stall != 0 && prng_chance(&world->rng, world->faults.stall))
        drawn += prng_between(&world->rng, NS_PER_S, 30 * NS_PER_S);
    return drawn;
}

static struct sim_op *file_op_new(struct odk_io *base, struct odk_io_op *op, enum sim_kind kind, int32_t file)
{
    struct sim_io *io = sim_io_of(base);
    struct sim_op *sim = sim_op_new(io, op, kind);
    struct sim_handle *handle = handle_at(io, file);
    sim->handle = file;
    if (handle == NULL) {
        sim->injected = -EBADF;
        return sim;
    }
    sim->inode = handle->inode;
    sim->handle_use = handle->use;
    sim->open_flags = handle->flags;
    return sim;
}

static bool direct(const struct sim_op *op)
{
    return (op->open_flags & ODK_IO_DIRECT) != 0;
}

static bool aligned(uint64_t value)
{
    return value % ODK_IO_BLOCK == 0;
}

static uint64_t shorten(struct sim_world *world, const struct sim_op *op, uint64_t len, uint32_t ppm)
{
    uint64_t unit = direct(op) ? ODK_IO_BLOCK : 1;
    if (ppm == 0 || len <= unit || !prng_chance(&world->rng, ppm))
        return len;
    return prng_between(&world->rng, 1, (len - 1) / unit) * unit;
}

/* -- read --------------------------------------------------------------------------------------------------------- */

static int32_t read_effect(struct sim_world *world, struct sim_op *op)
{
    if (op->injected != 0)
        return op->injected;
    struct sim_inode *inode = op->inode;
    int32_t planned = sim_planned(world, SIM_FAIL_READ, inode->trace_name);
    if (planned != 0)
        return planned;
    if (prng_chance(&world->rng, world->faults.read_eio))
        return -EIO;
    if (op->pos >= inode->size || op->len == 0)
        return 0;
    uint64_t len = shorten(world, op, MIN(op->len, inode->size - op->pos), world->faults.read_short);
    if (!sim_inode_read(inode, op->dst, len, op->pos, direct(op)))
        return -EIO;
    if (sim_lies(world, SIM_LIE_READ, 20000))
        op->dst[prng_below(&world->rng, len)] ^= 1;
    return (int32_t)len;
}

static void read_fire(struct sim_world *world, struct sim_event *event)
{
    struct sim_op *op = container_of(event, struct sim_op, event);
    sim_op_complete(op, read_effect(world, op));
}

void sim_file_read(struct odk_io *base, struct odk_io_op *op, int32_t file, void *dst, uint32_t len, uint64_t pos)
{
    struct sim_op *sim = file_op_new(base, op, SIM_OP_READ, file);
    if (sim->io->dead)
        return;
    sim->dst = dst;
    sim->len = len;
    sim->pos = pos;
    if (sim->inode != NULL && sim->inode->is_dir)
        sim->injected = -EISDIR;
    if (direct(sim) && !(aligned((uintptr_t)dst) && aligned(len) && aligned(pos)))
        sim->injected = -EINVAL;
    struct sim_world *world = sim->io->world;
    uint64_t typical = world->faults.latency_ns / (direct(sim) ? 1 : 8);
    sim_op_schedule(sim, read_fire, disk_latency(world, typical));
}

/* -- write -------------------------------------------------------------------------------------------------------- */

/* Copies the first len bytes of what the op writes into the file. */
static int64_t write_bytes(struct sim_op *op, uint64_t len)
{
    enum sim_page_flag how = direct(op) ? SIM_PAGE_VOLATILE : SIM_PAGE_DIRTY;
    uint64_t done = 0;
    uint32_t crc = 0;
    for (uint32_t i = 0; i < op->iov_count && done < len; i++) {
        uint64_t piece = MIN(len - done, op->iov[i].iov_len);
        if (piece == 0)
            continue;
        crc = crc32c(crc, op->iov[i].iov_base, piece);
        int64_t taken = sim_inode_write(op->inode, op->iov[i].iov_base, piece, op->pos + done, how);
        if (taken < 0)
            return done > 0 ? (int64_t)done : taken;
        done += (uint64_t)taken;
        if ((uint64_t)taken < piece)
            break;
    }
    sim_trace(op->io->world, "write", op->inode->id, op->pos, (int64_t)crc);
    if (direct(op) && !aligned(done)) /* a device that fills up takes whole blocks */
        done = align_down(done, ODK_IO_BLOCK);
    return done == 0 && len > 0 ? -ENOSPC : (int64_t)done;
}

/* Pages reach the device on their own, or fail to. */
static void write_back(struct sim_world *world, struct sim_op *op, uint64_t len)
{
    if (world->faults.writeback == 0)
        return;
    for (uint64_t pos = align_down(op->pos, SIM_PAGE); pos < op->pos + len; pos += SIM_PAGE) {
        if (!prng_chance(&world->rng, world->faults.writeback))
            continue;
        if (world->faults.sync_fail != 0 && prng_chance(&world->rng, world->faults.sync_fail / 16)) {
            sim_inode_sync_fail(op->inode, op->inode->gen);
            return;
        }
        sim_inode_harden(op->inode, pos, 1);
    }
}

static int32_t write_harden(struct sim_world *world, struct sim_op *op, uint64_t len)
{
    if ((op->open_flags & ODK_IO_DSYNC) == 0 || sim_lies(world, SIM_LIE_DSYNC, 1000000)) {
        write_back(world, op, len);
        return (int32_t)len;
    }
    int32_t planned = sim_planned(world, SIM_FAIL_SYNC, op->inode->trace_name);
    if (planned != 0 || prng_chance(&world->rng, world->faults.sync_fail)) {
        sim_inode_sync_fail(op->inode, op->inode->gen);
        op->inode->err_told = true;
        if (sim_lies(world, SIM_LIE_SYNC_ERROR, 1000000))
            return (int32_t)len;
        return planned != 0 ? planned : -EIO;
    }
    sim_inode_harden(op->inode, op->pos, len);
    return (int32_t)len;
}

static int32_t write_effect(struct sim_world *world, struct sim_op *op)
{
    const struct sim_faults *faults = &world->faults;
    if (op->injected != 0)
        return op->injected;
    if (op->len == 0)
        return 0;
    int32_t planned = sim_planned(world, SIM_FAIL_WRITE, op->inode->trace_name);
    if (planned == 0 && faults->write_again != 0 && prng_chance(&world->rng, faults->write_again))
        return prng_chance(&world->rng, 500000) ? -EINTR : -EAGAIN;
    if (planned == 0 && prng_chance(&world->rng, faults->write_eio))
        planned = -EIO;
    if (planned != 0) {
        uint64_t part = shorten(world, op, op->len, 500000);
        if (part < op->len)
            (void)write_bytes(op, part); /* how much of a failed write arrived is anybody's guess */
        return planned;
    }
    if (sim_lies(world, SIM_LIE_STALE, 5000))
        return (int32_t)op->len;
    if (sim_lies(world, SIM_LIE_SHORT, 20000)) {
        uint64_t part = shorten(world, op, op->len, 1000000);
        return write_bytes(op, part) > 0 ? (int32_t)op->len : -ENOSPC;
    }
    int64_t taken = write_bytes(op, shorten(world, op, op->len, faults->write_short));
    return taken <= 0 ? (int32_t)taken : write_harden(world, op, (uint64_t)taken);
}

static void write_fire(struct sim_world *world, struct sim_event *event)
{
    struct sim_op *op = container_of(event, struct sim_op, event);
    sim_op_complete(op, write_effect(world, op));
}

static int32_t write_refused(const struct sim_op *op)
{
    if (op->injected != 0)
        return op->injected;
    if ((op->open_flags & ODK_IO_WRITE) == 0)
        return -EBADF;
    if (!direct(op))
        return 0;
    bool fits = aligned(op->pos);
    for (uint32_t i = 0; i < op->iov_count; i++)
        fits = fits && aligned((uintptr_t)op->iov[i].iov_base) && aligned(op->iov[i].iov_len);
    return fits ? 0 : -EINVAL;
}

void sim_file_writev(struct odk_io *base, struct odk_io_op *op, int32_t file, const struct iovec *iov, uint32_t count,
                     uint64_t pos)
{
    struct sim_op *sim = file_op_new(base, op, SIM_OP_WRITE, file);
    if (sim->io->dead)
        return;
    sim->iov = iov;
    sim->iov_count = count;
    sim->pos = pos;
    for (uint32_t i = 0; i < count; i++)
        sim->len += iov[i].iov_len;
    sim->injected = write_refused(sim);
    struct sim_world *world = sim->io->world;
    bool waits = (sim->open_flags & (ODK_IO_DIRECT | ODK_IO_DSYNC)) != 0;
    uint64_t typical = world->faults.latency_ns / (waits ? 1 : 8) + sim->len / 2;
    sim_op_schedule(sim, write_fire, disk_latency(world, typical));
}

/* -- sync --------------------------------------------------------------------------------------------------------- */

static void sync_apply(struct sim_op *op)
{
    struct sim_inode *inode = op->inode;
    if (!inode->is_dir)
        sim_inode_sync(inode, op->gen, op->size);
    sim_meta_sync(inode->world, inode, op->meta_seq);
}

static int32_t sync_effect(struct sim_world *world, struct sim_op *op)
{
    if (op->injected != 0)
        return op->injected;
    int32_t error = sim_planned(world, SIM_FAIL_SYNC, op->inode->trace_name);
    if (error == 0 && prng_chance(&world->rng, world->faults.sync_fail))
        error = prng_chance(&world->rng, 200000) ? -ENOSPC : -EIO;
    if (sim_lies(world, op->inode->is_dir ? SIM_LIE_DIR_SYNC : SIM_LIE_SYNC, 1000000))
        return 0;
    if (error == 0)
        sync_apply(op);
    else if (!op->inode->is_dir)
        sim_inode_sync_fail(op->inode, op->gen);
    return error;
}

/* An error is told once to every handle that was open when it happened. */
static int32_t sync_report(struct sim_op *op, int32_t result)
{
    struct sim_handle *handle = handle_at(op->io, op->handle);
    if (op->inode == NULL || handle == NULL || handle->use != op->handle_use)
        return result;
    if (result == 0 && handle->err_seen != op->inode->err_seq)
        result = -EIO;
    handle->err_seen = op->inode->err_seq;
    op->inode->err_told = op->inode->err_told || result < 0;
    return sim_lies(op->io->world, SIM_LIE_SYNC_ERROR, 1000000) ? 0 : result;
}

static void sync_fire(struct sim_world *world, struct sim_event *event)
{
    struct sim_op *op = container_of(event, struct sim_op, event);
    int32_t result = op->early ? op->result : sync_effect(world, op);
    sim_op_complete(op, sync_report(op, result));
}

void sim_file_sync(struct odk_io *base, struct odk_io_op *op, int32_t file)
{
    struct sim_op *sim = file_op_new(base, op, SIM_OP_SYNC, file);
    struct sim_world *world = sim->io->world;
    if (sim->io->dead)
        return;
    if (sim->inode != NULL) {
        sim->gen = sim->inode->gen;
        sim->size = sim->inode->size;
    }
    sim->meta_seq = world->meta_seq;
    sim->early = prng_chance(&world->rng, 500000);
    if (sim->early)
        sim->result = sync_effect(world, sim);
    sim_op_schedule(sim, sync_fire, disk_latency(world, world->faults.latency_ns * 2));
}

/* -- mappings ----------------------------------------------------------------------------------------------------- */

static int32_t map_slot(struct sim_world *world)
{
    for (uint32_t slot = 0; slot < world->map_count; slot++) {
        if (world->maps[slot] == NULL)
            return (int32_t)slot;
    }
    uint32_t slot = world->map_count++;
    world->maps = xrealloc(world->maps, world->map_count * sizeof(struct odk_io_map *));
    world->map_inodes = xrealloc(world->map_inodes, world->map_count * sizeof(struct sim_inode *));
    world->map_ios = xrealloc(world->map_ios, world->map_count * sizeof(struct sim_io *));
    return (int32_t)slot;
}

/* A page that could not be read is zeros for every mapping until the last one goes. */
static bool has_bad_page(const struct sim_inode *inode)
{
    for (uint32_t page = 0; page < inode->page_cap; page++) {
        if ((inode->flags[page] & SIM_PAGE_BAD) != 0)
            return true;
    }
    return false;
}

int32_t sim_file_map(struct odk_io *base, int32_t file, uint64_t len, struct odk_io_map *ret_map)
{
    struct sim_io *io = sim_io_of(base);
    struct sim_world *world = io->world;
    if (!sim_begin(io))
        return -EIO;
    struct sim_handle *handle = handle_at(io, file);
    if (handle == NULL || (handle->flags & ODK_IO_READ) == 0)
        return -EBADF;
    struct sim_inode *inode = handle->inode;
    if (len == 0 || len > inode->size)
        return -EINVAL;
    int32_t error = sim_planned(world, SIM_FAIL_META, inode->trace_name);
    if (error != 0)
        return error;
    int32_t slot = map_slot(world);
    world->maps[slot] = ret_map;
    world->map_inodes[slot] = inode;
    world->map_ios[slot] = io;
    inode->maps++;
    *ret_map = (struct odk_io_map){ .data = inode->cache, .len = len, .broken = has_bad_page(inode), .slot = slot };
    sim_trace(world, "map", inode->id, len, 0);
    return 0;
}

void sim_file_unmap(struct odk_io *base, struct odk_io_map *map)
{
    struct sim_world *world = sim_io_of(base)->world;
    int32_t slot = map->slot;
    *map = (struct odk_io_map){ .slot = -1 };
    if (slot < 0 || world->maps[slot] != map)
        return; /* of a process that died */
    struct sim_inode *inode = world->map_inodes[slot];
    world->maps[slot] = NULL;
    if (inode->maps > 0 && --inode->maps == 0)
        sim_inode_heal(inode);
    sim_fs_collect(world, inode);
}

/* The mapping that holds data; -1 when none does. */
static int32_t map_of(const struct sim_world *world, const struct sim_io *io, const void *data)
{
    const uint8_t *at = data;
    for (uint32_t slot = 0; slot < world->map_count; slot++) {
        const struct odk_io_map *map = world->maps[slot];
        if (map == NULL || (io != NULL && world->map_ios[slot] != io))
            continue;
        if (at >= map->data && at < map->data + map->len)
            return (int32_t)slot;
    }
    return -1;
}

bool sim_file_range_broken(struct sim_world *world, const void *data, size_t len)
{
    int32_t slot = len > 0 ? map_of(world, NULL, data) : -1;
    return slot >= 0 && world->maps[slot]->broken;
}

bool sim_file_resident(struct odk_io *base, const void *data, size_t len)
{
    struct sim_io *io = sim_io_of(base);
    if (io->dead || len == 0)
        return true;
    ASSERT(map_of(io->world, io, data) >= 0); /* else: not in a mapping of this io */
    return !prng_chance(&io->world->rng, io->world->faults.map_cold);
}

static int32_t prefault_effect(struct sim_world *world, struct sim_op *op)
{
    int32_t slot = map_of(world, op->io, op->dst);
    if (slot < 0)
        return -EFAULT;
    struct sim_inode *inode = world->map_inodes[slot];
    int32_t planned = sim_planned(world, SIM_FAIL_MAP, inode->trace_name);
    if (planned == 0 && !prng_chance(&world->rng, world->faults.map_eio))
        return 0;
    if (!sim_inode_break(inode, (uint64_t)(op->dst - world->maps[slot]->data)))
        return 0;
    for (uint32_t i = 0; i < world->map_count; i++) {
        if (world->maps[i] != NULL && world->map_inodes[i] == inode)
            world->maps[i]->broken = true;
    }
    sim_trace(world, "map.broken", inode->id, 0, 0);
    return -EIO;
}

static void prefault_fire(struct sim_world *world, struct sim_event *event)
{
    struct sim_op *op = container_of(event, struct sim_op, event);
    sim_op_complete(op, prefault_effect(world, op));
}

void sim_file_prefault(struct odk_io *base, struct odk_io_op *op, const void *data, size_t len)
{
    struct sim_io *io = sim_io_of(base);
    struct sim_op *sim = sim_op_new(io, op, SIM_OP_PREFAULT);
    if (io->dead)
        return;
    int32_t slot = map_of(io->world, io, data);
    ASSERT(slot >= 0);
    sim->dst = io->world->map_inodes[slot]->cache + ((const uint8_t *)data - io->world->maps[slot]->data);
    sim->len = len;
    sim_op_schedule(sim, prefault_fire, disk_latency(io->world, io->world->faults.latency_ns));
}

/* -- crash -------------------------------------------------------------------------------------------------------- */

static void orphan_write(struct sim_op *op, enum sim_crash kind)
{
    struct sim_world *world = op->io->world;
    if (kind == SIM_CRASH_POWER && direct(op)) {
        uint8_t *whole = xcalloc(1, op->len);
        uint64_t len = 0;
        for (uint32_t i = 0; i < op->iov_count; i++) {
            memcpy(whole + len, op->iov[i].iov_base, op->iov[i].iov_len);
            len += op->iov[i].iov_len;
        }
        sim_inode_tear(op->inode, whole, len, op->pos);
        free(whole);
        return;
    }
    if (prng_chance(&world->rng, 333333))
        return;
    uint64_t part = prng_chance(&world->rng, 500000) ? op->len : prng_below(&world->rng, op->len);
    if (direct(op))
        part = align_down(part, ODK_IO_BLOCK);
    if (part > 0 && write_bytes(op, part) > 0 && (op->open_flags & ODK_IO_DSYNC) != 0 && kind == SIM_CRASH_KILL)
        sim_inode_harden(op->inode, op->pos, part);
}

void sim_file_orphan(struct sim_op *op, enum sim_crash kind)
{
    if (op->inode == NULL || op->injected != 0)
        return;
    if (op->kind == SIM_OP_WRITE && op->len > 0)
        orphan_write(op, kind);
    if (op->kind == SIM_OP_SYNC && !op->early && prng_chance(&op->io->world->rng, 333333))
        sync_apply(op);
}

void sim_disk_kill(struct sim_world *world, const struct sim_io *io)
{
    sim_trace(world, "disk.kill", io->id, 0, 0);
    list_each(at, &world->inodes) {
        struct sim_inode *inode = list_entry(at, struct sim_inode, in_world);
        if (inode->cache != NULL)
            sim_inode_evict(inode);
    }
}

void sim_disk_power(struct sim_world *world)
{
    sim_meta_power(world);
    list_each(at, &world->inodes) {
        struct sim_inode *inode = list_entry(at, struct sim_inode, in_world);
        sim_inode_power(inode);
        sim_trace(world, "disk.power", inode->id, inode->links, (int64_t)inode->size);
    }
}

/* -- from outside ------------------------------------------------------------------------------------------------- */

bool sim_disk_flip(struct sim_world *world, const char *path, uint64_t byte, uint32_t bit)
{
    struct sim_inode *inode = sim_fs_find(world, path);
    if (inode == NULL || inode->is_dir || byte >= inode->size)
        return false;
    uint32_t page = (uint32_t)(byte / SIM_PAGE);
    inode->flags[page] |= SIM_PAGE_CACHE | SIM_PAGE_MEDIUM;
    inode->cache[byte] ^= (uint8_t)(1u << (bit & 7));
    inode->medium[byte] ^= (uint8_t)(1u << (bit & 7));
    sim_trace(world, "flip", inode->id, byte, bit);
    return true;
}

int64_t sim_disk_peek(struct sim_world *world, const char *path, const uint8_t **ret_data)
{
    struct sim_inode *inode = sim_fs_find(world, path);
    if (inode == NULL || inode->is_dir)
        return -1;
    if (ret_data != NULL)
        *ret_data = inode->cache;
    return (int64_t)inode->size;
}

int64_t sim_disk_peek_durable(struct sim_world *world, const char *path, const uint8_t **ret_data)
{
    struct sim_inode *inode = sim_fs_find(world, path);
    if (inode == NULL || inode->is_dir)
        return -1;
    if (ret_data != NULL)
        *ret_data = inode->medium;
    return (int64_t)MIN(inode->medium_size, inode->cut_to);
}

void sim_disk_settle(struct sim_world *world)
{
    list_each(at, &world->inodes)
        list_entry(at, struct sim_inode, in_world)->err_told = true;
}

uint64_t sim_disk_used(const struct sim_world *world)
{
    return world->pages_used * SIM_PAGE;
}
