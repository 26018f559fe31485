#include "store/boot_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/diag.h"
#include "base/uuid.h"
#include "store/layout.h"

#define STATE_BYTES_MAX 1024u
#define CHECKSUM_LINE   "checksum "

static enum odk_err state_parse(const char *text, struct boot_state *ret)
{
    const char *last = strstr(text, "\n" CHECKSUM_LINE);
    uint64_t checksum;
    if (!last || sscanf(last + 1, CHECKSUM_LINE "%16" SCNx64, &checksum) != 1 ||
        checksum != XXH3_64bits(text, (size_t)(last + 1 - text)))
        return ODK_ERR_CORRUPT;
    char cluster[32], directory[32];
    struct boot_state state;
    int fields = sscanf(text,
                        "odradek-state 1\ncluster-id %31s\ndirectory-id %31s\nnode-id %" SCNd32
                        "\nleader-epoch %" SCNd32 "\nincarnation %16" SCNx64,
                        cluster, directory, &state.node_id, &state.leader_epoch, &state.incarnation);
    if (fields != 5 || state.incarnation == 0 || !uuid_parse(odk_str_from(cluster), &state.cluster_id) ||
        !uuid_parse(odk_str_from(directory), &state.directory_id))
        return ODK_ERR_CORRUPT;
    *ret = state;
    return ODK_OK;
}

enum odk_err boot_state_load(struct odk_io *io, const struct odk_diag *to, const char *dir, struct boot_state *ret)
{
    char path[LAYOUT_PATH_MAX];
    if (!layout_path(path, "%s/" LAYOUT_STATE_NAME, dir))
        return ODK_ERR_INVALID;
    void *content;
    size_t len;
    enum odk_err err = odk_io_load(io, path, STATE_BYTES_MAX, &content, &len);
    if (err == ODK_ERR_NOT_FOUND)
        return err;
    if (err != ODK_OK)
        return FAIL(to, err, "%s: cannot be read: %s", path, odk_err_text(err));
    const char *text = content;
    const char head[] = "odradek-state ";
    if (strncmp(text, head, sizeof(head) - 1) == 0 && strtol(text + sizeof(head) - 1, NULL, 10) > 1)
        err = FAIL(to, ODK_ERR_VERSION, "%s: written by a newer version", path);
    else
        err = state_parse(text, ret);
    if (err == ODK_ERR_CORRUPT)
        err = FAIL(to, err, "%s: damaged", path);
    free(content);
    return err;
}

enum odk_err boot_state_save(struct odk_io *io, const char *dir, const struct boot_state *state)
{
    char cluster[UUID_TEXT_LEN + 1], directory[UUID_TEXT_LEN + 1], text[STATE_BYTES_MAX];
    uuid_print(state->cluster_id, cluster);
    uuid_print(state->directory_id, directory);
    int len = snprintf(text, sizeof(text),
                       "odradek-state 1\ncluster-id %s\ndirectory-id %s\nnode-id %" PRId32 "\nleader-epoch %" PRId32
                       "\nincarnation %016" PRIx64 "\n",
                       cluster, directory, state->node_id, state->leader_epoch, state->incarnation);
    ASSERT(len > 0 && (size_t)len < sizeof(text) - 64);
    size_t used = (size_t)len;
    int more = snprintf(text + used, sizeof(text) - used, CHECKSUM_LINE "%016" PRIx64 "\n",
                        (uint64_t)XXH3_64bits(text, used));
    ASSERT(more > 0);
    return odk_io_replace(io, dir, LAYOUT_STATE_NAME, text, used + (size_t)more);
}
