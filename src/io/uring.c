/*
 * The io_uring backend: one ring, one thread. The only file that knows liburing.
 *
 * Starting an operation writes one submission entry; run() submits all of them with the same system call that waits.
 * A completion is first moved from the ring to the queue `finished` (uring_reap), and only run() takes operations
 * out of there and calls done: so the ring can be emptied at any time, also in the middle of a start that found it
 * full, without a callback running where none may.
 *
 * (I1) user_data is the operation, or 0 for the read of the bell's eventfd.
 * (I2) An operation is in the kernel's hands or in `finished`, never both, until its done runs.
 * (I3) The bell's read is armed whenever the thread sleeps.
 * (I4) The ring is created disabled and enabled by the first submission: that thread is its owner from then on.
 *
 * Everything registered with the kernel is an optimisation that may be refused (RLIMIT_MEMLOCK, no free slot): the
 * operation then takes the plain way. Files opened HOT get a slot of the ring's file table; memory of mem_new gets a
 * slot of its buffer table; receive buffers hang in a ring shared with the kernel, from which it takes one only when
 * data is there.
 */
#include <errno.h>
#include <limits.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/units.h"
#include "io/backend.h"
#include "io/bell.h"
#include "io/os.h"
#include "io/outgoing.h"
#include "io/queue.h"
#include "io/regions.h"

#define URING_FILES_MAX    1024u
#define URING_MEMORIES_MAX 4096u
#define RECV_GROUP         0
#define ENTRIES_MAX        32768u /* the kernel's */
#define RECV_BUFFERS_MAX   32768u
#define PROBE_OPS          256u

enum uring_kind { URING_PLAIN, URING_CONNECT, URING_RECV, URING_SEND, URING_PREFAULT };

/* In the private words of an operation. */
struct uring_op {
    struct op_head head;
    union {
        struct msghdr msg;      /* URING_SEND */
        struct sockaddr_in6 to; /* URING_CONNECT; room for an IPv4 one too */
    };
    struct outgoing out; /* URING_SEND */
    int32_t sock;        /* URING_SEND, URING_CONNECT */
    uint32_t cqe_flags;
};
_Static_assert(sizeof(struct uring_op) <= sizeof(((struct odk_io_op *)0)->priv), "grow odk_io_op.priv");

struct uring {
    struct odk_io io;
    struct io_uring ring;
    struct op_queue finished;
    struct bell bell;
    uint64_t bell_count; /* what the read of the eventfd fills; of no interest */
    bool bell_armed;
    bool enabled;
    struct regions memories;
    uint32_t memories_max; /* slots of the buffer table; 0 = refused */
    int32_t *slot_of_fd;   /* slot + 1 in the file table, 0 = none */
    uint32_t slot_of_fd_len;
    uint8_t *slots_used; /* by slot, files_max of them */
    uint32_t files_max;  /* slots of the file table; 0 = refused */
    struct io_uring_buf_ring *recv_ring;
    size_t recv_ring_len;
    uint8_t *recv_memory;
    uint32_t recv_count;
    int recv_mask;
};

static struct uring *uring_of(struct odk_io *io)
{
    return container_of(io, struct uring, io);
}

static struct uring_op *uring_op(struct odk_io_op *op)
{
    return (struct uring_op *)(void *)op->priv;
}

/* -- submitting and reaping ------------------------------------------------------------------------------------- */

static void uring_enable(struct uring *u)
{
    if (u->enabled)
        return;
    /* liburing 2.3 does not export its function for this. */
    int result = io_uring_register((unsigned)u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    ASSERT(result >= 0);
    u->enabled = true;
}

/* What a submission may say without anything being lost: the caller comes again. */
static bool is_passing(int result)
{
    return result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY;
}

static void uring_reap(struct uring *u);

/* Hands everything queued to the kernel and collects what it has finished; does not wait. */
static void uring_flush(struct uring *u)
{
    uring_enable(u);
    int result = io_uring_submit_and_get_events(&u->ring);
    ASSERT(is_passing(result)); /* -EEXIST: not the thread that owns the ring */
    uring_reap(u);
}

/* Never NULL: a full queue is submitted. The kernel refuses only while completions wait to be collected. */
static struct io_uring_sqe *uring_sqe(struct uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    while (!sqe) {
        uring_flush(u);
        sqe = io_uring_get_sqe(&u->ring);
    }
    return sqe;
}

static void bell_arm(struct uring *u)
{
    if (u->bell_armed)
        return;
    struct io_uring_sqe *sqe = uring_sqe(u);
    io_uring_prep_read(sqe, u->bell.fd, &u->bell_count, sizeof(u->bell_count), 0);
    io_uring_sqe_set_data(sqe, NULL);
    u->bell_armed = true;
}

static void uring_reap(struct uring *u)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;
    io_uring_for_each_cqe(&u->ring, head, cqe)
    {
        struct odk_io_op *op = io_uring_cqe_get_data(cqe);
        count++;
        if (!op) {
            u->bell_armed = false;
            continue;
        }
        uring_op(op)->cqe_flags = cqe->flags;
        op_finish(&u->finished, op, cqe->res);
    }
    io_uring_cq_advance(&u->ring, count);
}

static void uring_wait(struct uring *u, uint64_t until_ns)
{
    int result;
    if (until_ns == UINT64_MAX) {
        result = io_uring_submit_and_wait(&u->ring, 1);
    } else {
        uint64_t now_ns = os_mono_ns(&u->io);
        uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
        struct __kernel_timespec left = { .tv_sec = (int64_t)(left_ns / NS_PER_S),
                                          .tv_nsec = (int64_t)(left_ns % NS_PER_S) };
        struct io_uring_cqe *first;
        result = io_uring_submit_and_wait_timeout(&u->ring, &first, 1, &left, NULL);
    }
    ASSERT(is_passing(result));
}

/* True if entering the kernel without waiting could change anything. */
static bool uring_has_work(const struct uring *u)
{
    unsigned flags = IO_URING_READ_ONCE(*u->ring.sq.kflags);
    return io_uring_sq_ready(&u->ring) > 0 || (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) ||
           !(u->ring.flags & IORING_SETUP_TASKRUN_FLAG);
}

/* -- finishing -------------------------------------------------------------------------------------------------- */

static void recv_buffer_give(struct uring *u, void *buf)
{
    size_t distance = (size_t)((uint8_t *)buf - u->recv_memory);
    ASSERT(distance % ODK_IO_RECV_BYTES == 0);
    ASSERT(distance / ODK_IO_RECV_BYTES < u->recv_count);
    uint16_t id = (uint16_t)(distance / ODK_IO_RECV_BYTES);
    io_uring_buf_ring_add(u->recv_ring, buf, ODK_IO_RECV_BYTES, id, u->recv_mask, 0);
    io_uring_buf_ring_advance(u->recv_ring, 1);
}

static void send_submit(struct uring *u, struct odk_io_op *op)
{
    struct uring_op *own = uring_op(op);
    struct io_uring_sqe *sqe = uring_sqe(u);
    outgoing_next(&own->out, &own->msg);
    if (own->msg.msg_iovlen == 1) {
        const struct iovec *only = own->msg.msg_iov;
        io_uring_prep_send(sqe, own->sock, only->iov_base, MIN(only->iov_len, (size_t)INT32_MAX), MSG_NOSIGNAL);
    } else {
        io_uring_prep_sendmsg(sqe, own->sock, &own->msg, MSG_NOSIGNAL);
    }
    sqe->msg_flags |= MSG_WAITALL;
    io_uring_sqe_set_data(sqe, op);
}

static void send_finish(struct uring *u, struct odk_io_op *op, int32_t result)
{
    if (result == -EINTR || result == -EAGAIN || !outgoing_advance(&uring_op(op)->out, result, &result))
        send_submit(u, op);
    else
        op->done(op, result);
}

static void recv_finish(struct uring *u, struct odk_io_op *op, int32_t result)
{
    uint32_t flags = uring_op(op)->cqe_flags;
    if (flags & IORING_CQE_F_BUFFER) {
        void *buf = u->recv_memory + (size_t)(flags >> IORING_CQE_BUFFER_SHIFT) * ODK_IO_RECV_BYTES;
        if (result > 0)
            op->buf = buf;
        else
            recv_buffer_give(u, buf);
    }
    op->done(op, result);
}

static void connect_finish(struct odk_io_op *op, int32_t result)
{
    int32_t sock = uring_op(op)->sock;
    if (result < 0 && sock >= 0)
        os_close_socket(NULL, sock);
    op->done(op, result < 0 ? result : sock);
}

static void uring_finish(struct uring *u, struct odk_io_op *op)
{
    const struct op_head *head = op_head(op);
    switch ((enum uring_kind)head->kind) {
    case URING_PLAIN: op->done(op, head->result); break;
    case URING_CONNECT: connect_finish(op, head->result); break;
    case URING_RECV: recv_finish(u, op, head->result); break;
    case URING_SEND: send_finish(u, op, head->result); break;
    case URING_PREFAULT: op->done(op, os_prefault_result(head->result)); break;
    }
}

static void uring_run(struct odk_io *io, uint64_t until_ns)
{
    struct uring *u = uring_of(io);
    uring_enable(u);
    bell_arm(u);
    if (until_ns > 0 && op_queue_empty(&u->finished) && bell_sleep(&u->bell))
        uring_wait(u, until_ns);
    else if (uring_has_work(u))
        uring_flush(u);
    bell_awake(&u->bell);
    uring_reap(u);
    struct op_queue finished = op_queue_take(&u->finished);
    for (struct odk_io_op *op = op_queue_pop(&finished); op; op = op_queue_pop(&finished))
        uring_finish(u, op);
}

static void uring_wake(struct odk_io *io)
{
    bell_ring(&uring_of(io)->bell);
}

/* -- memory ------------------------------------------------------------------------------------------------------ */

static void *uring_mem_new(struct odk_io *io, size_t len)
{
    struct uring *u = uring_of(io);
    void *mem = os_mem_new(io, len);
    int32_t slot = mem ? regions_add(&u->memories, mem, len, u->memories_max) : -1;
    if (slot < 0)
        return mem;
    struct iovec range = { .iov_base = mem, .iov_len = len };
    if (io_uring_register_buffers_update_tag(&u->ring, (unsigned)slot, &range, NULL, 1) < 0)
        (void)regions_remove(&u->memories, mem);
    return mem;
}

static void uring_mem_free(struct odk_io *io, void *mem, size_t len)
{
    struct uring *u = uring_of(io);
    int32_t slot = mem ? regions_remove(&u->memories, mem) : -1;
    if (slot >= 0) {
        struct iovec none = { 0 };
        int result = io_uring_register_buffers_update_tag(&u->ring, (unsigned)slot, &none, NULL, 1);
        ASSERT(result >= 0);
    }
    os_mem_free(io, mem, len);
}

/* -- files --------------------------------------------------------------------------------------------------------- */

static int32_t file_slot_find(const struct uring *u)
{
    const uint8_t *free_slot = u->files_max ? memchr(u->slots_used, 0, u->files_max) : NULL;
    return free_slot ? (int32_t)(free_slot - u->slots_used) : -1;
}

static void file_slot_note(struct uring *u, int fd, int32_t slot)
{
    if ((uint32_t)fd >= u->slot_of_fd_len) {
        uint32_t len = MAX((uint32_t)fd + 1, u->slot_of_fd_len * 2);
        u->slot_of_fd = xrealloc(u->slot_of_fd, len * sizeof(u->slot_of_fd[0]));
        memset(u->slot_of_fd + u->slot_of_fd_len, 0, (len - u->slot_of_fd_len) * sizeof(u->slot_of_fd[0]));
        u->slot_of_fd_len = len;
    }
    u->slot_of_fd[fd] = slot + 1;
    u->slots_used[slot] = 1;
}

/* -1: the file has no slot. */
static int32_t file_slot(const struct uring *u, int fd)
{
    return (uint32_t)fd < u->slot_of_fd_len ? u->slot_of_fd[fd] - 1 : -1;
}

static int32_t uring_file_open(struct odk_io *io, const char *path, uint32_t flags)
{
    struct uring *u = uring_of(io);
    int32_t file = os_open(io, path, flags);
    if (file < 0 || !(flags & ODK_IO_HOT))
        return file;
    int fd = os_fd(file);
    int32_t slot = file_slot_find(u);
    if (slot >= 0 && io_uring_register_files_update(&u->ring, (unsigned)slot, &fd, 1) == 1)
        file_slot_note(u, fd, slot);
    return file;
}

static int32_t uring_file_close(struct odk_io *io, int32_t file)
{
    struct uring *u = uring_of(io);
    int fd = os_fd(file);
    int32_t slot = file_slot(u, fd);
    if (slot >= 0) {
        const int none = -1;
        int result = io_uring_register_files_update(&u->ring, (unsigned)slot, &none, 1);
        ASSERT(result == 1);
        u->slot_of_fd[fd] = 0;
        u->slots_used[slot] = 0;
    }
    return os_close(io, file);
}

/* Ties the entry to its operation, and to the file's slot if it has one. */
static void file_sqe_finish(struct uring *u, struct io_uring_sqe *sqe, struct odk_io_op *op, enum uring_kind kind)
{
    int32_t slot = file_slot(u, sqe->fd);
    if (slot >= 0) {
        sqe->fd = slot;
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
    }
    op_head(op)->kind = kind;
    io_uring_sqe_set_data(sqe, op);
}

static void uring_read(struct odk_io *io, struct odk_io_op *op, int32_t file, void *dst, uint32_t len, uint64_t pos)
{
    struct uring *u = uring_of(io);
    struct io_uring_sqe *sqe = uring_sqe(u);
    int32_t slot = regions_find(&u->memories, dst, len);
    if (slot >= 0)
        io_uring_prep_read_fixed(sqe, os_fd(file), dst, len, pos, slot);
    else
        io_uring_prep_read(sqe, os_fd(file), dst, len, pos);
    file_sqe_finish(u, sqe, op, URING_PLAIN);
}

static void uring_writev(struct odk_io *io, struct odk_io_op *op, int32_t file, const struct iovec *iov, uint32_t count,
                         uint64_t pos)
{
    struct uring *u = uring_of(io);
    struct io_uring_sqe *sqe = uring_sqe(u);
    int fd = os_fd(file);
    bool single = count == 1 && iov->iov_len <= INT32_MAX;
    int32_t slot = single ? regions_find(&u->memories, iov->iov_base, iov->iov_len) : -1;
    if (slot >= 0)
        io_uring_prep_write_fixed(sqe, fd, iov->iov_base, (unsigned)iov->iov_len, pos, slot);
    else if (single)
        io_uring_prep_write(sqe, fd, iov->iov_base, (unsigned)iov->iov_len, pos);
    else
        io_uring_prep_writev(sqe, fd, iov, MIN(count, (uint32_t)IOV_MAX), pos);
    file_sqe_finish(u, sqe, op, URING_PLAIN);
}

static void uring_sync(struct odk_io *io, struct odk_io_op *op, int32_t file)
{
    struct uring *u = uring_of(io);
    struct io_uring_sqe *sqe = uring_sqe(u);
    io_uring_prep_fsync(sqe, os_fd(file), os_is_directory(file) ? 0 : IORING_FSYNC_DATASYNC);
    file_sqe_finish(u, sqe, op, URING_PLAIN);
}

static void uring_prefault(struct odk_io *io, struct odk_io_op *op, const void *data, size_t len)
{
    struct uring *u = uring_of(io);
    struct iovec pages = os_pages(data, len);
    op_head(op)->kind = URING_PREFAULT;
    if (pages.iov_len > UINT32_MAX) { /* the field of the entry has 32 bits */
        op_finish(&u->finished, op, -EINVAL);
        return;
    }
    struct io_uring_sqe *sqe = uring_sqe(u);
    io_uring_prep_madvise(sqe, pages.iov_base, (off_t)pages.iov_len, MADV_POPULATE_READ);
    io_uring_sqe_set_data(sqe, op);
}

/* -- sockets ------------------------------------------------------------------------------------------------------- */

static int32_t uring_listen(struct odk_io *io, const struct odk_addr *at, bool reuse_port, struct odk_addr *ret_bound)
{
    (void)io;
    return os_listen_mode(at, reuse_port, 0, ret_bound);
}

static void uring_accept(struct odk_io *io, struct odk_io_op *op, int32_t listener)
{
    struct io_uring_sqe *sqe = uring_sqe(uring_of(io));
    io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    op_head(op)->kind = URING_PLAIN;
    io_uring_sqe_set_data(sqe, op);
}

static void uring_connect(struct odk_io *io, struct odk_io_op *op, const struct odk_addr *to)
{
    struct uring *u = uring_of(io);
    struct uring_op *own = uring_op(op);
    own->head.kind = URING_CONNECT;
    own->sock = to->len <= sizeof(own->to) ? os_socket(to, 0) : -EAFNOSUPPORT;
    if (own->sock < 0) {
        op_finish(&u->finished, op, own->sock);
        return;
    }
    memcpy(&own->to, &to->storage, to->len);
    struct io_uring_sqe *sqe = uring_sqe(u);
    io_uring_prep_connect(sqe, own->sock, (const struct sockaddr *)&own->to, to->len);
    io_uring_sqe_set_data(sqe, op);
}

static void uring_recv(struct odk_io *io, struct odk_io_op *op, int32_t sock, void *dst, uint32_t len)
{
    struct io_uring_sqe *sqe = uring_sqe(uring_of(io));
    if (dst) {
        io_uring_prep_recv(sqe, sock, dst, len, 0);
    } else {
        io_uring_prep_recv(sqe, sock, NULL, len ? MIN(len, ODK_IO_RECV_BYTES) : ODK_IO_RECV_BYTES, 0);
        io_uring_sqe_set_flags(sqe, IOSQE_BUFFER_SELECT);
        sqe->buf_group = RECV_GROUP;
    }
    op_head(op)->kind = URING_RECV;
    io_uring_sqe_set_data(sqe, op);
}

static void uring_recv_release(struct odk_io *io, void *buf)
{
    recv_buffer_give(uring_of(io), buf);
}

static void uring_sendv(struct odk_io *io, struct odk_io_op *op, int32_t sock, const struct iovec *iov, uint32_t count)
{
    struct uring_op *own = uring_op(op);
    own->head.kind = URING_SEND;
    own->sock = sock;
    own->out = (struct outgoing){ .iov = iov, .count = count };
    send_submit(uring_of(io), op);
}

/* -- life ------------------------------------------------------------------------------------------------------------
 */

static void uring_free(struct odk_io *io)
{
    if (!io)
        return;
    struct uring *u = uring_of(io);
    if (u->ring.ring_fd >= 0) {
        /* Closing the ring cancels in the background; nothing may write into memory that is given back below. */
        struct io_uring_sync_cancel_reg all = { .flags = IORING_ASYNC_CANCEL_ANY, .timeout = { -1, -1 } };
        if (u->enabled)
            (void)io_uring_register_sync_cancel(&u->ring, &all);
        io_uring_queue_exit(&u->ring);
    }
    if (u->recv_ring)
        os_mem_free(io, u->recv_ring, u->recv_ring_len);
    os_mem_free(io, u->recv_memory, (size_t)u->recv_count * ODK_IO_RECV_BYTES);
    bell_deinit(&u->bell);
    regions_deinit(&u->memories);
    free(u->slot_of_fd);
    free(u->slots_used);
    free(u);
}

static const struct odk_io_ops uring_ops = {
    OS_OPS,
    .name = "uring",
    .run = uring_run,
    .wake = uring_wake,
    .free = uring_free,
    .mem_new = uring_mem_new,
    .mem_free = uring_mem_free,
    .open = uring_file_open,
    .close = uring_file_close,
    .read = uring_read,
    .writev = uring_writev,
    .sync = uring_sync,
    .prefault = uring_prefault,
    .listen = uring_listen,
    .accept = uring_accept,
    .connect = uring_connect,
    .recv = uring_recv,
    .recv_release = uring_recv_release,
    .sendv = uring_sendv,
    .close_socket = os_close_socket,
};

/* Flags from the newest kernel to the oldest supported; -EINVAL from the kernel means it does not know one. */
static int32_t ring_open_sized(struct io_uring *ring, uint32_t entries)
{
    const unsigned base = IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
    const unsigned variants[] = {
        base | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        base | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        base,
    };
    int32_t result = -EINVAL;
    for (size_t i = 0; i < countof(variants) && result == -EINVAL; i++) {
        struct io_uring_params params = { .flags = variants[i] };
        result = io_uring_queue_init_params(entries, ring, &params);
    }
    return result;
}

/* The queues count as locked memory of the user: where little is allowed, a small ring works too. */
static int32_t ring_open(struct io_uring *ring, uint32_t entries)
{
    int32_t result = -ENOMEM;
    for (uint32_t size = MIN(entries, ENTRIES_MAX); size > 0 && result == -ENOMEM; size /= 2)
        result = ring_open_sized(ring, size);
    if (result < 0)
        ring->ring_fd = -1;
    return result;
}

/* Entering a ring that is still disabled says -EBADFD; anything else says that this process may not enter. */
static int32_t ring_try_enter(struct io_uring *ring)
{
    int result = io_uring_enter((unsigned)ring->ring_fd, 0, 0, 0, NULL);
    return result == -EBADFD ? 0 : result;
}

/* The operations of this file. The kernel must know them all, and the ring takes no others. */
static const struct {
    uint8_t opcode;
    const char *name;
} operations[] = {
    { IORING_OP_READ, "READ" },
    { IORING_OP_WRITE, "WRITE" },
    { IORING_OP_WRITEV, "WRITEV" },
    { IORING_OP_READ_FIXED, "READ_FIXED" },
    { IORING_OP_WRITE_FIXED, "WRITE_FIXED" },
    { IORING_OP_FSYNC, "FSYNC" },
    { IORING_OP_MADVISE, "MADVISE" },
    { IORING_OP_ACCEPT, "ACCEPT" },
    { IORING_OP_CONNECT, "CONNECT" },
    { IORING_OP_RECV, "RECV" },
    { IORING_OP_SEND, "SEND" },
    { IORING_OP_SENDMSG, "SENDMSG" },
};

/* ret_lacks is a word for the first thing that is missing, or NULL. */
static int32_t ring_probe(struct io_uring *ring, const char **ret_lacks)
{
    struct io_uring_probe *probe = xcalloc(1, sizeof(*probe) + PROBE_OPS * sizeof(probe->ops[0]));
    int result = io_uring_register_probe(ring, probe, PROBE_OPS);
    bool waits = (ring->features & IORING_FEAT_EXT_ARG) && (ring->features & IORING_FEAT_NODROP);
    *ret_lacks = waits ? NULL : "waiting with a timeout";
    for (size_t i = 0; result >= 0 && i < countof(operations) && !*ret_lacks; i++) {
        if (!io_uring_opcode_supported(probe, operations[i].opcode))
            *ret_lacks = operations[i].name;
    }
    free(probe);
    return result;
}

/* A ring reaches the kernel past every filter of system calls, so it is held to what this file does: once enabled it
 * refuses all else with -EACCES. */
static int32_t ring_restrict(struct io_uring *ring)
{
    static const uint8_t registrations[] = { IORING_REGISTER_FILES_UPDATE, IORING_REGISTER_BUFFERS_UPDATE,
                                             IORING_REGISTER_SYNC_CANCEL };
    struct io_uring_restriction rules[countof(operations) + countof(registrations) + 1] = { 0 };
    unsigned count = 0;
    for (size_t i = 0; i < countof(operations); i++) {
        rules[count].opcode = IORING_RESTRICTION_SQE_OP;
        rules[count++].sqe_op = operations[i].opcode;
    }
    for (size_t i = 0; i < countof(registrations); i++) {
        rules[count].opcode = IORING_RESTRICTION_REGISTER_OP;
        rules[count++].register_op = registrations[i];
    }
    rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    rules[count++].sqe_flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    /* Raw, as with enabling: liburing 2.3 does not export its function. */
    return io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, rules, count);
}

static int32_t recv_ring_open(struct uring *u, uint32_t buffers)
{
    u->recv_count = MIN(buffers, RECV_BUFFERS_MAX);
    uint32_t entries = 1;
    while (entries < u->recv_count)
        entries *= 2;
    u->recv_mask = io_uring_buf_ring_mask(entries);
    u->recv_ring_len = entries * sizeof(struct io_uring_buf);
    u->recv_ring = os_mem_new(&u->io, u->recv_ring_len);
    u->recv_memory = os_mem_new(&u->io, (size_t)u->recv_count * ODK_IO_RECV_BYTES);
    if (!u->recv_ring || !u->recv_memory)
        return -ENOMEM;
    struct io_uring_buf_reg ring = { .ring_addr = (uintptr_t)u->recv_ring,
                                     .ring_entries = entries,
                                     .bgid = RECV_GROUP };
    int result = io_uring_register_buf_ring(&u->ring, &ring, 0);
    if (result < 0)
        return result;
    io_uring_buf_ring_init(u->recv_ring);
    for (uint32_t i = 0; i < u->recv_count; i++)
        recv_buffer_give(u, u->recv_memory + (size_t)i * ODK_IO_RECV_BYTES);
    return 0;
}

/* The tables that may be refused. */
static void tables_open(struct uring *u)
{
    if (io_uring_register_files_sparse(&u->ring, URING_FILES_MAX) == 0) {
        u->files_max = URING_FILES_MAX;
        u->slots_used = xcalloc(URING_FILES_MAX, 1);
    }
    if (io_uring_register_buffers_sparse(&u->ring, URING_MEMORIES_MAX) == 0)
        u->memories_max = URING_MEMORIES_MAX;
}

/* ret_failed: what was refused, when the result is negative. */
static int32_t uring_make(struct uring *u, const struct odk_io_options *options, const char **ret_failed)
{
    *ret_failed = "setup";
    int32_t result = ring_open(&u->ring, options->entries);
    if (result < 0)
        return result;
    const char *lacks = NULL;
    *ret_failed = "probe";
    result = ring_probe(&u->ring, &lacks);
    if (result >= 0 && lacks) {
        *ret_failed = lacks;
        return -EOPNOTSUPP;
    }
    if (result >= 0) {
        *ret_failed = "enter";
        result = ring_try_enter(&u->ring);
    }
    if (result >= 0) {
        *ret_failed = "restrictions";
        result = ring_restrict(&u->ring);
    }
    if (result >= 0) {
        *ret_failed = "receive buffers";
        result = recv_ring_open(u, options->recv_buffers);
    }
    if (result >= 0) {
        *ret_failed = "eventfd";
        result = bell_init(&u->bell, 0); /* blocking: a non-blocking one would make the ring's read fail, not wait */
    }
    return result;
}

enum odk_err uring_open(const struct odk_io_options *options, struct odk_io **ret_io, char *why, size_t why_len)
{
    struct uring *u = xcalloc(1, sizeof(*u));
    u->io.ops = &uring_ops;
    u->bell.fd = -1;
    const char *failed = "";
    int32_t result = uring_make(u, options, &failed);
    if (result < 0) {
        (void)snprintf(why, why_len, "io_uring: %s: %s", failed, strerror(-result));
        uring_free(&u->io);
        return ODK_ERR_UNSUPPORTED;
    }
    tables_open(u);
    *ret_io = &u->io;
    return ODK_OK;
}
