/*
 * What the parts of the simulator know of each other. Drivers include sim_world.h only.
 *
 *   sim_world.c  clock, events, scheduling, crash        sim_io.c    the table of struct odk_io_ops, op life cycle
 *   sim_disk.c   content of one file: pages, damage      sim_fs.c    names, directories, file system journal
 *   sim_file.c   file operations on handles              sim_net.c   sockets
 */
#pragma once
#include "base/base.h"
#include "base/list.h"
#include "base/prng.h"
#include "base/units.h"

#include "sim_world.h"

#define SIM_SECTOR 512u
#define SIM_PAGE 4096u

struct sim_io;
struct sim_inode;
struct sim_socket;

/* -- events ----------------------------------------------------------------------------------------------------- */

struct sim_event {
    uint64_t at_ns;
    uint64_t tie; /* drawn: events of the same time have no order of their own */
    void (*fire)(struct sim_world *world, struct sim_event *event);
    uint32_t heap_pos; /* 1-based; 0 = not scheduled */
};

void sim_schedule(struct sim_world *world, struct sim_event *event, uint64_t delay_ns);
void sim_cancel(struct sim_world *world, struct sim_event *event);
/* The next event, or time moves to until_ns when that comes first. False when there is neither. */
bool sim_step_until(struct sim_world *world, uint64_t until_ns);

/* -- operations ------------------------------------------------------------------------------------------------- */

enum sim_kind {
    SIM_OP_READ, SIM_OP_WRITE, SIM_OP_SYNC, SIM_OP_PREFAULT,
    SIM_OP_ACCEPT, SIM_OP_CONNECT, SIM_OP_RECV, SIM_OP_SEND,
};

/* One asynchronous operation, from its start to its callback. */
struct sim_op {
    struct sim_event event; /* its completion, when it is one of time alone */
    struct list in_io;      /* io->flying, then io->due */
    struct sim_io *io;
    struct odk_io_op *op;
    enum sim_kind kind;
    int32_t result;
    int32_t injected; /* error decided at the start; 0: none */
    /* files */
    struct sim_inode *inode;
    int32_t handle;
    uint32_t handle_use; /* the handle's life, to tell a reused number */
    uint32_t open_flags;
    uint8_t *dst;
    uint64_t len;
    uint64_t pos;
    const struct iovec *iov;
    uint32_t iov_count;
    uint32_t gen;      /* sync: covers page changes up to this one */
    uint64_t size;     /* sync: the size it promises */
    uint64_t meta_seq; /* sync: covers directory operations up to this one */
    bool early;        /* sync: took effect when it started */
    /* sockets */
    struct sim_socket *socket;
    struct odk_addr addr;
    uint64_t sent;
};

struct sim_op *sim_op_new(struct sim_io *io, struct odk_io_op *op, enum sim_kind kind);
/* Hands the op to run(): its callback is all that is left to do. */
void sim_op_complete(struct sim_op *op, int32_t result);
/* Completes it later, through fire. */
void sim_op_schedule(struct sim_op *op, void (*fire)(struct sim_world *, struct sim_event *), uint64_t delay_ns);
/* A time around the typical one: mostly half to twice, rarely much more. */
uint64_t sim_latency(struct sim_world *world, uint64_t typical_ns);
/* Counts an operation, lets an armed crash strike. False when the io is dead (now). */
bool sim_begin(struct sim_io *io);

/* -- handles and ios -------------------------------------------------------------------------------------------- */

struct sim_handle {
    bool used;
    uint32_t use; /* rises with each open */
    uint32_t flags;
    uint32_t err_seen; /* write-back errors of the inode already reported here */
    struct sim_inode *inode;
};

struct sim_memory {
    void *mem;
    size_t len;
};

struct sim_io {
    struct odk_io base; /* first */
    struct list in_world;
    struct sim_world *world;
    uint32_t id;
    struct sim_io_options options;
    bool dead;
    bool straight;
    bool woken;
    bool running;
    uint64_t wanted_ns;  /* the last run() may sleep until then */
    struct list flying;  /* struct sim_op */
    struct list due;     /* struct sim_op, result known */
    struct sim_handle *handles;
    uint32_t handle_count;
    struct sim_memory *memories;
    uint32_t memory_count;
    struct sim_socket **sockets;
    uint32_t socket_count;
    uint8_t *recv_memory; /* the provided buffers; made at the first use */
    uint32_t *recv_free;  /* numbers of free ones */
    uint32_t recv_free_count;
};

static inline struct sim_io *sim_io_of(struct odk_io *io)
{
    return container_of(io, struct sim_io, base);
}

/* -- the world -------------------------------------------------------------------------------------------------- */

/* One directory operation that the file system has not committed yet. */
enum sim_meta_kind { SIM_META_LINK, SIM_META_UNLINK, SIM_META_RENAME };

struct sim_meta {
    enum sim_meta_kind kind;
    uint64_t seq;
    struct sim_inode *dir;
    struct sim_inode *to_dir; /* rename; else dir */
    struct sim_inode *inode;  /* what the name stands for */
    char *name;
    char *to_name; /* rename; else NULL */
    bool chosen;   /* scratch of one commit */
};

struct sim_planned_fail {
    bool armed;
    int32_t error;
    char part[96];
};

struct sim_world {
    uint64_t seed;
    struct prng rng;      /* faults, times, order */
    struct prng data_rng; /* what programs ask of random() */
    struct sim_faults faults;
    uint64_t now_ns;
    int64_t wall_offset_ms;
    uint64_t trace_hash;
    bool verbose;

    struct sim_event **heap; /* heap[0] unused */
    uint32_t heap_count, heap_cap;
    struct list ios;
    uint32_t io_count; /* ever made */

    uint64_t op_count;
    uint64_t crash_at; /* op_count at which an armed crash strikes; 0: none */
    enum sim_crash crash_kind;
    uint32_t crash_process;
    uint32_t crashes;
    struct sim_planned_fail planned[SIM_FAIL_MAP + 1];
    enum sim_lie lie;

    struct list inodes;
    struct sim_inode *root;
    uint32_t inode_count; /* ever made */
    struct sim_meta *meta; /* pending directory operations, oldest first */
    uint32_t meta_count, meta_cap;
    uint64_t meta_seq;
    uint64_t pages_used;
    struct sim_memory *orphans; /* caches that dead mappings may still read */
    uint32_t orphan_count;
    struct odk_io_map **maps; /* by slot */
    struct sim_inode **map_inodes;
    struct sim_io **map_ios;
    uint32_t map_count;

    struct list sockets; /* every struct sim_socket */
    uint32_t socket_ids;
    uint16_t next_port;
};

/* Folds one event into the trace. */
void sim_trace(struct sim_world *world, const char *what, uint64_t a, uint64_t b, int64_t c);
/* Crash: the part of the disk and of the network. Called after the ios were marked dead. */
void sim_disk_power(struct sim_world *world);
void sim_disk_kill(struct sim_world *world, const struct sim_io *io);
void sim_net_crash(struct sim_world *world, struct sim_io *io, enum sim_crash kind);
/* The operation in flight of an io about to die: how much of it still happens. */
void sim_file_orphan(struct sim_op *op, enum sim_crash kind);

/* -- disk: one inode -------------------------------------------------------------------------------------------- */

enum sim_page_flag {
    SIM_PAGE_USED = 1 << 0,     /* counts against the space */
    SIM_PAGE_DIRTY = 1 << 1,    /* newer in the page cache than on the device */
    SIM_PAGE_VOLATILE = 1 << 2, /* newer in the device's volatile cache than on the medium */
    SIM_PAGE_LOST = 1 << 3,     /* write-back failed: clean, new in the cache, old on the device */
    SIM_PAGE_BAD = 1 << 4,      /* cannot be read; zeros in the cache, truth on the device */
    SIM_PAGE_CACHE = 1 << 5,    /* the cache page was ever written; else it is zeros, never touched memory */
    SIM_PAGE_MEDIUM = 1 << 6,   /* likewise the medium */
    SIM_PAGE_STALE = 1 << 7,    /* scratch of a power loss: the cache must be read again */
};
#define SIM_PAGE_UNSAFE (SIM_PAGE_DIRTY | SIM_PAGE_VOLATILE | SIM_PAGE_LOST)

struct sim_dirent {
    char *name;
    struct sim_inode *inode;
};

struct sim_entries {
    struct sim_dirent *at;
    uint32_t count, cap;
};

struct sim_inode {
    struct list in_world;
    struct sim_world *world;
    uint32_t id;
    bool is_dir;
    bool named;   /* scratch: reachable from the root */
    bool stopped; /* scratch of one commit */
    uint32_t links;         /* live names */
    uint32_t opens, maps;
    const struct sim_io *lock_io; /* NULL: not locked */
    int32_t lock_handle;
    /* directory */
    struct sim_entries live, durable;
    /* file: what programs see, and what power loss surely leaves */
    uint8_t *cache, *medium; /* SIM_FILE_BYTES_MAX reserved; the cache never moves while mapped */
    uint64_t size, medium_size;
    int64_t modified_ms; /* by the wall clock; a crash does not take it back */
    uint64_t cut_to; /* smallest size of a truncation that is not committed; UINT64_MAX: none */
    uint8_t *flags;  /* enum sim_page_flag per page */
    uint32_t *gens;  /* per page: gen of the change since which it is unsafe */
    uint32_t page_cap;
    uint32_t gen;
    uint32_t err_seq; /* write-back errors so far */
    bool err_told;    /* the newest was reported to somebody */
    char trace_name[64];
};

struct sim_inode *sim_inode_new(struct sim_world *world, bool is_dir, const char *name);
void sim_inode_free(struct sim_inode *inode);
/* Returns memory and space of a file that nothing refers to any more. */
void sim_inode_drop(struct sim_inode *inode);
/* Bytes [pos, pos+len) become content in the cache: dirty, or in the device's volatile cache. Returns the bytes taken,
 * fewer when space ends, or -ENOSPC or -EFBIG. */
int64_t sim_inode_write(struct sim_inode *inode, const uint8_t *src, uint64_t len, uint64_t pos,
                        enum sim_page_flag how);
/* The pages of [pos, pos+len) reach the medium, with the size that needs. */
void sim_inode_harden(struct sim_inode *inode, uint64_t pos, uint64_t len);
/* Every page changed up to gen, and size. */
void sim_inode_sync(struct sim_inode *inode, uint32_t gen, uint64_t size);
/* A sync that fails: of the pages it covered some are lost, the error is noted for every open handle. */
void sim_inode_sync_fail(struct sim_inode *inode, uint32_t gen);
void sim_inode_truncate(struct sim_inode *inode, uint64_t size);
/* Copies what a read sees; false when a page is unreadable. */
bool sim_inode_read(struct sim_inode *inode, uint8_t *dst, uint64_t len, uint64_t pos, bool direct);
/* In-flight bytes at power loss: each sector made it or not. */
void sim_inode_tear(struct sim_inode *inode, const uint8_t *src, uint64_t len, uint64_t pos);
void sim_inode_power(struct sim_inode *inode);
void sim_inode_evict(struct sim_inode *inode);
/* One clean page becomes unreadable. False when none is eligible. */
bool sim_inode_break(struct sim_inode *inode, uint64_t pos);
void sim_inode_heal(struct sim_inode *inode);

/* -- disk: names ------------------------------------------------------------------------------------------------- */

/* Commits what a sync of inode covers up to seq: the directory's own operations, or the names of a file. */
void sim_meta_sync(struct sim_world *world, struct sim_inode *inode, uint64_t seq);
/* Power loss: a prefix of what is pending happens, the rest does not. */
void sim_meta_power(struct sim_world *world);
void sim_fs_init(struct sim_world *world);
void sim_fs_deinit(struct sim_world *world);
/* NULL when a part is missing. */
struct sim_inode *sim_fs_find(struct sim_world *world, const char *path);
/* Finds or makes a file: *ret, or a negative errno. */
int32_t sim_fs_open(struct sim_world *world, const char *path, uint32_t flags, struct sim_inode **ret);
int32_t sim_fs_mkdir(struct sim_world *world, const char *path);
int32_t sim_fs_rename(struct sim_world *world, const char *from, const char *to);
int32_t sim_fs_unlink(struct sim_world *world, const char *path);
int32_t sim_fs_list(struct sim_world *world, const char *path,
                    void (*entry)(void *context, const char *name, bool is_directory), void *context);
/* Drops inodes that neither name, handle, mapping nor pending operation refers to. */
void sim_fs_collect(struct sim_world *world, struct sim_inode *inode);

/* True when this operation is one that a planted bug gets wrong; ppm: how often. */
bool sim_lies(struct sim_world *world, enum sim_lie lie, uint32_t ppm);
/* A planned failure of this kind for this file: its error, else 0. */
int32_t sim_planned(struct sim_world *world, enum sim_fail kind, const char *name);

/* -- the table's entries ----------------------------------------------------------------------------------------- */

int32_t sim_file_open(struct odk_io *io, const char *path, uint32_t flags);
int32_t sim_file_close(struct odk_io *io, int32_t file);
int64_t sim_file_size(struct odk_io *io, int32_t file);
int32_t sim_file_truncate(struct odk_io *io, int32_t file, uint64_t size);
int32_t sim_file_lock(struct odk_io *io, int32_t file);
int32_t sim_file_mkdir(struct odk_io *io, const char *path);
int32_t sim_file_rename(struct odk_io *io, const char *from, const char *to);
int32_t sim_file_unlink(struct odk_io *io, const char *path);
int32_t sim_file_list(struct odk_io *io, const char *path,
                      void (*entry)(void *context, const char *name, bool is_directory), void *context);
int32_t sim_file_space(struct odk_io *io, const char *path, uint64_t *ret_free, uint64_t *ret_total);
int64_t sim_file_modified_ms(struct odk_io *io, const char *path);
void sim_file_read(struct odk_io *io, struct odk_io_op *op, int32_t file, void *dst, uint32_t len, uint64_t pos);
void sim_file_writev(struct odk_io *io, struct odk_io_op *op, int32_t file, const struct iovec *iov, uint32_t count,
                     uint64_t pos);
void sim_file_sync(struct odk_io *io, struct odk_io_op *op, int32_t file);
int32_t sim_file_map(struct odk_io *io, int32_t file, uint64_t len, struct odk_io_map *ret_map);
void sim_file_unmap(struct odk_io *io, struct odk_io_map *map);
bool sim_file_resident(struct odk_io *io, const void *data, size_t len);
void sim_file_prefault(struct odk_io *io, struct odk_io_op *op, const void *data, size_t len);
/* True when [data, data+len) touches a mapping that is broken. */
bool sim_file_range_broken(struct sim_world *world, const void *data, size_t len);
void sim_file_forget(struct sim_io *io); /* closes all handles, without effect on content */

int32_t sim_net_listen(struct odk_io *io, const struct odk_addr *at, bool reuse_port, struct odk_addr *ret_bound);
void sim_net_accept(struct odk_io *io, struct odk_io_op *op, int32_t listener);
void sim_net_connect(struct odk_io *io, struct odk_io_op *op, const struct odk_addr *to);
void sim_net_recv(struct odk_io *io, struct odk_io_op *op, int32_t sock, void *dst, uint32_t len);
void sim_net_recv_release(struct odk_io *io, void *buf);
void sim_net_sendv(struct odk_io *io, struct odk_io_op *op, int32_t sock, const struct iovec *iov, uint32_t count);
void sim_net_shutdown(struct odk_io *io, int32_t sock);
void sim_net_close(struct odk_io *io, int32_t sock);
int32_t sim_net_local(struct odk_io *io, int32_t sock, struct odk_addr *ret);
int32_t sim_net_peer(struct odk_io *io, int32_t sock, struct odk_addr *ret);
void sim_net_forget(struct sim_io *io); /* frees the io's sockets and buffers */
