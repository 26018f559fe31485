/*
 * Mappings of segment and index files, shared by readers, bounded in number.
 *
 * Who owns the file keeps a pointer to its mapping (home). A mapping nobody has pinned may be closed at any time, the
 * longest unused first; home is then NULL and the owner maps again when it needs to.
 *
 * (M1) A mapping covers the file as long as it was when mapped. Owners whose file has grown let go and map again; what
 *      readers have pinned stays until they unpin it.
 * (M2) A mapped file is never cut below what is mapped.
 */
#pragma once
#include <odradek/io.h>

#include "base/base.h"
#include "base/list.h"

struct file_map {
    struct odk_io_map map; /* stays where it is: the backend may watch it */
    struct file_map **home;
    struct list link;
    uint32_t pins;
};

struct files {
    struct odk_io *io;
    struct list idle; /* unpinned, longest unused first */
    uint32_t map_count;
    uint32_t maps_max;
    uint32_t handle_count; /* open for writing; their owners count them */
};

void files_init(struct files *files, struct odk_io *io, uint32_t maps_max);
/* Closes all that are not pinned; pinned ones must be gone. */
void files_deinit(struct files *files);
/* Makes *home a mapping of at least len bytes of path, which must exist and be that long; keeps the one there if it is
 * long enough. ODK_ERR_NOT_FOUND; ODK_ERR_TRUNCATED when the file is shorter. */
MUST_USE enum odk_err files_map(struct files *files, struct file_map **home, const char *path, uint64_t len);
/* Maps a whole file at once; an empty file gives a mapping without data. */
MUST_USE enum odk_err files_map_whole(struct files *files, struct file_map **home, const char *path);
/* The owner has no more use for it. Harmless when *home is NULL. */
void files_let_go(struct files *files, struct file_map **home);
void file_map_pin(struct files *files, struct file_map *map);
void file_map_unpin(struct files *files, struct file_map *map);
