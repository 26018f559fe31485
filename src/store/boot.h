/*
 * What start-up found, shared by all stores of the directory and read-only once they run, except for each known log's
 * taken flag (its store's) and the list of what closed stores leave for the marker.
 */
#pragma once
#include <stdatomic.h>

#include <odradek/store.h>

#include "store/boot_state.h"
#include "store/known.h"

/* What one closed store leaves for the clean-shutdown marker. */
struct boot_part {
    struct boot_part *next;
    struct known logs;
};

struct boot_folder {
    char *name;
    struct boot_folder *next;
};

struct odk_boot {
    struct odk_io *io;
    const struct odk_diag *diag;
    char *dir;
    int32_t lock;
    struct boot_state state;
    struct known known;
    struct boot_folder *doomed; /* folders of deleted logs, for the first store to remove */
    uint64_t redone_bytes;
    bool clean;
    bool direct;
    _Atomic(struct boot_part *) parts;
};

/* Hands over what a store leaves; from any thread. part becomes boot's. */
void boot_leave(struct odk_boot *boot, struct boot_part *part);
