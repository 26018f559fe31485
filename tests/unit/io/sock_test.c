/* Sockets of every backend, over the loopback. */
#include "world.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Sends without looking at the receiver's side; small enough for the socket's buffer. */
static void send_text(struct odk_io *io, int32_t sock, const char *text)
{
    char copy[64];
    (void)snprintf(copy, sizeof(copy), "%s", text);
    struct iovec iov = { copy, strlen(text) };
    struct probe probe;
    probe_init(&probe);
    io->ops->sendv(io, &probe.op, sock, &iov, 1);
    assert_int_equal(probe.done_count, 0);
    assert_int_equal(probe_wait(io, &probe), (int)strlen(text));
}

static void bytes_cross_both_ways(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct pair pair;
    pair_open(io, &pair);
    send_text(io, pair.client, "ping");
    char dst[16] = "";
    struct probe recv;
    probe_init(&recv);
    io->ops->recv(io, &recv.op, pair.server, dst, sizeof(dst));
    assert_int_equal(recv.done_count, 0);
    assert_int_equal(probe_wait(io, &recv), 4);
    assert_string_equal(dst, "ping");
    /* The receiver waits first. */
    probe_init(&recv);
    io->ops->recv(io, &recv.op, pair.client, dst, sizeof(dst));
    io->ops->run(io, 0);
    send_text(io, pair.server, "pong!");
    assert_int_equal(probe_wait(io, &recv), 5);
    assert_string_equal(dst, "pong!");
    pair_close(io, &pair);
}

static void sockets_send_without_delay(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct pair pair;
    pair_open(io, &pair);
    const int32_t socks[] = { pair.client, pair.server };
    for (size_t i = 0; i < countof(socks); i++) {
        int on = 0;
        socklen_t len = sizeof(on);
        assert_int_equal(getsockopt(socks[i], IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
        assert_true(on);
    }
    pair_close(io, &pair);
}

static void addresses_of_both_ends_agree(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct pair pair;
    pair_open(io, &pair);
    struct odk_addr peer;
    struct odk_addr local;
    assert_int_equal(io->ops->peer_addr(io, pair.client, &peer), 0);
    assert_int_equal(io->ops->local_addr(io, pair.server, &local), 0);
    char texts[3][64];
    odk_addr_print(&peer, texts[0], sizeof(texts[0]));
    odk_addr_print(&local, texts[1], sizeof(texts[1]));
    odk_addr_print(&pair.at, texts[2], sizeof(texts[2]));
    assert_string_equal(texts[0], texts[1]);
    assert_string_equal(texts[0], texts[2]);
    assert_memory_equal(texts[0], "127.0.0.1:", 10);
    assert_int_equal(io->ops->peer_addr(io, pair.listener, &peer), -ENOTCONN);
    pair_close(io, &pair);
}

/* Many vectors of odd sizes, empty ones among them, more than one system call takes; the receiver reads slowly. */
static void large_sends_arrive_whole(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    enum { VECTORS = 3000 };
    const size_t len = 12u << 20;
    struct pair pair;
    pair_open(io, &pair);
    uint8_t *src = malloc(len);
    uint8_t *dst = malloc(len);
    struct iovec *iov = calloc(VECTORS + 1, sizeof(*iov));
    pattern_fill(src, len, 99);
    size_t used = 0;
    for (uint32_t i = 0; i < VECTORS; i++) {
        size_t part = i % 7 == 0 ? 0 : 1 + (i * 1237u) % 5000u;
        iov[i] = (struct iovec){ src + used, part };
        used += part;
    }
    iov[VECTORS] = (struct iovec){ src + used, len - used };
    struct probe send;
    probe_init(&send);
    io->ops->sendv(io, &send.op, pair.client, iov, VECTORS + 1);
    size_t got = 0;
    while (got < len) {
        struct probe recv;
        probe_init(&recv);
        io->ops->recv(io, &recv.op, pair.server, dst + got, (uint32_t)MIN(len - got, (size_t)70001));
        int32_t result = probe_wait(io, &recv);
        assert_true(result > 0);
        got += (size_t)result;
    }
    assert_int_equal(probe_wait(io, &send), (int)len);
    pattern_check(dst, len, 99);
    pair_close(io, &pair);
    free(iov);
    free(src);
    free(dst);
}

static void provided_buffers_run_out_and_come_back(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world_io(world, &(struct odk_io_options){ .recv_buffers = 3 });
    struct pair pair;
    pair_open(io, &pair);
    void *held[3];
    struct probe recv;
    for (size_t i = 0; i < countof(held); i++) {
        char text[2] = { (char)('a' + i), 0 };
        send_text(io, pair.client, text);
        probe_init(&recv);
        io->ops->recv(io, &recv.op, pair.server, NULL, 0);
        assert_int_equal(probe_wait(io, &recv), 1);
        held[i] = recv.op.buf;
        assert_int_equal(*(char *)held[i], text[0]);
    }
    send_text(io, pair.client, "d");
    probe_init(&recv);
    io->ops->recv(io, &recv.op, pair.server, NULL, 0);
    assert_int_equal(probe_wait(io, &recv), -ENOBUFS);
    io->ops->recv_release(io, held[1]);
    probe_init(&recv);
    io->ops->recv(io, &recv.op, pair.server, NULL, 0);
    assert_int_equal(probe_wait(io, &recv), 1);
    assert_ptr_equal(recv.op.buf, held[1]);
    assert_int_equal(*(char *)held[1], 'd');
    assert_int_equal(*(char *)held[2], 'c');
    for (size_t i = 0; i < countof(held); i++)
        io->ops->recv_release(io, held[i]);
    pair_close(io, &pair);
    io->ops->free(io);
}

/* Far more rounds than buffers: none is lost, whatever the way a receive ends. */
static void provided_buffers_never_leak(void **state)
{
    struct world *world = *state;
    struct odk_io *io = world_io(world, &(struct odk_io_options){ .recv_buffers = 1 });
    for (int round = 0; round < 40; round++) {
        struct pair pair;
        pair_open(io, &pair);
        struct probe recv;
        probe_init(&recv);
        io->ops->recv(io, &recv.op, pair.server, NULL, 0);
        io->ops->run(io, 0);
        if (round % 2)
            send_text(io, pair.client, "x");
        else
            io->ops->shutdown(io, pair.client);
        assert_int_equal(probe_wait(io, &recv), round % 2);
        if (recv.result > 0)
            io->ops->recv_release(io, recv.op.buf);
        pair_close(io, &pair);
    }
    io->ops->free(io);
}

/* One buffer is never filled beyond its size. */
static void provided_buffers_bound_a_receive(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct pair pair;
    pair_open(io, &pair);
    const size_t len = 100 * 1000;
    uint8_t *src = malloc(len);
    uint8_t *dst = malloc(len);
    pattern_fill(src, len, 5);
    struct iovec iov = { src, len };
    struct probe send;
    probe_init(&send);
    io->ops->sendv(io, &send.op, pair.client, &iov, 1);
    for (size_t got = 0; got < len;) {
        struct probe recv;
        probe_init(&recv);
        io->ops->recv(io, &recv.op, pair.server, NULL, 0);
        int32_t result = probe_wait(io, &recv);
        assert_true(result > 0);
        assert_true((uint32_t)result <= ODK_IO_RECV_BYTES);
        memcpy(dst + got, recv.op.buf, (size_t)result);
        io->ops->recv_release(io, recv.op.buf);
        got += (size_t)result;
    }
    pattern_check(dst, len, 5);
    assert_int_equal(probe_wait(io, &send), (int)len);
    pair_close(io, &pair);
    free(src);
    free(dst);
}

static void shutdown_ends_what_is_in_flight(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct pair pair;
    pair_open(io, &pair);
    char dst[8];
    const size_t len = 32u << 20; /* more than the socket's buffers hold */
    uint8_t *src = calloc(len, 1);
    struct iovec iov = { src, len };
    struct probe recv;
    struct probe send;
    struct probe accept;
    probe_init(&recv);
    probe_init(&send);
    probe_init(&accept);
    io->ops->recv(io, &recv.op, pair.server, dst, sizeof(dst));
    io->ops->sendv(io, &send.op, pair.server, &iov, 1);
    io->ops->accept(io, &accept.op, pair.listener);
    for (int i = 0; i < 3; i++)
        io->ops->run(io, io->ops->mono_ns(io) + NS_PER_MS);
    assert_int_equal(recv.done_count + send.done_count + accept.done_count, 0);
    io->ops->shutdown(io, pair.server);
    io->ops->shutdown(io, pair.listener);
    assert_int_equal(probe_wait(io, &recv), 0);
    assert_int_equal(probe_wait(io, &send), -EPIPE);
    assert_int_equal(probe_wait(io, &accept), -EINVAL);
    pair_close(io, &pair);
    free(src);
}

static void sending_to_a_gone_peer_fails(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct pair pair;
    pair_open(io, &pair);
    io->ops->shutdown(io, pair.server);
    int32_t result = 0;
    for (int i = 0; i < 100 && result >= 0; i++) {
        char byte[1] = "x";
        struct iovec iov = { byte, 1 };
        struct probe send;
        probe_init(&send);
        io->ops->sendv(io, &send.op, pair.client, &iov, 1);
        result = probe_wait(io, &send);
    }
    assert_true(result == -EPIPE || result == -ECONNRESET);
    pair_close(io, &pair);
}

static void refused_connections_say_so(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct odk_addr at;
    struct odk_addr bound;
    assert_int_equal(odk_addr_parse("127.0.0.1:0", &at), ODK_OK);
    int32_t listener = io->ops->listen(io, &at, false, &bound);
    assert_true(listener >= 0);
    assert_int_equal(io->ops->listen(io, &bound, false, NULL), -EADDRINUSE);
    io->ops->close_socket(io, listener);
    struct probe connect;
    probe_init(&connect);
    io->ops->connect(io, &connect.op, &bound);
    assert_int_equal(connect.done_count, 0);
    assert_int_equal(probe_wait(io, &connect), -ECONNREFUSED);
    struct odk_addr odd = { .storage.ss_family = AF_UNIX, .len = sizeof(odd.storage) };
    probe_init(&connect);
    io->ops->connect(io, &connect.op, &odd);
    assert_int_equal(connect.done_count, 0);
    assert_int_equal(probe_wait(io, &connect), -EAFNOSUPPORT);
}

/* The address of connect is the caller's only until the call returns. */
static void connect_copies_the_address(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct odk_addr at;
    struct odk_addr bound;
    assert_int_equal(odk_addr_parse("127.0.0.1:0", &at), ODK_OK);
    int32_t listener = io->ops->listen(io, &at, false, &bound);
    struct probe connect;
    probe_init(&connect);
    io->ops->connect(io, &connect.op, &bound);
    memset(&bound, 0xff, sizeof(bound));
    int32_t sock = probe_wait(io, &connect);
    assert_true(sock >= 0);
    io->ops->close_socket(io, sock);
    io->ops->close_socket(io, listener);
}

static void two_listeners_share_a_port_on_request(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct odk_addr at;
    struct odk_addr bound;
    assert_int_equal(odk_addr_parse("127.0.0.1:0", &at), ODK_OK);
    int32_t first = io->ops->listen(io, &at, true, &bound);
    int32_t second = io->ops->listen(io, &bound, true, NULL);
    assert_true(first >= 0);
    assert_true(second >= 0);
    io->ops->close_socket(io, first);
    io->ops->close_socket(io, second);
}

/* ":port" takes clients of both families where the host has both. */
static void all_addresses_take_both_families(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct odk_addr at;
    struct odk_addr bound;
    assert_int_equal(odk_addr_parse(":0", &at), ODK_OK);
    int32_t listener = io->ops->listen(io, &at, false, &bound);
    assert_true(listener >= 0);
    char host[64];
    uint16_t port = odk_addr_host(&bound, host, sizeof(host));
    const char *const hosts[] = { "127.0.0.1", "[::1]" };
    const char *const shown[] = { "127.0.0.1", "::1" };
    for (size_t i = 0; i < (strcmp(host, "::") == 0 ? 2u : 1u); i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%s:%u", hosts[i], port);
        assert_int_equal(odk_addr_parse(text, &at), ODK_OK);
        struct probe connect;
        struct probe accept;
        probe_init(&connect);
        probe_init(&accept);
        io->ops->connect(io, &connect.op, &at);
        io->ops->accept(io, &accept.op, listener);
        int32_t client = probe_wait(io, &connect);
        if (client == -EADDRNOTAVAIL && i == 1) {
            print_message("no ::1 on this host\n");
            io->ops->shutdown(io, listener);
            (void)probe_wait(io, &accept);
            continue;
        }
        int32_t server = probe_wait(io, &accept);
        assert_true(client >= 0);
        assert_true(server >= 0);
        struct odk_addr peer;
        assert_int_equal(io->ops->peer_addr(io, server, &peer), 0);
        (void)odk_addr_host(&peer, host, sizeof(host));
        assert_string_equal(host, shown[i]);
        io->ops->close_socket(io, client);
        io->ops->close_socket(io, server);
    }
    io->ops->close_socket(io, listener);
}

/* Several operations in the same direction on one socket are served in order. */
static void accepts_queue_up(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct odk_addr at;
    struct odk_addr bound;
    assert_int_equal(odk_addr_parse("127.0.0.1:0", &at), ODK_OK);
    int32_t listener = io->ops->listen(io, &at, false, &bound);
    enum { PEERS = 16 };
    struct probe accepts[PEERS];
    struct probe connects[PEERS];
    for (int i = 0; i < PEERS; i++) {
        probe_init(&accepts[i]);
        io->ops->accept(io, &accepts[i].op, listener);
    }
    io->ops->run(io, 0);
    for (int i = 0; i < PEERS; i++) {
        probe_init(&connects[i]);
        io->ops->connect(io, &connects[i].op, &bound);
    }
    for (int i = 0; i < PEERS; i++) {
        assert_true(probe_wait(io, &accepts[i]) >= 0);
        assert_true(probe_wait(io, &connects[i]) >= 0);
        io->ops->close_socket(io, accepts[i].result);
        io->ops->close_socket(io, connects[i].result);
    }
    io->ops->close_socket(io, listener);
}

/* Out of descriptors: the caller is told, the connection waits, and a later accept gets it. */
static void accept_tells_that_descriptors_ran_out(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct pair pair;
    pair_open(io, &pair);
    struct probe connect;
    struct probe accept;
    probe_init(&connect);
    io->ops->connect(io, &connect.op, &pair.at);
    int32_t client = probe_wait(io, &connect);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = { .rlim_cur = 0, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    probe_init(&accept);
    io->ops->accept(io, &accept.op, pair.listener);
    int32_t refused = probe_wait(io, &accept);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(refused, -EMFILE);
    probe_init(&accept);
    io->ops->accept(io, &accept.op, pair.listener);
    int32_t server = probe_wait(io, &accept);
    assert_true(server >= 0);
    io->ops->close_socket(io, server);
    io->ops->close_socket(io, client);
    pair_close(io, &pair);
}

struct echo {
    struct odk_io *io;
    struct odk_io_op recv;
    struct odk_io_op send;
    struct iovec iov;
    int32_t sock;
    bool ended;
};

static void echo_on_sent(struct odk_io_op *op, int32_t result)
{
    struct echo *echo = container_of(op, struct echo, send);
    assert_int_equal(result, (int)echo->iov.iov_len);
    echo->io->ops->recv_release(echo->io, echo->iov.iov_base);
    echo->io->ops->recv(echo->io, &echo->recv, echo->sock, NULL, 0);
}

static void echo_on_received(struct odk_io_op *op, int32_t result)
{
    struct echo *echo = container_of(op, struct echo, recv);
    if (result <= 0) {
        assert_int_equal(result, 0);
        echo->ended = true;
        return;
    }
    echo->iov = (struct iovec){ op->buf, (size_t)result };
    echo->io->ops->sendv(echo->io, &echo->send, echo->sock, &echo->iov, 1);
}

/* Callbacks start the next operations, with the same op: several megabytes go round. */
static void echo_returns_every_byte(void **state)
{
    struct odk_io *io = ((struct world *)*state)->io;
    struct pair pair;
    pair_open(io, &pair);
    struct echo echo = { .io = io, .sock = pair.server };
    echo.recv.done = echo_on_received;
    echo.send.done = echo_on_sent;
    io->ops->recv(io, &echo.recv, pair.server, NULL, 0);
    const size_t len = 5u << 20;
    uint8_t *src = malloc(len);
    uint8_t *dst = malloc(len);
    pattern_fill(src, len, 3);
    struct iovec iov[2] = { { src, 1 }, { src + 1, len - 1 } };
    struct probe send;
    probe_init(&send);
    io->ops->sendv(io, &send.op, pair.client, iov, 2);
    for (size_t got = 0; got < len;) {
        struct probe recv;
        probe_init(&recv);
        io->ops->recv(io, &recv.op, pair.client, dst + got, (uint32_t)(len - got));
        assert_true(probe_wait(io, &recv) > 0);
        got += (size_t)recv.result;
    }
    assert_int_equal(probe_wait(io, &send), (int)len);
    pattern_check(dst, len, 3);
    io->ops->shutdown(io, pair.client);
    while (!echo.ended)
        io->ops->run(io, UINT64_MAX);
    pair_close(io, &pair);
    free(src);
    free(dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(bytes_cross_both_ways),
        EACH(sockets_send_without_delay),
        EACH(addresses_of_both_ends_agree),
        EACH(large_sends_arrive_whole),
        EACH(provided_buffers_run_out_and_come_back),
        EACH(provided_buffers_never_leak),
        EACH(provided_buffers_bound_a_receive),
        EACH(shutdown_ends_what_is_in_flight),
        EACH(sending_to_a_gone_peer_fails),
        EACH(refused_connections_say_so),
        EACH(connect_copies_the_address),
        EACH(two_listeners_share_a_port_on_request),
        EACH(all_addresses_take_both_families),
        EACH(accepts_queue_up),
        EACH(accept_tells_that_descriptors_ran_out),
        EACH(echo_returns_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
