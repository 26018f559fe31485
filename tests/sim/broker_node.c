#include "broker_node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "broker/group_host_internal.h"
#include "coordinator/groups_internal.h"
#include "server/conn.h"

#define PORT        "127.0.0.1:9092"
#define DATA_DIR    "data"
#define JOURNAL_DIR DATA_DIR "/journal"

struct odk_addr node_address(void)
{
    struct odk_addr at;
    enum odk_err err = odk_addr_parse(PORT, &at);
    ASSERT(err == ODK_OK);
    return at;
}

bool node_dead(const struct node *node)
{
    return node->boot_io != NULL && sim_dead(node->boot_io);
}

/* -- the reactors' io --------------------------------------------------------------------------------------------- */

static struct node_io *node_io_of(struct odk_io *io)
{
    return (struct node_io *)(uintptr_t)io->ops;
}

/* The loop's own run() returns at once and is called again when the world says so; any other is straight-line code that
 * waits. */
static void node_io_run(struct odk_io *io, uint64_t until_ns)
{
    struct node_io *own = node_io_of(io);
    if (own->loop_turn) {
        own->loop_turn = false;
        own->inner->run(io, until_ns);
        return;
    }
    sim_straight(io, true);
    own->inner->run(io, until_ns);
    sim_straight(io, false);
}

static void node_io_free(struct odk_io *io)
{
    struct node_io *own = node_io_of(io);
    own->io = NULL;
    own->inner->free(io);
}

/* A send of nothing still completes: the reply is lost and nobody is told. */
static void node_io_sendv(struct odk_io *io, struct odk_io_op *op, int32_t sock, const struct iovec *iov,
                          uint32_t count)
{
    struct node_io *own = node_io_of(io);
    struct node *node = own->node;
    bool strike = node->options.bug == NODE_BUG_LOST_REPLY && ++node->sends % 31 == 0;
    own->inner->sendv(io, op, sock, iov, strike ? 0 : count);
}

static void node_io_new(struct node *node, struct node_io *own)
{
    own->node = node;
    own->io = sim_io_new(node->options.world, &(struct sim_io_options){ .process = NODE_PROCESS });
    own->inner = own->io->ops;
    own->ops = *own->inner;
    own->ops.run = node_io_run;
    own->ops.free = node_io_free;
    own->ops.sendv = node_io_sendv;
    own->io->ops = &own->ops;
    own->loop_turn = false;
}

/* -- bugs above the store: calls from one file to another come by here --------------------------------------------- */

/* Functions that stand in for others have no context of their own. */
static enum node_bug planted_bug;

void __real_group_append_answer(void *context, struct group_call *call);
void __wrap_group_append_answer(void *context, struct group_call *call);
enum odk_err __real_groups_replay_of(struct groups *groups, int64_t producer_id, struct odk_bytes key,
                                    struct odk_bytes value);
enum odk_err __wrap_groups_replay_of(struct groups *groups, int64_t producer_id, struct odk_bytes key,
                                    struct odk_bytes value);
enum kafka_error __real_classic_commit_check(struct group *group, const struct group_call *call,
                                             struct odk_str member_id, struct odk_str instance_id, int32_t generation);
enum kafka_error __wrap_classic_commit_check(struct group *group, const struct group_call *call,
                                             struct odk_str member_id, struct odk_str instance_id, int32_t generation);

void __real_odk_log_trim(struct odk_log *log, int64_t offset, void (*done)(void *context, enum odk_err err),
                         void *context);
void __wrap_odk_log_trim(struct odk_log *log, int64_t offset, void (*done)(void *context, enum odk_err err),
                         void *context);

void __wrap_odk_log_trim(struct odk_log *log, int64_t offset, void (*done)(void *context, enum odk_err err),
                         void *context)
{
    bool eager = planted_bug == NODE_BUG_EAGER_TRIMS && done;
    __real_odk_log_trim(log, offset, eager ? NULL : done, eager ? NULL : context);
    if (eager)
        done(context, ODK_OK);
}

void __wrap_group_append_answer(void *context, struct group_call *call)
{
    __real_group_append_answer(context, call);
    if (planted_bug == NODE_BUG_EAGER_GROUPS)
        container_of(call, struct group_errand, call)->after = 0;
}

enum odk_err __wrap_groups_replay_of(struct groups *groups, int64_t producer_id, struct odk_bytes key,
                                    struct odk_bytes value)
{
    bool strike = planted_bug == NODE_BUG_FORGETFUL_GROUPS && key.len > 0 && (key.data[key.len - 1] ^ value.len) % 5 == 0;
    return strike ? ODK_OK : __real_groups_replay_of(groups, producer_id, key, value);
}

enum kafka_error __wrap_classic_commit_check(struct group *group, const struct group_call *call,
                                             struct odk_str member_id, struct odk_str instance_id, int32_t generation)
{
    enum kafka_error error = __real_classic_commit_check(group, call, member_id, instance_id, generation);
    bool strike = planted_bug == NODE_BUG_LENIENT_GROUPS && error == KAFKA_ILLEGAL_GENERATION;
    return strike ? KAFKA_NONE : error;
}

/* -- what the reactors are given -------------------------------------------------------------------------------- */

static void node_post(void *context, uint32_t shard, struct task *task)
{
    struct node *node = context;
    reactor_post(&node->reactors[shard], task);
}

static void node_random(void *context, void *dst, size_t len)
{
    struct node *node = context;
    node->boot_io->ops->random(node->boot_io, dst, len);
}

static void node_on_conn_closed(void *context, uint32_t shard, const char *host)
{
    struct node *node = context;
    (void)shard;
    admission_leave(&node->admission, host);
}

static struct reactor_limits limits_from(const struct node_options *options)
{
    const struct broker_config *config = options->config;
    return (struct reactor_limits){
        .frame_bytes_max = (uint32_t)config->socket_request_max_bytes,
        .idle_ns = (uint64_t)config->connections_max_idle_ms * NS_PER_MS,
        .frame_ns = (uint64_t)config->frame_timeout_ms * NS_PER_MS,
        .body_bytes_budget = (size_t)config->request_memory_bytes / options->reactor_count,
    };
}

static enum odk_err member_open(struct node *node, uint32_t shard)
{
    struct node_io *own = &node->ios[shard];
    node_io_new(node, own);
    struct odk_store_options store = node->options.store;
    store.boot = node->boot;
    store.io = own->io;
    store.diag = node->options.diag;
    store.shard = shard;
    store.shard_count = node->options.reactor_count;
    struct broker_env env = {
        .context = node,
        .post = node_post,
        .random = node_random,
        .diag = node->options.diag,
        .config = node->options.config,
        .identity = node->identity,
        .shard = shard,
        .shard_count = node->options.reactor_count,
    };
    struct reactor_options reactor = {
        .io = own->io,
        .store = &store,
        .env = &env,
        .diag = node->options.diag,
        .limits = limits_from(&node->options),
        .conn_closed = node_on_conn_closed,
        .context = node,
    };
    return reactor_open(&node->reactors[shard], &reactor);
}

static struct node_member *member_of(struct task *task)
{
    return container_of(task, struct node_member, command);
}

static void command_post(struct node *node, uint32_t shard, void (*run)(struct task *, struct broker *))
{
    node->members[shard].command.run = run;
    reactor_post(&node->reactors[shard], &node->members[shard].command);
}

static void command_all(struct node *node, void (*run)(struct task *, struct broker *))
{
    node->waiting = node->options.reactor_count;
    for (uint32_t shard = 0; shard < node->options.reactor_count; shard++)
        command_post(node, shard, run);
}

/* -- start ----------------------------------------------------------------------------------------------------------
 */

static void fail(struct node *node, enum odk_err err)
{
    node->err = err;
    node->state = NODE_FAILED;
}

static void listen_run(struct task *task, struct broker *at)
{
    (void)at;
    struct node *node = member_of(task)->node;
    struct listener_options listener = {
        .reactor = &node->reactors[0],
        .reactors = node->reactors,
        .reactor_count = node->options.reactor_count,
        .admission = &node->admission,
        .at = node_address(),
        .name = "PLAINTEXT",
    };
    enum odk_err err = listener_open(&listener, &node->listener, &node->bound);
    if (err == ODK_OK)
        node->state = NODE_UP;
    else
        fail(node, err);
}

static void node_on_broker_started(void *context, enum odk_err err)
{
    struct node *node = context;
    if (err != ODK_OK) {
        fail(node, err);
        return;
    }
    command_post(node, 0, listen_run);
}

static void start_run(struct task *task, struct broker *at)
{
    broker_start(at, node_on_broker_started, member_of(task)->node);
}

static void journal_forget_entry(void *context, const char *name, bool is_directory)
{
    struct node *node = context;
    char path[300];
    if (is_directory)
        return;
    (void)snprintf(path, sizeof(path), JOURNAL_DIR "/%s", name);
    (void)node->boot_io->ops->unlink(node->boot_io, path);
}

static enum odk_err boot(struct node *node)
{
    node->boot_io = sim_io_new(node->options.world, &(struct sim_io_options){ .process = NODE_PROCESS });
    sim_straight(node->boot_io, true);
    if (node->options.bug == NODE_BUG_NO_RECOVERY)
        (void)node->boot_io->ops->list(node->boot_io, JOURNAL_DIR, journal_forget_entry, node);
    struct odk_boot_options options = {
        .dir = DATA_DIR, .io = node->boot_io, .diag = node->options.diag, .node_id = node->options.config->node_id
    };
    enum odk_err err = odk_boot_open(&options, &node->boot);
    if (err != ODK_OK)
        node->boot = NULL;
    else
        odk_boot_info(node->boot, &node->identity);
    return err;
}

void node_start(struct node *node, const struct node_options *options)
{
    planted_bug = options->bug;
    *node = (struct node){ .options = *options, .state = NODE_STARTING };
    enum odk_err err = boot(node);
    node->reactors = xcalloc(NODE_REACTORS_MAX, sizeof(struct reactor));
    admission_init(&node->admission);
    for (uint32_t shard = 0; shard < options->reactor_count && err == ODK_OK; shard++) {
        node->members[shard] = (struct node_member){ .node = node, .shard = shard };
        err = member_open(node, shard);
    }
    if (err != ODK_OK) {
        fail(node, err);
        return;
    }
    for (uint32_t shard = 0; shard < options->reactor_count; shard++)
        sim_straight(node->ios[shard].io, false);
    command_post(node, 0, start_run);
}

/* -- stop -------------------------------------------------------------------------------------------------------------
 */

static void accounts_check(struct node *node)
{
    uint32_t counted = admission_count(&node->admission);
    if (counted != 0)
        violation_set(node->options.violation, "after the drain %u connections are counted", counted);
    for (uint32_t shard = 0; shard < node->options.reactor_count; shard++) {
        const struct reactor *reactor = &node->reactors[shard];
        if (reactor->buffers.charged != 0 || reactor->conn_count != 0 || !list_empty(&reactor->conns))
            violation_set(node->options.violation,
                          "after the drain reactor %u has %u connections and %zu bytes charged", shard,
                          reactor->conn_count, reactor->buffers.charged);
    }
}

static void close_run(struct task *task, struct broker *at)
{
    (void)at;
    struct node_member *member = member_of(task);
    reactor_close(&member->node->reactors[member->shard]);
}

static void node_on_drained(void *context, uint32_t shard)
{
    struct node *node = context;
    (void)shard;
    if (--node->waiting > 0)
        return;
    accounts_check(node);
    node->state = NODE_CLOSING;
    command_all(node, close_run);
}

static void drain_run(struct task *task, struct broker *at)
{
    (void)at;
    struct node_member *member = member_of(task);
    if (member->shard == 0)
        listener_close(member->node->listener);
    reactor_drain(&member->node->reactors[member->shard], node_on_drained);
}

void node_stop(struct node *node)
{
    ASSERT(node->state == NODE_UP);
    node->state = NODE_DRAINING;
    command_all(node, drain_run);
}

static void stopped(struct node *node)
{
    enum odk_err err = ODK_OK;
    for (uint32_t shard = 0; shard < node->options.reactor_count; shard++) {
        if (err == ODK_OK)
            err = node->reactors[shard].close_err;
        reactor_deinit(&node->reactors[shard]);
    }
    enum odk_err closed = odk_boot_close(node->boot, err == ODK_OK);
    node->boot = NULL;
    node->err = err != ODK_OK ? err : closed;
    node->clean = node->err == ODK_OK && !node_dead(node);
    node->state = NODE_STOPPED;
}

/* -- turns ------------------------------------------------------------------------------------------------------------
 */

static bool all_closed(const struct node *node)
{
    for (uint32_t shard = 0; shard < node->options.reactor_count; shard++) {
        if (node->reactors[shard].phase != REACTOR_CLOSED)
            return false;
    }
    return true;
}

static void reactor_turn(struct node *node, uint32_t shard)
{
    struct node_io *own = &node->ios[shard];
    struct reactor *reactor = &node->reactors[shard];
    own->loop_turn = true;
    if (reactor->phase == REACTOR_CLOSED)
        own->io->ops->run(own->io, UINT64_MAX); /* its thread has ended */
    else
        reactor_tick(reactor);
    if (node->state == NODE_CLOSING && !node_dead(node) && all_closed(node))
        stopped(node);
}

bool node_turn(struct node *node, const struct odk_io *io)
{
    for (uint32_t shard = 0; shard < node->options.reactor_count; shard++) {
        if (node->ios[shard].io == io && io != NULL) {
            reactor_turn(node, shard);
            return true;
        }
    }
    if (io != node->boot_io || io == NULL)
        return false;
    node->boot_io->ops->run(node->boot_io, UINT64_MAX);
    return true;
}

void node_bury(struct node *node)
{
    for (uint32_t shard = 0; shard < NODE_REACTORS_MAX; shard++) {
        if (node->ios[shard].io != NULL)
            sim_io_free(node->ios[shard].io);
        node->ios[shard].io = NULL;
    }
    if (node->boot_io != NULL)
        sim_io_free(node->boot_io);
    node->boot_io = NULL;
    if (node->reactors != NULL)
        admission_deinit(&node->admission);
    if (node->state == NODE_STOPPED)
        free(node->reactors);
    node->reactors = NULL;
    node->state = NODE_OFF;
}
