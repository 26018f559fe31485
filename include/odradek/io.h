/*
 * The outside world: files, sockets, clocks, chance. One small table of functions with four backends:
 * io_uring (src/io/uring.c), epoll + worker threads (src/io/epoll.c), blocking (src/io/posix.c, for tools
 * and the start-up of the store) and the simulator (tests/sim). Nothing else in the program touches the OS
 * on the data path, so the whole broker runs inside the simulator, from a seed.
 *
 * One struct odk_io belongs to one thread (a reactor): the one that first runs it, or first starts operations on it.
 * It may have been opened on another; wake() may be called from any. Handles are the process's: a socket that has
 * no operation in flight may be handed to another backend of the same kind, which then also closes it.
 *
 * Asynchronous operations: the caller embeds a struct odk_io_op, fills done, and keeps it and every buffer
 * alive until done runs. done runs only from run(), never inside the call that started the operation, and
 * exactly once; it may start new operations, the same op included. The result is >= 0, or a negative errno.
 * Operations in flight at one time are independent: their effects may be reordered. Whoever needs an order
 * waits for done.
 *
 * Immediate operations (open, mkdir, rename ...) belong to the control plane: they may block for the time of
 * one directory operation.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <odradek/err.h>

struct odk_io;
struct odk_io_op;

typedef void odk_io_done(struct odk_io_op *op, int32_t result);

struct odk_io_op {
    odk_io_done *done;
    void *buf;          /* recv with dst == NULL: the provided buffer that was filled; else untouched */
    uint64_t priv[14];  /* the backend's; content undefined to the caller */
};

/* An address that a socket binds to, is bound to, or talks to. */
struct odk_addr {
    struct sockaddr_storage storage;
    socklen_t len;
};

enum odk_io_open {
    ODK_IO_READ = 1 << 0,
    ODK_IO_WRITE = 1 << 1,
    ODK_IO_CREATE = 1 << 2,
    ODK_IO_EXCLUSIVE = 1 << 3,
    ODK_IO_DIRECT = 1 << 4,    /* O_DIRECT: memory, length and position in multiples of ODK_IO_BLOCK; -EINVAL
                                  where the file system refuses it */
    ODK_IO_DSYNC = 1 << 5,     /* a write completes when it is durable */
    ODK_IO_DIRECTORY = 1 << 6, /* to sync or lock a directory */
    ODK_IO_HOT = 1 << 7,       /* many operations to come: register the file where the backend can */
};

#define ODK_IO_BLOCK 4096u

/* One mapped file range. A failed read of the device does not kill the process: the page reads as zeros and
 * broken becomes true, at the latest when the access that met it has returned. The struct must stay where it is from
 * map() to unmap(): broken is set from a signal handler. */
struct odk_io_map {
    const uint8_t *data;
    uint64_t len;
    volatile bool broken;
    int32_t slot; /* the backend's; -1 when not mapped */
};

struct odk_io_ops {
    const char *name; /* "uring", "epoll", "posix", "sim" */

    /* -- clock and chance ---------------------------------------------------------------------------- */
    uint64_t (*mono_ns)(struct odk_io *); /* never steps; origin arbitrary */
    int64_t (*wall_ms)(struct odk_io *);  /* milliseconds since 1970, may step */
    void (*random)(struct odk_io *, void *dst, size_t len);

    /* -- the loop ------------------------------------------------------------------------------------- */
    /* Submits what was queued; then waits until something completes, wake() is called, or the monotonic time
     * until_ns is reached (0: does not wait; UINT64_MAX: no time limit). Runs the callbacks of everything that
     * has completed. The only call that may wait. */
    void (*run)(struct odk_io *, uint64_t until_ns);
    void (*wake)(struct odk_io *); /* from any thread: the current or next run() returns promptly */
    void (*free)(struct odk_io *); /* no operation may be in flight, except ones on closed sockets */

    /* -- memory --------------------------------------------------------------------------------------- */
    /* Page-aligned, zeroed; registered with the kernel where the backend can (then writes from it need no
     * per-operation pinning; it is in memory from the start, used or not). NULL when there is none. */
    void *(*mem_new)(struct odk_io *, size_t len);
    void (*mem_free)(struct odk_io *, void *mem, size_t len);

    /* -- files and directories, immediate --------------------------------------------------------------
     * A file handle is a small integer >= 0; handles may differ from file descriptors. */
    int32_t (*open)(struct odk_io *, const char *path, uint32_t flags);
    int32_t (*close)(struct odk_io *, int32_t file);
    int64_t (*size)(struct odk_io *, int32_t file);
    int32_t (*truncate)(struct odk_io *, int32_t file, uint64_t size);
    int32_t (*lock)(struct odk_io *, int32_t file); /* exclusive, for the handle's life; -EWOULDBLOCK */
    int32_t (*mkdir)(struct odk_io *, const char *path);
    int32_t (*rename)(struct odk_io *, const char *from, const char *to);
    int32_t (*unlink)(struct odk_io *, const char *path); /* a file or an empty directory */
    /* Calls entry for every name except "." and ".."; order undefined in production, fixed in the simulator. */
    int32_t (*list)(struct odk_io *, const char *path,
                    void (*entry)(void *context, const char *name, bool is_directory), void *context);
    int32_t (*space)(struct odk_io *, const char *path, uint64_t *ret_free, uint64_t *ret_total); /* bytes */
    /* When a file's content last changed, in milliseconds since 1970 by the wall clock of that moment. */
    int64_t (*modified_ms)(struct odk_io *, const char *path);

    /* -- files, asynchronous --------------------------------------------------------------------------- */
    /* Result: bytes transferred, possibly fewer than asked (0 = end of file for read). */
    void (*read)(struct odk_io *, struct odk_io_op *, int32_t file, void *dst, uint32_t len, uint64_t pos);
    /* iov must stay alive until done. A single iovec inside mem_new() memory on a HOT file is the fast path. */
    void (*writev)(struct odk_io *, struct odk_io_op *, int32_t file, const struct iovec *iov, uint32_t count,
                   uint64_t pos);
    /* Data and size of a file, or the entries of a directory handle, become durable. A failure is final: what
     * it covered may be lost even if a later sync succeeds. */
    void (*sync)(struct odk_io *, struct odk_io_op *, int32_t file);

    /* -- mappings (read only) -------------------------------------------------------------------------- */
    /* Maps [0, len) of a file; len <= its size. The handle may be closed afterwards. -ENFILE: 65,536 maps exist. */
    int32_t (*map)(struct odk_io *, int32_t file, uint64_t len, struct odk_io_map *ret_map);
    void (*unmap)(struct odk_io *, struct odk_io_map *map);
    /* True if reading [data, data+len) of a mapping would not wait for a device. */
    bool (*resident)(struct odk_io *, const void *data, size_t len);
    /* Brings [data, data+len) of a mapping into memory without blocking the loop; -EIO when it cannot be read. */
    void (*prefault)(struct odk_io *, struct odk_io_op *, const void *data, size_t len);

    /* -- sockets ----------------------------------------------------------------------------------------
     * Socket handles are common to all struct odk_io of one backend in one process: a socket accepted through one may
     * be handed to another, as long as only one of them uses it at a time. */
    int32_t (*listen)(struct odk_io *, const struct odk_addr *at, bool reuse_port, struct odk_addr *ret_bound);
    void (*accept)(struct odk_io *, struct odk_io_op *, int32_t listener); /* result: a socket handle */
    void (*connect)(struct odk_io *, struct odk_io_op *, const struct odk_addr *to); /* likewise; to is copied */
    /* dst == NULL: the backend fills one of its own buffers (ODK_IO_RECV_BYTES at most) and passes it in op->buf
     * until recv_release; an idle connection so holds no memory. Result 0: the peer has finished sending;
     * -ENOBUFS: no buffer free, try again after a recv_release. */
    void (*recv)(struct odk_io *, struct odk_io_op *, int32_t sock, void *dst, uint32_t len);
    void (*recv_release)(struct odk_io *, void *buf);
    /* Sends all of iov unless the connection fails; result: bytes sent. iov and what it points to stay alive until
     * done; -EFAULT when a mapping in it could not be read. */
    void (*sendv)(struct odk_io *, struct odk_io_op *, int32_t sock, const struct iovec *iov, uint32_t count);
    /* Ends both directions: operations in flight on it complete soon. */
    void (*shutdown)(struct odk_io *, int32_t sock);
    void (*close_socket)(struct odk_io *, int32_t sock); /* no operation may be in flight on it */
    int32_t (*local_addr)(struct odk_io *, int32_t sock, struct odk_addr *ret);
    int32_t (*peer_addr)(struct odk_io *, int32_t sock, struct odk_addr *ret);
};

/* Size of one provided receive buffer. */
#define ODK_IO_RECV_BYTES (16u * 1024u)

/* Backends embed this first. */
struct odk_io {
    const struct odk_io_ops *ops;
};

enum odk_io_kind { ODK_IO_AUTO, ODK_IO_URING, ODK_IO_EPOLL, ODK_IO_POSIX };

struct odk_io_options {
    enum odk_io_kind kind;        /* AUTO: uring, or epoll when the kernel refuses io_uring */
    uint32_t entries;             /* operations that may be queued at once; 0: 4096 */
    uint32_t recv_buffers;        /* provided receive buffers; 0: 256 */
    uint32_t workers;             /* epoll: threads for files; 0: 4 */
};

/*
 * Opens a backend for the calling thread. ret_io is the caller's, freed with ops->free.
 *
 * why       untouched, or on failure and on fall-back a sentence for people (what was refused, with errno text);
 *           a static or heap string is never returned: the text is written into why[why_len].
 *
 * ODK_ERR_UNSUPPORTED  the asked backend cannot run here (AUTO never returns it)
 */
ODK_MUST_USE enum odk_err odk_io_open(const struct odk_io_options *options, struct odk_io **ret_io, char *why,
                                      size_t why_len);

/* Runs the loop until op has completed and returns its result. For start-up and tools only. The op's done and
 * its first priv words are used by this helper: call it as  odk_io_wait_begin(io,&w); start(..,&w.op,..);
 * result = odk_io_wait(io,&w). */
struct odk_io_wait {
    struct odk_io_op op;
    int32_t result;
    bool ready;
};
void odk_io_wait_begin(struct odk_io_wait *wait);
int32_t odk_io_wait(struct odk_io *io, struct odk_io_wait *wait);

/* Blocking conveniences over odk_io_wait: whole length or an error. Reads past the end: ODK_ERR_TRUNCATED. */
ODK_MUST_USE enum odk_err odk_io_read_all(struct odk_io *io, int32_t file, void *dst, size_t len, uint64_t pos);
ODK_MUST_USE enum odk_err odk_io_write_all(struct odk_io *io, int32_t file, const void *src, size_t len, uint64_t pos);
ODK_MUST_USE enum odk_err odk_io_sync_now(struct odk_io *io, int32_t file);

/*
 * Replaces a small file crash-safely: writes path.tmp, syncs it, renames it over path, syncs the directory.
 * After a crash the old or the new content is there, whole. On failure the old file is kept.
 */
ODK_MUST_USE enum odk_err odk_io_replace(struct odk_io *io, const char *dir, const char *name, const void *content,
                                         size_t len);

/* Reads a whole small file. ret_content is the caller's (free), with a NUL behind its len bytes.
 * ODK_ERR_NOT_FOUND, ODK_ERR_TOO_LARGE above len_max. */
ODK_MUST_USE enum odk_err odk_io_load(struct odk_io *io, const char *path, size_t len_max, void **ret_content,
                                      size_t *ret_len);

/* Writes all of iov at pos, resubmitting after short writes, EINTR and EAGAIN (bounded). The iov array is
 * consumed (modified). done gets the total, or the first error; after an error any part may have been written. */
struct odk_io_write {
    struct odk_io_op op;      /* private while in flight */
    void (*done)(struct odk_io_write *write, int64_t result);
    struct odk_io *io;        /* private from here on */
    struct iovec *iov;
    uint32_t count;
    int32_t file;
    uint64_t pos;
    uint64_t written;
    uint32_t retries;
};
void odk_io_write(struct odk_io *io, struct odk_io_write *write, int32_t file, struct iovec *iov, uint32_t count,
                  uint64_t pos);

/* errno (positive or negative) to the value a caller can act on: ENOSPC, EDQUOT -> FULL, ENOENT -> NOT_FOUND,
 * EEXIST -> EXISTS, EACCES, EPERM, EROFS -> ACCESS, EWOULDBLOCK -> BUSY, ENOMEM -> MEMORY, EMFILE, ENFILE -> LIMIT,
 * all others -> IO. */
enum odk_err odk_err_from_errno(int32_t error);

/* "host:port", "[v6]:port", ":port" (all addresses); numeric or resolvable names (resolution blocks). */
ODK_MUST_USE enum odk_err odk_addr_parse(const char *text, struct odk_addr *ret);
/* Writes "127.0.0.1:9092" or "[::1]:9092"; always NUL-terminated. */
void odk_addr_print(const struct odk_addr *addr, char *dst, size_t len);
/* Writes only the host part, without brackets; returns the port. */
uint16_t odk_addr_host(const struct odk_addr *addr, char *dst, size_t len);
