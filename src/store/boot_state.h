/*
 * DIR/odradek.state: who this directory is, and which life of it this is. Text, replaced crash-safely:
 *
 *   odradek-state 1
 *   cluster-id <22 characters>
 *   directory-id <22 characters>
 *   node-id <number>
 *   leader-epoch <number>
 *   incarnation <16 hex digits>
 *   checksum <XXH3-64 of everything above, 16 hex digits>
 */
#pragma once
#include <odradek/bytes.h>
#include <odradek/diag.h>
#include <odradek/io.h>

#include "base/base.h"

struct boot_state {
    struct odk_uuid cluster_id;
    struct odk_uuid directory_id;
    int32_t node_id;
    int32_t leader_epoch;
    uint64_t incarnation; /* of the journals; random, never 0 */
};

/* ODK_ERR_NOT_FOUND, ODK_ERR_VERSION, ODK_ERR_CORRUPT, ODK_ERR_IO. */
MUST_USE enum odk_err boot_state_load(struct odk_io *io, const struct odk_diag *to, const char *dir,
                                      struct boot_state *ret);
/* Durable when it returns ODK_OK. */
MUST_USE enum odk_err boot_state_save(struct odk_io *io, const char *dir, const struct boot_state *state);
