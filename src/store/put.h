/*
 * Writing a small file in the background.
 *
 * REPLACE writes FOLDER/NAME.tmp, syncs it and renames it over FOLDER/NAME: the old or the new content is there, whole.
 * Making the name durable is left to the caller, who syncs the folder once for several files. WRITE writes into the file
 * itself at a position and does not sync, REPLACE_UNSYNCED renames without a sync: for what can be derived again.
 */
#pragma once
#include <odradek/io.h>

#include "base/base.h"

enum put_kind { PUT_REPLACE, PUT_REPLACE_UNSYNCED, PUT_WRITE };

struct put {
    struct odk_io *io;
    char *path;
    char *tmp; /* what is written: with the suffix for REPLACE */
    uint8_t *content;
    size_t len;
    int32_t file;
    enum put_kind kind;
    struct iovec iov;
    struct odk_io_write write;
    struct odk_io_op sync;
    bool busy;
    void (*done)(struct put *put, enum odk_err err);
};

/* Starts; content is copied. done follows exactly when ODK_OK is returned, from the io's run(). */
MUST_USE enum odk_err put_start(struct put *put, struct odk_io *io, enum put_kind kind, const char *folder,
                                const char *name, const void *content, size_t len, uint64_t pos);
/* Frees what an abandoned one holds. */
void put_abandon(struct put *put);
