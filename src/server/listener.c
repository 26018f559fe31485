#include "server/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/units.h"
#include "server/conn.h"
#include "server/reactor.h"

#define ACCEPT_RETRY_MS 100 /* after EMFILE and the like: some connection must go first */

struct listener {
    struct listener_options options;
    struct odk_io_op op;
    struct timer retry;
    int32_t sock;
    uint32_t next;
    bool accepting;
    bool closing;
};

/* An accepted socket on its way to its reactor. */
struct handover {
    struct task task;
    struct reactor *to;
    struct arrival arrival;
};

static void handover_run(struct task *task, struct broker *at)
{
    (void)at;
    struct handover *handover = container_of(task, struct handover, task);
    conn_open(handover->to, &handover->arrival);
    free(handover);
}

static void accept_start(struct listener *listener);

static void refuse(struct listener *listener, const struct arrival *arrival, enum admission_answer answer)
{
    struct reactor *reactor = listener->options.reactor;
    uint32_t suppressed;
    reactor->io->ops->shutdown(reactor->io, arrival->sock);
    reactor->io->ops->close_socket(reactor->io, arrival->sock);
    if (diag_rate_ok(&reactor->accept_rate, reactor->now_ns, &suppressed))
        DIAG_WARN(reactor->diag, "connection from %s refused: %s reached (%u such lines withheld)", arrival->host,
                  answer == ADMISSION_TOO_MANY ? "max.connections" : "max.connections.per.ip", suppressed);
}

/* The address, without the mark of IPv4 in IPv6. */
static void arrival_fill(struct arrival *arrival, struct odk_io *io)
{
    static const char mapped[] = "::ffff:";
    struct odk_addr remote = { 0 };
    if (io->ops->peer_addr(io, arrival->sock, &remote) == 0)
        arrival->port = odk_addr_host(&remote, arrival->host, sizeof(arrival->host));
    size_t len = strlen(mapped);
    if (strncmp(arrival->host, mapped, len) == 0 && strchr(arrival->host, '.'))
        memmove(arrival->host, arrival->host + len, strlen(arrival->host + len) + 1);
}

static void adopt(struct listener *listener, int32_t sock)
{
    const struct listener_options *options = &listener->options;
    struct arrival arrival = { .sock = sock, .listener = options->name };
    arrival_fill(&arrival, options->reactor->io);
    enum admission_answer answer =
        admission_enter(options->admission, arrival.host, broker_settings(options->reactor->broker));
    if (answer != ADMISSION_OK) {
        refuse(listener, &arrival, answer);
        return;
    }
    struct reactor *to = &options->reactors[listener->next++ % options->reactor_count];
    struct handover *handover = xcalloc(1, sizeof(*handover));
    *handover = (struct handover){ .task = { .run = handover_run }, .to = to, .arrival = arrival };
    reactor_post(to, &handover->task);
}

/* Accepts on, at once or when the rate of new connections allows it. */
static void accept_on(struct listener *listener)
{
    struct reactor *reactor = listener->options.reactor;
    const struct broker_config *config = broker_settings(reactor->broker);
    uint64_t next_ns = admission_next_ns(listener->options.admission, config, reactor->now_ns);
    if (next_ns > reactor->now_ns)
        timer_arm(&reactor->timers, &listener->retry, next_ns);
    else
        accept_start(listener);
}

static void accept_failed(struct listener *listener, int32_t error)
{
    struct reactor *reactor = listener->options.reactor;
    uint32_t suppressed;
    if (diag_rate_ok(&reactor->accept_rate, reactor->now_ns, &suppressed))
        DIAG_WARN(reactor->diag, "accept failed: %s; trying again (%u such lines withheld)",
                  odk_err_text(odk_err_from_errno(error)), suppressed);
    timer_arm(&reactor->timers, &listener->retry, deadline_after_ms(reactor->now_ns, ACCEPT_RETRY_MS));
}

static void listener_free(struct listener *listener)
{
    struct reactor *reactor = listener->options.reactor;
    timer_cancel(&reactor->timers, &listener->retry);
    reactor->io->ops->close_socket(reactor->io, listener->sock);
    free(listener);
}

static void listener_on_accept(struct odk_io_op *op, int32_t result)
{
    struct listener *listener = container_of(op, struct listener, op);
    struct reactor *reactor = listener->options.reactor;
    listener->accepting = false;
    if (listener->closing) {
        if (result >= 0)
            reactor->io->ops->close_socket(reactor->io, result);
        listener_free(listener);
        return;
    }
    if (result >= 0) {
        adopt(listener, result);
        accept_on(listener);
    } else if (result == -ECONNABORTED || result == -EINTR)
        accept_start(listener);
    else
        accept_failed(listener, result);
}

static void accept_start(struct listener *listener)
{
    struct reactor *reactor = listener->options.reactor;
    listener->accepting = true;
    listener->op.done = listener_on_accept;
    reactor->io->ops->accept(reactor->io, &listener->op, listener->sock);
}

static void listener_on_retry(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    accept_start(container_of(timer, struct listener, retry));
}

enum odk_err listener_open(const struct listener_options *options, struct listener **ret_listener,
                           struct odk_addr *ret_bound)
{
    struct odk_io *io = options->reactor->io;
    char text[80];
    odk_addr_print(&options->at, text, sizeof(text));
    int32_t sock = io->ops->listen(io, &options->at, false, ret_bound);
    if (sock == -EADDRINUSE)
        return ODK_ERR_BUSY;
    if (sock < 0)
        return FAIL(options->reactor->diag, odk_err_from_errno(sock),
                    "cannot listen on %s: %s; try another address: --listen HOST:PORT", text, strerror(-sock));
    struct listener *listener = xcalloc(1, sizeof(*listener));
    listener->options = *options;
    listener->sock = sock;
    listener->retry.fire = listener_on_retry;
    accept_start(listener);
    *ret_listener = listener;
    return ODK_OK;
}

void listener_close(struct listener *listener)
{
    struct reactor *reactor = listener->options.reactor;
    listener->closing = true;
    if (listener->accepting)
        reactor->io->ops->shutdown(reactor->io, listener->sock);
    else
        listener_free(listener);
}
