/*
 * Names: the directory tree and the journal of a simulated file system.
 *
 * Every directory has two lists of entries: the live one that programs see, and the durable one. An operation changes
 * the live lists at once and is appended to the pending operations; committing it applies it to the durable lists.
 *
 *   (N1) a directory's sync commits every operation on that directory begun before it.
 *   (N2) a file's sync commits no names, or, when the faults are not strict, its own name too (as ext4 does).
 *   (N3) not strict: operations commit in order, whatever the directory, so each commit is a prefix. Strict: the order
 *        holds inside each directory only.
 *   (N4) power loss commits one more prefix (one per directory when strict), the rest never happened.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_internal.h"

/* -- entries ------------------------------------------------------------------------------------------------------ */

static struct sim_dirent *entries_find(const struct sim_entries *entries, const char *name, size_t len)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        if (strncmp(entries->at[i].name, name, len) == 0 && entries->at[i].name[len] == 0)
            return &entries->at[i];
    }
    return NULL;
}

static void entries_put(struct sim_entries *entries, const char *name, struct sim_inode *inode)
{
    struct sim_dirent *old = entries_find(entries, name, strlen(name));
    if (old != NULL) {
        old->inode = inode;
        return;
    }
    if (entries->count == entries->cap) {
        entries->cap = MAX(8u, entries->cap * 2);
        entries->at = xrealloc(entries->at, entries->cap * sizeof(struct sim_dirent));
    }
    entries->at[entries->count++] = (struct sim_dirent){ .name = xstrndup(name, strlen(name)), .inode = inode };
}

static void entries_remove(struct sim_entries *entries, const char *name, const struct sim_inode *expected)
{
    struct sim_dirent *entry = entries_find(entries, name, strlen(name));
    if (entry == NULL || (expected != NULL && entry->inode != expected))
        return;
    free(entry->name);
    uint32_t idx = (uint32_t)(entry - entries->at);
    memmove(entry, entry + 1, (entries->count - idx - 1) * sizeof(*entry));
    entries->count--;
}

static void entries_clear(struct sim_entries *entries)
{
    for (uint32_t i = 0; i < entries->count; i++)
        free(entries->at[i].name);
    entries->count = 0;
}

/* -- life --------------------------------------------------------------------------------------------------------- */

void sim_fs_init(struct sim_world *world)
{
    world->root = sim_inode_new(world, true, "/");
    world->root->links = 1;
}

static void meta_release(struct sim_meta *meta)
{
    free(meta->name);
    free(meta->to_name);
}

void sim_fs_deinit(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->meta_count; i++)
        meta_release(&world->meta[i]);
    free(world->meta);
    while (!list_empty(&world->inodes))
        sim_inode_free(list_entry(world->inodes.next, struct sim_inode, in_world));
}

static bool entries_name(const struct sim_world *world, const struct sim_inode *inode)
{
    list_each(at, &world->inodes) {
        const struct sim_inode *dir = list_entry(at, struct sim_inode, in_world);
        for (uint32_t i = 0; i < dir->durable.count; i++) {
            if (dir->durable.at[i].inode == inode)
                return true;
        }
    }
    return false;
}

static bool meta_names(const struct sim_world *world, const struct sim_inode *inode)
{
    for (uint32_t i = 0; i < world->meta_count; i++) {
        const struct sim_meta *meta = &world->meta[i];
        if (meta->inode == inode || meta->dir == inode || meta->to_dir == inode)
            return true;
    }
    return false;
}

void sim_fs_collect(struct sim_world *world, struct sim_inode *inode)
{
    if (inode->cache == NULL || inode->links != 0 || inode->opens != 0 || inode->maps != 0)
        return;
    if (meta_names(world, inode) || entries_name(world, inode))
        return;
    list_each(at, &world->ios) {
        struct sim_io *io = list_entry(at, struct sim_io, in_world);
        list_each(flying, &io->flying) {
            if (list_entry(flying, struct sim_op, in_io)->inode == inode)
                return;
        }
    }
    sim_inode_drop(inode); /* the empty shell stays in the list: operations may still carry its address in traces */
}

/* -- commits ------------------------------------------------------------------------------------------------------ */

static void meta_apply(const struct sim_meta *meta)
{
    switch (meta->kind) {
    case SIM_META_LINK:
        entries_put(&meta->dir->durable, meta->name, meta->inode);
        break;
    case SIM_META_UNLINK:
        entries_remove(&meta->dir->durable, meta->name, NULL);
        break;
    case SIM_META_RENAME:
        entries_remove(&meta->dir->durable, meta->name, meta->inode);
        entries_put(&meta->to_dir->durable, meta->to_name, meta->inode);
        break;
    }
}

static void commit_chosen(struct sim_world *world)
{
    uint32_t kept = 0;
    uint32_t count = world->meta_count;
    for (uint32_t i = 0; i < count; i++) {
        if (!world->meta[i].chosen) {
            world->meta[kept++] = world->meta[i];
            continue;
        }
        struct sim_meta meta = world->meta[i];
        sim_trace(world, "fs.commit", meta.seq, meta.inode->id, meta.kind);
        meta_apply(&meta);
        meta_release(&meta);
    }
    world->meta_count = kept;
    if (kept == count)
        return;
    list_each(at, &world->inodes)
        sim_fs_collect(world, list_entry(at, struct sim_inode, in_world));
}

static void clear_choice(struct sim_world *world, bool chosen)
{
    for (uint32_t i = 0; i < world->meta_count; i++)
        world->meta[i].chosen = chosen;
    list_each(at, &world->inodes)
        list_entry(at, struct sim_inode, in_world)->stopped = false;
}

static bool meta_touches(const struct sim_meta *meta, const struct sim_inode *inode)
{
    return meta->dir == inode || meta->to_dir == inode;
}

/* (N1), (N2) under (N3): everything up to the last operation that must be in. */
static void choose_prefix(struct sim_world *world, const struct sim_inode *inode, uint64_t seq)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < world->meta_count; i++) {
        const struct sim_meta *meta = &world->meta[i];
        if (meta->seq <= seq && (meta_touches(meta, inode) || (!inode->is_dir && meta->inode == inode)))
            end = i + 1;
    }
    for (uint32_t i = 0; i < end; i++)
        world->meta[i].chosen = true;
}

/* Strict: the directory's own operations, and of directories that a rename ties to it what came before. */
static void choose_dir(struct sim_world *world, struct sim_inode *inode, uint64_t seq)
{
    if (!inode->is_dir)
        return;
    inode->stopped = true; /* here: needed */
    for (uint32_t i = world->meta_count; i-- > 0;) {
        struct sim_meta *meta = &world->meta[i];
        if (meta->seq > seq || (!meta->dir->stopped && !meta->to_dir->stopped))
            continue;
        meta->chosen = true;
        meta->dir->stopped = true;
        meta->to_dir->stopped = true;
    }
}

void sim_meta_sync(struct sim_world *world, struct sim_inode *inode, uint64_t seq)
{
    clear_choice(world, false);
    if (world->faults.strict)
        choose_dir(world, inode, seq);
    else
        choose_prefix(world, inode, seq);
    commit_chosen(world);
}

static void commit_random(struct sim_world *world)
{
    clear_choice(world, false);
    bool strict = world->faults.strict;
    bool all_stopped = false;
    /* Each operation ends its line with a chance that makes every length of the prefix likely. */
    uint32_t end_ppm = 1000000u / (1 + world->meta_count);
    if (prng_chance(&world->rng, 300000))
        end_ppm = 0; /* all of it */
    for (uint32_t i = 0; i < world->meta_count; i++) {
        struct sim_meta *meta = &world->meta[i];
        bool stop = prng_chance(&world->rng, end_ppm);
        all_stopped = all_stopped || (stop && !strict);
        if (all_stopped || stop || meta->dir->stopped || meta->to_dir->stopped) {
            meta->dir->stopped = true;
            meta->to_dir->stopped = true;
            continue;
        }
        meta->chosen = true;
    }
    commit_chosen(world);
}

static void meta_push(struct sim_world *world, struct sim_meta meta)
{
    if (world->meta_count == world->meta_cap) {
        world->meta_cap = MAX(32u, world->meta_cap * 2);
        world->meta = xrealloc(world->meta, world->meta_cap * sizeof(struct sim_meta));
    }
    meta.seq = ++world->meta_seq;
    world->meta[world->meta_count++] = meta;
    if (world->faults.journal != 0 && prng_chance(&world->rng, world->faults.journal))
        commit_random(world);
}

/* -- power loss --------------------------------------------------------------------------------------------------- */

static void count_links(struct sim_world *world)
{
    list_each(at, &world->inodes) {
        struct sim_inode *inode = list_entry(at, struct sim_inode, in_world);
        inode->links = 0;
        inode->named = false;
    }
    world->root->links = 1;
    world->root->named = true;
    for (bool again = true; again;) {
        again = false;
        list_each(at, &world->inodes) {
            struct sim_inode *dir = list_entry(at, struct sim_inode, in_world);
            if (!dir->named || dir->stopped)
                continue;
            dir->stopped = true; /* here: visited */
            for (uint32_t i = 0; i < dir->live.count; i++) {
                dir->live.at[i].inode->links++;
                dir->live.at[i].inode->named = true;
                again = true;
            }
        }
    }
}

void sim_meta_power(struct sim_world *world)
{
    commit_random(world); /* (N4) */
    for (uint32_t i = 0; i < world->meta_count; i++)
        meta_release(&world->meta[i]);
    world->meta_count = 0;
    list_each(at, &world->inodes) {
        struct sim_inode *dir = list_entry(at, struct sim_inode, in_world);
        entries_clear(&dir->live);
        for (uint32_t i = 0; i < dir->durable.count; i++)
            entries_put(&dir->live, dir->durable.at[i].name, dir->durable.at[i].inode);
    }
    clear_choice(world, false);
    count_links(world);
    list_each(at, &world->inodes) {
        struct sim_inode *inode = list_entry(at, struct sim_inode, in_world);
        if (!inode->named) { /* what only an unreachable directory names is gone */
            entries_clear(&inode->live);
            entries_clear(&inode->durable);
        }
    }
}

/* -- paths -------------------------------------------------------------------------------------------------------- */

struct place {
    struct sim_inode *dir;
    const char *name; /* last part */
    size_t len;
};

static const char *part_end(const char *at)
{
    while (*at != 0 && *at != '/')
        at++;
    return at;
}

static const char *skip_slashes(const char *at)
{
    while (*at == '/' || (at[0] == '.' && (at[1] == '/' || at[1] == 0)))
        at++;
    return at;
}

/* Everything but the last part must be a directory. The root itself has an empty last part. */
static int32_t locate(struct sim_world *world, const char *path, struct place *ret)
{
    struct sim_inode *dir = world->root;
    const char *at = skip_slashes(path);
    for (;;) {
        const char *end = part_end(at);
        const char *next = skip_slashes(end);
        if (end - at == 2 && at[0] == '.' && at[1] == '.')
            return -EINVAL;
        if (*next == 0) {
            *ret = (struct place){ .dir = dir, .name = at, .len = (size_t)(end - at) };
            return 0;
        }
        struct sim_dirent *entry = entries_find(&dir->live, at, (size_t)(end - at));
        if (entry == NULL)
            return -ENOENT;
        if (!entry->inode->is_dir)
            return -ENOTDIR;
        dir = entry->inode;
        at = next;
    }
}

static struct sim_inode *place_inode(struct sim_world *world, const struct place *place)
{
    if (place->len == 0)
        return world->root;
    struct sim_dirent *entry = entries_find(&place->dir->live, place->name, place->len);
    return entry ? entry->inode : NULL;
}

struct sim_inode *sim_fs_find(struct sim_world *world, const char *path)
{
    struct place place;
    return locate(world, path, &place) == 0 ? place_inode(world, &place) : NULL;
}

static void link_new(struct sim_world *world, const struct place *place, struct sim_inode *inode)
{
    char *name = xstrndup(place->name, place->len);
    entries_put(&place->dir->live, name, inode);
    inode->links++;
    meta_push(world, (struct sim_meta){ .kind = SIM_META_LINK, .dir = place->dir, .to_dir = place->dir, .inode = inode,
                                        .name = name });
}

int32_t sim_fs_open(struct sim_world *world, const char *path, uint32_t flags, struct sim_inode **ret)
{
    struct place place;
    int32_t error = locate(world, path, &place);
    if (error != 0)
        return error;
    struct sim_inode *inode = place_inode(world, &place);
    if (inode != NULL) {
        if ((flags & ODK_IO_CREATE) != 0 && (flags & ODK_IO_EXCLUSIVE) != 0)
            return -EEXIST;
        if (inode->is_dir && (flags & (ODK_IO_WRITE | ODK_IO_CREATE)) != 0)
            return -EISDIR;
        if (!inode->is_dir && (flags & ODK_IO_DIRECTORY) != 0)
            return -ENOTDIR;
    } else {
        if ((flags & ODK_IO_CREATE) == 0)
            return -ENOENT;
        inode = sim_inode_new(world, false, path);
        link_new(world, &place, inode);
    }
    *ret = inode;
    return 0;
}

int32_t sim_fs_mkdir(struct sim_world *world, const char *path)
{
    struct place place;
    int32_t error = locate(world, path, &place);
    if (error != 0)
        return error;
    if (place_inode(world, &place) != NULL)
        return -EEXIST;
    link_new(world, &place, sim_inode_new(world, true, path));
    return 0;
}

int32_t sim_fs_unlink(struct sim_world *world, const char *path)
{
    struct place place;
    int32_t error = locate(world, path, &place);
    if (error != 0)
        return error;
    struct sim_inode *inode = place_inode(world, &place);
    if (inode == NULL)
        return -ENOENT;
    if (inode == world->root)
        return -EBUSY;
    if (inode->is_dir && inode->live.count != 0)
        return -ENOTEMPTY;
    char *name = xstrndup(place.name, place.len);
    entries_remove(&place.dir->live, name, inode);
    inode->links--;
    meta_push(world, (struct sim_meta){ .kind = SIM_META_UNLINK, .dir = place.dir, .to_dir = place.dir, .inode = inode,
                                        .name = name });
    return 0;
}

static bool dir_inside(const struct sim_inode *outer, const struct sim_inode *dir, const char *path,
                       struct sim_world *world)
{
    struct sim_inode *at_dir = world->root;
    for (const char *at = skip_slashes(path); *at != 0; at = skip_slashes(part_end(at))) {
        if (at_dir == outer)
            return true;
        if (at_dir == dir)
            return false;
        struct sim_dirent *entry = entries_find(&at_dir->live, at, (size_t)(part_end(at) - at));
        if (entry == NULL)
            return false;
        at_dir = entry->inode;
    }
    return at_dir == outer;
}

int32_t sim_fs_rename(struct sim_world *world, const char *from, const char *to)
{
    struct place source, target;
    int32_t error = locate(world, from, &source);
    if (error == 0)
        error = locate(world, to, &target);
    if (error != 0)
        return error;
    struct sim_inode *inode = place_inode(world, &source);
    struct sim_inode *over = place_inode(world, &target);
    if (inode == NULL)
        return -ENOENT;
    if (inode == world->root || target.len == 0)
        return -EBUSY;
    if (inode == over)
        return 0;
    if (inode->is_dir && dir_inside(inode, target.dir, to, world))
        return -EINVAL;
    if (over != NULL && over->is_dir != inode->is_dir)
        return over->is_dir ? -EISDIR : -ENOTDIR;
    if (over != NULL && over->is_dir && over->live.count != 0)
        return -ENOTEMPTY;
    char *name = xstrndup(source.name, source.len);
    char *to_name = xstrndup(target.name, target.len);
    entries_remove(&source.dir->live, name, inode);
    entries_put(&target.dir->live, to_name, inode);
    if (over != NULL)
        over->links--;
    (void)snprintf(inode->trace_name, sizeof(inode->trace_name), "%s", to);
    meta_push(world, (struct sim_meta){ .kind = SIM_META_RENAME, .dir = source.dir, .to_dir = target.dir,
                                        .inode = inode, .name = name, .to_name = to_name });
    return 0;
}

/* A fixed order that is not the order of creation, so that nobody comes to depend on it: by a hash under the seed. */
static uint64_t list_rank(const struct sim_world *world, const char *name)
{
    uint64_t hash = world->seed ^ UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 29);
}

struct ranked {
    uint64_t rank;
    char *name;
    bool is_dir;
};

static int ranked_compare(const void *left, const void *right)
{
    const struct ranked *a = left;
    const struct ranked *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return strcmp(a->name, b->name);
}

int32_t sim_fs_list(struct sim_world *world, const char *path,
                    void (*entry)(void *context, const char *name, bool is_directory), void *context)
{
    struct sim_inode *dir = sim_fs_find(world, path);
    if (dir == NULL)
        return -ENOENT;
    if (!dir->is_dir)
        return -ENOTDIR;
    /* A copy: the callback may create and remove. */
    uint32_t count = dir->live.count;
    struct ranked *names = xcalloc(MAX(1u, count), sizeof(*names));
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_dirent *at = &dir->live.at[i];
        names[i] = (struct ranked){ .rank = list_rank(world, at->name),
                                    .name = xstrndup(at->name, strlen(at->name)),
                                    .is_dir = at->inode->is_dir };
    }
    qsort(names, count, sizeof(*names), ranked_compare);
    for (uint32_t i = 0; i < count; i++) {
        entry(context, names[i].name, names[i].is_dir);
        free(names[i].name);
    }
    free(names);
    return 0;
}
