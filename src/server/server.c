#include "server/server.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/hash_table.h"
#include "base/units.h"
#include "server/listener.h"
#include "server/reactor.h"
#include "server/version.h"

struct server;

/* One reactor's thread, and its mailbag from the main thread. */
struct member {
    struct server *server;
    struct task command;
    pthread_t thread;
    uint32_t shard;
};

struct server {
    const struct server_options *options;
    struct odk_boot *boot;
    struct odk_boot_info identity;
    struct reactor *reactors;
    struct member *members;
    uint32_t member_count; /* threads that were started */
    struct listener *listeners[LISTENERS_MAX];
    struct odk_addr bound[LISTENERS_MAX];
    uint32_t listener_count;
    struct admission admission;
    atomic_bool abandon;
    bool clean; /* all stores have been closed without error */

    pthread_mutex_t lock; /* guards what follows: the main thread's waiting only, never the request path */
    pthread_cond_t changed;
    uint32_t event_count;
    enum odk_err event_err; /* the first failure among the events */
    uint32_t ended_count;   /* threads whose loop has ended: they post to nobody any more */
    bool released;          /* the main thread, too, posts to nobody any more; member_count is final */
};

/* -- the main thread waits for the reactors ------------------------------------------------------------------- */

static void event_raise(struct server *server, enum odk_err err)
{
    pthread_mutex_lock(&server->lock);
    server->event_count++;
    if (server->event_err == ODK_OK)
        server->event_err = err;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static enum odk_err events_wait(struct server *server, uint32_t count)
{
    pthread_mutex_lock(&server->lock);
    while (server->event_count < count)
        pthread_cond_wait(&server->changed, &server->lock);
    enum odk_err err = server->event_err;
    server->event_count = 0;
    server->event_err = ODK_OK;
    pthread_mutex_unlock(&server->lock);
    return err;
}

/* Each reactor is freed by its own thread, but only when no other one, nor the main thread, can reach it any more. */
static void loops_end_wait(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    server->ended_count++;
    pthread_cond_broadcast(&server->changed);
    while (!server->released || server->ended_count < server->member_count)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

static void command_post(struct server *server, uint32_t shard, void (*run)(struct task *, struct broker *))
{
    struct member *member = &server->members[shard];
    member->command.run = run;
    reactor_post(&server->reactors[shard], &member->command);
}

static enum odk_err command_all(struct server *server, void (*run)(struct task *, struct broker *))
{
    for (uint32_t shard = 0; shard < server->member_count; shard++)
        command_post(server, shard, run);
    return events_wait(server, server->member_count);
}

static struct member *member_of(struct task *task)
{
    return container_of(task, struct member, command);
}

/* -- what the reactors are given -------------------------------------------------------------------------------- */

static void server_post(void *context, uint32_t shard, struct task *task)
{
    struct server *server = context;
    reactor_post(&server->reactors[shard], task);
}

static void server_random(void *context, void *dst, size_t len)
{
    struct server *server = context;
    server->options->io->ops->random(server->options->io, dst, len);
}

static void server_on_conn_closed(void *context, uint32_t shard, const char *host)
{
    struct server *server = context;
    (void)shard;
    admission_leave(&server->admission, host);
}

/* A configured time; negative and absurd ones mean a century. */
static uint64_t limit_ns(int64_t ms)
{
    int64_t century_ms = INT64_C(100) * 365 * 86400 * 1000;
    return (uint64_t)(ms < 0 || ms > century_ms ? century_ms : ms) * NS_PER_MS;
}

static struct reactor_limits limits_from(const struct server_options *options)
{
    const struct broker_config *config = options->config;
    return (struct reactor_limits){
        .frame_bytes_max = (uint32_t)config->socket_request_max_bytes,
        .idle_ns = limit_ns(config->connections_max_idle_ms),
        .frame_ns = limit_ns(config->frame_timeout_ms),
        .body_bytes_budget = (size_t)config->request_memory_bytes / options->reactor_count,
    };
}

static enum odk_err member_open(struct member *member)
{
    struct server *server = member->server;
    const struct server_options *options = server->options;
    struct odk_io *io;
    char why[256] = "";
    enum odk_err err = odk_io_open(&(struct odk_io_options){ .kind = options->io_kind }, &io, why, sizeof(why));
    if (err != ODK_OK)
        return FAIL(options->diag, err, "cannot start the asked io backend: %s; try --io auto", why);
    if (why[0] && member->shard == 0)
        DIAG_WARN(options->diag, "io backend %s: %s", io->ops->name, why);
    uint64_t journal_bytes = MAX((uint64_t)options->config->journal_bytes_max / options->reactor_count, MIB(4));
    struct odk_store_options store = {
        .boot = server->boot,
        .io = io,
        .diag = options->diag,
        .shard = member->shard,
        .shard_count = options->reactor_count,
        .journal_bytes_max = journal_bytes,
        .journal_file_bytes = (uint32_t)MIN(journal_bytes / 4, MIB(64)), /* the row needs a few to turn in */
        .files_max = (uint32_t)options->config->open_files_max,
        .tail_bytes_max = (uint64_t)options->config->tail_memory_bytes / options->reactor_count,
    };
    struct broker_env env = {
        .context = server,
        .post = server_post,
        .random = server_random,
        .diag = options->diag,
        .config = options->config,
        .identity = server->identity,
        .shard = member->shard,
        .shard_count = options->reactor_count,
    };
    struct reactor_options reactor = {
        .io = io,
        .store = &store,
        .env = &env,
        .diag = options->diag,
        .limits = limits_from(options),
        .conn_closed = server_on_conn_closed,
        .context = server,
    };
    return reactor_open(&server->reactors[member->shard], &reactor);
}

static void *member_main(void *argument)
{
    struct member *member = argument;
    struct server *server = member->server;
    struct reactor *reactor = &server->reactors[member->shard];
    enum odk_err err = member_open(member);
    event_raise(server, err);
    while (err == ODK_OK && reactor->phase != REACTOR_CLOSED &&
           !atomic_load_explicit(&server->abandon, memory_order_relaxed))
        reactor_tick(reactor);
    if (err == ODK_OK)
        event_raise(server, reactor->close_err);
    loops_end_wait(server);
    reactor_deinit(reactor);
    return NULL;
}

/* -- commands, each run on a reactor ------------------------------------------------------------------------------ */

static void server_on_broker_started(void *context, enum odk_err err)
{
    event_raise(context, err);
}

static void start_run(struct task *task, struct broker *at)
{
    broker_start(at, server_on_broker_started, member_of(task)->server);
}

static void listen_run(struct task *task, struct broker *at)
{
    (void)at;
    struct server *server = member_of(task)->server;
    const struct server_options *options = server->options;
    enum odk_err err = ODK_OK;
    for (uint32_t i = server->listener_count; i < options->listen_count && err == ODK_OK; i++) {
        struct listener_options listener = {
            .reactor = &server->reactors[0],
            .reactors = server->reactors,
            .reactor_count = options->reactor_count,
            .admission = &server->admission,
            .at = options->listen[i],
            .name = options->listen_names[i],
        };
        err = listener_open(&listener, &server->listeners[i], &server->bound[i]);
        if (err == ODK_OK)
            server->listener_count++;
    }
    event_raise(server, err);
}

/* The main thread waits a little. */
static void pause_ms(struct server *server, int64_t ms)
{
    struct odk_io *io = server->options->io;
    int64_t until_ms = io->ops->wall_ms(io) + ms;
    struct timespec until = { .tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000 * 1000000) };
    pthread_mutex_lock(&server->lock);
    (void)pthread_cond_timedwait(&server->changed, &server->lock, &until);
    pthread_mutex_unlock(&server->lock);
}

static enum odk_err command_first(struct server *server, void (*run)(struct task *, struct broker *));

/* io_uring keeps a killed process's listening socket alive until the kernel has cleaned up, some tens of milliseconds:
 * an address in use is asked for again for a second. */
static enum odk_err listen_all(struct server *server)
{
    struct odk_io *io = server->options->io;
    uint64_t give_up_ns = io->ops->mono_ns(io) + NS_PER_S;
    enum odk_err err = command_first(server, listen_run);
    while (err == ODK_ERR_BUSY && io->ops->mono_ns(io) < give_up_ns) {
        pause_ms(server, 10);
        err = command_first(server, listen_run);
    }
    if (err != ODK_ERR_BUSY)
        return err;
    char text[80];
    odk_addr_print(&server->options->listen[server->listener_count], text, sizeof(text));
    return FAIL(server->options->diag, err,
                "cannot listen on %s: address in use; is another broker running there? try another port: "
                "--listen HOST:PORT", text);
}

static void server_on_drained(void *context, uint32_t shard)
{
    (void)shard;
    event_raise(context, ODK_OK);
}

static void drain_run(struct task *task, struct broker *at)
{
    (void)at;
    struct member *member = member_of(task);
    struct server *server = member->server;
    if (member->shard == 0)
        for (uint32_t i = 0; i < server->listener_count; i++)
            listener_close(server->listeners[i]);
    reactor_drain(&server->reactors[member->shard], server_on_drained);
}

static void close_run(struct task *task, struct broker *at)
{
    (void)at;
    struct member *member = member_of(task);
    reactor_close(&member->server->reactors[member->shard]);
}

static bool is_damage(enum odk_err err)
{
    return err == ODK_ERR_CORRUPT || err == ODK_ERR_CRC;
}

/* -- life ------------------------------------------------------------------------------------------------------------ */

static void files_limit_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* best effort: the old limit stays */
}

static enum odk_err members_start(struct server *server)
{
    uint64_t seed;
    server_random(server, &seed, sizeof(seed));
    hash_table_seed(seed); /* no reactor runs yet, so there is no table */
    uint32_t count = server->options->reactor_count;
    for (uint32_t shard = 0; shard < count; shard++) {
        struct member *member = &server->members[shard];
        *member = (struct member){ .server = server, .shard = shard };
        if (pthread_create(&member->thread, NULL, member_main, member) != 0)
            break;
        server->member_count++;
    }
    enum odk_err err = events_wait(server, server->member_count);
    if (server->member_count < count)
        return FAIL(server->options->diag, ODK_ERR_LIMIT, "cannot start thread %u of %u", server->member_count + 1, count);
    return err;
}

static void ready_print(const struct server *server)
{
    char address[80] = "off";
    if (server->listener_count > 0)
        odk_addr_print(&server->bound[0], address, sizeof(address));
    struct odk_io *io = server->options->io;
    uint64_t ms = (io->ops->mono_ns(io) - server->options->started_ns + NS_PER_MS / 2) / NS_PER_MS;
    printf("odradek %s ready in %llu ms kafka=%s http=off data=%s\n", ODRADEK_VERSION, (unsigned long long)ms, address,
           server->options->data_dir);
    (void)fflush(stdout);
}

/* Runs command on shard 0, which raises one event when it is over. */
static enum odk_err command_first(struct server *server, void (*run)(struct task *, struct broker *))
{
    command_post(server, 0, run);
    return events_wait(server, 1);
}

static void signals_block(sigset_t *ret_stop)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    sigemptyset(ret_stop);
    sigaddset(ret_stop, SIGTERM);
    sigaddset(ret_stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, ret_stop, NULL);
}

/*
 * A SIGINT from now on ends the process at once: what is acknowledged is in the journal. A further SIGTERM does not:
 * timeout(1) and some supervisors send two of them, and mean one.
 */
static void interrupt_unblock(void)
{
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &interrupt, NULL);
}

static void members_abandon(struct server *server)
{
    atomic_store(&server->abandon, true);
    for (uint32_t shard = 0; shard < server->member_count; shard++)
        if (server->reactors[shard].io)
            server->reactors[shard].io->ops->wake(server->reactors[shard].io);
}

static void members_join(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    server->released = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    for (uint32_t shard = 0; shard < server->member_count; shard++)
        (void)pthread_join(server->members[shard].thread, NULL);
}

/* For a start that failed before anybody could connect: nothing is written. */
static void server_abandon(struct server *server)
{
    members_abandon(server);
    members_join(server);
}

static enum odk_err server_stop(struct server *server)
{
    (void)command_all(server, drain_run);
    enum odk_err err = command_all(server, close_run);
    members_join(server);
    server->clean = err == ODK_OK;
    if (is_damage(err))
        DIAG_ERROR(server->options->diag, "stopped; the damaged logs named above are as they were");
    else if (err != ODK_OK)
        DIAG_ERROR(server->options->diag, "not everything could be written at the stop: %s; the next start recovers it "
                   "from the journal", odk_err_text(err));
    return err;
}

static void stop_wait(struct server *server, const sigset_t *stop)
{
    int number = 0;
    (void)sigwait(stop, &number);
    DIAG_INFO(server->options->diag, "stopping on signal %d", number);
    interrupt_unblock();
}

/* Those who failed have said what is wrong; here is what to do about it. */
static void boot_advise(const struct server_options *options, enum odk_err err)
{
    const char *advice = err == ODK_ERR_BUSY      ? "stop the other broker, or give this one a directory of its own"
                         : err == ODK_ERR_ACCESS  ? "run as its owner, or choose another directory"
                         : err == ODK_ERR_VERSION ? "run that newer version"
                         : err == ODK_ERR_FULL    ? "free some space on its file system; nothing was lost"
                         : is_damage(err)         ? "copy it before anything else, then restore what is named from a backup"
                                                  : "choose another directory";
    DIAG_ERROR(options->diag, "cannot start with data directory %s: %s; %s (--data-dir DIR)", options->data_dir,
               odk_err_text(err), advice);
}

static enum odk_err server_live(struct server *server, const sigset_t *stop)
{
    enum odk_err err = members_start(server);
    if (err == ODK_OK)
        err = command_first(server, start_run);
    if (err != ODK_OK) {
        boot_advise(server->options, err);
        server_abandon(server);
        return err;
    }
    err = listen_all(server);
    if (err == ODK_OK) {
        ready_print(server);
        stop_wait(server, stop);
    }
    enum odk_err stopped = server_stop(server); /* also when a listener failed: others may have connections by now */
    return err != ODK_OK ? err : stopped;
}

static int exit_code(enum odk_err err)
{
    if (err == ODK_OK)
        return 0;
    return is_damage(err) ? 6 : 1;
}

int server_run(const struct server_options *options)
{
    sigset_t stop;
    signals_block(&stop);
    files_limit_raise();
    struct server server = { .options = options,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .changed = PTHREAD_COND_INITIALIZER };
    struct odk_boot_options boot = {
        .dir = options->data_dir, .io = options->io, .diag = options->diag, .node_id = options->config->node_id
    };
    enum odk_err err = odk_boot_open(&boot, &server.boot);
    if (err != ODK_OK) {
        boot_advise(options, err);
        return exit_code(err);
    }
    odk_boot_info(server.boot, &server.identity);
    if (!server.identity.clean)
        DIAG_INFO(options->diag, "the last run was not stopped cleanly; recovered, %llu bytes from the journal",
                  (unsigned long long)server.identity.redone_bytes);
    server.reactors = xcalloc(options->reactor_count, sizeof(*server.reactors));
    server.members = xcalloc(options->reactor_count, sizeof(*server.members));
    admission_init(&server.admission);
    err = server_live(&server, &stop);
    enum odk_err closed = odk_boot_close(server.boot, server.clean);
    admission_deinit(&server.admission);
    free(server.members);
    free(server.reactors);
    return exit_code(err != ODK_OK ? err : closed);
}
