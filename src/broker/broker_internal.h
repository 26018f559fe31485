/*
 * What the files of src/broker share: the inside of struct broker. Nobody outside the folder includes it.
 *
 * now_ns and wall_ms are the time of this turn of the loop; handlers use them and nothing else.
 */
#pragma once
#include <odradek/batch.h>

#include "base/diag.h"
#include "broker/broker.h"
#include "broker/compaction.h"
#include "broker/config.h"
#include "broker/errors.h"
#include "broker/fetch_session.h"
#include "broker/group_configs.h"
#include "broker/producer_ids.h"
#include "broker/request.h"
#include "broker/retention.h"
#include "broker/topics.h"

struct controller;
struct group_host;

struct broker {
    struct broker_env env;
    struct broker_config config; /* this shard's: env.config points here */
    struct odk_store *store;
    uint64_t now_ns;
    int64_t wall_ms;
    struct topics topics;
    struct group_configs group_configs;
    struct list deletions; /* topics whose logs are on their way out; see topics.c */
    struct producer_ids producer_ids;
    struct fetch_sessions fetch_sessions;
    struct odk_batch_builder builder; /* of batches from old message sets; between uses: memory only */
    struct group_host *groups;
    struct retention retention;
    struct compaction compaction;
    struct controller *controller; /* shard 0 only */
    struct diag_rate malformed_rate;
    struct diag_rate unsupported_rate;
    struct diag_rate refused_rate;
};

/* This node's id; there is one node. */
static inline int32_t broker_node_id(const struct broker *broker)
{
    return broker->env.config->node_id;
}

/* The leader epoch that Metadata tells and that new batches get. */
static inline int32_t broker_leader_epoch(const struct broker *broker)
{
    return broker->env.identity.leader_epoch;
}

/* What was set for that layer at run time is this and nothing else from now on; what follows the broker's settings is told.
 */
void broker_apply_configured(struct broker *broker, enum config_layer layer, const struct metadata_setting *settings,
                             uint32_t count);

/* The host and port that this client should use to come back: advertised.listeners, or the address it reached. Text is
 * in the request's arena; false when that is used up. */
bool broker_advertised(struct request *request, struct odk_str *ret_host, int32_t *ret_port);
