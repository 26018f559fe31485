/*
 * Goal: a connection keeps order, bounds and its promises at the end, whatever the bytes' timing.
 * Method: real loopback sockets against one reactor with a broker that is not there (fake_broker.h), ticked by hand; every
 * case runs on each io backend.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/units.h"
#include "fake_broker.h"
#include "server/conn.h"
#include "server/listener.h"
#include "server/reactor.h"

struct world {
    struct reactor reactor;
    struct listener *listener;
    struct odk_addr bound;
    struct admission admission;
};

static void on_conn_closed(void *context, uint32_t shard, const char *host)
{
    struct world *world = context;
    (void)shard;
    admission_leave(&world->admission, host);
}

static struct world *world_new(enum odk_io_kind kind, uint32_t frame_max, size_t budget, uint32_t conns_max)
{
    struct world *world = calloc(1, sizeof(*world));
    struct odk_io *io;
    char why[128];
    if (odk_io_open(&(struct odk_io_options){ .kind = kind }, &io, why, sizeof(why)) != ODK_OK) {
        print_message("skipped: %s\n", why);
        skip();
    }
    struct broker_env env = { .shard_count = 1 };
    struct reactor_options options = { .io = io,
                                       .env = &env,
                                       .limits = { .frame_bytes_max = frame_max,
                                                   .idle_ns = 60 * NS_PER_S,
                                                   .frame_ns = 30 * NS_PER_S,
                                                   .body_bytes_budget = budget },
                                       .conn_closed = on_conn_closed,
                                       .context = world };
    assert_int_equal(reactor_open(&world->reactor, &options), ODK_OK);
    struct listener_options listener = { .reactor = &world->reactor,
                                         .reactors = &world->reactor,
                                         .reactor_count = 1,
                                         .admission = &world->admission,
                                         .name = "PLAINTEXT" };
    admission_init(&world->admission);
    fake_of(world->reactor.broker)->config.max_connections = (int32_t)conns_max;
    assert_int_equal(odk_addr_parse("127.0.0.1:0", &listener.at), ODK_OK);
    assert_int_equal(listener_open(&listener, &world->listener, &world->bound), ODK_OK);
    return world;
}

static void ticks(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        world->reactor.store_next_ns = world->reactor.io->ops->mono_ns(world->reactor.io) + 2 * NS_PER_MS;
        reactor_tick(&world->reactor);
    }
}

static void on_drained(void *context, uint32_t shard)
{
    (void)context;
    (void)shard;
}

static void world_free(struct world *world)
{
    listener_close(world->listener);
    reactor_drain(&world->reactor, on_drained);
    for (unsigned i = 0; i < 4000 && world->reactor.conn_count > 0; i++)
        ticks(world, 1);
    assert_int_equal(world->reactor.conn_count, 0);
    assert_int_equal(admission_count(&world->admission), 0);
    assert_null(world->admission.by_host);
    admission_deinit(&world->admission);
    assert_int_equal(world->reactor.buffers.charged, 0);
    ticks(world, 4);
    reactor_close(&world->reactor);
    assert_int_equal(world->reactor.phase, REACTOR_CLOSED);
    reactor_deinit(&world->reactor);
    free(world);
}

static struct fake_broker *fake(struct world *world)
{
    return fake_of(world->reactor.broker);
}

static int client_new(struct world *world)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&world->bound.storage, world->bound.len), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    ticks(world, 5);
    return fd;
}

/* A frame: length, kind ('O' overlaps, '-' not), number, command, filling. */
static size_t frame_make(uint8_t *dst, char kind, uint8_t number, char command, uint32_t body_len)
{
    uint32_t big = htonl(body_len);
    memcpy(dst, &big, 4);
    memset(dst + 4, 'x', body_len);
    dst[4] = (uint8_t)kind;
    dst[5] = number;
    dst[6] = (uint8_t)command;
    return 4 + body_len;
}

static void client_send(struct world *world, int fd, const void *data, size_t len)
{
    const uint8_t *at = data;
    for (unsigned i = 0; i < 20000 && len > 0; i++) {
        ssize_t put = send(fd, at, len, MSG_NOSIGNAL);
        if (put > 0) {
            at += put;
            len -= (size_t)put;
        }
        ticks(world, 1);
    }
    assert_int_equal(len, 0);
}

static void frame_send(struct world *world, int fd, char kind, uint8_t number, char command, uint32_t body_len)
{
    uint8_t *frame = malloc(4 + body_len);
    size_t len = frame_make(frame, kind, number, command, body_len);
    client_send(world, fd, frame, len);
    free(frame);
}

/* The number of the next reply; -1 when none comes within some ticks, -2 when the connection is closed. */
static int reply_read(struct world *world, int fd)
{
    uint8_t *data = malloc(1 << 22);
    size_t have = 0, want = 4;
    int number = -1;
    for (unsigned i = 0; i < 200 && number == -1; i++) {
        ssize_t got = recv(fd, data + have, want - have, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            number = -2;
        if (got > 0)
            have += (size_t)got;
        if (have == 4 && want == 4) {
            uint32_t big;
            memcpy(&big, data, 4);
            want = 4 + ntohl(big);
        } else if (have == want)
            number = data[5];
        ticks(world, 1);
    }
    free(data);
    return number;
}

static enum odk_io_kind kind_of(void **state)
{
    return *(enum odk_io_kind *)*state;
}

static void replies_leave_in_the_order_of_requests(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world);
    frame_send(world, fd, 'O', 1, 'p', 10);
    frame_send(world, fd, 'O', 2, 'e', 10);
    frame_send(world, fd, 'O', 3, 'n', 10);
    frame_send(world, fd, 'O', 4, 'e', 10);
    ticks(world, 5);
    assert_int_equal(fake(world)->started_count, 4);
    assert_int_equal(reply_read(world, fd), -1);
    fake_release(world->reactor.broker);
    assert_int_equal(reply_read(world, fd), 1);
    assert_int_equal(reply_read(world, fd), 2);
    assert_int_equal(reply_read(world, fd), 4);
    assert_int_equal(fake(world)->released_count, 4);
    close(fd);
    world_free(world);
}

static void others_wait_for_an_unfinished_request(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world);
    frame_send(world, fd, '-', 1, 'p', 10);
    frame_send(world, fd, '-', 2, 'e', 10);
    frame_send(world, fd, 'O', 3, 'e', 10);
    ticks(world, 5);
    assert_int_equal(fake(world)->started_count, 1);
    fake_release(world->reactor.broker);
    for (int number = 1; number <= 3; number++)
        assert_int_equal(reply_read(world, fd), number);
    close(fd);
    world_free(world);
}

static void later_ones_wait_while_a_request_holds_them_up(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world);
    frame_send(world, fd, 'O', 1, 'p', 10);
    frame_send(world, fd, 'O', 2, 'h', 10);
    frame_send(world, fd, 'O', 3, 'e', 10);
    ticks(world, 5);
    assert_int_equal(fake(world)->started_count, 2);
    fake_release(world->reactor.broker); /* the end of an earlier one changes nothing */
    assert_int_equal(reply_read(world, fd), 1);
    assert_int_equal(fake(world)->started_count, 2);
    fake_go_on(world->reactor.broker);
    ticks(world, 2);
    assert_int_equal(fake(world)->started_count, 3);
    fake_release(world->reactor.broker);
    assert_int_equal(reply_read(world, fd), 2);
    assert_int_equal(reply_read(world, fd), 3);
    close(fd);
    world_free(world);
}

static void a_frame_may_come_byte_by_byte(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world);
    uint8_t frames[64];
    size_t len = frame_make(frames, '-', 1, 'e', 11);
    len += frame_make(frames + len, '-', 2, 'e', 5);
    for (size_t i = 0; i < len; i++)
        client_send(world, fd, frames + i, 1);
    assert_int_equal(reply_read(world, fd), 1);
    assert_int_equal(reply_read(world, fd), 2);
    close(fd);
    world_free(world);
}

static void large_frames_pass_whole(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(4), MIB(8), 10);
    int fd = client_new(world);
    for (uint8_t number = 1; number <= 3; number++) {
        frame_send(world, fd, '-', number, 'e', 3000000u + number);
        assert_int_equal(reply_read(world, fd), number);
    }
    close(fd);
    world_free(world);
}

static void a_size_out_of_range_closes_only_that_connection(void **state)
{
    static const uint8_t bad[][4] = { { 0x7f, 0xff, 0xff, 0xff }, { 0xff, 0xff, 0xff, 0xff }, { 0, 0, 0, 0 },
                                      { 0x16, 0x03, 0x01, 0x02 }, { 0, 0x10, 0, 1 } };
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int good = client_new(world);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int fd = client_new(world);
        client_send(world, fd, bad[i], 4);
        assert_int_equal(reply_read(world, fd), -2);
        close(fd);
    }
    frame_send(world, good, '-', 7, 'e', 100);
    assert_int_equal(reply_read(world, good), 7);
    close(good);
    world_free(world);
}

static void a_handler_can_close_after_earlier_replies(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world);
    frame_send(world, fd, 'O', 1, 'e', 10);
    frame_send(world, fd, 'O', 2, 'c', 10);
    assert_int_equal(reply_read(world, fd), 1);
    assert_int_equal(reply_read(world, fd), -2);
    close(fd);
    world_free(world);
}

static void no_more_than_the_slots_are_taken(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world);
    for (uint8_t number = 0; number < 40; number++)
        frame_send(world, fd, 'O', number, 'p', 10);
    ticks(world, 10);
    assert_int_equal(fake(world)->started_count, CONN_SLOTS_MAX);
    for (int number = 0; number < 40; number++) {
        fake_release(world->reactor.broker);
        assert_int_equal(reply_read(world, fd), number);
    }
    close(fd);
    world_free(world);
}

static void bodies_beyond_the_budget_wait_and_one_always_goes_on(void **state)
{
    enum { CLIENTS = 6 };
    struct world *world = world_new(kind_of(state), MIB(1), 600 * 1024, 10);
    int fds[CLIENTS];
    uint8_t *frame = malloc(MIB(1));
    size_t len = frame_make(frame, '-', 9, 'e', 900 * 1024);
    size_t sent[CLIENTS] = { 0 }, got_total[CLIENTS] = { 0 };
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = client_new(world);
    int open_count = CLIENTS, answered_count = 0;
    for (unsigned round = 0; round < 20000 && answered_count < CLIENTS; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            ssize_t put = send(fds[i], frame + sent[i], len - sent[i], MSG_NOSIGNAL);
            sent[i] += put > 0 ? (size_t)put : 0;
            uint8_t sink[65536];
            ssize_t got = recv(fds[i], sink, sizeof(sink), 0);
            got_total[i] += got > 0 ? (size_t)got : 0;
            if (got_total[i] == len) {
                answered_count++;
                got_total[i] = 0;
            }
        }
        reactor_tick(&world->reactor);
        world->reactor.store_next_ns = 1;
        assert_true(world->reactor.buffers.charged <= 600 * 1024 + MIB(1));
    }
    assert_int_equal(answered_count, open_count);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    free(frame);
    world_free(world);
}

static void an_unfinished_frame_is_cut_off_in_time(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    world->reactor.limits.frame_ns = 200 * NS_PER_MS;
    int fd = client_new(world);
    client_send(world, fd, "\0\0\1\0abc", 7);
    int result = -1;
    for (unsigned i = 0; i < 20 && result == -1; i++)
        result = reply_read(world, fd);
    assert_int_equal(result, -2);
    close(fd);
    world_free(world);
}

/* Longer than a connection may be idle: it costs no turns of the loop, and is answered. */
static void a_request_may_wait_longer_than_a_connection_may_be_idle(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    world->reactor.limits.idle_ns = 50 * NS_PER_MS;
    int fd = client_new(world);
    frame_send(world, fd, '-', 1, 'p', 10);
    struct odk_io *io = world->reactor.io;
    uint64_t end_ns = io->ops->mono_ns(io) + 300 * NS_PER_MS;
    unsigned turn_count = 0;
    for (; io->ops->mono_ns(io) < end_ns; turn_count++) {
        world->reactor.store_next_ns = end_ns;
        reactor_tick(&world->reactor);
    }
    assert_true(turn_count < 20);
    fake_release(world->reactor.broker);
    assert_int_equal(reply_read(world, fd), 1);
    close(fd);
    world_free(world);
}

static void a_peer_that_goes_away_cancels_what_waits(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world);
    frame_send(world, fd, '-', 1, 'p', 10);
    struct linger hard = { .l_onoff = 1, .l_linger = 0 };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(fd);
    ticks(world, 10);
    assert_int_equal(fake(world)->cancelled_count, 1);
    assert_int_equal(world->reactor.conn_count, 0);
    world_free(world);
}

static void a_peer_that_goes_away_leaves_nothing_queued(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world);
    frame_send(world, fd, '-', 1, 'p', 10);
    frame_send(world, fd, '-', 2, 'e', 10);
    frame_send(world, fd, '-', 3, 'c', 10);
    struct linger hard = { .l_onoff = 1, .l_linger = 0 };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(fd);
    ticks(world, 10);
    assert_int_equal(world->reactor.conn_count, 0);
    assert_int_equal(fake(world)->started_count, 1);
    world_free(world);
}

static void a_peer_that_has_finished_sending_is_answered_without_waiting(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world);
    frame_send(world, fd, '-', 1, 'p', 10);
    frame_send(world, fd, '-', 2, 'p', 10);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(reply_read(world, fd), 1);
    assert_int_equal(reply_read(world, fd), 2);
    assert_int_equal(reply_read(world, fd), -2);
    close(fd);
    world_free(world);
}

static void a_peer_that_does_not_read_gets_no_more_work_done(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(20), MIB(256), 10);
    int fd = client_new(world);
    for (uint8_t number = 1; number <= 4; number++)
        frame_send(world, fd, 'O', number, 'e', MIB(16)); /* more than the kernel buffers of both ends take */
    ticks(world, 50);
    assert_int_equal(fake(world)->started_count, 1);
    uint8_t *sink = malloc(MIB(1));
    size_t got_total = 0;
    for (unsigned i = 0; i < 20000 && got_total < 4 * (MIB(16) + 4); i++) {
        ssize_t got = recv(fd, sink, MIB(1), 0);
        got_total += got > 0 ? (size_t)got : 0;
        ticks(world, 1);
    }
    assert_int_equal(got_total, 4 * (MIB(16) + 4));
    free(sink);
    close(fd);
    world_free(world);
}

/* Nothing but the budget wakes them: the ones before are resumed, and then say nothing. */
static void every_starved_connection_is_resumed_when_there_is_room(void **state)
{
    enum { SILENT = 12 };
    struct world *world = world_new(kind_of(state), MIB(2), MIB(1), 40);
    world->reactor.limits.frame_ns = 10 * NS_PER_S;
    uint8_t frame[8192 + 4];
    int hog = client_new(world), greedy = client_new(world), fds[SILENT];
    frame_send(world, hog, '-', 1, 'p', MIB(1));
    (void)frame_make(frame, '-', 2, 'e', 8192);
    client_send(world, greedy, frame, 4096); /* is the one that may go beyond the budget */
    ticks(world, 20);
    for (int i = 0; i < SILENT; i++) {
        fds[i] = client_new(world);
        client_send(world, fds[i], frame, 4096);
    }
    int last = client_new(world);
    frame_send(world, last, '-', 3, 'e', 8192);
    ticks(world, 50);
    assert_int_equal(fake(world)->started_count, 1);
    struct odk_io *io = world->reactor.io;
    fake_release(world->reactor.broker);
    uint64_t start_ns = io->ops->mono_ns(io);
    world->reactor.store_next_ns = 0;
    while (fake(world)->started_count < 2)
        reactor_tick(&world->reactor);
    assert_true(io->ops->mono_ns(io) - start_ns < 2 * NS_PER_S);
    assert_int_equal(reply_read(world, last), 3);
    close(hog);
    close(greedy);
    close(last);
    for (int i = 0; i < SILENT; i++)
        close(fds[i]);
    world_free(world);
}

static void a_socket_that_comes_after_the_drain_is_closed_at_once(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    listener_close(world->listener);
    reactor_drain(&world->reactor, on_drained);
    ticks(world, 4);
    struct arrival arrival = { .sock = fds[0], .host = "10.0.0.1", .listener = "PLAINTEXT" };
    const struct broker_config *config = broker_settings(world->reactor.broker);
    assert_int_equal(admission_enter(&world->admission, arrival.host, config), ADMISSION_OK); /* as the listener does */
    conn_open(&world->reactor, &arrival);
    assert_int_equal(admission_count(&world->admission), 0);
    admission_deinit(&world->admission);
    reactor_close(&world->reactor); /* in the same turn */
    char byte;
    assert_int_equal(recv(fds[1], &byte, 1, 0), 0);
    close(fds[1]);
    reactor_deinit(&world->reactor);
    free(world);
}

static void a_drain_does_not_wait_for_what_was_queued(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world);
    frame_send(world, fd, '-', 1, 'p', 10);
    frame_send(world, fd, '-', 2, 'p', 10);
    reactor_drain(&world->reactor, on_drained);
    assert_int_equal(reply_read(world, fd), 1);
    assert_int_equal(reply_read(world, fd), 2);
    listener_close(world->listener);
    ticks(world, 4);
    assert_int_equal(world->reactor.conn_count, 0);
    reactor_close(&world->reactor);
    reactor_deinit(&world->reactor);
    close(fd);
    free(world);
}

static void connections_above_the_limit_are_refused(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 2);
    int a = client_new(world), b = client_new(world), c = client_new(world);
    assert_int_equal(reply_read(world, c), -2);
    close(a);
    ticks(world, 10);
    int d = client_new(world);
    frame_send(world, d, '-', 5, 'e', 10);
    assert_int_equal(reply_read(world, d), 5);
    close(b);
    close(c);
    close(d);
    world_free(world);
}

static void limits_of_connections_change_while_they_are_open(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 2);
    struct broker_config *config = &fake(world)->config;
    int a = client_new(world), b = client_new(world);
    ticks(world, 10);
    assert_int_equal(admission_count(&world->admission), 2);
    config->max_connections = 3;
    int c = client_new(world), d = client_new(world);
    frame_send(world, c, '-', 5, 'e', 10);
    assert_int_equal(reply_read(world, c), 5);
    assert_int_equal(reply_read(world, d), -2);
    config->max_connections = 1; /* nobody is thrown out */
    frame_send(world, a, '-', 6, 'e', 10);
    assert_int_equal(reply_read(world, a), 6);
    int e = client_new(world);
    assert_int_equal(reply_read(world, e), -2);
    close(a);
    close(b);
    close(c);
    close(d);
    close(e);
    world_free(world);
}

/* A client with an address of its own. */
static int client_from(struct world *world, const char *from)
{
    struct sockaddr_in own = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(inet_pton(AF_INET, from, &own.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&world->bound.storage, world->bound.len), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    ticks(world, 5);
    return fd;
}

static bool is_let_in(struct world *world, int fd)
{
    frame_send(world, fd, '-', 5, 'e', 10);
    return reply_read(world, fd) == 5;
}

static void one_address_has_limits_of_its_own(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 100);
    struct broker_config *config = &fake(world)->config;
    config->max_connections_per_ip = 1;
    config->max_connections_per_ip_overrides = "127.0.0.3:2, ::1:0";
    int one = client_from(world, "127.0.0.2"), more = client_from(world, "127.0.0.2");
    assert_true(is_let_in(world, one));
    assert_int_equal(reply_read(world, more), -2);
    int other[] = { client_from(world, "127.0.0.3"), client_from(world, "127.0.0.3"), client_from(world, "127.0.0.3") };
    assert_true(is_let_in(world, other[0]));
    assert_true(is_let_in(world, other[1]));
    assert_int_equal(reply_read(world, other[2]), -2);
    close(one);
    ticks(world, 10);
    int again = client_from(world, "127.0.0.2");
    assert_true(is_let_in(world, again)); /* its place is free again */
    config->max_connections_per_ip_overrides = "127.0.0.2:0";
    int none = client_from(world, "127.0.0.2"), third = client_from(world, "127.0.0.4");
    assert_int_equal(reply_read(world, none), -2);
    assert_true(is_let_in(world, third));
    int all[] = { more, other[0], other[1], other[2], again, none, third };
    for (size_t i = 0; i < countof(all); i++)
        close(all[i]);
    world_free(world);
}

static void connections_beyond_the_rate_wait(void **state)
{
    enum { RATE = 10, CLIENTS = 15 };
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 100);
    struct odk_io *io = world->reactor.io;
    uint64_t begin_ns = io->ops->mono_ns(io);
    int fds[CLIENTS];
    fake(world)->config.max_connection_creation_rate = RATE;
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = client_new(world);
    while (admission_count(&world->admission) < CLIENTS)
        ticks(world, 1);
    /* One turn less than there are waits: the rate counts by the clock of the turn before. */
    assert_true(io->ops->mono_ns(io) - begin_ns >= (CLIENTS - RATE - 2) * NS_PER_S / RATE);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    world_free(world);
}

static void a_rate_leaves_the_first_second_to_a_burst(void **state)
{
    (void)state;
    struct broker_config config = { .max_connection_creation_rate = 4 };
    struct admission admission;
    admission_init(&admission);
    for (int i = 0; i < 4; i++)
        assert_int_equal(admission_next_ns(&admission, &config, 1), 1);
    assert_int_equal(admission_next_ns(&admission, &config, 1), 1 + NS_PER_S / 4);
    assert_int_equal(admission_next_ns(&admission, &config, 1 + NS_PER_S / 4), 1 + NS_PER_S / 2);
    config.max_connection_creation_rate = INT32_MAX;
    assert_int_equal(admission_next_ns(&admission, &config, 3 * NS_PER_S), 3 * NS_PER_S);
    config.max_connection_creation_rate = 0;
    assert_int_equal(admission_next_ns(&admission, &config, 3 * NS_PER_S), 3 * NS_PER_S);
    assert_int_equal(admission_next_ns(&admission, &config, 3 * NS_PER_S), 4 * NS_PER_S);
    admission_deinit(&admission);
}

static void a_drain_answers_what_was_asked(void **state)
{
    struct world *world = world_new(kind_of(state), MIB(1), MIB(8), 10);
    int fd = client_new(world), idle = client_new(world);
    frame_send(world, fd, '-', 1, 'e', 10);
    ticks(world, 5);
    listener_close(world->listener);
    reactor_drain(&world->reactor, on_drained);
    assert_int_equal(reply_read(world, fd), 1);
    assert_int_equal(reply_read(world, fd), -2);
    assert_int_equal(reply_read(world, idle), -2);
    assert_int_equal(world->reactor.conn_count, 0);
    ticks(world, 4);
    reactor_close(&world->reactor);
    reactor_deinit(&world->reactor);
    close(fd);
    close(idle);
    free(world);
}

#define CASE(kind, name)                                                                            \
    {                                                                                               \
        #name " (" #kind ")", name, NULL, NULL, (void *)(uintptr_t)&kind##_kind                     \
    }
#define CASES(kind)                                                                                  \
    CASE(kind, replies_leave_in_the_order_of_requests), CASE(kind, others_wait_for_an_unfinished_request), \
        CASE(kind, later_ones_wait_while_a_request_holds_them_up),                                   \
        CASE(kind, a_frame_may_come_byte_by_byte), CASE(kind, large_frames_pass_whole),              \
        CASE(kind, a_size_out_of_range_closes_only_that_connection),                                 \
        CASE(kind, a_handler_can_close_after_earlier_replies), CASE(kind, no_more_than_the_slots_are_taken), \
        CASE(kind, bodies_beyond_the_budget_wait_and_one_always_goes_on),                            \
        CASE(kind, an_unfinished_frame_is_cut_off_in_time),                                          \
        CASE(kind, a_request_may_wait_longer_than_a_connection_may_be_idle),                         \
        CASE(kind, a_peer_that_goes_away_cancels_what_waits),                                        \
        CASE(kind, a_peer_that_goes_away_leaves_nothing_queued),                                     \
        CASE(kind, a_peer_that_has_finished_sending_is_answered_without_waiting),                    \
        CASE(kind, a_peer_that_does_not_read_gets_no_more_work_done),                                \
        CASE(kind, every_starved_connection_is_resumed_when_there_is_room),                          \
        CASE(kind, a_socket_that_comes_after_the_drain_is_closed_at_once),                           \
        CASE(kind, a_drain_does_not_wait_for_what_was_queued),                                       \
        CASE(kind, connections_above_the_limit_are_refused),                                         \
        CASE(kind, limits_of_connections_change_while_they_are_open),                                \
        CASE(kind, one_address_has_limits_of_its_own), CASE(kind, connections_beyond_the_rate_wait), \
        CASE(kind, a_drain_answers_what_was_asked)

int main(void)
{
    static const enum odk_io_kind uring_kind = ODK_IO_URING, epoll_kind = ODK_IO_EPOLL;
    const struct CMUnitTest tests[] = { CASES(uring), CASES(epoll),
                                        cmocka_unit_test(a_rate_leaves_the_first_second_to_a_burst) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
