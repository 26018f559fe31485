/*
 * The nodes of a cluster, each connected to when it is needed: a group is asked of its coordinator, a partition of its
 * leader.
 *
 * A lone node is always spoken to over the connection that was opened first, whatever address it gives for itself.
 * Everything that a call returns lives until cluster_close. What went wrong is kept as one sentence, as in client.h.
 */
#pragma once
#include "client/client.h"

struct cluster;

/* Connects to the first broker that answers and asks for the nodes. ret_cluster is the caller's (cluster_close), also
 * when this fails. */
ODK_MUST_USE enum exit_code cluster_open(const struct client_options *options, struct cluster **ret_cluster);
/* NULL is harmless. */
void cluster_close(struct cluster *cluster);

const char *cluster_why(const struct cluster *cluster);
/* Keeps the sentence of a client whose call failed; returns code. */
enum exit_code cluster_note(struct cluster *cluster, const struct client *client, enum exit_code code);
/* Keeps a sentence; returns code. */
enum exit_code cluster_fail(struct cluster *cluster, enum exit_code code, const char *format, ...) PRINTF(3, 4);
/* Until when something may be asked again, by client_mono_ms. */
int64_t cluster_deadline(struct cluster *cluster);
/* The connection that was opened first: for what any node can answer, for memory and the clock. */
struct client *cluster_first(struct cluster *cluster);

/* The nodes, as Metadata named them. */
size_t cluster_node_count(const struct cluster *cluster);
const struct metadata_response_broker *cluster_node(const struct cluster *cluster, size_t idx);
/* Looks the node up; NULL: it is not part of the cluster. */
const struct metadata_response_broker *cluster_node_find(const struct cluster *cluster, int32_t node_id);
/* A connection to the node, opened now if need be. */
ODK_MUST_USE enum exit_code cluster_reach(struct cluster *cluster, int32_t node_id, struct client **ret_client);

/* Metadata of topics by name, or of all of them (names == NULL); topics and partitions come sorted. No topic is made.
 */
ODK_MUST_USE enum exit_code cluster_topics(struct cluster *cluster, const struct odk_str *names, size_t count,
                                           struct metadata_response *ret);
