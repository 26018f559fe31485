#include "bench/talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/units.h"
#include "wire/frame.h"
#include "wire/wire_limits.h"

#define EVENTS_MAX     256
#define READ_BYTES_MIN KIB(64)

struct bytes {
    uint8_t *data;
    size_t begin, end, capacity;
};

struct waiting {
    struct list node;
    struct talk_call call;
    uint64_t begun_ns;
};

struct talk {
    struct talk_loop *loop;
    struct list node;
    struct list waiting; /* oldest first */
    struct bytes in, out;
    struct arena arena; /* the latest answer */
    int32_t correlation_id;
    int fd;
};

struct talk_loop {
    struct sockaddr_in at;
    struct list talks;
    struct list spare; /* struct waiting */
    int epoll;
};

uint64_t talk_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void talk_fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    exit(1);
}

/* Room for n more bytes behind end. */
static uint8_t *bytes_room(struct bytes *bytes, size_t n)
{
    if (bytes->begin == bytes->end)
        bytes->begin = bytes->end = 0;
    if (bytes->capacity - bytes->end < n && bytes->begin > 0) {
        memmove(bytes->data, bytes->data + bytes->begin, bytes->end - bytes->begin);
        bytes->end -= bytes->begin;
        bytes->begin = 0;
    }
    if (bytes->capacity - bytes->end < n) {
        bytes->capacity = MAX(2 * bytes->capacity, bytes->end + n);
        bytes->data = xrealloc(bytes->data, bytes->capacity);
    }
    return bytes->data + bytes->end;
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

struct talk_loop *talk_loop_new(const char *broker)
{
    struct talk_loop *loop = xcalloc(1, sizeof(*loop));
    const char *colon = strrchr(broker, ':');
    char host[64];
    if (!colon || (size_t)(colon - broker) >= sizeof(host))
        talk_fatal("%s is not HOST:PORT", broker);
    memcpy(host, broker, (size_t)(colon - broker));
    host[colon - broker] = '\0';
    loop->at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)) };
    if (inet_pton(AF_INET, host, &loop->at.sin_addr) != 1)
        talk_fatal("%s is no IPv4 address", host);
    loop->epoll = epoll_create1(0);
    list_init(&loop->talks);
    list_init(&loop->spare);
    return loop;
}

struct talk *talk_open(struct talk_loop *loop)
{
    struct talk *talk = xcalloc(1, sizeof(*talk));
    int one = 1;
    talk->loop = loop;
    list_init(&talk->waiting);
    list_push_back(&loop->talks, &talk->node);
    talk->fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(talk->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(talk->fd, (const void *)&loop->at, sizeof(loop->at)) != 0)
        talk_fatal("connect: %s", strerror(errno));
    (void)fcntl(talk->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = talk };
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, talk->fd, &event) != 0)
        talk_fatal("epoll: %s", strerror(errno));
    return talk;
}

static void waiting_free_all(struct list *from)
{
    struct list *node;
    while ((node = list_pop_front(from)) != NULL)
        free(container_of(node, struct waiting, node));
}

void talk_close(struct talk *talk)
{
    close(talk->fd);
    list_remove(&talk->node);
    waiting_free_all(&talk->waiting);
    arena_deinit(&talk->arena);
    free(talk->in.data);
    free(talk->out.data);
    free(talk);
}

void talk_loop_free(struct talk_loop *loop)
{
    while (!list_empty(&loop->talks))
        talk_close(container_of(loop->talks.next, struct talk, node));
    waiting_free_all(&loop->spare);
    close(loop->epoll);
    free(loop);
}

/* -- sending ------------------------------------------------------------------------------------------------------- */

static void request_encode(struct talk *talk, const struct talk_call *call)
{
    const struct wire_api *api = wire_api_find(call->key);
    struct arena arena = { 0 };
    struct out out;
    const struct iovec *parts;
    uint32_t count;
    struct request_header header = { .key = call->key,
                                     .version = call->version,
                                     .correlation_id = talk->correlation_id++,
                                     .client_id = ODK_STR("odradek-bench") };
    out_init(&out, &arena);
    request_begin(&out, &header);
    if (!api->request->encode(call->request, &out, call->version) || !request_end(&out) ||
        !out_iov(&out, &parts, &count))
        talk_fatal("%s cannot be said in version %d", api->name, call->version);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes_room(&talk->out, parts[i].iov_len), parts[i].iov_base, parts[i].iov_len);
        talk->out.end += parts[i].iov_len;
    }
    arena_deinit(&arena);
}

void talk_send(struct talk *talk, const struct talk_call *call)
{
    struct list *spare = list_pop_front(&talk->loop->spare);
    struct waiting *waiting = spare ? container_of(spare, struct waiting, node) : xcalloc(1, sizeof(*waiting));
    *waiting = (struct waiting){ .call = *call, .begun_ns = talk_now_ns() };
    waiting->call.request = NULL;
    request_encode(talk, call);
    list_push_back(&talk->waiting, &waiting->node);
}

static void talk_write(struct talk *talk)
{
    while (talk->out.begin < talk->out.end) {
        ssize_t put =
            send(talk->fd, talk->out.data + talk->out.begin, talk->out.end - talk->out.begin, MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0)
            talk_fatal("send: %s", strerror(errno));
        talk->out.begin += (size_t)put;
    }
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static void answer_take(struct talk *talk, struct odk_bytes body)
{
    struct list *node = list_pop_front(&talk->waiting);
    if (!node)
        talk_fatal("an answer to nothing");
    struct waiting *waiting = container_of(node, struct waiting, node);
    const struct talk_call call = waiting->call;
    uint64_t took_ns = talk_now_ns() - waiting->begun_ns;
    const struct wire_api *api = wire_api_find(call.key);
    struct rd r = rd_init(body.data, body.len);
    int32_t correlation_id;
    list_push_back(&talk->loop->spare, &waiting->node);
    arena_reset(&talk->arena);
    void *response = arena_alloc(&talk->arena, 1, api->response->body->size);
    if (!response_header_decode(&r, call.key, call.version, &correlation_id) ||
        !api->response->decode(response, &r, &talk->arena, call.version) || rd_left(&r) > 0)
        talk_fatal("the answer to %s %d cannot be read", api->name, call.version);
    call.answer(call.context, response, took_ns);
}

static void talk_read(struct talk *talk)
{
    for (;;) {
        uint8_t *room = bytes_room(&talk->in, READ_BYTES_MIN);
        ssize_t got = recv(talk->fd, room, talk->in.capacity - talk->in.end, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            talk_fatal("the broker closed a connection");
        talk->in.end += (size_t)got;
        struct odk_bytes body;
        size_t len;
        struct odk_bytes have = { talk->in.data + talk->in.begin, talk->in.end - talk->in.begin };
        while (frame_next(have, WIRE_FRAME_BYTES_MAX, &body, &len) == FRAME_WHOLE) {
            answer_take(talk, body);
            talk->in.begin += len;
            have = (struct odk_bytes){ talk->in.data + talk->in.begin, talk->in.end - talk->in.begin };
        }
    }
}

void talk_turn(struct talk_loop *loop, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    for (struct list *node = loop->talks.next; node != &loop->talks; node = node->next)
        talk_write(container_of(node, struct talk, node));
    int count = epoll_wait(loop->epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++)
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            talk_read(events[i].data.ptr);
}

static void ask_on_answer(void *context, const void *response, uint64_t took_ns)
{
    const void **ret = context;
    (void)took_ns;
    *ret = response;
}

const void *talk_ask(struct talk *talk, int16_t key, int16_t version, const void *request)
{
    const void *response = NULL;
    talk_send(talk, &(struct talk_call){ .key = key,
                                         .version = version,
                                         .request = request,
                                         .answer = ask_on_answer,
                                         .context = &response });
    while (!response)
        talk_turn(talk->loop, 100);
    return response;
}
