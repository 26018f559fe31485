/* The simulated network: order, pieces, ends, resets, and many ios driven by sim_next. */
#include "desk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "sim_client.h"

enum { BYTES = 20000, TURNS_MAX = 200000 };

/* An echo server on one io and a client on another; both are small state machines around their callbacks. */
struct echo {
    struct sim_world *world;
    struct odk_io *server_io;
    struct odk_io *client_io;
    struct odk_addr bound;
    int32_t listener, server_sock, client_sock;
    struct odk_io_op accept, server_recv, server_send;
    struct odk_io_op connect, client_recv, client_send;
    struct iovec server_iov, client_iov[2];
    void *server_buf;
    uint8_t sent[BYTES], back[BYTES];
    uint32_t back_len;
    int32_t client_end; /* 1 while it goes on, else the result that ended it */
    int32_t server_end;
    int32_t send_end;
    uint32_t smallest;
};

static struct odk_addr any_port(void)
{
    struct odk_addr addr = { .len = sizeof(struct sockaddr_in) };
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&addr.storage, &v4, sizeof(v4));
    return addr;
}

static void server_on_recv(struct odk_io_op *op, int32_t result);

static void server_on_sent(struct odk_io_op *op, int32_t result)
{
    struct echo *echo = container_of(op, struct echo, server_send);
    echo->server_io->ops->recv_release(echo->server_io, echo->server_buf);
    if (result < 0) {
        echo->server_end = result;
        return;
    }
    echo->server_recv.done = server_on_recv;
    echo->server_io->ops->recv(echo->server_io, &echo->server_recv, echo->server_sock, NULL, 0);
}

static void server_on_recv(struct odk_io_op *op, int32_t result)
{
    struct echo *echo = container_of(op, struct echo, server_recv);
    if (result <= 0) {
        echo->server_end = result;
        return;
    }
    echo->smallest = MIN(echo->smallest, (uint32_t)result);
    echo->server_buf = op->buf;
    echo->server_iov = (struct iovec){ .iov_base = op->buf, .iov_len = (size_t)result };
    echo->server_send.done = server_on_sent;
    echo->server_io->ops->sendv(echo->server_io, &echo->server_send, echo->server_sock, &echo->server_iov, 1);
}

static void server_on_accept(struct odk_io_op *op, int32_t result)
{
    struct echo *echo = container_of(op, struct echo, accept);
    assert_true(result >= 0);
    echo->server_sock = result;
    echo->server_recv.done = server_on_recv;
    echo->server_io->ops->recv(echo->server_io, &echo->server_recv, result, NULL, 0);
}

static void client_on_recv(struct odk_io_op *op, int32_t result)
{
    struct echo *echo = container_of(op, struct echo, client_recv);
    if (result <= 0) {
        echo->client_end = result;
        return;
    }
    echo->back_len += (uint32_t)result;
    if (echo->back_len == BYTES)
        echo->client_io->ops->shutdown(echo->client_io, echo->client_sock);
    else
        echo->client_io->ops->recv(echo->client_io, op, echo->client_sock, echo->back + echo->back_len,
                                   BYTES - echo->back_len);
}

static void client_on_sent(struct odk_io_op *op, int32_t result)
{
    struct echo *echo = container_of(op, struct echo, client_send);
    echo->send_end = result;
}

static void client_on_connect(struct odk_io_op *op, int32_t result)
{
    struct echo *echo = container_of(op, struct echo, connect);
    const struct odk_io_ops *ops = echo->client_io->ops;
    if (result < 0) {
        echo->client_end = result;
        return;
    }
    echo->client_sock = result;
    echo->client_iov[0] = (struct iovec){ .iov_base = echo->sent, .iov_len = 7 };
    echo->client_iov[1] = (struct iovec){ .iov_base = echo->sent + 7, .iov_len = BYTES - 7 };
    echo->client_send.done = client_on_sent;
    echo->client_recv.done = client_on_recv;
    ops->sendv(echo->client_io, &echo->client_send, result, echo->client_iov, 2);
    ops->recv(echo->client_io, &echo->client_recv, result, echo->back, BYTES);
}

static struct echo *echo_new(uint64_t seed, const struct sim_faults *faults)
{
    struct echo *echo = calloc(1, sizeof(*echo));
    assert_non_null(echo);
    echo->world = sim_world_new(seed, faults);
    echo->server_io = sim_io_new(echo->world, &(struct sim_io_options){ .process = 1, .recv_buffers = 2 });
    echo->client_io = sim_io_new(echo->world, &(struct sim_io_options){ .process = 2, .remote = true });
    for (uint32_t i = 0; i < BYTES; i++)
        echo->sent[i] = (uint8_t)(i * 31 + i / 256);
    echo->client_end = 1;
    echo->server_end = 1;
    echo->smallest = UINT32_MAX;
    struct odk_addr at = any_port();
    echo->listener = echo->server_io->ops->listen(echo->server_io, &at, false, &echo->bound);
    assert_true(echo->listener >= 0);
    echo->accept.done = server_on_accept;
    echo->server_io->ops->accept(echo->server_io, &echo->accept, echo->listener);
    echo->connect.done = client_on_connect;
    echo->client_io->ops->connect(echo->client_io, &echo->connect, &echo->bound);
    return echo;
}

static void echo_free(struct echo *echo)
{
    sim_io_free(echo->client_io);
    sim_io_free(echo->server_io);
    sim_world_free(echo->world);
    free(echo);
}

static void drive(struct echo *echo)
{
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        struct odk_io *io = sim_next(echo->world, UINT64_MAX);
        if (io == NULL)
            return;
        io->ops->run(io, UINT64_MAX);
    }
    fail();
}

static void bytes_arrive_in_order_whatever_the_pieces(void **state)
{
    (void)state;
    uint32_t smallest = UINT32_MAX;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct sim_faults faults = sim_faults_none();
        faults.net_small = (uint32_t)(seed % 3) * 300000;
        faults.net_window = seed % 4 == 0 ? 100 : 65536;
        struct echo *echo = echo_new(seed, &faults);
        drive(echo);
        assert_int_equal(echo->back_len, BYTES);
        assert_memory_equal(echo->sent, echo->back, BYTES);
        assert_int_equal(echo->server_end, 0);
        assert_true(sim_idle(echo->world));
        smallest = MIN(smallest, echo->smallest);
        echo_free(echo);
    }
    assert_int_equal(smallest, 1);
}

static void faults_end_connections_but_never_alter_bytes(void **state)
{
    (void)state;
    uint32_t resets = 0, silent = 0, whole = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct sim_faults faults = sim_faults_none();
        faults.net_reset = 10000;
        faults.net_vanish = 10000;
        faults.net_clog = 50000;
        faults.net_piece = 1000;
        struct echo *echo = echo_new(seed, &faults);
        drive(echo);
        assert_memory_equal(echo->sent, echo->back, echo->back_len);
        resets += echo->client_end == -ECONNRESET;
        whole += echo->back_len == BYTES;
        silent += echo->client_end == 1 && echo->back_len < BYTES;
        echo_free(echo);
    }
    assert_true(resets > 10);
    assert_true(silent > 10);
    assert_true(whole > 10);
}

static void crash_of_the_server_is_seen_or_silent(void **state)
{
    (void)state;
    uint32_t reset = 0, silent = 0;
    struct sim_faults faults = sim_faults_none();
    faults.net_piece = 100;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct echo *echo = echo_new(seed, &faults);
        for (uint64_t turn = 0; turn < 20 + seed % 30; turn++) {
            struct odk_io *io = sim_next(echo->world, UINT64_MAX);
            assert_non_null(io);
            io->ops->run(io, UINT64_MAX);
        }
        if (seed % 2 == 0)
            sim_crash_power(echo->world);
        else
            sim_crash_kill(echo->world, 1);
        assert_false(sim_dead(echo->client_io));
        drive(echo);
        reset += echo->client_end == -ECONNRESET;
        silent += echo->client_end == 1;
        echo_free(echo);
    }
    assert_true(reset > 10);
    assert_true(silent > 10);
}

/* The helper for workloads against the same echo. */
static void client_helper_frames_and_ends(void **state)
{
    (void)state;
    struct sim_faults faults = sim_faults_none();
    faults.net_small = 300000;
    struct echo *echo = echo_new(5, &faults);
    drive(echo);
    echo->accept.done = server_on_accept;
    echo->server_io->ops->close_socket(echo->server_io, echo->server_sock);
    echo->server_io->ops->accept(echo->server_io, &echo->accept, echo->listener);
    struct sim_client *client = sim_client_new(echo->client_io, &echo->bound);
    const uint8_t frame[9] = { 0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o' };
    sim_client_send(client, frame, 3);
    sim_client_send(client, frame + 3, 6);
    drive(echo);
    size_t len = 0;
    const uint8_t *body = sim_client_frame(client, &len);
    assert_non_null(body);
    assert_int_equal(len, 5);
    assert_memory_equal(body, "hello", 5);
    assert_int_equal(sim_client_unsent(client), 0);
    sim_client_consume(client, 9);
    assert_null(sim_client_frame(client, &len));
    assert_int_equal(sim_client_state(client), SIM_CLIENT_OPEN);
    sim_client_free(client);
    drive(echo);
    assert_int_equal(echo->server_end, 0);
    client = sim_client_new(echo->client_io, &(struct odk_addr){ .storage.ss_family = AF_INET });
    drive(echo);
    assert_int_equal(sim_client_state(client), SIM_CLIENT_ENDED);
    assert_int_equal(sim_client_error(client), -ECONNREFUSED);
    sim_client_free(client);
    echo_free(echo);
}

static void nobody_listens(void **state)
{
    (void)state;
    struct sim_faults faults = sim_faults_none();
    struct echo *echo = echo_new(1, &faults);
    echo->server_io->ops->shutdown(echo->server_io, echo->listener);
    echo->accept.done = server_on_sent; /* not called in this test: the io is not driven */
    for (int turn = 0; turn < 100 && echo->client_end == 1; turn++) {
        (void)sim_step(echo->world);
        echo->client_io->ops->run(echo->client_io, 0);
    }
    assert_int_equal(echo->client_end, -ECONNREFUSED);
    echo_free(echo);
}

static void wanted_time_wakes_an_idle_io(void **state)
{
    (void)state;
    struct desk desk;
    desk_init(&desk, 1, NULL);
    sim_straight(desk.io, false);
    struct odk_io *io = sim_next(desk.world, UINT64_MAX);
    assert_ptr_equal(io, desk.io);
    uint64_t until_ns = io->ops->mono_ns(io) + 5000000000;
    io->ops->run(io, until_ns);
    assert_null(sim_next(desk.world, until_ns - 1));
    assert_ptr_equal(sim_next(desk.world, UINT64_MAX), io);
    assert_true(io->ops->mono_ns(io) >= until_ns);
    io->ops->run(io, UINT64_MAX);
    assert_true(sim_idle(desk.world));
    assert_null(sim_next(desk.world, UINT64_MAX));
    io->ops->wake(io);
    assert_ptr_equal(sim_next(desk.world, UINT64_MAX), io);
    desk_deinit(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_in_order_whatever_the_pieces),
        cmocka_unit_test(faults_end_connections_but_never_alter_bytes),
        cmocka_unit_test(crash_of_the_server_is_seen_or_silent),
        cmocka_unit_test(client_helper_frames_and_ends),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(wanted_time_wakes_an_idle_io),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
